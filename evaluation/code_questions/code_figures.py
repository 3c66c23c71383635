"""Pictures of what code_tests.py measured: the scores beside their guessers, and the splits that tell more."""

from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.ticker import PercentFormatter

from evaluation.figures import GUESS_LABEL, OURS, bars_with_intervals, new_figure, save_figure
from evaluation.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TESTS = {
    "bracket_completion": "brackets: which one\ncloses, of 3",
    "keyword_completion": "keywords: which one\ncomes, of 35",
    "indentation_awareness": "indentation: where the\nnext statement begins",
    "function_completion": "functions: form of the body\n(not its sense)",
    "minimal_pairs": "minimal pairs: right code\nor code with a mistake",
    "identifier_recall": "recall: which variable\nof the function is used",
}


def draw(values: dict, folder: Path) -> list[Path]:
    """code_tests.png with the scores, code_details.png with their splits."""
    return [draw_scores(values, folder / "code_tests.png"), draw_details(values, folder / "code_details.png")]


def draw_scores(values: dict, path: Path) -> Path:
    """One bar for each test."""
    figure, (axes,) = new_figure(size=(9, 5.5))
    found = [values[key] for key in TESTS]
    labels = [f"{label}\n(n = {part['n']:,})" for label, part in zip(TESTS.values(), found, strict=True)]
    _bars(axes, dict(zip(labels, found, strict=True)), [part["best_constant_guess"] for part in found])
    above = sum(part["more_than_guess"]["interval"][0] > 0 for part in found)
    axes.set_title(f"Unseen code: clearly better than guessing in {above} of {len(TESTS)} tests")
    axes.set_xlabel("share that is right, mean over the kinds of question (line: 95% interval)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12))
    return save_figure(figure, path)


def draw_details(values: dict, path: Path) -> Path:
    """Six panels: what makes each test easy or hard."""
    figure, (depth, distance, keywords, steps, pairs, recall) = new_figure(2, 3, size=(17, 11))
    brackets, indentation = values["bracket_completion"], values["indentation_awareness"]
    for axes, parts, title, label in (
        (depth, brackets["by_depth"], "Brackets by nesting", "depth {}"),
        (distance, brackets["by_distance"], "Brackets by distance", "{} characters\nfrom the opening one"),
    ):
        shown = {label.format(name): part for name, part in parts.items()}
        _bars(axes, shown, [brackets["best_constant_guess"]] * len(parts))
        axes.set_title(f"{title}: {_from_to(parts)}")
    _bars(steps, indentation["by_step"], list(indentation["guess_by_step"].values()))
    steps.set_title("Indentation: the step to the next statement")
    kinds = values["minimal_pairs"]["kinds"]
    _bars(pairs, kinds, [part["best_constant_guess"] for part in kinds.values()])
    hardest = min(kinds, key=lambda kind: kinds[kind]["score"], default="none")
    pairs.set_title(f"Mistakes seen (hardest: {hardest})")
    for axes in (depth, distance, steps, pairs):
        axes.set_xlabel(f"share that is right (line: 95% interval, tick: {GUESS_LABEL})")
    _draw_keywords(keywords, values["keyword_completion"])
    _draw_recall(recall, values["identifier_recall"])
    return save_figure(figure, path)


def _bars(axes: "Axes", parts: dict[str, dict], guesses: list[float | None]) -> None:
    intervals = [Interval(*part["interval"]) for part in parts.values()]
    bars_with_intervals(axes, list(parts), [part["score"] for part in parts.values()], intervals, guesses=guesses)
    axes.set_xlim(0, 1.13)  # room for the numbers beside the bars
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _draw_keywords(axes: "Axes", found: dict) -> None:
    """A dot for each keyword, the best known on top."""
    words = sorted(found["by_keyword"].items(), key=lambda entry: entry[1]["score"])
    scores = [part["score"] for _, part in words]
    axes.hlines(range(len(words)), 0, scores, color=OURS, linewidth=1)
    axes.plot(scores, range(len(words)), "o", color=OURS, markersize=4)
    axes.axvline(found["best_constant_guess"], color="black", linewidth=1, linestyle="--", label=GUESS_LABEL)
    axes.set_yticks(range(len(words)), [word for word, _ in words], fontsize=7)
    axes.set_xlim(0, 1.05)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel(f"share that is right, of up to {max((part['n'] for _, part in words), default=0)} each")
    often = found["as_often_as_in_code"]["score"]
    axes.set_title(f"Keywords: {found['score']:.0%}, weighted by use {often:.0%}")
    axes.legend(loc="lower right")


def _draw_recall(axes: "Axes", found: dict) -> None:
    """Recall against distance, beside the best guesser at each distance."""
    parts = found["distances"]
    places, scores = range(len(parts)), [part["score"] for part in parts.values()]
    low, high = zip(*(part["interval"] for part in parts.values()), strict=True) if parts else ((), ())
    below = [score - limit for score, limit in zip(scores, low, strict=True)]
    above = [limit - score for score, limit in zip(scores, high, strict=True)]
    axes.errorbar(places, scores, [below, above], marker="o", capsize=3, color=OURS, label="this model (95%)")
    guesses = [part["best_constant_guess"] for part in parts.values()]
    axes.plot(places, guesses, "--_", color="black", markersize=12, label="best rule of thumb")
    axes.set_xticks(places, list(parts))
    axes.set_ylim(0, 1.05)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("Python tokens since the name was last used")
    axes.set_ylabel("share that is right")
    axes.set_title(f"Recall of renamed variables: {_from_to(parts)}")
    axes.legend(loc="upper right")


def _from_to(parts: dict[str, dict]) -> str:
    """The scores of the first and the last part."""
    scores = [part["score"] for part in parts.values()]
    return f"{scores[0]:.0%} to {scores[-1]:.0%}" if scores else "nothing asked"
