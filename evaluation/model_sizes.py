"""What a model of some size costs: parameters by part, memory and speed for training and for generation.

    python evaluation/model_sizes.py training model/config/gpt_nano_config.json

Prints one line of JSON. Each run measures one thing of one model, because the most memory that a process ever held can
only be measured in a process that did nothing else: scripts/compare_model_sizes.py starts one for each. The weights are
random and the tokens too, which changes neither memory nor speed. On CUDA and MPS, torch's own counters are used; that
part has never been run.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import statistics
import time
from collections.abc import Iterator

import torch

from evaluation.training.training_speed import Case, TimedStep
from model.architecture.config import ConfigError, ModelConfig
from model.architecture.layers import KeyValueCache
from model.architecture.model import GPT
from pretraining.device import DeviceError, choose_device, choose_precision, synchronize
from pretraining.sampling import SamplingSettings, generate_tokens, sample_generator
from pretraining.settings import CHOICES, PRESETS, tokens_per_step

TIMED_STEPS = 3  # after one that is slower because memory is taken; the median counts
LONGEST_TIMING = 40.0  # seconds, after which no further step is begun
TIMED_TOKENS = 64  # of generation
PARTS = {  # what a parameter's name ends with or holds
    "embedding": ("token_embedding.",),
    "attention": (".attention.query.", ".attention.key.", ".attention.value.", ".attention.output."),
    "feed-forward": (".feed_forward.",),
    "norms": ("norm.",),
    "head": ("head.",),
}


def parameters_by_part(model: GPT) -> dict[str, int]:
    """How many parameters each part of a model has; together all of them. Raises KeyError for one of no part."""
    counts = dict.fromkeys(PARTS, 0)
    for name, parameter in model.named_parameters():
        parts = [part for part, signs in PARTS.items() if any(sign in name for sign in signs)]
        if len(parts) != 1:
            raise KeyError(f"the parameter {name} belongs to {parts or 'no part'}")
        counts[parts[0]] += parameter.numel()
    return counts


def recipe_for(config_path: Path) -> tuple[str, dict]:
    """The preset that trains this config, and its settings; the default recipe for a config that none names."""
    for name, preset in PRESETS.items():
        if Path(preset.get("config_path", "")).name == config_path.name:
            return name, {**PRESETS["default"], **preset}
    return "default", PRESETS["default"]


def measure_training(config: ModelConfig, settings: dict, device: torch.device, compiled: bool = False) -> dict:
    """A few real steps of these settings on random tokens: bytes by purpose, and tokens per second.

    The model is `config` as it is: what the settings say of it has to be in there.
    """
    precision, _ = choose_precision(device, settings["precision"])
    case = Case("", config, settings["batch_size"], settings["block_size"], precision, compiled, settings["optimizer"])
    before = peak_memory(device)
    step = TimedStep(case, device, settings["gradient_accumulation"])
    seconds: list[float] = []
    started = time.perf_counter()
    while len(seconds) < 2 or (len(seconds) <= TIMED_STEPS and time.perf_counter() - started < LONGEST_TIMING):
        synchronize(device)
        step_started = time.perf_counter()
        step.take()
        synchronize(device)
        seconds.append(time.perf_counter() - step_started)
    states = [state for optimizer in step.optimizers for state in optimizer.state.values()]
    return {
        "batch_size": case.batch_size,
        "block_size": case.block_size,
        "precision": str(precision).removeprefix("torch."),
        "compiled": compiled,
        "weights": weight_bytes(step.model),
        "gradients": weight_bytes(step.model),  # each weight has one of its type
        "optimizer": sum(value.nbytes for state in states for value in state.values() if torch.is_tensor(value)),
        "before": before,
        "peak": peak_memory(device),
        "tokens_per_second": tokens_per_step(settings) / statistics.median(seconds[1:]),
        "timed_steps": len(seconds) - 1,
    }


def measure_generation(config: ModelConfig, device: torch.device) -> dict:
    """One text: bytes with a full context, and tokens per second after a short prompt, as generate.py writes."""
    before = peak_memory(device)
    model = GPT(config).to(device).eval()
    cache = KeyValueCache(config, 1, config.max_seq_len, device=device)
    cache_bytes = cache.keys.nbytes + cache.values.nbytes
    del cache
    list(_generate(model, [1] * 8, 4))
    counted, seconds, sample = 0, 0.0, 0
    while counted < TIMED_TOKENS:  # a text may end early by chance
        synchronize(device)
        started = time.perf_counter()
        counted += sum(1 for _ in _generate(model, [1] * 8, TIMED_TOKENS, sample))
        seconds, sample = seconds + time.perf_counter() - started, sample + 1
    list(_generate(model, [1] * (config.max_seq_len - 3), 2))
    return {
        "context": config.max_seq_len,
        "weights": weight_bytes(model),
        "cache": cache_bytes,
        "before": before,
        "peak": peak_memory(device),
        "tokens_per_second": counted / seconds,
    }


def _generate(model: GPT, prompt: list[int], count: int, sample: int = 0) -> Iterator[tuple[int, int]]:
    """Go on from a prompt for `count` tokens, the way generate.py does."""
    return generate_tokens(
        model,
        [prompt],
        generators=[sample_generator(0, sample)],
        settings=SamplingSettings(max_new_tokens=count),
        end_of_text_id=0,
        context_length=model.config.max_seq_len,
    )


def weight_bytes(model: GPT) -> int:
    return sum(parameter.nbytes for parameter in model.parameters())


def peak_memory(device: torch.device) -> int | None:
    """The most bytes that this process has held so far; None where the system does not tell.

    CUDA: the most that tensors took on the GPU. MPS: what is taken now, since torch keeps no record of the most there.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    status = Path("/proc/self/status")
    if status.is_file():  # Linux; getrusage would count what the parent process held before this one was born
        line = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM:")), None)
        return int(line.split()[1]) * 1024 if line else None
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main(arguments: list[str] | None = None) -> int:
    """Measure one thing and print it; returns 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("training", "generation"))
    parser.add_argument("config", type=Path, help="a file as in model/config")
    parser.add_argument("--batch_size", "--batch-size", type=int, help="instead of the recipe's")
    parser.add_argument("--precision", choices=CHOICES["precision"], default="auto", help="of the matrix products")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    chosen = parser.parse_args(arguments)
    try:
        config, (device, _) = ModelConfig.load(chosen.config), choose_device(chosen.device)
    except (ConfigError, DeviceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if chosen.what == "training":
        _, recipe = recipe_for(chosen.config)
        fitting = {
            "batch_size": chosen.batch_size or recipe["batch_size"],
            "block_size": min(recipe["block_size"], config.max_seq_len),
            "precision": chosen.precision,
        }
        measured = measure_training(config, recipe | fitting, device)
    else:
        measured = measure_generation(config, device)
    print(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
