"""Sampling: the right tokens with the right frequencies, and a batch that changes nobody's text."""

import math

import pytest
import torch

from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining.fast_model import FastModel
from pretraining.sampling import (
    SamplingError,
    SamplingSettings,
    draw_tokens,
    generate_tokens,
    kept_probabilities,
    sample_generator,
)

END = 0
TINY = ModelConfig(n_layers=2, n_heads=2, hidden_size=16, max_seq_len=24, vocab_size=29, ffn_hidden_size=24)


@pytest.fixture(scope="module")
def model() -> GPT:
    """A float64 model with every weight random, whose texts therefore depend on all that they read."""
    model = GPT(TINY).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return model


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_p": math.nan},
        {"max_new_tokens": 0},
        {"max_new_tokens": -5},
        {"stop": ("ok", "")},
        {"stop": "def"},  # a string is a sequence of strings, and would stop at every "d", "e" and "f"
    ],
)
def test_settings_without_meaning_are_refused_by_name_and_value(wrong):
    (name, value) = next(iter(wrong.items()))
    with pytest.raises(SamplingError) as error:
        SamplingSettings(**wrong)
    assert f"{name} is {value!r}" in str(error.value)
    assert "\n" not in str(error.value)


# Filters


def reference_probabilities(
    logits: list[float], temperature: float, top_k: int | None, top_p: float
) -> dict[int, float]:
    """The filters once more, one token after the other: token id to probability of all that may be drawn."""
    weights = {token: math.exp(logit / temperature) for token, logit in enumerate(logits)}
    likeliest = sorted(weights, key=weights.get, reverse=True)[: top_k or len(logits)]
    total = sum(weights[token] for token in likeliest)
    kept, share = [], 0.0
    for token in likeliest:
        kept.append(token)
        share += weights[token] / total
        if share >= top_p:
            break
    return {token: weights[token] / sum(weights[token] for token in kept) for token in kept}


def random_logits(rows: int = 1, vocab_size: int = 40, seed: int = 2) -> torch.Tensor:
    return torch.randn(rows, vocab_size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2


FILTERS = [
    (1.0, 0, 1.0),
    (1.0, None, 1.0),
    (0.8, 40, 0.9),
    (0.5, 10, 1.0),
    (1.2, 0, 0.8),
    (2.0, 5, 0.5),
    (1.0, 1000, 0.3),
    (1.0, 1, 1.0),
    (1.0, 0, 1e-9),
]


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), FILTERS)
def test_filters_keep_what_a_plain_reference_keeps(temperature, top_k, top_p):
    logits = random_logits(rows=20)
    settings = SamplingSettings(temperature=temperature, top_k=top_k, top_p=top_p)
    probabilities, tokens = kept_probabilities(logits, settings)
    for row, row_logits in enumerate(logits.tolist()):
        found = {
            token: share
            for token, share in zip(tokens[row].tolist(), probabilities[row].tolist(), strict=True)
            if share > 0
        }
        assert found == pytest.approx(reference_probabilities(row_logits, temperature, top_k, top_p))
        assert row_logits.index(max(row_logits)) in found, "the most probable token always stays"


def test_filters_that_are_off_keep_even_the_least_probable_token():
    """Rounding in the sum of many probabilities must not cut the tail when top_p is 1."""
    logits = random_logits(rows=20, vocab_size=8192) * 3
    probabilities, tokens = kept_probabilities(logits, SamplingSettings(temperature=1.0, top_k=0, top_p=1.0))
    assert (probabilities > 0).all()
    assert (tokens.sort().values == torch.arange(8192)).all()


def test_top_p_is_reached_with_the_fewest_tokens():
    probabilities, _ = kept_probabilities(torch.zeros(1, 4), SamplingSettings(temperature=1.0, top_k=0, top_p=0.5))
    assert probabilities.tolist() == [[0.5, 0.5, 0, 0]]


# Drawing


def chi_square(counts: torch.Tensor, expected: dict[int, float]) -> float:
    """Pearson's statistic of `counts` (vocab) against probabilities; infinite when the impossible was drawn."""
    if counts.sum() != sum(counts[token] for token in expected):
        return math.inf
    draws = counts.sum().item()
    return sum((counts[token].item() - draws * share) ** 2 / (draws * share) for token, share in expected.items())


