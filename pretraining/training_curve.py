"""The picture of a run: training loss, and how well held-out text is predicted, over the tokens seen.

The standard library is enough to import it; drawing takes matplotlib.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from pretraining.watching.reference import band_of, read_references
from pretraining.watching.text_chart import LARGEST, visible_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAINING_CURVE = Path(__file__).resolve().parents[1] / "evaluation" / "plots" / "training_curve.png"
NAMES = {
    "heldout_code": "held-out code",
    "heldout_books": "held-out books",
    "heldout_own": "your held-out text",
}
STYLES = {
    "heldout_code": ("#0072b2", "o"),
    "heldout_books": ("#d55e00", "D"),
    "heldout_own": ("#009e73", "^"),
}  # told apart by colour-blind eyes as well
MOST_MARKERS = 40


def whole_intervals(log: dict) -> list[tuple[int, float]]:
    """(step, mean training loss) of a log, each over at least `log_interval` steps.

    The last report of a run covers what is left, maybe a single step, whose loss says little: it is averaged into the
    report before it.
    """
    points = [(entry["step"], entry["loss"]) for entry in log["train"]]
    if len(points) < 2:
        return points
    usual = log["run"]["settings"]["log_interval"]
    (step, loss), (last_step, last_loss) = points[-2:]
    rest = last_step - step
    if rest >= usual:
        return points
    return [*points[:-2], (last_step, (loss * usual + last_loss * rest) / (usual + rest))]


def round_perplexities(low: float, high: float) -> list[tuple[float, str]]:
    """Round perplexities between two losses, as (loss, label): the second scale of a loss curve."""
    for factors in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        values = [factor * 10**power for power in range(6) for factor in factors]
        found = [(math.log(value), f"{value:,.10g}") for value in values if low <= math.log(value) <= high]
        if len(found) > 2:
            break
    return found


def perplexity_in_words(value: float) -> str:
    """A perplexity with the digits that mean something."""
    if value >= 1e6:
        return "> 1,000,000"
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.1f}"


def draw_training_curve(log: dict, path: Path = TRAINING_CURVE) -> Path:
    """Draw the content of a training log to `path` and return it."""
    import matplotlib as mpl

    mpl.use("Agg")  # a file, never a window: works without a screen
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5), layout="constrained")
    curves = [(points, style) for points, style in _curves(log) if points]
    if band := band_of(log, read_references()):
        million_tokens = [step * log["run"]["tokens_per_step"] / 1e6 for step, _ in band[0]]
        lowest, highest = ([loss for _, loss in curve] for curve in band)
        axes.fill_between(million_tokens, lowest, highest, color="0.85", label="our own runs, on held-out code")
    for points, style in curves:
        axes.plot(*zip(*points, strict=True), **style)
    axes.set_xlabel("million tokens seen")
    axes.set_ylabel("loss (nats per token)")
    axes.set_title(_finding(log), fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    if curves:
        _choose_range(axes, *visible_range([points for points, _ in curves]))
        axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


def _curves(log: dict) -> list[tuple[list[tuple[float, float]], dict]]:
    """The points of all curves, (million tokens, loss), and how each is drawn; its name tells where it stands."""
    per_step = log["run"]["tokens_per_step"] / 1e6
    curves = []
    if points := whole_intervals(log):
        style = {"color": "0.7", "linewidth": 1, "marker": "." if len(points) == 1 else None}
        curves.append((points, style | {"label": f"training text: {points[-1][1]:.4g}"}))
    for name in _held_out(log):
        entries = [entry for entry in log["validation"] if name in entry]
        last = entries[-1][name]
        color, marker = STYLES.get(name, ("0.3", "s"))
        style = {"color": color, "marker": marker, "markersize": 4, "markevery": -(-len(entries) // MOST_MARKERS)}
        label = f"{NAMES.get(name, name)}: {last['loss']:.4g}, {last['bits_per_byte']:.3g} bits per byte"
        curves.append(([(entry["step"], entry[name]["loss"]) for entry in entries], style | {"label": label}))
    return [
        ([(step * per_step, loss) for step, loss in points if abs(loss) < LARGEST], style) for points, style in curves
    ]


def _choose_range(axes: "Axes", low: float, high: float) -> None:
    """Show losses from `low` to `high`, with round perplexities as lines across and on the right side."""
    room = (high - low) * 0.05
    axes.set_ylim(low - room, high + room)
    ticks = round_perplexities(low, high)
    right = axes.secondary_yaxis("right", functions=(lambda loss: loss, lambda loss: loss))
    right.set_yticks([loss for loss, _ in ticks], [label for _, label in ticks])
    right.spines["right"].set_visible(False)
    right.tick_params(length=0)
    right.set_ylabel("perplexity", labelpad=8)
    for loss, _ in ticks:
        axes.axhline(loss, color="0.92", linewidth=0.8, zorder=0)


def _held_out(log: dict) -> list[str]:
    """The held-out texts of the latest validation; the first one decides which checkpoint is the best."""
    checked = log["validation"]
    return [key for key in (checked[-1] if checked else {}) if key != "step"]


def _finding(log: dict) -> str:
    """What the curve shows, as its title."""
    run, names = log["run"], _held_out(log)
    model = f"{run['parameters'] / 1e6:.1f}M parameters ({run['config']}, preset {run['preset']})"
    if not names:
        return f"{model}: training has only begun"
    perplexities = [entry[names[0]]["perplexity"] for entry in log["validation"] if names[0] in entry]
    name = NAMES.get(names[0], names[0])
    first, last = perplexity_in_words(perplexities[0]), perplexity_in_words(perplexities[-1])
    if len(perplexities) == 1:
        return f"{model}: perplexity {last} on {name}"
    return f"{model}: perplexity on {name} from {first} to {last}"
