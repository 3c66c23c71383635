"""How fast training is on this machine, as a share of what its matrix products can do, and where the time goes.

Forward and backward, and the whole step, are held against the fastest matrix product that was measured in the same
run and precision, by whatever library of PyTorch is fastest. What counts as work is in pretraining/compilation.py
(`training_flops`): six operations for each weight of a product and token, and causal attention; all the rest of a step,
the optimizer's products too, is overhead. Weights and tokens are random, which changes no speed; tokens are in memory,
where training reads them from a file. scripts/benchmark_speed.py shows it.
"""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor, nn

from model.architecture import products
from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from model.export.hugging_face import qwen3_shape
from pretraining.compilation import training_flops
from pretraining.dataset import TrainingWindows
from pretraining.device import autocast, keep_freed_memory, synchronize
from pretraining.optimizer import build_optimizers, set_learning_rate

# Rows, inner and columns of the products whose best counts as the machine's: square ones, and two of the 27M model.
PRODUCTS = ((1024, 1024, 1024), (2048, 2048, 2048), (8192, 512, 512), (8192, 1344, 512))
PRODUCTS_OF_A_GPU = ((8192, 8192, 8192), (16384, 4096, 4096))
PHASES = ("data", "forward", "backward", "optimizer", "rest")


@dataclass(frozen=True)
class Case:
    """One thing to measure: a model, the tokens of a step, and how they are computed."""

    name: str  # of the config
    config: ModelConfig
    batch_size: int
    block_size: int
    precision: torch.dtype
    compiled: bool = False
    optimizer: str = "muon"

    @property
    def tokens(self) -> int:
        """Tokens of a step."""
        return self.batch_size * self.block_size


@torch.no_grad()
def product_peak(device: torch.device, precision: torch.dtype) -> dict:
    """The fastest matrix product: operations per second, its shape (rows, inner, columns), and what computed it."""
    best = {"flops": 0.0, "shape": (), "routine": ""}
    for rows, inner, columns in PRODUCTS if device.type == "cpu" else PRODUCTS_OF_A_GPU:
        a = torch.randn(rows, inner, device=device).to(precision)
        b = torch.randn(columns, inner, device=device).to(precision)
        routines: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"PyTorch's own": nn.functional.linear}
        if products.serves(a, b):
            routines["oneDNN"] = products.multiply
        for name, multiply in routines.items():
            for _ in range(24):  # some will be undisturbed
                synchronize(device)
                start = time.perf_counter()
                multiply(a, b)
                synchronize(device)
                flops = 2 * rows * inner * columns / (time.perf_counter() - start)
                if flops > best["flops"]:
                    best = {"flops": flops, "shape": (rows, inner, columns), "routine": name}
    return best


