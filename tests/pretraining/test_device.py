"""Devices: chosen with a reason, and not trusted before they have computed what the CPU computes."""

import contextlib
import platform
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from model.architecture.layers import KeyValueCache
from pretraining import device as device_module
from pretraining.device import (
    DeviceError,
    autocast,
    choose_device,
    choose_precision,
    random_states,
    restore_random_states,
    self_check,
)
from pretraining.settings import ROOT

CPU = torch.device("cpu")
SUSPECT = torch.device("cpu", 0)  # computes as the CPU does, and can be told from it


def computing_wrongly(function: Callable, breakage: Callable) -> Callable:
    """`function`, with something broken while it works for the suspect."""

    def compute(device: torch.device, *how: object) -> object:
        with breakage() if device == SUSPECT else contextlib.nullcontext():
            return function(device, *how)

    return compute


@contextlib.contextmanager
def replaced(place: object, name: str, replacement: Callable):
    """`place.name` replaced by `replacement(original)` for a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, replacement(getattr(place, name)))
        yield


def attention_that_sees_the_future():
    """As MPS did without gradients: is_causal had no effect."""
    return replaced(F, "scaled_dot_product_attention", lambda real: lambda q, k, v, **_: real(q, k, v))


def attention_that_gives_nan():
    return replaced(F, "scaled_dot_product_attention", lambda real: lambda *a, **s: real(*a, **s) * float("nan"))


def cache_that_forgets_its_last_token():
    def broken(real):
        def write(*arguments):
            keys, values = real(*arguments)
            return keys[:, :, :-1], values[:, :, :-1]

        return write

    return replaced(KeyValueCache, "write", broken)


def gradients_of_half_the_size():
    """The loss is right, only what is learnt from it is not."""
    return replaced(F, "silu", lambda real: lambda x: 0.5 * real(x) + 0.5 * real(x).detach())


def matrices_that_take_each_others_step():
    return replaced(torch, "stack", lambda real: lambda parts: real(parts).roll(1, 0))


def optimizer_that_forgets_one_parameter():
    """As MPS did for tensors that are not contiguous: the result was written nowhere."""

    def broken(real):
        def step(self):
            forgotten = self.param_groups[0]["params"][3]
            before = forgotten.detach().clone()
            real(self)
            forgotten.data.copy_(before)

        return step

    return replaced(torch.optim.AdamW, "step", broken)


def test_a_device_that_agrees_passes():
    """A check that cries wolf would take a Mac its GPU."""
    assert self_check(CPU) == [] and self_check(SUSPECT) == [] and self_check(SUSPECT, torch.bfloat16) == []


@pytest.mark.parametrize(
    "check, breakage, complaint",
    [
        ("_attention_results", attention_that_sees_the_future, "causal attention differs"),
        ("_attention_results", attention_that_gives_nan, "causal attention differs"),
        ("_decoding_results", cache_that_forgets_its_last_token, "cached decoding differs"),
        ("_gradient_results", gradients_of_half_the_size, "loss and gradients differs"),
        ("_muon_results", matrices_that_take_each_others_step, "a Muon step differs"),
        ("_parameters_not_moved", optimizer_that_forgets_one_parameter, "an AdamW step left 1 parameters unchanged"),
    ],
)
def test_each_known_error_is_found_and_named(monkeypatch, check, breakage, complaint):
    monkeypatch.setattr(device_module, check, computing_wrongly(getattr(device_module, check), breakage))
    (found,) = self_check(SUSPECT)
    assert found.startswith(complaint)


@pytest.mark.parametrize(
    "check, breakage",
    [("_gradient_results", attention_that_sees_the_future), ("_decoding_results", attention_that_sees_the_future)],
)
def test_the_attention_of_the_model_itself_is_covered_too(monkeypatch, check, breakage):
    """The kernel is chosen by shape and by whether gradients are wanted, so one check of it is not enough."""
    monkeypatch.setattr(device_module, check, computing_wrongly(getattr(device_module, check), breakage))
    assert len(self_check(SUSPECT)) == 1


def pretend(monkeypatch, cuda: bool = False, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(cuda))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H100")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    "here, kind, reason",
    [
        ({"cuda": True, "mps": True}, "cuda", "an NVIDIA GPU is here: H100"),
        ({"mps": True}, "mps", "an Apple GPU is here"),
        ({}, "cpu", "no GPU was found"),
    ],
)
def test_the_fastest_device_is_chosen_with_its_reason(monkeypatch, here, kind, reason):
    pretend(monkeypatch, **here)
    device, why = choose_device()
    assert device.type == kind and why.startswith(reason)
    assert choose_device("cpu") == (CPU, "chosen with --device"), "the user's word holds"


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps", "gpu", "tpu", "meta", "cpu:x", ""])
def test_a_device_that_is_not_here_is_refused_with_those_that_are(monkeypatch, name):
    pretend(monkeypatch)
    with pytest.raises(DeviceError, match=f"'{name}' is not here; found: cpu. Leave out --device"):
        choose_device(name)


def test_a_gpu_beyond_the_last_is_refused(monkeypatch):
    pretend(monkeypatch, cuda=True)
    assert choose_device("cuda:0")[0] == torch.device("cuda:0")
    with pytest.raises(DeviceError, match="'cuda:1' is not here; found: cuda, cpu"):
        choose_device("cuda:1")


@pytest.mark.parametrize("gain, chosen", [(3.0, torch.bfloat16), (1.4, torch.float32), (0.2, torch.float32)])
def test_the_precision_on_a_cpu_is_what_measures_faster(monkeypatch, gain, chosen):
    """Chips with bfloat16 units gain three times; those without lose as much."""
    monkeypatch.setattr(device_module, "product_speed", lambda dtype: 1.0 if dtype == torch.float32 else gain)
    precision, reason = choose_precision(CPU)
    assert precision == chosen and f"{gain:.1f} times" in reason


def test_the_measurement_gives_a_speed():
    assert 1e6 < device_module.product_speed(torch.float32, size=64) < 1e15


STEPS = """
import sys, torch
from pretraining.device import keep_freed_memory
from resource import RUSAGE_SELF, getrusage
if sys.argv[1] == "keep":
    keep_freed_memory()
