"""Where the settings that people edit stand, found by reading the files as they are now: every edit moves lines.

Standard library alone, and nothing is run: a file that would fail is read all the same, as long as it parses.
"""

import ast
import contextlib
from pathlib import Path
from typing import NamedTuple

TRAIN, MIX, GENERATE = "pretraining/train_improved.py", "scripts/create_mixed_corpus.py", "pretraining/generate.py"
# What people edit most in each file.
TO_EDIT = {
    TRAIN: "corpus_file config_path max_steps batch_size block_size learning_rate grad_clip eval_interval "
    "checkpoint_interval",
    MIX: "code_weight",
    GENERATE: "prompt max_new_tokens temperature top_k top_p",
}
BLOCKS = ("CONFIG", "SETTINGS")  # dictionaries whose keys are settings
CALL = "create_mixed_corpus"  # a function whose named arguments are settings


class Place(NamedTuple):
    """A setting in a file."""

    line: int
    source: str  # of its value, as Python writes it


def places_to_edit(path: Path) -> dict[str, Place]:
    """The settings of a Python file by name. Raises OSError, or SyntaxError or ValueError where it does not parse."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            if any(getattr(target, "id", None) in BLOCKS for target in node.targets):
                pairs = zip(node.value.keys, node.value.values, strict=True)
                named = [(key, value) for key, value in pairs if isinstance(key, ast.Constant)]
                found |= {key.value: Place(key.lineno, ast.unparse(value)) for key, value in named}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == CALL:
            named = [argument for argument in node.keywords if argument.arg]
            found |= {argument.arg: Place(argument.value.lineno, ast.unparse(argument.value)) for argument in named}
    return found


def plain_values(path: Path) -> dict[str, object]:
    """The values of the settings of a Python file, without those that are more than a plain value. Raises the same."""
    values = {}
    for name, place in places_to_edit(path).items():
        with contextlib.suppress(ValueError):
            values[name] = ast.literal_eval(place.source)
    return values


def lines_to_edit(root: Path) -> tuple[list[str], list[str]]:
    """A line for each setting of TO_EDIT, opening with file:line, which editors make a link; and what went wrong."""
    lines, problems = [], []
    for file, names in TO_EDIT.items():
        try:
            found = places_to_edit(root / file)
        except SyntaxError as error:
            problems.append(f"{file}:{error.lineno} does not parse: {error.msg}")
            continue
        except (OSError, ValueError, RecursionError) as error:
            problems.append(f"{file} can not be read: {error}")
            continue
        for name in names.split():
            if name not in found:
                problems.append(f"{file} does not have the setting {name}")
                continue
            value = found[name].source
            if name in ("corpus_file", "config_path"):
                value = value.strip("'\"").rpartition("/")[2]  # the folder is the same for nearly everybody
            lines.append(f"{f'{file}:{found[name].line}':34} {name:19} {value}")
    return lines, problems
