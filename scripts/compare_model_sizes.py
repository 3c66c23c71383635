"""Compares the model configs: parameters by part, memory, and speed on this machine.

    python scripts/compare_model_sizes.py
    python scripts/compare_model_sizes.py my_config.json model/config/gpt_tiny_config.json

Each config trains a few real steps with the recipe of its preset and writes a text, each in a process of its own, so
that the most memory it takes is its own. Ends with a table and evaluation/plots/model_sizes.png.
Exit code: 0 done, 1 a measurement failed (memory ran out, say), 2 a config or the device can not be used.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import os
import signal
import subprocess
from dataclasses import dataclass, field

import torch
from tqdm import tqdm

from evaluation.machine import machine, other_work, physical_memory
from evaluation.model_sizes import PARTS, parameters_by_part, recipe_for
from model.architecture.config import ConfigError, ModelConfig
from model.architecture.model import GPT
from pretraining.device import DeviceError, choose_device, choose_precision
from pretraining.settings import ROOT

CONFIGS = ROOT / "model" / "config"
MEASURE = ROOT / "evaluation" / "model_sizes.py"
PLOT = ROOT / "evaluation" / "plots" / "model_sizes.png"
BUDGET = 20_480_000  # training tokens of the default recipe and of the original one
PER_TABLE = 3  # configs that stand side by side in 80 columns
COMFORTABLE_MEMORY = 12 * 2**30  # bytes; gpt_small takes 8.4 GB with the default recipe


@dataclass
class Size:
    """One config and what was measured of it; an empty dictionary where a measurement failed."""

    name: str
    path: Path
    parts: dict[str, int]
    preset: str
    training: dict = field(default_factory=dict)
    generation: dict = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        return sum(self.parts.values())

    @property
    def hours(self) -> float | None:
        """What BUDGET tokens would take at the measured speed, in hours; None if that is not known."""
        return BUDGET / self.training["tokens_per_second"] / 3600 if self.training else None


def read_sizes(paths: list[Path]) -> list[Size]:
    """The configs, smallest first, with their parameters counted; no memory is taken yet. Raises ConfigError."""
    sizes = []
    for path in paths:
        with torch.device("meta"):  # tensors with shapes and without content
            model = GPT(ModelConfig.load(path))
        name = path.stem.removesuffix("_config")
        sizes.append(Size(name, path, parameters_by_part(model), recipe_for(path)[0]))
    return sorted(sizes, key=lambda size: size.parameters)


def measure(sizes: list[Size], options: list[str]) -> list[str]:
    """Fill in what each config takes; returns what failed, in the user's words."""
    failures = []
    tasks = [(size, what) for size in sizes for what in ("training", "generation")]
    with tqdm(tasks, unit="measurement", leave=False, disable=None) as bar:
        for size, what in bar:
            bar.set_description(f"{size.name}, {what}")
            if bar.disable:
                print(f"Measuring {size.name}, {what}", flush=True)
            command = [sys.executable, str(MEASURE), what, str(size.path), *options]
            done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
            if done.returncode == 0:
                setattr(size, what, json.loads(done.stdout.splitlines()[-1]))
            else:
                failures.append(f"{size.name}, {what}: {why_failed(done)}")
    return failures


def why_failed(done: subprocess.CompletedProcess) -> str:
    """The last line of what a process said, or the signal that ended it."""
    if done.returncode == -signal.SIGKILL:
        return "the system ended it, most likely because memory ran out; try a smaller --batch_size"
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return lines[-1].removeprefix("error: ")


# -- the table ---------------------------------------------------------------------------------------------------------


def rows(sizes: list[Size]) -> list[tuple[str, list[str]]]:
    """The lines of the table: what, and for each config its value."""

    def each(what: str, key: str, form) -> list[str]:
        measured = [getattr(size, what) for size in sizes]
        return [form(values) if values and values.get(key) is not None else "-" for values in measured]

    def megabytes(what: str, key: str) -> list[str]:
        return each(what, key, lambda values: f"{values[key] / 1e6:,.0f} MB")

    def speed(what: str) -> list[str]:
        return each(what, "tokens_per_second", lambda values: f"{values['tokens_per_second']:,.0f}")

    table = [("Parameters", [f"{size.parameters:,}" for size in sizes])]
    table += [(f"  {part}", [f"{size.parts[part]:,}" for size in sizes]) for part in PARTS]
    table += [
        ("Training, preset", [size.preset for size in sizes]),
        ("  batch x block", each("training", "peak", lambda v: f"{v['batch_size']} x {v['block_size']}")),
        ("  weights", megabytes("training", "weights")),
        ("  gradients", megabytes("training", "gradients")),
        ("  optimizer state", megabytes("training", "optimizer")),
        ("  activations and the rest *", each("training", "peak", lambda v: f"{rest(v) / 1e6:,.0f} MB")),
        ("  Python and PyTorch *", megabytes("training", "before")),
        ("  all of it, at its peak *", megabytes("training", "peak")),
        ("  tokens per second *", speed("training")),
        (f"  hours for {BUDGET / 1e6:.2f}M tokens **", [f"{s.hours:,.1f}" if s.hours else "-" for s in sizes]),
        ("Generation, context", each("generation", "context", lambda v: f"{v['context']:,} tokens")),
        ("  weights", megabytes("generation", "weights")),
        ("  keys and values, full context", megabytes("generation", "cache")),
        ("  all of it, at its peak *", megabytes("generation", "peak")),
        ("  tokens per second *", speed("generation")),
    ]
    return table


