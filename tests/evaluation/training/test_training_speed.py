"""The clock of training: it times the step that training takes, and its shares are shares."""

from dataclasses import replace

import pytest
import torch

from evaluation.machine import describe_machine
from evaluation.training import training_speed
from evaluation.training.training_speed import (
    PHASES,
    Case,
    TimedStep,
    compare_with_transformers,
    measure,
    product_peak,
)
from model.architecture.config import ModelConfig

CPU = torch.device("cpu")
CONFIG = ModelConfig(n_layers=1, n_heads=2, hidden_size=16, max_seq_len=32, vocab_size=64)


@pytest.fixture
def case() -> Case:
    return Case("tiny", CONFIG, batch_size=2, block_size=16, precision=torch.float32)


def test_the_peak_is_the_fastest_of_several_products(monkeypatch):
    monkeypatch.setattr(training_speed, "PRODUCTS", ((8, 8, 8), (256, 256, 256)))
    peak = product_peak(CPU, torch.float32)
    assert peak["shape"] == (256, 256, 256) and peak["flops"] > 1e8, "small products are mostly overhead"


def test_the_faster_of_two_libraries_is_the_machines(monkeypatch):
    monkeypatch.setattr(training_speed.products, "serves", lambda *tensors: True)
    monkeypatch.setattr(training_speed.products, "multiply", lambda x, y: x)  # takes no time
    monkeypatch.setattr(training_speed, "PRODUCTS", ((256, 256, 256),))
    assert product_peak(CPU, torch.float32)["routine"] == "oneDNN"


def test_the_step_that_is_told_is_the_one_in_the_middle(case, monkeypatch):
    """Medians of each phase would leave out what disturbs one phase here and another there."""
    times = [dict.fromkeys(PHASES, seconds) for seconds in (9.0, 1.0, 5.0, 2.0)]  # the first one warms up
    times[3] |= {"backward": 4.0}
    monkeypatch.setattr(training_speed, "_phases", lambda step: times.pop(0))
    row = measure(case, CPU, steps=3, peak=1e9)
    assert row["seconds"] == dict.fromkeys(PHASES, 2.0) | {"backward": 4.0}
    assert row["tokens_per_second"] == pytest.approx(32 / 12)
    assert row["first_step_seconds"] == 45


def test_phases_make_up_the_step_and_shares_follow_from_them(case):
    row = measure(case, CPU, steps=3, peak=1e9)
    assert tuple(row["seconds"]) == PHASES and min(row["seconds"].values()) > 0
    whole = sum(row["seconds"].values())
    assert row["tokens_per_second"] == pytest.approx(32 / whole)
    learning = row["seconds"]["forward"] + row["seconds"]["backward"]
    assert row["share_of_peak"] == pytest.approx(row["flops_per_token"] * 32 / learning / 1e9)
    assert row["share_of_peak_of_the_step"] == pytest.approx(row["flops_per_token"] * 32 / whole / 1e9)
    optimizer = row["seconds"]["optimizer"]
    assert row["optimizer_share_of_twice_the_tokens"] == pytest.approx(
        optimizer / (2 * (whole - optimizer) + optimizer)
    )


def test_what_is_timed_is_a_real_step(case):
    """A step that changes nothing, or always the same, could be as fast as it likes."""
    step = TimedStep(case, CPU)
    before = [parameter.detach().clone() for parameter in step.model.parameters()]
    step.take()
    step.take()
    for old, parameter in zip(before, step.model.parameters(), strict=True):
        assert not torch.equal(old, parameter) and parameter.grad is None


def test_a_step_in_parts_is_the_step_of_all_their_windows(case):
    """Gradient accumulation: one optimizer step, not one for each part."""
    whole, in_parts = TimedStep(replace(case, batch_size=4), CPU), TimedStep(case, CPU, parts=2)
    whole.take()
    in_parts.take()
    for one, other in zip(whole.model.parameters(), in_parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_the_peer_has_the_same_parameters(case):
    pytest.importorskip("transformers", reason="the peer is not installed")
    theirs = training_speed._qwen3(CONFIG)
    assert sum(p.numel() for p in theirs.parameters()) == training_speed.GPT(CONFIG).parameter_count()
    compared = compare_with_transformers(case, CPU, steps=1)
    assert compared["times_longer"] == pytest.approx(compared["theirs"] / compared["ours"])


def test_without_the_peer_there_is_no_comparison(monkeypatch, case):
    monkeypatch.setattr(training_speed, "find_spec", lambda name: None)
    assert compare_with_transformers(case, CPU, steps=1) is None


def test_a_machine_is_described_without_packages_that_are_not_here():
    about = describe_machine(CPU, ("torch", "no-such-package"))
    assert about["versions"].keys() == {"python", "torch"} and about["threads"] >= 1 and about["processor"]
