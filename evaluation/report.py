"""The page that tells how good a model is: targets, tables, pictures and examples, for people who did not train it.

Only arranges what the questions have answered; it measures nothing.
"""

import os
from pathlib import Path
from typing import NamedTuple

from evaluation.question import Question
from evaluation.targets import target_lines


class Answer(NamedTuple):
    """A question with what a model has answered."""

    question: Question
    values: dict
    pictures: list[Path]


def write_report(path: Path, answers: list[Answer], extras: list[tuple[str, Path]]) -> Path:
    """Write the page: all answers, then further (title, picture) pairs.

    Pictures are named relative to the page, so that both can be moved or shown together.
    """
    results = {question.name: result for question, result, _ in answers}
    facts = _facts([found.values["about"] for found in answers])
    lines = ["# How good is this model?", "", *facts, "", "## The targets", ""]
    lines += ["```", *target_lines(results), "```", ""]
    for question, result, pictures in answers:
        lines += [f"## {question.asks}", "", "```", *question.table(result), "```", ""]
        lines += [line for picture in pictures for line in _picture(question.name, picture, path)]
    for title, picture in extras:
        lines += [f"## {title}", "", *_picture(title, picture, path)]
    lines += ["---", "", *_provenance(answers), ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _facts(abouts: list[dict]) -> list[str]:
    """What was asked, in two lines."""
    about, checkpoint = abouts[0], abouts[0]["checkpoint"]
    quick = sum(other["quick"] for other in abouts)
    if not quick:
        effort = "the full evaluation"
    else:
        effort = "a quick look: small samples, wide intervals"
        effort += f" (in {quick} of {len(abouts)} answers; the others are full ones)" if quick < len(abouts) else ""
    return [
        f"`{checkpoint['path']}`, step {checkpoint['step']:,}: {about['parameters'] / 1e6:.1f}M parameters, context of "
        f"{about['context_length']} tokens; {effort}.",
        "Held-out code is whole packages, held-out books are whole books. "
        f"Of this model: {about['doubt'] or 'it has seen nothing of either.'} Brackets after a score are its 95% "
        "interval.",
    ]


def _picture(title: str, picture: Path, page: Path) -> list[str]:
    relative = Path(os.path.relpath(picture.resolve(), page.resolve().parent)).as_posix()
    return [f"![{title.replace('_', ' ')}]({relative})", ""]


def _provenance(answers: list[Answer]) -> list[str]:
    """Where the numbers are from, so that they can be repeated."""
    about = answers[0].values["about"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    seconds = sum(found.values["about"]["seconds"] for found in answers)
    return [
        f"Checkpoint sha256 `{about['checkpoint']['sha256'][:16]}`, tokenizer `{about['tokenizer_sha256'][:16]}`; "
        f"{versions}; device {about['device']}; seed {about['seed']}; measured in {seconds / 60:.1f} minutes."
    ]
