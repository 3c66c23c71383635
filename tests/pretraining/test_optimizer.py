"""Optimizers: Muon against a plain reference written here, AdamW against torch's, and every parameter in its group."""

import copy
import math

import pytest
import torch
from torch import nn

from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining.optimizer import (
    GROUP_RATIOS,
    Muon,
    build_optimizers,
    orthogonalize,
    parameter_groups,
    set_learning_rate,
)
from pretraining.settings import ROOT

SHIPPED = sorted((ROOT / "model" / "config").glob("*.json"))


def matrix_with(singular_values: list[float], columns: int, seed: int = 0) -> torch.Tensor:
    """A random matrix (as many rows as values, columns) with exactly these singular values."""
    generator = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(len(singular_values), len(singular_values), generator=generator))
    right, _ = torch.linalg.qr(torch.randn(columns, len(singular_values), generator=generator))
    return left @ torch.diag(torch.tensor(singular_values)) @ right.T


@pytest.mark.parametrize("rows, columns", [(16, 16), (16, 64), (24, 200)])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e4])
def test_orthogonalizing_makes_all_singular_values_nearly_one(rows, columns, size):
    """Whatever the size of the gradient, and with directions a hundred times weaker than others."""
    matrix = size * matrix_with(torch.logspace(0, -2, rows).tolist(), columns)
    values = torch.linalg.svdvals(orthogonalize(matrix, torch.float32))
    assert values.min() > 0.6 and values.max() < 1.3


def test_orthogonalizing_keeps_the_directions():
    """Equal singular values alone could be had from any rotation; the update must still point downhill."""
    matrix = matrix_with([5.0, 3.0, 1.0, 0.5], 9)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inside = left.T @ orthogonalize(matrix, torch.float32) @ right.T
    assert torch.allclose(inside, torch.diag(inside.diagonal()), atol=1e-4) and inside.diagonal().min() > 0.6


def test_directions_without_gradient_stay_without_update():
    """Tokens that use few directions give matrices of low rank; noise in the rest would be amplified to full size."""
    matrix = matrix_with([2.0, 1.0, 0.5, 0.0, 0.0, 0.0], 20)
    values = torch.linalg.svdvals(orthogonalize(matrix, torch.float32))
    assert values[:3].min() > 0.6 and values[:3].max() < 1.3 and values[3:].max() < 1e-2
    assert torch.equal(orthogonalize(torch.zeros(4, 8), torch.float32), torch.zeros(4, 8)), "no NaN from no gradient"


def reference_muon(weights, gradients, rate, decay, momentum=0.95):
    """Muon for one matrix at a time, as the papers write it; yields nothing, changes `weights`."""
    velocity = torch.zeros_like(weights)
    for gradient in gradients:
        velocity = momentum * velocity + (1 - momentum) * gradient
        x = (1 - momentum) * gradient + momentum * velocity
        tall = x.shape[0] > x.shape[1]
        x = x.T if tall else x
        x = x / x.norm()
        for _ in range(5):
            product = x @ x.T
            x = 3.4445 * x - 4.7750 * product @ x + 2.0315 * product @ product @ x
        x = x.T if tall else x
        weights -= rate * decay * weights
        weights -= rate * 0.2 * math.sqrt(max(weights.shape)) * x
    return weights


def test_stacked_muon_is_muon_of_one_matrix_at_a_time():
    """Stacking, and transposing the tall ones into the same stack, is for speed and must not mix matrices up."""
    torch.manual_seed(0)
    shapes = [(6, 10), (10, 6), (6, 10), (8, 8), (10, 6)]
    parameters = [nn.Parameter(torch.randn(shape, dtype=torch.float64)) for shape in shapes]
    gradients = [[torch.randn(shape, dtype=torch.float64) for _ in range(4)] for shape in shapes]
    expected = [
        reference_muon(p.detach().clone(), g, rate=0.05, decay=0.3) for p, g in zip(parameters, gradients, strict=True)
    ]
    muon = Muon([{"params": parameters}], weight_decay=0.3, dtype=torch.float64)
    muon.param_groups[0]["lr"] = 0.05
    for step in range(4):
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient[step].clone()
        muon.step()
    for parameter, want in zip(parameters, expected, strict=True):
        assert torch.allclose(parameter, want, atol=1e-6)


@pytest.mark.parametrize("shape", [(32, 32), (32, 128), (128, 32)])
@pytest.mark.parametrize("size", [1e-4, 1e3])
def test_an_update_has_a_fifth_of_the_rate_in_every_entry(shape, size):
    """This is what lets one learning_rate serve Muon and AdamW, at any size of gradient and any shape."""
    torch.manual_seed(1)
    parameter = nn.Parameter(torch.zeros(shape))
    muon = Muon([{"params": [parameter]}], weight_decay=0.1)
    muon.param_groups[0]["lr"] = 0.01
    parameter.grad = size * torch.randn(shape)
    muon.step()
    assert parameter.detach().square().mean().sqrt() == pytest.approx(0.2 * 0.01, rel=0.25)