def rest(training: dict) -> int:
    """What a training step holds beside what is counted: activations, and what the allocator keeps."""
    return training["peak"] - sum(training[key] for key in ("before", "weights", "gradients", "optimizer"))


def print_table(sizes: list[Size]) -> None:
    for start in range(0, len(sizes), PER_TABLE):
        shown = sizes[start : start + PER_TABLE]
        print(f"\n{'':33}" + "".join(f"{size.name[:14]:>15}" for size in shown))
        for label, values in rows(shown):
            print(f"{label:33}" + "".join(f"{value:>15}" for value in values))
    print("\n*  measured here, without torch.compile; the other sizes are counted.")
    print("** computed from the speed, without validations.")


# -- the picture -------------------------------------------------------------------------------------------------------


def draw(sizes: list[Size], where: str, path: Path) -> Path:
    """Parameters by part, training memory by purpose, and hours of training, as bars for each config."""
    from evaluation.figures import new_figure, save_figure

    figure, (by_part, memory, hours) = new_figure(1, 3, size=(12, 1.9 + 0.55 * len(sizes)))
    names = [size.name for size in sizes]
    stack(by_part, names, {part: [size.parts[part] / 1e6 for size in sizes] for part in PARTS})
    by_part.set(xlabel="million parameters", title="Size")
    measured = [size for size in sizes if size.training.get("peak") is not None]
    purposes = {
        "weights": "weights",
        "gradients": "gradients",
        "optimizer": "optimizer state",
        "before": "Python and PyTorch",
    }
    amounts = {label: [size.training[key] / 1e9 for size in measured] for key, label in purposes.items()}
    amounts["activations, rest"] = [rest(size.training) / 1e9 for size in measured]
    stack(memory, [f"{s.name}\n{s.training['batch_size']} x {s.training['block_size']}" for s in measured], amounts)
    memory.set(xlabel="GB at the peak of a training step (batch x block size)", title="Memory")
    timed = [size for size in sizes if size.hours]
    bars = hours.barh([size.name for size in timed], [size.hours for size in timed], height=0.6)
    hours.bar_label(bars, [f"{size.hours:.1f} h" for size in timed], padding=4)
    hours.margins(x=0.2)
    hours.invert_yaxis()
    hours.set(xlabel=f"hours for {BUDGET / 1e6:.2f}M training tokens", title="Time")
    figure.suptitle(finding(sizes), x=0.01, ha="left", fontweight="bold")
    figure.supxlabel(f"measured on {where}", fontsize=8, color="0.4", x=0.01, ha="left")
    return save_figure(figure, path)


def stack(axes, names: list[str], amounts: dict[str, list[float]]) -> None:
    """Horizontal bars, each made of parts that add up."""
    left = [0.0] * len(names)
    for label, values in amounts.items():
        axes.barh(names, values, left=left, height=0.6, label=label)
        left = [start + value for start, value in zip(left, values, strict=True)]
    axes.invert_yaxis()
    axes.legend(fontsize=7, loc="best")


def finding(sizes: list[Size]) -> str:
    """What the picture shows, in a sentence."""
    timed = [size for size in sizes if size.hours]
    if len(timed) < 2:
        return f"{sizes[0].name}: {sizes[0].parameters / 1e6:.1f}M parameters"
    small, large = timed[0], timed[-1]
    peaks = small.training["peak"], large.training["peak"]
    memory = f"{peaks[1] / peaks[0]:.1f} times the memory and " if all(peaks) else ""
    return (
        f"{large.name} has {large.parameters / small.parameters:.1f} times the parameters of {small.name}; "
        f"its recipe takes {memory}{large.hours / small.hours:.1f} times the hours"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Compare the model configs: parameters, memory, and speed on this machine.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("configs", nargs="*", type=Path, help="config files (default: all of model/config)")
    parser.add_argument("--batch_size", "--batch-size", type=int, help="instead of the preset's; less memory and time")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--plot", type=Path, default=PLOT, help="where the picture goes")
    chosen = parser.parse_args(arguments)
    try:
        sizes = read_sizes(chosen.configs or sorted(CONFIGS.glob("*.json")))
        device, _ = choose_device(chosen.device)
        precision = str(choose_precision(device)[0]).removeprefix("torch.")  # once, so that all are compared alike
        print_notes()
        batch_size = ["--batch_size", str(chosen.batch_size)] if chosen.batch_size else []
        failures = measure(sizes, ["--device", str(device), "--precision", precision, *batch_size])
        print_table(sizes)
        where = machine(str(device), precision)
        print(f"Measured on {where}.\n\nPlot: {draw(sizes, where, chosen.plot)}")
    except BrokenPipeError:  # whoever read this has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ConfigError, DeviceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped", file=sys.stderr)
        return 130
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


def print_notes() -> None:
    """Say what would make the speeds look lower than they are: other work, or little memory."""
    memory = physical_memory()
    if memory and memory < COMFORTABLE_MEMORY:
        print(f"Note: the larger models want more than {memory / 2**30:.0f} GB; if it crawls, try --batch_size 4.")
    if note := other_work():
        print(note)


if __name__ == "__main__":
    sys.exit(main())
