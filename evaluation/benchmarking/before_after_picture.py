"""The picture of before and after: perplexity, the four pairs of tests, what is written, and the README's targets."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.benchmarking.benchmark_picture import draw_perplexities, draw_shares
from evaluation.figures import BEFORE, OURS, REFERENCE, new_figure, one_line, save_figure
from evaluation.statistics import Interval
from evaluation.targets import CODE_EVAL, Target, targets
from evaluation.texts.text_signs import spacing, whole_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "before_after_comparison"
PAIRS = {  # as the first README's script pairs them: the first model's tests, and those of today
    "Brackets": ("bracket_test", "bracket_completion"),
    "Keywords": ("repeat_test", "keyword_completion"),
    "Indentation": ("alphabet_test", "indentation_awareness"),
    "Functions": ("sentence_test", "function_completion"),
}
NAMES = ("v0", "untrained", "now")
COLORS = (BEFORE, REFERENCE, OURS)
GENERATION_V0 = "“gibberish”"  # the README's word
LINE = 72  # characters of generated text
CAPTION = (
    "v0 was published in the first README and not measured here: other tests, paired as that README pairs them, and a "
    "broken tokenizer. Perplexities under different tokenizers do not",
    "compare; bits per byte do, and those of v0 are unknown. untrained: fresh weights of the same config, its tests on "
    "the small sample. n: questions now.",
    "Thin lines: 95% intervals. Dotted: the best simple guess; for functions, judged by form alone, `return <first "
    "argument>`. unsure: the goal lies within the interval.",
)


def draw(values: dict, folder: Path) -> list[Path]:
    """Draw the comparison and return its one picture."""
    figure, (perplexity_axes, test_axes, text_axes, target_axes) = new_figure(2, 2, size=(13, 8.6))
    baseline, fresh, now = values["baseline"], values["untrained"], values["now"]
    rows = targets({CODE_EVAL: now})
    code = [model["code_perplexity"] for model in (fresh, now)]
    perplexities = [baseline["perplexity"], *(found["average_perplexity"] for found in code)]
    draw_perplexities(perplexity_axes, ["v0, other\ntokenizer", *NAMES[1:]], perplexities, COLORS)
    perplexity_axes.set_title(f"Perplexity: {perplexities[-1]:,.1f} on held-out code")
    _draw_tests(test_axes, values)
    _write_texts(text_axes, [baseline["sample"], fresh["sample"], now["sample"]], values["prompt"])
    _write_targets(target_axes, rows, targets({CODE_EVAL: fresh}), baseline, [found["bits_per_byte"] for found in code])
    reached = sum(row.reached is True for row in rows)
    figure.suptitle(
        f"Before and after: perplexity {baseline['perplexity']} to {perplexities[-1]:,.1f} (other tokenizer), "
        f"{reached} of {len(rows)} targets reached",
        x=0.01,
        ha="left",
        fontweight="bold",
        fontsize=13,
    )
    figure.supxlabel("\n".join(CAPTION), x=0.01, ha="left", fontsize=9)
    return [save_figure(figure, folder / f"{NAME}.png")]


def _draw_tests(axes: "Axes", values: dict) -> None:
    """The four pairs as bars, with the intervals and guesses of the present model."""
    tests = [values["now"][test] for _, test in PAIRS.values()]
    shares = (
        [values["baseline"][test] for test, _ in PAIRS.values()],
        [values["untrained"][test]["score"] for _, test in PAIRS.values()],
        [test["score"] for test in tests],
    )
    draw_shares(
        axes,
        [
            f"{label}\nn = {values['now'][name]['n']:,}\nv0: {test.removesuffix('_test')} test"
            for label, (test, name) in PAIRS.items()
        ],
        list(zip(NAMES, shares, COLORS, strict=True)),
        intervals=[Interval(*test["interval"]) for test in tests],
        guesses=[test["best_constant_guess"] for test in tests],
    )
    axes.set_title("Tests on held-out code")
    axes.set_ylabel("share right")


def _write_texts(axes: "Axes", texts: Sequence[str], prompt: str) -> None:
    """What each model writes, and how many of its words are words."""
    axes.set_axis_off()
    axes.set_title(f"What it writes after “{prompt}”")
    height = 0.97
    for name, text, color in zip(NAMES, texts, COLORS, strict=True):
        lines = textwrap.wrap(one_line(text), LINE, max_lines=4, placeholder=" ...")
        place = {"transform": axes.transAxes, "va": "top", "parse_math": False, "in_layout": False}
        axes.text(0, height, name, color=color, fontweight="bold", **place)
        axes.text(0.16, height, _words_and_spacing(text), color="0.4", fontsize=9, **place)
        axes.text(0, height - 0.065, "\n".join(lines), family="monospace", fontsize=9, linespacing=1.25, **place)
        height -= 0.115 + 0.055 * len(lines)


def _words_and_spacing(text: str) -> str:
    """The first bad sign of a text that is judged as it is shown, prompt included: that of version 0 came in pieces."""
    signs = [spacing(text), whole_words("", text)]
    return next((sign.detail for sign in signs if not sign.good), signs[-1].detail)


def _write_targets(axes: "Axes", now: list[Target], fresh: list[Target], baseline: dict, bits: Sequence[float]) -> None:
    """The README's targets as a table, and bits per byte, which alone compares across tokenizers."""
    axes.set_axis_off()
    axes.set_title("The README's targets")
    passed = sum(baseline[test] for test, _ in PAIRS.values()) / len(PAIRS)
    before_all = [f"{baseline['perplexity']}"] * 2 + [f"{baseline['bracket_test']:.0%}", f"{passed:.0%}", GENERATION_V0]
    rows = [
        (row.name, row.shown_goal, v0, before.shown(before.value), row.shown(row.value), row.verdict)
        for row, before, v0 in zip(now, fresh, before_all, strict=True)
    ]
    rows.append(("bits per byte", "", "unknown", *(f"{value:.2f}" for value in bits), ""))
    rows.insert(0, ("", "goal", *NAMES, "reached"))
    columns = (0, 0.36, 0.53, 0.69, 0.80, 0.83)
    for number, row in enumerate(rows):
        for cell, place in zip(row, columns, strict=True):
            align = "left" if place in (columns[0], columns[-1]) else "right"
            color = {"yes": "#2d7d46", "no": "#b03a2e"}.get(cell.split(",")[0], "black")
            weight = "bold" if not number or cell is row[4] else "normal"
            axes.text(place, 0.95 - 0.105 * number, cell, ha=align, va="top", color=color, fontweight=weight)
    for line, text in enumerate(f"{row.name}: {row.counted}" for row in now if "," not in row.name):
        axes.text(0, 0.95 - 0.105 * len(rows) - 0.055 * line, text, va="top", fontsize=8.5, color="0.35")
