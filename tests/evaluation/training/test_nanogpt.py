"""The peer must be what it is called: nanoGPT's shape, so that a comparison with it means something."""

import math

import pytest
import torch

from evaluation.training.nanogpt import NanoGPT
from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining.settings import ROOT

TINY = ModelConfig(n_layers=2, n_heads=2, hidden_size=32, max_seq_len=16, vocab_size=64)


def test_parameters_at_our_size_are_those_of_nanogpt_as_it_was_measured_before():
    """23.5M in research: 12 d^2 per layer, tied vocabulary, learned positions, weights of 2 L + 1 norms."""
    config = ModelConfig.load(ROOT / "model" / "config" / "gpt_tiny_config.json")
    width = config.hidden_size
    expected = config.n_layers * (12 * width**2 + 2 * width) + (8192 + 1024) * width + width
    with torch.device("meta"):
        assert NanoGPT(config).parameter_count() == expected == 23_599_616


def test_a_token_is_predicted_from_what_came_before_it_alone():
    model = NanoGPT(TINY).eval()
    tokens = torch.randint(64, (1, 12))
    changed = tokens.clone()
    changed[0, 8] = (changed[0, 8] + 1) % 64
    before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :8], after[:, :8])
    assert not torch.allclose(before[:, 8:], after[:, 8:])


def test_the_order_of_tokens_matters_through_learned_positions():
    model = NanoGPT(TINY).eval()
    same = torch.full((1, 4), 5)
    assert not torch.allclose(model(same)[0, 0], model(same)[0, 3])


def test_it_begins_knowing_nothing_and_every_parameter_learns():
    model = NanoGPT(TINY)
    tokens = torch.randint(64, (4, 17))
    loss = model.loss(tokens[:, :-1], tokens[:, 1:])
    loss.backward()
    assert abs(loss.item() - math.log(64)) < 0.1
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())


@pytest.mark.parametrize("make_model", [GPT, NanoGPT])
def test_both_compute_attention_by_the_same_means_in_bfloat16(make_model, monkeypatch):
    """Else equal minutes would compare kernels: PyTorch's own takes twice as long."""
    model, tokens = make_model(TINY).eval(), torch.randint(64, (2, 12))
    expected = model(tokens)
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", None)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(tokens).float(), expected, atol=0.02, rtol=0.05)