def test_weight_decay_shrinks_by_rate_times_decay_and_spares_what_has_no_gradient():
    moved, untouched = nn.Parameter(torch.ones(4, 6)), nn.Parameter(torch.ones(4, 6))
    muon = Muon([{"params": [moved, untouched]}], weight_decay=0.5)
    muon.param_groups[0]["lr"] = 0.1
    moved.grad = torch.zeros(4, 6)
    muon.step()
    assert torch.allclose(moved, torch.full((4, 6), 0.95)) and torch.equal(untouched, torch.ones(4, 6))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_every_parameter_of_every_shipped_model_is_trained_by_exactly_one_group(path, kind):
    """A forgotten parameter would keep its random start without a word; a doubled one would move twice."""
    with torch.device("meta"):
        model = GPT(ModelConfig.load(path))
    groups = parameter_groups(model)
    assert groups.keys() == GROUP_RATIOS.keys() and all(groups.values())
    assert all(parameter.ndim == 2 for parameter in groups["matrices"])
    optimizers = build_optimizers(model, kind, weight_decay=0.1)
    trained = [id(p) for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
    assert sorted(trained) == sorted(id(parameter) for parameter in model.parameters())


def names_by_rate(model: GPT, kind: str, key: str) -> dict[str, float]:
    """Each parameter's value of `key` in the group that trains it, at a learning rate of 1."""
    optimizers = build_optimizers(model, kind, weight_decay=0.1)
    set_learning_rate(optimizers, 1.0)
    values = {id(p): g[key] for optimizer in optimizers for g in optimizer.param_groups for p in g["params"]}
    return {name: values[id(parameter)] for name, parameter in model.named_parameters()}


def test_each_group_gets_its_share_of_the_rate(model):
    rates = names_by_rate(model, "muon", "lr")
    assert rates.pop("token_embedding.weight") == GROUP_RATIOS["embedding"] == 5.0
    assert set(rates.values()) == {1.0}
    assert set(names_by_rate(model, "adamw", "lr").values()) == {1.0}, "adamw is the classic recipe: one rate for all"


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_norms_and_the_embedding_do_not_decay(model, kind):
    """A row of a rare token would fade between its few appearances."""
    decay = names_by_rate(model, kind, "weight_decay")
    assert decay["token_embedding.weight"] == 0.0
    assert {value for name, value in decay.items() if "norm" in name} == {0.0}
    assert {value for name, value in decay.items() if "blocks" in name and "norm" not in name} == {0.1}


def train(model: GPT, optimizers: list, steps: range, rate: float = 3e-3) -> list[float]:
    losses = []
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        tokens = torch.randint(0, 7, (4, 12), generator=generator).cumsum(1) % model.config.vocab_size
        set_learning_rate(optimizers, rate * (1 - step / 100))
        loss = model.loss(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def test_adamw_is_torchs_adamw_step_by_step(model):
    """Against the plain loop implementation, with the same betas and decay written out here."""
    other = copy.deepcopy(model)
    plain = {True: [], False: []}
    for name, parameter in other.named_parameters():
        plain[parameter.ndim == 2 and name != "token_embedding.weight"].append(parameter)
    settings = [{"params": plain[True], "weight_decay": 0.2}, {"params": plain[False], "weight_decay": 0.0}]
    reference = torch.optim.AdamW(settings, betas=(0.9, 0.95), eps=1e-8, foreach=False, fused=False)
    for group in reference.param_groups:
        group["ratio"] = 1.0
    ours = build_optimizers(model, "adamw", weight_decay=0.2)
    for step in range(5):
        train(model, ours, range(step, step + 1))
        train(other, [reference], range(step, step + 1))
        for ours_now, theirs in zip(model.parameters(), other.parameters(), strict=True):
            assert torch.allclose(ours_now, theirs, atol=2e-6)


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_a_restored_optimizer_goes_on_bit_for_bit(model, kind):
    """Exact resuming stands on this."""
    optimizers = build_optimizers(model, kind, weight_decay=0.1)
    train(model, optimizers, range(4))
    again = copy.deepcopy(model)
    restored = build_optimizers(again, kind, weight_decay=0.1)
    for new, old in zip(restored, optimizers, strict=True):
        new.load_state_dict(copy.deepcopy(old.state_dict()))
    assert train(again, restored, range(4, 8)) == train(model, optimizers, range(4, 8))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_both_reduce_the_loss(model, kind):
    losses = train(model, build_optimizers(model, kind, weight_decay=0.1), range(60), rate=1e-2)
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_an_unknown_optimizer_is_refused_with_the_known_ones(model):
    with pytest.raises(ValueError, match=r"'sgd'.*muon or adamw"):
        build_optimizers(model, "sgd", 0.1)
