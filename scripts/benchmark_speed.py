"""Measures how fast this machine trains and writes, as a share of what it could do at best, beside other programs.

    python scripts/benchmark_speed.py            # everything, seven minutes on two cores
    python scripts/benchmark_speed.py --quick    # a minute: small batches, nothing compiled, no writing

Nothing else should run meanwhile: on a busy machine all speeds are lower than they could be. What is counted as work is
said in pretraining/compilation.py. transformers and llama.cpp take part where they are installed
(evaluation/requirements-export.txt).
Exit code: 0 done, 2 the device or a config can not be used, or the result can not be kept.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import datetime

import torch

from evaluation import generation_speed
from evaluation.machine import describe_machine, machine, other_work
from evaluation.result_files import RESULTS, ResultError, save_result, shown_path
from evaluation.training.training_speed import PHASES, Case, compare_with_transformers, measure, product_peak
from model.architecture.config import ConfigError, ModelConfig
from pretraining.compilation import choose_compile
from pretraining.device import DeviceError, choose_device, choose_precision
from pretraining.settings import PRESETS, ROOT

PACKAGES = ("torch", "numpy", "tokenizers", "transformers", "xllamacpp")
TRAINED = ("nano", "default")  # presets
QUICK_BATCH = 4  # windows of 512 tokens, where the preset has 16


def cases(device: torch.device, quick: bool) -> list[Case]:
    """What is trained: each preset's shapes, in float32 and in what `--precision auto` chooses, plain and compiled."""
    chosen = choose_precision(device)[0]
    compilers = (False,) if quick or not choose_compile(device, "auto", float("inf"))[0] else (False, True)
    found = []
    for preset in TRAINED:
        settings = PRESETS["default"] | PRESETS[preset]
        path = ROOT / settings["config_path"]
        config, batch_size = ModelConfig.load(path), settings["batch_size"]
        if quick and preset == "default":
            batch_size = QUICK_BATCH
        name = path.stem.removesuffix("_config")
        for precision in dict.fromkeys((torch.float32, chosen)):
            for compiled in compilers:
                found.append(Case(name, config, batch_size, settings["block_size"], precision, compiled))
    return found


def measure_training(todo: list[Case], device: torch.device, quick: bool) -> dict:
    """Peaks, then every case with its share of the peak of its precision, printed as they come."""
    peaks = {precision: product_peak(device, precision) for precision in dict.fromkeys(c.precision for c in todo)}
    for precision, peak in peaks.items():
        shape = " x ".join(map(str, peak["shape"]))
        print(
            f"Fastest {name_of(precision)} matrix product: {peak['flops'] / 1e9:,.0f} GFLOP/s ({shape}, "
            f"by {peak['routine']})"
        )
    print(
        f"\n{'training':9}{'step':>9}{'products':>9}{'compiled':>9}{'tokens/s':>9}{'learning':>9}{'step':>6} "
        + "".join(f"{phase:>10}" for phase in PHASES)
    )
    results = []
    for case in todo:
        row = measure(case, device, 3 if quick else 5, peaks[case.precision]["flops"])
        results.append(row)
        print(training_line(row), flush=True)
    print("learning: forward and backward, step: all of it; their work as a share of that fastest product.")
    if any(case.compiled for case in todo):
        print("compiled: what the first step took, with compiling, or with reading what was compiled before.")
    print(
        f"With twice the tokens a step, the optimizer's share in the last line would be "
        f"{results[-1]['optimizer_share_of_twice_the_tokens']:.0%}."
    )
    return {"peaks": {name_of(precision): peak for precision, peak in peaks.items()}, "training": results}


def training_line(row: dict) -> str:
    """One measured case as a line of the table."""
    step, whole = f"{row['batch_size']} x {row['block_size']}", sum(row["seconds"].values())
    compiled = f"{row['first_step_seconds']:.0f} s" if row["compiled"] else "no"
    return (
        f"{row['model']:9}{step:>9}{row['precision']:>9}{compiled:>9}{row['tokens_per_second']:>9,.0f}"
        f"{row['share_of_peak']:>9.0%}{row['share_of_peak_of_the_step']:>6.0%} "
        + "".join(f"{row['seconds'][phase] / whole:>10.1%}" for phase in PHASES)
    )


def measure_peers(todo: list[Case], device: torch.device, quick: bool) -> list[dict]:
    """Forward and backward against transformers, for each case that is not compiled, printed as they come."""
    results = []
    for case in todo:
        if case.compiled or not (compared := compare_with_transformers(case, device, 2 if quick else 3)):
            continue
        row = {"model": case.name, "precision": name_of(case.precision), "tokens": case.tokens} | compared
        results.append(row)
        print(
            f"{case.name}, {row['precision']}: forward and backward of transformers' Qwen3 take "
            f"{compared['times_longer']:.2f} times as long ({compared['theirs']:.2f} s, ours {compared['ours']:.2f} s)",
            flush=True,
        )
    return results


def name_of(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Measure how fast this machine trains and writes, as a share of what it could do at best.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a minute: small batches, nothing compiled, no writing")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--output", type=Path, default=RESULTS / "speed.json", help="where the result goes")
    chosen = parser.parse_args(arguments)
    try:
        device, _ = choose_device(chosen.device)
        todo = cases(device, chosen.quick)
        print(f"Measuring on {machine(str(device), 'in turn')}\n")
        if busy := other_work():
            print(f"{busy}\n")
        result = measure_training(todo, device, chosen.quick)
        print()
        result["transformers"] = measure_peers(todo, device, chosen.quick)
        result["generation"] = []
        if not chosen.quick:
            result["generation"] = generation_speed.measure(todo[-1].config, device=device)
            print("\n" + "\n".join(generation_speed.table(result["generation"], [])))
        about = {
            "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "quick": chosen.quick,
            "other_work": busy,
            **describe_machine(device, PACKAGES),
        }
        path = save_result(chosen.output, {"about": about, **result})
    except (ConfigError, DeviceError, ResultError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped; nothing was kept", file=sys.stderr)
        return 130
    print(f"\nKept in {shown_path(path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
