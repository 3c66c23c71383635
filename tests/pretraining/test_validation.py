"""The numbers that decide which checkpoint is best: against a slow computation in float64, window by window."""

import math

import pytest
import torch

from pretraining.dataset import IGNORED, HeldOutText
from pretraining.perplexity import perplexity
from pretraining.validation import validate

CPU = torch.device("cpu")


@pytest.fixture
def text(config) -> HeldOutText:
    """More windows than are computed at once (4,096 tokens), the last of each span padded."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, config.vocab_size, (90, 65), generator=generator)
    targets = tokens[:, 1:].clone()
    targets[::4, 40:] = IGNORED
    return HeldOutText("heldout_code", tokens[:, :-1].contiguous(), targets, text_bytes=12_345)


def reference(model, text: HeldOutText) -> tuple[float, float]:
    """Loss and bits per byte from the definition: the mean of -ln p(next token), one token after the other."""
    model = model.double().eval()
    total, count = 0.0, 0
    for inputs, targets in zip(text.inputs, text.targets, strict=True):
        with torch.no_grad():
            probabilities = model(inputs[None])[0].softmax(-1)
        for place, target in enumerate(targets.tolist()):
            if target != IGNORED:
                total -= math.log(probabilities[place, target].item())
                count += 1
    return total / count, total / math.log(2) / text.text_bytes


def test_loss_and_bits_are_those_of_the_definition(model, text):
    found = validate(model, text, CPU, torch.float32)
    loss, bits = reference(model, text)
    assert found["loss"] == pytest.approx(loss, rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(bits, rel=1e-5)
    assert found["perplexity"] == pytest.approx(math.exp(loss), rel=1e-4)


def test_the_loss_does_not_depend_on_what_is_computed_together(model, text):
    """A mean of means would weigh the padded windows too much."""
    whole = validate(model, text, CPU, torch.float32)["loss"]
    total, count = 0.0, 0
    for row in range(len(text.inputs)):
        part = HeldOutText("", text.inputs[row : row + 1], text.targets[row : row + 1], 1)
        tokens = (part.targets != IGNORED).sum().item()
        total, count = total + validate(model, part, CPU, torch.float32)["loss"] * tokens, count + tokens
    assert whole == pytest.approx(total / count, rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_looking_changes_nothing(model, text, training):
    """A validation that left dropout off, drew random numbers or left gradients would change the rest of the run."""
    model.train(training)
    before, weights = torch.get_rng_state(), [parameter.clone() for parameter in model.parameters()]
    validate(model, text, CPU, torch.float32)
    assert model.training is training and all(module.training is training for module in model.modules())
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(weights, model.parameters(), strict=True))


def test_dropout_is_off_while_looking(model, text):
    expected = validate(model, text, CPU, torch.float32)
    for module in model.modules():
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.5
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    assert validate(model.train(), text, CPU, torch.float32) == expected


def test_bfloat16_gives_nearly_the_same_loss(model, text):
    exact = validate(model, text, CPU, torch.float32)["loss"]
    assert validate(model, text, CPU, torch.bfloat16)["loss"] == pytest.approx(exact, rel=0.02)


def test_perplexity_of_a_hopeless_loss_is_a_finite_number():
    """Infinity is no JSON, and the log must stay readable."""
    assert perplexity(math.log(50)) == pytest.approx(50)
    assert math.isfinite(perplexity(1e6))
