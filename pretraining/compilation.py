"""Whether to train with torch.compile: where it spares more time than it takes.

It makes one program of the many small operations between the matrix products. How much that spares is measured by
scripts/benchmark_speed.py; the decision, made here before the first step, is kept in the checkpoint.
"""

import math
import shutil
import sys

import torch
from torch import nn

from pretraining.device import product_speed
from pretraining.settings import tokens_per_step

# On two cores compiling took 18 (7M parameters) to 36 seconds (27M), and 3 where the same was compiled before. Of a
# step's time it spared 7 to 14% in float32 and 16 to 34% in bfloat16; beside that it halves the memory.
COMPILE_SECONDS = 40
COMPILE_SPARES = 0.1
SHARE_OF_PRODUCT_SPEED = 0.4  # that a training step reaches without it


def training_flops(model: nn.Module, context: int) -> int:
    """Floating-point operations of forward and backward for each token of a text of `context` tokens.

    Six for each weight of a matrix product (two forward, four backward), and 12 * layers * hidden * context / 2 for
    attention, of which causality asks only half (Chowdhery et al. 2022, PaLM, appendix B). Norms, activations,
    softmax and the embedding, which is looked up, are not counted.
    """
    weights = sum(module.weight.numel() for module in model.modules() if isinstance(module, nn.Linear))
    return 6 * weights + 6 * model.config.n_layers * model.config.hidden_size * context


def expected_seconds(settings: dict, model: nn.Module, device: torch.device, precision: torch.dtype) -> float:
    """About how long a run takes on this CPU without torch.compile, within its time limit; elsewhere infinity."""
    if device.type != "cpu":
        return math.inf
    flops = settings["max_steps"] * tokens_per_step(settings) * training_flops(model, settings["block_size"])
    seconds = flops / (SHARE_OF_PRODUCT_SPEED * product_speed(precision))
    return min(seconds, 60 * (settings["max_minutes"] or math.inf))


def choose_compile(device: torch.device, setting: str, seconds: float) -> tuple[bool, str]:
    """Whether torch.compile is used, and why. `seconds` is about how long the run takes without it."""
    if setting != "auto":
        return setting == "on", "chosen with --compile"
    if device.type == "mps" or sys.platform == "darwin":
        return False, "not reliable on Macs"
    if not any(shutil.which(compiler) for compiler in ("g++", "c++", "clang++")):
        return False, "there is no C++ compiler; with one (g++), training is up to a third faster"
    spared = COMPILE_SPARES * seconds
    if device.type == "cpu" and spared < COMPILE_SECONDS:
        return False, f"it takes up to {COMPILE_SECONDS} seconds, and would spare about {spared:.0f}"
    return True, f"up to {COMPILE_SECONDS} seconds at the start, and every step is faster"
