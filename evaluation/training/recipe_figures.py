"""How recipes are shown side by side: a table of where each ended, and a picture of how each came there."""

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluation.figures import new_figure
from evaluation.training.recipes import Learned, Point, first_reaching

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#8a8f98", "#2f6fb0", "#c46a52", "#3f8f5f", "#8b5fa8", "#b58900", "#111111")


@dataclass(frozen=True)
class Row:
    """A recipe and its runs, one for each seed."""

    recipe: str
    runs: list[Learned]

    @property
    def losses(self) -> list[float]:
        """The loss at the end of each run."""
        return [run.points[-1].loss for run in self.runs]

    @property
    def loss(self) -> float:
        """Their mean, in nats per token."""
        return statistics.mean(self.losses)

    @property
    def bits_per_byte(self) -> float:
        """Mean bits per byte at the end."""
        return statistics.mean(run.points[-1].bits_per_byte for run in self.runs)

    @property
    def end(self) -> Point:
        """Where the first run ended."""
        return self.runs[0].points[-1]

    def reaching(self, loss: float) -> Point | None:
        """Where the first run came down to `loss`, if it did."""
        return first_reaching(self.runs[0].points, loss)


def table(rows: list[Row]) -> list[str]:
    """Where each recipe ended, and after what share of the first one's tokens and minutes it was as good as that."""
    reference = rows[0]
    width = max(len("recipe"), *(len(row.recipe) for row in rows))
    lines = [
        f"{'recipe':<{width}}  params  tokens  minutes  loss, held-out code  bits/byte  as good as the first after",
    ]
    for row in rows:
        spread = f" ± {(max(row.losses) - min(row.losses)) / 2:.3f}" if len(row.runs) > 1 else ""
        if row is reference:
            as_good = "-"
        elif point := row.reaching(reference.loss):
            tokens, minutes = point.tokens / reference.end.tokens, point.minutes / max(1e-9, reference.end.minutes)
            as_good = f"{tokens:.0%} of its tokens, {minutes:.0%} of its time"
        else:
            as_good = "not reached"
        lines.append(
            f"{row.recipe:<{width}}  {row.runs[0].parameters / 1e6:5.1f}M  {row.end.tokens / 1e6:5.2f}M  "
            f"{row.end.minutes:7.1f}  {f'{row.loss:.3f}{spread}':>19}  {row.bits_per_byte:9.3f}  {as_good}"
        )
    if len(reference.runs) > 1:
        lines.append(f"± is half the distance between the best and the worst of {len(reference.runs)} seeds.")
    return lines


def picture(rows: list[Row], budget: str) -> "Figure":
    """Loss on held-out code over tokens and over minutes; the dashed line is where the first recipe ended."""
    figure, panels = new_figure(1, 2, size=(12, 5))
    for axes, key, label in zip(
        panels, ("tokens", "minutes"), ("million tokens seen", "minutes of training"), strict=True
    ):
        for number, row in enumerate(rows):
            for run in row.runs:
                places = [getattr(point, key) / (1e6 if key == "tokens" else 1) for point in run.points]
                axes.plot(
                    places,
                    [point.loss for point in run.points],
                    color=COLORS[number % len(COLORS)],
                    linewidth=1.6 if run is row.runs[0] else 0.7,
                    label=f"{row.recipe}: {row.loss:.3f}" if run is row.runs[0] else None,
                )
        axes.axhline(rows[0].loss, color=COLORS[0], linestyle="--", linewidth=0.8)
        axes.set_xlabel(label)
        ends = [run.points[-1].loss for row in rows for run in row.runs]
        axes.set_ylim(min(ends) - 0.1, max(ends) + 1.5)
    panels[0].set_ylabel("loss on held-out code (nats per token)")
    panels[0].legend(title=f"after {budget}")
    figure.suptitle(_finding(rows, budget), fontweight="bold", x=0.01, ha="left")
    return figure


def _finding(rows: list[Row], budget: str) -> str:
    """The title: who is best, and how much sooner it was as good as the first."""
    best = min(rows, key=lambda row: row.loss)
    if best is rows[0]:
        return f"{best.recipe} stays the best after {budget}"
    point = best.reaching(rows[0].loss)
    saving = (
        f" and as good as {rows[0].recipe} with {point.tokens / rows[0].end.tokens:.0%} of its tokens" if point else ""
    )
    return f"{best.recipe} is best after {budget}{saving}"
