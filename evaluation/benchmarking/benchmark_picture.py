"""The picture of a version of the first evaluation: perplexity, the four tests, and what the model writes.

Version 0 is drawn by the same function. Its file, plots/benchmark_v0.png, was made once, by hand, with

    picture(read_baseline()).savefig("evaluation/plots/benchmark_v0.png", dpi=120)

and no script writes it: figures.save_figure refuses.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluation.figures import BEFORE, GUESS_LABEL, OURS, REFERENCE, new_figure, one_line
from evaluation.statistics import Interval
from pretraining.perplexity import GRADES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEST_LABELS = {  # and what they ask in versions measured here; what they asked in version 0 is not known
    "bracket_test": "close what\nis open",
    "repeat_test": "go on with\nfoo foo foo",
    "alphabet_test": "what follows\na b c d",
    "sentence_test": "end it in\nwhole words",
}


def picture(values: dict) -> "Figure":
    """A version (baseline_v0.json or a benchmark_v*.json) beside those it is compared with."""
    versions = [*values.get("compared_with", ()), values]
    names = [f"v{row['version']}" for row in versions]
    colors = [BEFORE, *[REFERENCE] * (len(versions) - 2), OURS][: len(versions)]
    tests = values.get("tests", {})
    figure, (perplexity_axes, test_axes) = new_figure(columns=2, size=(11, 5.2))
    labels = names if not tests else ["v0, other\ntokenizer", *names[1:]]
    draw_perplexities(perplexity_axes, labels, [row["perplexity"] for row in versions], colors)
    perplexity_axes.set_title("Perplexity")
    draw_shares(
        test_axes,
        [name.replace("_", " ") + (f":\n{asks}" if tests else "") for name, asks in TEST_LABELS.items()],
        [
            (name, [row[test] for test in TEST_LABELS], color)
            for name, row, color in zip(names, versions, colors, strict=True)
        ],
        intervals=[Interval(*tests[name]["interval"]) for name in TEST_LABELS if tests],
        guesses=[tests[name]["best_constant_guess"] for name in TEST_LABELS if tests],
    )
    test_axes.set_title("Four small tests")
    test_axes.set_ylabel("share passed")
    figure.suptitle(_finding(values), x=0.01, ha="left", fontweight="bold", fontsize=12)
    figure.supxlabel("\n".join(_caption(versions)), x=0.01, ha="left", fontsize=9, parse_math=False)
    return figure


def draw_perplexities(axes: "Axes", names: Sequence[str], values: Sequence[float], colors: Sequence[str]) -> None:
    """Bars from top to bottom on a scale of powers, over the README's bands."""
    places = range(len(names))
    largest = max(1000.0, 4 * max(values))
    start = 1.0
    for number, (end, word) in enumerate(GRADES):
        axes.axvspan(start, min(end, largest), color=REFERENCE, alpha=0.16 - 0.04 * number, linewidth=0)
        axes.annotate(
            word,
            (math.sqrt(start * min(end, largest)), 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, -4),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8,
            color="0.35",
        )
        start = end
    axes.barh(places, values, color=colors, height=0.5)
    for place, value in zip(places, values, strict=True):
        axes.annotate(
            f"{value:,.2f}" if value < 1000 else f"{value:,.0f}",
            (value, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set(xscale="log", xlim=(1, largest), ylim=(len(names) - 0.4, -0.8))
    axes.set_xticks(
        ticks := [power for power in (1, 10, 100, 1000, 10000) if power <= largest], map("{:,}".format, ticks)
    )
    axes.set_yticks(places, names)
    axes.minorticks_off()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("perplexity per token, logarithmic: lower is better")


def draw_shares(
    axes: "Axes",
    labels: Sequence[str],
    groups: Sequence[tuple[str, Sequence[float], str]],
    intervals: Sequence[Interval] = (),
    guesses: Sequence[float] = (),
) -> None:
    """Bars side by side for each label; `groups` are (name, shares, colour), intervals and guesses of the last one."""
    width = 0.8 / len(groups)
    for number, (name, shares, color) in enumerate(groups):
        places = [label - 0.4 + width * (number + 0.5) for label in range(len(labels))]
        ends = list(shares)
        if intervals and number == len(groups) - 1:
            below = [max(0.0, share - interval.low) for share, interval in zip(shares, intervals, strict=True)]
            above = [max(0.0, interval.high - share) for share, interval in zip(shares, intervals, strict=True)]
            axes.errorbar(places, shares, [below, above], fmt="none", ecolor="0.2", elinewidth=1, capsize=2)
            ends = [interval.high for interval in intervals]
        axes.bar(places, shares, width * 0.92, color=color, label=name)
        for place, share, end in zip(places, shares, ends, strict=True):
            axes.annotate(f"{share:.0%}", (place, end), xytext=(0, 3), textcoords="offset points", ha="center")
    if guesses:
        axes.hlines(
            guesses,
            [label - 0.45 for label in range(len(labels))],
            [label + 0.45 for label in range(len(labels))],
            color="black",
            linestyle=":",
            label=GUESS_LABEL,
        )
    axes.set_xticks(range(len(labels)), labels)
    axes.set(ylim=(0, 1.15), yticks=[0, 0.25, 0.5, 0.75, 1], yticklabels=["0%", "25%", "50%", "75%", "100%"])
    axes.grid(axis="x", visible=False)
    if len(groups) > 1:
        handles, names = axes.get_legend_handles_labels()
        order = sorted(range(len(names)), key=lambda number: names[number] == GUESS_LABEL)
        axes.legend([handles[n] for n in order], [names[n] for n in order], loc="upper center", ncols=4, fontsize=9)


def _finding(values: dict) -> str:
    if "tests" not in values:
        passed = sum(values[name] > 0 for name in TEST_LABELS)
        shown = f"perplexity {values['perplexity']:,.2f}, {passed} of 4 tests passed"
        return f"Version 0, as published in the first README: {shown}"
    passed = ", ".join(f"{name.removesuffix('_test')} {values[name]:.0%}" for name in TEST_LABELS)
    return f"Version {values['version']}: perplexity {values['perplexity']:,.2f}; tests passed: {passed}"


def _caption(versions: Sequence[dict]) -> list[str]:
    """What each version writes, and what must be known to compare them."""
    lines = [f"v{row['version']} writes: {one_line(row['sample'])[:130]}" for row in versions]
    if len(versions) == 1:
        return [
            *lines,
            "Not measured by this repository. Broken tokenizer: a space after every piece of a word. What the tests "
            "asked, on which",
            "text the perplexity was measured, and its bits per byte are not known.",
        ]
    loss = versions[-1]["loss"]
    return [
        *lines,
        f"v{versions[-1]['version']}: per token of {loss['bytes'] / 1000:,.0f} kB of {loss['held_out_set']}, which is "
        f"{loss['bits_per_byte']:.2f} bits per byte. Lines: 95% intervals, {_prompts(versions[-1])} prompts a test.",
        "v0 was published in the first README, not measured here: other tests, and a broken tokenizer. Perplexities "
        "under different",
        "tokenizers do not compare; bits per byte do, and those of v0 are unknown.",
    ]


def _prompts(values: dict) -> str:
    counts = sorted({test["n"] for test in values["tests"].values()})
    return " to ".join(map(str, counts[:: max(1, len(counts) - 1)]))