def chi_square_limit(degrees: int) -> float:
    """What chance exceeds once in a thousand times (Wilson & Hilferty 1931)."""
    return degrees * (1 - 2 / (9 * degrees) + 3.09 * math.sqrt(2 / (9 * degrees))) ** 3


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), [(0.8, 20, 0.9), (1.3, 8, 1.0), (1.0, 0, 0.7)])
def test_tokens_are_drawn_as_often_as_their_probability_says(temperature, top_k, top_p):
    draws = 20_000
    logits = random_logits()
    settings = SamplingSettings(temperature=temperature, top_k=top_k, top_p=top_p)
    drawn = draw_tokens(logits.expand(draws, -1), settings, [sample_generator(3)] * draws)
    counts = torch.bincount(torch.tensor(drawn), minlength=logits.shape[1])

    def statistic(*filters) -> tuple[float, float]:
        expected = reference_probabilities(logits[0].tolist(), *filters)
        return chi_square(counts, expected), chi_square_limit(len(expected) - 1)

    found, limit = statistic(temperature, top_k, top_p)
    assert found < limit
    # The test can fail: frequencies of somewhat different settings are far outside the limit.
    for wrong in [(temperature * 1.25, top_k, top_p), (temperature, top_k, top_p * 0.8), (temperature, 5, top_p)]:
        found, limit = statistic(*wrong)
        assert found > 2 * limit


@pytest.mark.parametrize("number", [0.0, 1 - 2**-53])  # torch.rand gives numbers from 0 to below 1
def test_impossible_tokens_are_not_drawn_even_by_the_extreme_random_numbers(monkeypatch, number):
    monkeypatch.setattr(torch, "rand", lambda *size, generator, dtype: torch.full(size, number, dtype=dtype))
    logits = torch.cat((torch.full((300, 50), -math.inf), random_logits(rows=300)), dim=1)
    for settings in [
        SamplingSettings(1, 1.0, 0, 1.0),
        SamplingSettings(1, 1e-3, 0, 1.0),
        SamplingSettings(1, 1, 9, 0.9),
    ]:
        drawn = draw_tokens(logits, settings, [sample_generator(0)] * 300)
        probabilities, tokens = kept_probabilities(logits.float(), settings)
        assert (probabilities[tokens == torch.tensor(drawn)[:, None]] > 0).all()


def test_temperature_zero_takes_the_most_probable_and_uses_no_chance():
    logits, generator = random_logits(rows=5), sample_generator(4)
    before = generator.get_state()
    assert draw_tokens(logits, SamplingSettings(temperature=0), [generator] * 5) == logits.argmax(-1).tolist()
    assert torch.equal(generator.get_state(), before)


def test_a_tiny_temperature_is_nearly_greedy_and_does_not_overflow():
    logits = random_logits(rows=5) * 100
    drawn = draw_tokens(logits, SamplingSettings(temperature=1e-9, top_k=0, top_p=1), [sample_generator(5)] * 5)
    assert drawn == logits.argmax(-1).tolist()


def test_scores_that_are_not_numbers_are_an_error():
    logits = random_logits(rows=2)
    logits[1, 3] = math.nan
    for temperature in (0, 0.8):
        with pytest.raises(SamplingError, match="not numbers"):
            draw_tokens(logits, SamplingSettings(temperature=temperature), [sample_generator(0)] * 2)


def test_each_seed_and_each_sample_has_random_numbers_of_its_own():
    """torch reads 32 bits of a seed only, so 2**32 must be told from 0, and (seed 1, sample 0) from (0, 1)."""
    places = [(0, 0), (0, 1), (1, 0), (2**32, 0), (-1, 0), (11, 1), (1, 11)]
    numbers = [torch.rand(1, generator=sample_generator(*place), dtype=torch.float64).item() for place in places]
    assert len(set(numbers)) == len(places)
    assert torch.rand(1, generator=sample_generator(0, 1), dtype=torch.float64).item() == numbers[1]


