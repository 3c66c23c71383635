"""The same model before its training: what the architecture, the tokenizer and luck achieve on their own."""

from dataclasses import replace

import torch

from model.architecture.model import GPT
from pretraining.checkpoint import TrainedModel


def untrained(trained: TrainedModel, seed: int = 0) -> TrainedModel:
    """A model of the same config, tokenizer and device with fresh weights, which `seed` decides."""
    model = GPT(trained.model.config)
    model.init_weights(torch.Generator().manual_seed(seed))
    device = next(trained.model.parameters()).device
    return replace(trained, model=model.to(device).eval(), step=0, losses={})
