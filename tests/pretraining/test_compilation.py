"""torch.compile: decided before the first step, by what it spares against what it takes, with the reason in words."""

import math

import pytest
import torch

from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining import compilation
from pretraining.compilation import COMPILE_SECONDS, COMPILE_SPARES, choose_compile, expected_seconds, training_flops
from pretraining.settings import PRESETS

CPU = torch.device("cpu")
WORTH_IT = COMPILE_SECONDS / COMPILE_SPARES


@pytest.fixture(autouse=True)
def linux_with_a_compiler(monkeypatch):
    monkeypatch.setattr(compilation.sys, "platform", "linux")
    monkeypatch.setattr(compilation.shutil, "which", lambda name: f"/bin/{name}" if name == "c++" else None)


def test_operations_are_those_of_the_matrix_products():
    """Counted by hand for one layer: all linear weights, and attention for the half of the pairs that it looks at."""
    config = ModelConfig(n_layers=1, n_heads=2, hidden_size=8, max_seq_len=16, vocab_size=11, ffn_hidden_size=20)
    forward = 2 * (4 * 8 * 8 + 3 * 8 * 20 + 8 * 11)  # for one token
    pairs = 16 * 16 / 2
    attention = 2 * (2 * 8) * pairs / 16  # a product of eight numbers for the score, and one for the mixing
    assert training_flops(GPT(config), 16) == 3 * (forward + attention)


def test_a_run_is_as_long_as_its_steps_but_no_longer_than_its_time(monkeypatch, model):
    monkeypatch.setattr(compilation, "product_speed", lambda precision: 1e9)
    settings = PRESETS["default"] | {"max_steps": 100, "batch_size": 2, "block_size": 32}
    short = expected_seconds(settings, model, CPU, torch.float32)
    assert short == pytest.approx(100 * 2 * 32 * training_flops(model, 32) / 0.4e9)
    assert expected_seconds(settings | {"max_steps": 1000}, model, CPU, torch.float32) == pytest.approx(10 * short)
    assert expected_seconds(settings | {"max_minutes": short / 600}, model, CPU, torch.float32) == pytest.approx(
        short / 10
    )


def test_long_runs_are_compiled_and_short_ones_are_not():
    """Two steps to try something out must not wait a minute for a compiler."""
    assert choose_compile(CPU, "auto", 1.01 * WORTH_IT)[0]
    chosen, reason = choose_compile(CPU, "auto", WORTH_IT / 2)
    assert not chosen and f"up to {COMPILE_SECONDS} seconds, and would spare about {COMPILE_SECONDS // 2}" in reason


def test_without_a_compiler_nothing_is_compiled_and_the_user_learns_why(monkeypatch):
    monkeypatch.setattr(compilation.shutil, "which", lambda name: None)
    for device in (CPU, torch.device("cuda")):
        chosen, reason = choose_compile(device, "auto", math.inf)
        assert not chosen and "no C++ compiler" in reason


def test_macs_are_left_alone(monkeypatch):
    assert not choose_compile(torch.device("mps"), "auto", math.inf)[0]
    monkeypatch.setattr(compilation.sys, "platform", "darwin")
    assert not choose_compile(CPU, "auto", math.inf)[0]


@pytest.mark.parametrize("setting", ["on", "off"])
def test_the_users_word_holds(setting):
    for seconds in (0, math.inf):
        assert choose_compile(CPU, setting, seconds) == (setting == "on", "chosen with --compile")
