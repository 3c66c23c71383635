"""The picture of a run: training loss, and how well held-out text is predicted, over the tokens seen."""

from pathlib import Path

TRAINING_CURVE = Path(__file__).resolve().parents[1] / "evaluation" / "plots" / "training_curve.png"
NAMES = {
    "heldout_code": "held-out code",
    "heldout_books": "held-out books",
    "heldout_own": "held-out part of your text",
}


def draw_training_curve(log: dict, path: Path = TRAINING_CURVE) -> Path:
    """Draw the content of a training log to `path` and return it."""
    import matplotlib as mpl

    mpl.use("Agg")  # a file, never a window: works without a screen
    from matplotlib import pyplot

    per_step = log["run"]["tokens_per_step"] / 1e6
    figure, axes = pyplot.subplots(figsize=(9, 5), layout="constrained")
    axes.plot(
        [entry["step"] * per_step for entry in log["train"]],
        [entry["loss"] for entry in log["train"]],
        color="0.75",
        linewidth=1,
        label="training text",
    )
    checked = log["validation"]
    for name in [key for key in (checked[-1] if checked else {}) if key != "step"]:
        places = [entry["step"] * per_step for entry in checked if name in entry]
        losses = [entry[name]["loss"] for entry in checked if name in entry]
        last = checked[-1][name]
        label = f"{NAMES.get(name, name)}: {last['loss']:.2f}, {last['bits_per_byte']:.2f} bits per byte"
        axes.plot(places, losses, marker="o", markersize=3, label=label)
    axes.set_xlabel("million tokens seen")
    axes.set_ylabel("loss (nats per token)")
    perplexity_axis = axes.secondary_yaxis("right", functions=(lambda loss: loss, lambda loss: loss))
    ticks = [loss for loss in axes.get_yticks() if 0 <= loss <= 12]
    perplexity_axis.set_yticks(ticks, [f"{2.718281828**loss:,.0f}" for loss in ticks])
    perplexity_axis.set_ylabel("perplexity")
    axes.set_title(_finding(log))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


def _finding(log: dict) -> str:
    """What the curve shows, as its title."""
    run, checked = log["run"], log["validation"]
    model = f"{run['parameters'] / 1e6:.1f}M parameters ({run['config']}, preset {run['preset']})"
    deciding = next((key for key in (checked[-1] if checked else {}) if key != "step"), None)
    if deciding is None:
        return f"{model}: training has only begun"
    first, last = checked[0][deciding]["perplexity"], checked[-1][deciding]["perplexity"]
    return f"{model}: perplexity on {NAMES.get(deciding, deciding)} from {first:,.0f} to {last:,.1f}"