def measure(case: Case, device: torch.device, steps: int, peak: float) -> dict:
    """The median of `steps` whole training steps, after one that takes memory and compiles.

    Its seconds by phase, tokens per second, the shares of `peak` (operations per second) that forward and backward, and
    the whole step, reach, and the share of the optimizer in a step of these tokens and of twice as many.
    """
    gc.collect()  # the model of the case before, and what was compiled for it
    torch.compiler.reset()
    step = TimedStep(case, device)
    first, *timed = [_phases(step) for _ in range(1 + steps)]
    seconds = sorted(timed, key=lambda times: sum(times.values()))[steps // 2]
    whole, learning = sum(seconds.values()), seconds["forward"] + seconds["backward"]
    flops_per_token = training_flops(step.model, case.block_size)
    return {
        "model": case.name,
        "parameters": step.model.parameter_count(),
        "batch_size": case.batch_size,
        "block_size": case.block_size,
        "precision": str(case.precision).removeprefix("torch."),
        "compiled": case.compiled,
        "timed_steps": steps,
        "first_step_seconds": sum(first.values()),
        "seconds": seconds,
        "tokens_per_second": case.tokens / whole,
        "flops_per_token": flops_per_token,
        "share_of_peak": flops_per_token * case.tokens / learning / peak,
        "share_of_peak_of_the_step": flops_per_token * case.tokens / whole / peak,
        "optimizer_share": seconds["optimizer"] / whole,
        "optimizer_share_of_twice_the_tokens": seconds["optimizer"] / (2 * whole - seconds["optimizer"]),
    }


class TimedStep:
    """One optimizer step as pretraining/run.py takes it, on random tokens: on `parts` batches of the case."""

    def __init__(self, case: Case, device: torch.device, parts: int = 1) -> None:
        if device.type == "cpu":
            keep_freed_memory()
        torch.manual_seed(0)
        self.case, self.device, self.parts, self.taken = case, device, parts, 0
        self.model = GPT(case.config).to(device).train()
        self.loss_of = torch.compile(self.model.loss) if case.compiled else self.model.loss
        self.optimizers = build_optimizers(self.model, case.optimizer, 0.1, case.precision)
        tokens = np.random.default_rng(0).integers(case.config.vocab_size, size=2_000_000).astype("<u2")
        self.windows = TrainingWindows(tokens, case.block_size, seed=0)

    def take(self, lap: Callable[[str], None] = lambda phase: None) -> None:
        """Take a step; calls `lap` with the name of each phase behind it."""
        for part in range(self.parts):
            self._learn(self.taken * self.parts + part, lap)
        set_learning_rate(self.optimizers, 1e-4)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        lap("rest")
        for optimizer in self.optimizers:
            optimizer.step()
        lap("optimizer")
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        lap("rest")
        self.taken += 1

    def _learn(self, batch: int, lap: Callable[[str], None]) -> None:
        """Add a batch's share of the gradients to what is there."""
        inputs, targets = self.windows.batch(batch * self.case.batch_size, self.case.batch_size)
        inputs, targets = inputs.to(self.device), targets.to(self.device)
        lap("data")
        with autocast(self.device, self.case.precision):
            loss = self.loss_of(inputs, targets) / self.parts
        lap("forward")
        loss.backward()
        lap("backward")


def _phases(step: TimedStep) -> dict[str, float]:
    """Take a step; returns the seconds of each phase."""
    clock = _Clock(step.device)
    step.take(clock.lap)
    return clock.seconds


class _Clock:
    """Adds up the time between calls by name, waiting for the device each time."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, dict.fromkeys(PHASES, 0.0)
        synchronize(device)
        self.last = time.perf_counter()

    def lap(self, phase: str) -> None:
        """Book the time since the last call on `phase`."""
        synchronize(self.device)
        now = time.perf_counter()
        self.seconds[phase] += now - self.last
        self.last = now


# -- transformers, the peer --------------------------------------------------------------------------------------------


def compare_with_transformers(case: Case, device: torch.device, steps: int) -> dict | None:
    """Forward and backward of our model and of transformers' Qwen3 of the same shape, in turn; None without it.

    Both as they come, not compiled: seconds of each, and how many times longer theirs takes.
    """
    if not find_spec("transformers"):
        return None
    tokens = torch.randint(case.config.vocab_size, (case.batch_size, case.block_size), device=device)
    ours, theirs = GPT(case.config).to(device).train(), _qwen3(case.config).to(device).train()
    losses: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: ours.loss(tokens, tokens),
        "theirs": lambda: theirs(input_ids=tokens, labels=tokens, use_cache=False).loss,
    }
    times: dict[str, list[float]] = {name: [] for name in losses}
    for _ in range(1 + steps):
        for name, compute in losses.items():
            synchronize(device)
            start = time.perf_counter()
            with autocast(device, case.precision):
                loss = compute()
            loss.backward()
            synchronize(device)
            times[name].append(time.perf_counter() - start)
            for model in (ours, theirs):
                model.zero_grad(set_to_none=True)
    seconds = {name: statistics.median(column[1:]) for name, column in times.items()}
    return seconds | {"times_longer": seconds["theirs"] / seconds["ours"]}


def _qwen3(config: ModelConfig) -> nn.Module:
    """transformers' model of our shape."""
    import transformers

    return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**qwen3_shape(config, config.max_seq_len)))
