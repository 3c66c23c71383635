"""How recipes are shown side by side: a table of where each ended, and a picture of how each came there."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluation.figures import new_figure
from evaluation.training.learned import Learned, Point, first_reaching
from pretraining.training_curve import NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#8a8f98", "#2f6fb0", "#c46a52", "#3f8f5f", "#8b5fa8", "#b58900", "#111111")


@dataclass(frozen=True)
class Row:
    """A recipe and its runs, one for each seed."""

    recipe: str
    runs: list[Learned]

    @property
    def ends(self) -> list[Point]:
        """Where each run ended."""
        return [run.points[-1] for run in self.runs]

    @property
    def losses(self) -> list[float]:
        """The loss at the end of each run, in nats per token."""
        return [end.loss for end in self.ends]

    def mean(self, quantity: str) -> float:
        """The mean over the runs of what a Point calls `quantity`, at their ends."""
        return statistics.mean(getattr(end, quantity) for end in self.ends)

    def shares(self, reference: "Row") -> list[tuple[float, float]]:
        """After what shares of its tokens and minutes a run was as good as the reference's of the same seed at its end.

        One pair for each run that came so far.
        """
        pairs = []
        for run, end in zip(self.runs, reference.ends, strict=True):
            if point := first_reaching(run.points, end.loss):
                pairs.append((point.tokens / end.tokens, point.minutes / max(1e-9, end.minutes)))
        return pairs


def table(rows: list[Row]) -> list[str]:
    """Where each recipe ended, and after what share of the first one's tokens and minutes it was as good as that."""
    cells = [
        ["recipe", "params", "tokens", "minutes", f"loss, {text_name(rows)}", "bits/byte", "as good as the first after"]
    ]
    cells += [
        [
            row.recipe,
            f"{row.runs[0].parameters / 1e6:.1f}M",
            f"{row.mean('tokens') / 1e6:.2f}M",
            f"{row.mean('minutes'):.1f}",
            with_range(row.losses, "{:.3f}"),
            f"{row.mean('bits_per_byte'):.3f}",
            "-" if row is rows[0] else _as_good(row, rows[0]),
        ]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *numbers, last in cells:
        padded = [f"{cell:>{width}}" for cell, width in zip(numbers, widths[1:-1], strict=True)]
        lines.append("  ".join([f"{first:<{widths[0]}}", *padded, last]))
    if len(rows[0].runs) > 1:
        lines.append(f"Means of {len(rows[0].runs)} seeds; in brackets the lowest and the highest.")
    return lines


def text_name(rows: list[Row]) -> str:
    """What people call the text that all these runs predicted."""
    key = rows[0].runs[0].held_out
    return NAMES.get(key, key)


def with_range(values: Sequence[float], form: str) -> str:
    """The mean, and where there are several values the lowest and the highest."""
    mean, low, high = (form.format(value) for value in (statistics.mean(values), min(values), max(values)))
    return f"{mean} ({low} to {high})" if len(values) > 1 else mean


def _as_good(row: Row, reference: Row) -> str:
    """When a recipe was as good as the reference at its end."""
    shares = row.shares(reference)
    if not shares:
        return "not reached"
    tokens, minutes = (with_range(column, "{:.0%}") for column in zip(*shares, strict=True))
    seeds = f", with {len(shares)} of {len(row.runs)} seeds" if len(shares) < len(row.runs) else ""
    return f"{tokens} of its tokens, {minutes} of its time{seeds}"


def picture(rows: list[Row], budget: str) -> "Figure":
    """Loss on held-out text over tokens and over minutes; the dashed line is where the first recipe ended."""
    figure, panels = new_figure(1, 2, size=(12, 5.5))
    for axes, key, label in zip(
        panels,
        ("tokens", "minutes"),
        ("million tokens seen", "minutes, with compiling and validations"),
        strict=True,
    ):
        for number, row in enumerate(rows):
            for run in row.runs:
                places = [getattr(point, key) / (1e6 if key == "tokens" else 1) for point in run.points]
                axes.plot(
                    places,
                    [point.loss for point in run.points],
                    color=COLORS[number % len(COLORS)],
                    linewidth=1.6 if len(row.runs) == 1 else 0.9,
                    label=f"{row.recipe}: {with_range(row.losses, '{:.3f}')}" if run is row.runs[0] else None,
                )
        axes.axhline(rows[0].mean("loss"), color=COLORS[0], linestyle="--", linewidth=0.8)
        axes.set_xlabel(label)
        ends = [loss for row in rows for loss in row.losses]
        axes.set_ylim(min(ends) - 0.1, max(ends) + 1.5)
    panels[0].set_ylabel(f"loss on {text_name(rows)} (nats per token)")
    names = panels[0].get_legend_handles_labels()
    figure.legend(*names, title=f"after {budget}", loc="outside lower left")  # inside, long names hide the curves
    figure.suptitle(_finding(rows, budget), fontweight="bold", x=0.01, ha="left")
    return figure


def _finding(rows: list[Row], budget: str) -> str:
    """The title: who is best, where every seed says so, and how much sooner it was as good as the first."""
    best, *others = sorted(rows, key=lambda row: row.mean("loss"))
    several = others and len(best.runs) > 1
    if not several or max(best.losses) >= min(loss for row in others for loss in row.losses):
        return f"Loss on {text_name(rows)} over {budget}"
    title = f"{best.recipe} is best after {budget}"
    shares = best.shares(rows[0])
    if best is rows[0] or len(shares) < len(best.runs):
        return title
    tokens = statistics.mean(tokens for tokens, _ in shares)
    return f"{title} and as good as {rows[0].recipe} with {tokens:.0%} of its tokens"
