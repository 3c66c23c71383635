"""How well a model predicts text that it was not trained on."""

import math

import torch

from model.architecture.model import GPT
from pretraining.dataset import IGNORED, HeldOutText
from pretraining.device import autocast
from pretraining.perplexity import perplexity


@torch.no_grad()
def validate(model: GPT, text: HeldOutText, device: torch.device, precision: torch.dtype) -> dict[str, float]:
    """Loss (nats per token), perplexity and bits per byte on a held-out text.

    Bits per byte count the same text whatever the tokenizer, so only they compare across tokenizers.
    """
    was_training = model.training
    model.eval()
    exact = torch.float32 if device.type == "mps" else torch.float64  # MPS has nothing better
    nats = torch.zeros((), dtype=exact, device=device)  # read once: a GPU is not to wait in between
    rows = max(1, 4096 // text.inputs.shape[1])  # 4,096 tokens at once: 134 MB of logits
    for inputs, targets in zip(text.inputs.split(rows), text.targets.split(rows), strict=True):
        with autocast(device, precision):
            logits = model(inputs.to(device)).flatten(0, 1).float()
        losses = torch.nn.functional.cross_entropy(
            logits, targets.to(device).flatten(), ignore_index=IGNORED, reduction="none"
        )
        nats += losses.sum(dtype=exact)
    model.train(was_training)
    total = nats.item()
    loss = total / (text.targets != IGNORED).sum().item()
    bits = total / math.log(2)
    return {"loss": loss, "perplexity": perplexity(loss), "bits_per_byte": bits / max(1, text.text_bytes)}
