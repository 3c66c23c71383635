"""The untrained model: the same shape, weights that a seed decides, and the trained one left as it is."""

import torch

from evaluation.untrained import untrained


def weights(model):
    return torch.cat([parameter.flatten() for parameter in model.parameters()])


def test_a_seed_decides_the_weights_and_the_trained_model_keeps_its_own(trained):
    before = weights(trained.model).clone()
    first, again, other = untrained(trained, 1), untrained(trained, 1), untrained(trained, 2)
    assert torch.equal(weights(first.model), weights(again.model))
    assert not torch.equal(weights(first.model), weights(other.model))
    assert torch.equal(weights(trained.model), before) and trained.step == 7


def test_it_is_ready_to_be_asked_and_knows_that_it_learnt_nothing(trained):
    fresh = untrained(trained)
    assert fresh.model.config == trained.model.config and not fresh.model.training
    assert (fresh.step, fresh.losses, fresh.context_length) == (0, {}, trained.context_length)