for step in range(23):
    if step == 20:  # until then each thread finds out how much it needs
        before = getrusage(RUSAGE_SELF).ru_minflt
    weights = torch.ones(10 << 20, requires_grad=True)  # 42 MB
    (weights.exp() * weights).sum().backward()
print(getrusage(RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other habits")
def test_freed_memory_is_used_again_without_asking_the_system():
    """A page that the system gives out anew costs more than what a training step writes to it."""

    def pages(what: str) -> int:
        command = [sys.executable, "-c", STEPS, what]
        return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    assert 4 * pages("keep") < pages("default")


@pytest.mark.parametrize("has_units, chosen", [(True, torch.bfloat16), (False, torch.float32)])
def test_the_precision_on_other_devices_is_known(monkeypatch, has_units, chosen):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_units)
    assert choose_precision(torch.device("cuda"))[0] == chosen
    assert choose_precision(torch.device("mps"))[0] == torch.float32
    assert choose_precision(torch.device("mps"), "bfloat16") == (torch.bfloat16, "chosen with --precision")


def test_autocast_lowers_products_and_nothing_else():
    """Weights, norms and the loss stay float32: small updates would be rounded away."""
    weights, x = torch.ones(4, 4), torch.ones(4, 4)
    with autocast(CPU, torch.bfloat16):
        assert (x @ weights).dtype == torch.bfloat16
        assert F.rms_norm(x, (4,)).dtype == torch.float32
    with autocast(CPU, torch.float32):
        assert (x @ weights).dtype == torch.float32


def test_random_numbers_go_on_where_they_were():
    states = random_states(CPU)
    expected = torch.rand(5)
    torch.rand(100)
    restore_random_states(states, CPU)
    assert torch.equal(torch.rand(5), expected) and states.keys() == {"cpu"}
