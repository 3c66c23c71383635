"""Which processor computes, in which precision, and whether it can be trusted.

Every choice comes with its reason in words, because it is printed. Apple's MPS has had errors that give wrong numbers
without a message, so a run on it begins by comparing a small model's results with the CPU's.
"""

import ctypes
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.architecture.config import ModelConfig
from model.architecture.layers import KeyValueCache, Linear
from model.architecture.model import GPT
from pretraining.optimizer import Muon

GLIBC_TRIM_THRESHOLD, GLIBC_MMAP_MAX = -1, -4  # names of settings in malloc.h


class DeviceError(ValueError):
    """The asked-for device is not here or computes wrongly."""


def choose_device(name: str = "auto") -> tuple[torch.device, str]:
    """The device to use and why. `name` is auto, cpu, cuda, cuda:1 or mps. Raises DeviceError when it is not here."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        if available["cuda"]:
            return torch.device("cuda"), f"an NVIDIA GPU is here: {torch.cuda.get_device_name()}"
        if available["mps"]:
            return torch.device("mps"), "an Apple GPU is here"
        return torch.device("cpu"), f"no GPU was found; {torch.get_num_threads()} threads"
    try:
        device = torch.device(name)
    except RuntimeError:  # not a name of anything
        device = None
    number_missing = device and device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    if device is None or number_missing or not available.get(device.type):
        here = ", ".join(kind for kind, found in available.items() if found)
        raise DeviceError(f"the device {name!r} is not here; found: {here}. Leave out --device to choose by itself")
    return device, "chosen with --device"


def choose_precision(device: torch.device, setting: str = "auto") -> tuple[torch.dtype, str]:
    """float32 or bfloat16 for the matrix products, and why. Weights and optimizer always stay float32.

    On a CPU the answer is measured, in a tenth of a second: chips with bfloat16 units gain three times, others lose.
    """
    if setting != "auto":
        return getattr(torch, setting), "chosen with --precision"
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16, "this GPU has bfloat16 units"
        return torch.float32, "this GPU has no bfloat16 units"
    if device.type == "mps":
        return torch.float32, "the precision that is right on every Mac; try --precision bfloat16 on M3 and newer"
    gain = product_speed(torch.bfloat16) / product_speed(torch.float32)
    if gain > 1.5:
        return torch.bfloat16, f"measured {gain:.1f} times faster than float32 here"
    return torch.float32, f"bfloat16 measured {gain:.1f} times as fast here, which does not pay"


def product_speed(dtype: torch.dtype, size: int = 768) -> float:
    """Floating-point operations per second of a matrix product on the CPU, as the model makes it: the best of five."""
    layer = Linear(size, size).to(dtype).requires_grad_(False)
    x = torch.full((size, size), 0.5, dtype=dtype)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        layer(x)
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times)


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, instead of giving it back and asking for it again.

    A training step takes and frees gigabytes. By default glibc, the C library of most Linux systems, hands each large
    block back, and the system fills it with zeros before it gives it out again: nearly half of the time of a step was
    spent on that. In exchange the process holds up to a half more memory. Elsewhere nothing is done.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "gnu_get_libc_version"):
        library.mallopt(GLIBC_MMAP_MAX, 0)  # large blocks come from the heap, too
        library.mallopt(GLIBC_TRIM_THRESHOLD, -1)  # and the heap never shrinks


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager:
    """The context in which the model computes: matrix products in `precision`, sums and norms in float32."""
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=precision)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all it was asked; needed before reading a clock."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def random_states(device: torch.device) -> dict[str, Tensor]:
    """States of the random generators in use, as a checkpoint stores them."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def restore_random_states(states: dict[str, Tensor], device: torch.device) -> None:
    """Put the generators back to where a checkpoint left them."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    elif device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])


def self_check(device: torch.device, precision: torch.dtype = torch.float32) -> list[str]:
    """Compare `device` with the CPU where accelerators were seen to be silently wrong; returns what differs.

    Causal attention without gradients, one decoding step against a cache of awkward length, loss and gradients after
    another shape was run (with products in `precision`), a step of Muon, and whether one of AdamW reaches every
    parameter. Takes about two seconds.
    """
    exact, rounded = 1e-3, 1e-3 if precision == torch.float32 else 5e-2
    checks: dict[str, tuple[Callable[[torch.device], list[Tensor]], float]] = {
        "causal attention": (_attention_results, exact),
        "cached decoding": (_decoding_results, exact),
        "loss and gradients": (lambda place: _gradient_results(place, precision), rounded),
        "a Muon step": (_muon_results, exact),
    }
    differences = []
    for name, (compute, tolerance) in checks.items():
        expected, found = compute(torch.device("cpu")), compute(device)
        for want, have in zip(expected, found, strict=True):
            difference = (want - have.cpu()).abs().max().item()
            if not difference <= tolerance * (1 + want.abs().max().item()):  # written so that NaN fails
                differences.append(f"{name} differs from the CPU by {difference:.3g}")
                break
    if stuck := _parameters_not_moved(device):
        differences.append(f"an AdamW step left {len(stuck)} parameters unchanged ({stuck[0]})")
    return differences


def _tiny_model(device: torch.device) -> GPT:
    """A fixed small model with heads of 64, the size of the real ones; no tensor is zero, so errors show."""
    model = GPT(ModelConfig(n_layers=2, n_heads=2, hidden_size=128, max_seq_len=128, vocab_size=512))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05 + (parameter.ndim == 1))
    return model.to(device)


def _tiny_tokens(device: torch.device, rows: int, columns: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 512, (rows, columns), generator=generator).to(device)


@torch.no_grad()
def _attention_results(device: torch.device) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    results = []
    for time_steps in (17, 64):
        q, k, v = (torch.randn(2, 2, time_steps, 64, generator=generator).to(device) for _ in range(3))
        results.append(F.scaled_dot_product_attention(q, k, v, is_causal=True))
    return results


@torch.no_grad()
def _decoding_results(device: torch.device) -> list[Tensor]:
    model, tokens = _tiny_model(device), _tiny_tokens(device, 2, 34)
    cache = KeyValueCache(model.config, 2, 40, device=device)
    model(tokens[:, :33], cache)
    return [model(tokens[:, 33:], cache)]


def _gradient_results(device: torch.device, precision: torch.dtype) -> list[Tensor]:
    model = _tiny_model(device)
    tokens = _tiny_tokens(device, 8, 65)
    with autocast(device, precision):
        model.loss(_tiny_tokens(device, 1, 24), _tiny_tokens(device, 1, 24))
        loss = model.loss(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
    loss.backward()
    return [loss.detach()] + [parameter.grad for parameter in model.parameters()]


def _muon_results(device: torch.device) -> list[Tensor]:
    """Matrices after a step whose gradients are far from singular, so that rounding stays small: stacked, and tall."""
    generator = torch.Generator().manual_seed(3)
    matrices = [nn.Parameter(torch.zeros(*shape, device=device)) for shape in ((64, 256), (64, 256), (256, 64))]
    for matrix in matrices:
        matrix.grad = torch.randn(matrix.shape, generator=generator).to(device)
    optimizer = Muon([{"params": matrices}])
    optimizer.param_groups[0]["lr"] = 1.0
    optimizer.step()
    return [matrix.detach() for matrix in matrices]


def _parameters_not_moved(device: torch.device) -> list[str]:
    model, tokens = _tiny_model(device), _tiny_tokens(device, 8, 65)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1, fused=True)
    model.loss(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()).backward()
    optimizer.step()
    return [name for name, parameter in model.named_parameters() if torch.equal(before[name], parameter)]
