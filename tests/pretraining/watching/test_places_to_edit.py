"""Settings are found where they stand, in the project's own files and in edited ones."""

import pytest

from pretraining.generate import SETTINGS
from pretraining.settings import ROOT
from pretraining.train_improved import CONFIG
from pretraining.watching.places_to_edit import (
    GENERATE,
    MIX,
    TO_EDIT,
    TRAIN,
    lines_to_edit,
    places_to_edit,
    plain_values,
)


@pytest.mark.parametrize("file", [TRAIN, MIX, GENERATE])
def test_every_setting_of_the_list_stands_in_its_file_on_the_line_that_is_told(file):
    """A setting that was renamed would otherwise vanish from the status page without a word."""
    lines, found = (ROOT / file).read_text().splitlines(), places_to_edit(ROOT / file)
    for name in TO_EDIT[file].split():
        assert name in lines[found[name].line - 1]


def test_the_values_are_those_that_python_sees():
    assert plain_values(ROOT / TRAIN) == CONFIG
    assert plain_values(ROOT / GENERATE) == SETTINGS
    assert plain_values(ROOT / MIX) == {"code_weight": 3}


def test_what_is_more_than_a_value_is_shown_and_not_taken_for_one(tmp_path):
    """`2 * 2500` is a sensible edit; running the file to know its value is not for a page that only looks."""
    (tmp_path / "file.py").write_text(
        'CONFIG = {\n    "max_steps": 2 * 2500,\n    **{"seed": 1},\n    "batch_size": 8,\n}\n'
        "OTHER = {'max_steps': 1}\nmix.create_mixed_corpus(1, seed=5)\ncreate_mixed_corpus(3, **{})\n"
    )
    found = places_to_edit(tmp_path / "file.py")
    assert {name: (place.line, place.source) for name, place in found.items()} == {
        "max_steps": (2, "2 * 2500"),
        "batch_size": (4, "8"),
    }
    assert plain_values(tmp_path / "file.py") == {"batch_size": 8}


def test_files_that_are_not_there_or_not_python_are_a_line_each(tmp_path):
    for file in (TRAIN, MIX):
        (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / TRAIN).write_text("CONFIG = {\n'a': 1\n'b': 2}\n")
    (tmp_path / MIX).write_bytes(b"\xff\xfe")
    lines, (train, mix, generate) = lines_to_edit(tmp_path)
    assert lines == [] and train.startswith(f"{TRAIN}:2 does not parse: ")
    assert mix.startswith(f"{MIX} can not be read: ") and generate.startswith(f"{GENERATE} can not be read: ")
    (tmp_path / MIX).write_text("create_mixed_corpus(5)\n")
    assert f"{MIX} does not have the setting code_weight" in lines_to_edit(tmp_path)[1]


def test_a_line_opens_with_the_place_and_ends_with_the_value():
    lines, problems = lines_to_edit(ROOT)
    assert problems == []
    assert len(lines) == len(" ".join(TO_EDIT.values()).split())
    assert [line.split()[1:] for line in lines][:3] == [
        ["corpus_file", "mixed_corpus.txt"],
        ["config_path", "gpt_tiny_config.json"],
        ["max_steps", "2500"],
    ]
    assert lines[-5].endswith(repr(SETTINGS["prompt"]))