# Writing texts of tokens


def reference_text(model, prompt, generator, settings, context_length) -> list[int]:
    """One text written without cache and batch: everything in the window is read anew for each token."""
    window, written = [END, *prompt][-context_length:], []
    while len(written) < settings.max_new_tokens:
        with torch.no_grad():
            logits = model(torch.tensor([window]))[:, -1]
        written += draw_tokens(logits, settings, [generator])
        if written[-1] == END:
            break
        if len(window) == context_length:
            window = window[-(context_length // 2) :]
        window.append(written[-1])
    return written


def written_rows(model, prompts, settings, context_length=TINY.max_seq_len, **options) -> list[list[int]]:
    rows = [[] for _ in prompts]
    for row, token in generate_tokens(
        model,
        prompts,
        generators=[sample_generator(6, row) for row in range(len(prompts))],
        settings=settings,
        end_of_text_id=END,
        context_length=context_length,
        **options,
    ):
        rows[row].append(token)
    return rows


PROMPTS = {
    "empty": [[]],
    "the same for all": [[5, 6, 7]] * 3,
    "of many lengths": [[5], [], list(range(1, 20)), [5, 6, 7], [5], [28, 1]],
    "longer than the context": [list(range(1, 29)) * 2, [4]],
}


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("temperature", [0, 1.5])
@pytest.mark.parametrize("context_length", [24, 11, 2])
def test_every_row_is_the_text_that_a_plain_loop_writes(model, prompts, temperature, context_length):
    """Cache, shared prompts, padding, rows that end early and windows that slide, all against none of them."""
    settings = SamplingSettings(max_new_tokens=50, temperature=temperature, top_k=0, top_p=0.95)
    rows = written_rows(model, prompts, settings, context_length)
    for row, prompt in enumerate(prompts):
        assert rows[row] == reference_text(model, prompt, sample_generator(6, row), settings, context_length)


def test_the_reference_saw_texts_that_end_early_and_texts_that_slide(model):
    """Guards the test above: its settings must lead through both cases."""
    settings = SamplingSettings(max_new_tokens=50, temperature=1.5, top_k=0, top_p=0.95)
    rows = written_rows(model, PROMPTS["of many lengths"], settings)
    assert any(row[-1] == END and len(row) < 50 for row in rows)
    assert any(len(row) > TINY.max_seq_len for row in rows)
    assert all(END not in row[:-1] for row in rows)


def test_equal_prompts_are_read_once_and_finished_rows_cost_nothing(model, monkeypatch):
    batches, capacities = [], set()
    hidden_states = GPT.hidden_states

    def watched(self, tokens, cache=None):
        batches.append(tuple(tokens.shape))
        capacities.add(cache.capacity)
        return hidden_states(self, tokens, cache)

    next_scores = FastModel.next_scores

    def watched_step(self, tokens, cache):
        batches.append((len(tokens), 1))
        capacities.add(cache.capacity)
        return next_scores(self, tokens, cache)

    monkeypatch.setattr(GPT, "hidden_states", watched)
    monkeypatch.setattr(FastModel, "next_scores", watched_step)
    taken = [0, 0, 0]

    def finished(row: int) -> bool:
        taken[row] += 1
        return taken[row] == 2 * row + 1  # row 0 after 1 token, row 1 after 3, row 2 after 5

    settings = SamplingSettings(max_new_tokens=10, temperature=0)
    rows = written_rows(model, [[5, 6, 7]] * 3, settings, finished=finished)
    assert batches == [(1, 4), (2, 1), (2, 1), (1, 1), (1, 1)]
    assert [len(row) for row in rows] == [1, 3, 5]
    assert capacities == {14}, "memory for what is to be written, not for the whole context"


@pytest.mark.parametrize("context_length", [0, 1, 25])
def test_a_context_that_the_model_can_not_read_is_refused(model, context_length):
    with pytest.raises(SamplingError, match=f"{context_length} tokens is not within 2 and 24"):
        written_rows(model, [[1]], SamplingSettings(), context_length)


def test_no_prompts_are_no_texts(model):
    assert written_rows(model, [], SamplingSettings()) == []
