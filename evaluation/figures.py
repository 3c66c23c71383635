"""How the pictures of this room look: one style, intervals on every bar, a title that says the finding.

What is drawn is decided by the scripts; nothing here knows a model.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

from evaluation.result_files import refuse_preserved
from evaluation.statistics import Interval

mpl.use("Agg")  # files, never windows: works without a screen
from matplotlib import pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLOTS = Path(__file__).resolve().parent / "plots"
OURS, BEFORE, REFERENCE = "#2f6fb0", "#c46a52", "#8a8f98"  # this model, what was before it, what it is compared with
DPI = 120  # of every picture
LABEL_SHARE = 0.15  # of the longest bar: how far the number beside a bar reaches
GUESS_LABEL = "best simple guess"
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "font.size": 10,
}
mpl.rcParams.update(STYLE)  # for good, not while a figure is made: titles and legends ask for it when they are set


def new_figure(rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (9, 5)) -> "tuple[Figure, list[Axes]]":
    """A figure in the room's style and its axes, row by row."""
    figure, axes = pyplot.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    return figure, list(axes.flat)


def one_line(text: str) -> str:
    """Generated text as a picture or a table can show it: on one line, `?` for what the font may not have."""
    return "".join(c if c.isprintable() and c < "\u0250" else "?" for c in " ".join(text.split()))


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write a figure as PNG and close it. Raises ResultError for the user's own picture."""
    refuse_preserved(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    pyplot.close(figure)
    return path


def bars_with_intervals(
    axes: "Axes",
    labels: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[Interval],
    *,
    guesses: Sequence[float | None] = (),
    color: str = OURS,
    form: str = "{:.0%}",
) -> None:
    """Horizontal bars from top to bottom, each with its value and interval, and a tick where a trivial guess lands."""
    places = range(len(labels))
    below = [max(0.0, value - interval.low) for value, interval in zip(values, intervals, strict=True)]
    above = [max(0.0, interval.high - value) for value, interval in zip(values, intervals, strict=True)]
    axes.barh(places, values, xerr=[below, above], color=color, height=0.6, error_kw={"elinewidth": 1, "capsize": 2})
    ends = [max(value, interval.high) for value, interval in zip(values, intervals, strict=True)]
    room = LABEL_SHARE * max(ends, default=0.0)
    for place, guess in enumerate(guesses):
        if guess is not None and ends[place] < guess < ends[place] + room:
            ends[place] = guess  # else its tick would cross out the number
    for place, value, end in zip(places, values, ends, strict=True):
        axes.annotate(
            form.format(value), (end, place), xytext=(5, 0), textcoords="offset points", va="center", color=color
        )
    known = [(place, guess) for place, guess in enumerate(guesses) if guess is not None]
    if known:
        axes.scatter(
            [guess for _, guess in known],
            [place for place, _ in known],
            marker="|",
            s=260,
            linewidths=2,
            color="black",
            label=GUESS_LABEL,
            zorder=3,
        )
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
