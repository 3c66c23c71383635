"""From a model's scores to tokens: which may come next, drawing one, and continuing many prompts at once.

Everything random happens on the CPU, in float64, from one generator per text: a seed gives the same text on every
device and whatever else is in the batch, as far as the model's own rounding allows. (On Apple's MPS `multinomial` can
even return tokens of probability zero; an NVIDIA GPU is trusted to find the best tokens, so that only these travel.)
Tokens become text in text_stream.py.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from model.architecture.layers import KeyValueCache
from model.architecture.model import GPT
from pretraining.fast_model import WEIGHTS, FastModel
from pretraining.graphed_model import GraphedModel

WORTH_RECORDING = 16  # tokens from which on a GPU wins back the time of recording a step: an estimate, not measured


class SamplingError(ValueError):
    """A setting makes no sense, or the model's scores are not numbers; the message says what would do."""


@dataclass(frozen=True)
class SamplingSettings:
    """How to draw tokens and when to stop. Raises SamplingError for values that make no sense."""

    max_new_tokens: int = 100
    temperature: float = 0.8  # 0 takes the most probable token, always
    top_k: int | None = 40  # draw from this many most probable tokens; 0 or None: from all
    top_p: float = 0.9  # draw from the fewest tokens that hold this share of the probability; 1: from all
    stop: tuple[str, ...] = ()  # a text ends before the first of these strings

    def __post_init__(self) -> None:
        # "not" before each condition, so that NaN is refused too
        if not self.max_new_tokens >= 1:
            raise SamplingError(f"max_new_tokens is {self.max_new_tokens}; it must be at least 1")
        if not 0 <= self.temperature < math.inf:
            raise SamplingError(f"temperature is {self.temperature}; it must be 0 (always the likeliest token) or more")
        if not (self.top_k or 0) >= 0:
            raise SamplingError(f"top_k is {self.top_k}; it must be 0 (all tokens) or more, such as 40")
        if not 0 < self.top_p <= 1:
            raise SamplingError(f"top_p is {self.top_p}; it must be above 0 and at most 1 (all tokens), such as 0.9")
        if isinstance(self.stop, str) or "" in self.stop:
            raise SamplingError(f"stop is {self.stop!r}; it must be a tuple of strings that are not empty")


def sample_generator(seed: int, sample: int = 0) -> torch.Generator:
    """The random numbers of one text: the same for the same seed and sample number, unrelated for any others."""
    # Hashed, because torch reads only the lowest 32 bits, and seed + sample would give one run's texts to another.
    digest = hashlib.sha256(f"{seed} {sample}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "little"))


def kept_probabilities(logits: Tensor, settings: SamplingSettings) -> tuple[Tensor, Tensor]:
    """What may be drawn from scores `logits` (rows, vocab): probabilities and their token ids, most probable first.

    Temperature comes first, then top_k, then top_p within what top_k left (nucleus sampling, Holtzman et al. 2020).
    Both results are (rows, kept) on the CPU, probabilities in float64 with sum 1; tokens that top_p removed have
    exactly 0. The most probable token always stays. The temperature must not be 0 here.
    """
    vocab_size = logits.shape[-1]
    scores, tokens = (best.cpu() for best in logits.topk(min(settings.top_k or vocab_size, vocab_size)))
    scores = scores.double()
    probabilities = torch.softmax((scores - scores[:, :1]) / settings.temperature, dim=-1)
    if settings.top_p < 1:
        more_probable = probabilities.cumsum(dim=-1) - probabilities  # the share of all tokens before each
        probabilities = probabilities.masked_fill(more_probable >= settings.top_p, 0.0)
    return probabilities / probabilities.sum(dim=-1, keepdim=True), tokens


def draw_tokens(logits: Tensor, settings: SamplingSettings, generators: list[torch.Generator]) -> list[int]:
    """Draw one token for each row of `logits` (rows, vocab), with one random number from each row's generator.

    Raises SamplingError when a row has no probabilities (NaN), as a model has whose training went astray.
    """
    logits = logits.float() if logits.is_cuda else logits.float().cpu()
    if settings.temperature == 0:
        best_scores, best_tokens = (best.cpu() for best in logits.max(dim=-1))
        _refuse_nan(best_scores)
        return best_tokens.tolist()
    probabilities, tokens = kept_probabilities(logits, settings)
    _refuse_nan(probabilities)
    cumulative = probabilities.cumsum(dim=-1)
    numbers = torch.cat([torch.rand(1, 1, generator=generator, dtype=torch.float64) for generator in generators])
    # The first place whose cumulative probability is above the number: never one of probability 0, which adds nothing.
    places = torch.searchsorted(cumulative, numbers * cumulative[:, -1:], right=True)
    return tokens.gather(1, places)[:, 0].tolist()


def _refuse_nan(numbers: Tensor) -> None:
    """Raise SamplingError for NaN: one in a row's scores is its maximum, and all its probabilities are NaN."""
    if numbers.isnan().any():
        raise SamplingError("the model's scores are not numbers: its training diverged; give an earlier --checkpoint")


@torch.inference_mode()
def generate_tokens(
    model: GPT,
    prompts: list[list[int]],
    *,
    generators: list[torch.Generator],
    settings: SamplingSettings,
    end_of_text_id: int,
    context_length: int,
    first_tokens: list[list[int] | None] | None = None,
    finished: Callable[[int], bool] = lambda row: False,
    weights: str = "float32",
) -> Iterator[tuple[int, int]]:
    """Continue prompts (token ids) side by side, one row each; yields (row, token) as tokens are drawn.

    Each prompt is read behind `<|endoftext|>`, which starts every document in training; one that is longer than the
    context keeps its end. Equal prompts are read once. A row ends with the token `<|endoftext|>` (yielded too), after
    `max_new_tokens`, or when `finished(row)`, asked after each of its tokens, is true; it then leaves the batch.
    `first_tokens` may limit the first token of a row to these; None there allows all.

    Prompts are read by `model` itself; the tokens after the first come, on a CPU, from a FastModel with these
    `weights`, on an NVIDIA GPU from a GraphedModel.
    A text that fills the context of `context_length` tokens goes on in a window that slides: the last half of the
    context is read again as if it were the whole, and what came before is forgotten.
    """
    if not 2 <= context_length <= model.config.max_seq_len:
        raise SamplingError(f"a context of {context_length} tokens is not within 2 and {model.config.max_seq_len}")
    device = model.head.weight.device.type
    if weights not in WEIGHTS or (weights != "float32" and device != "cpu"):
        raise SamplingError(f"{weights} weights are not possible on {device}; leave out --weights for float32")
    if not prompts:
        return
    texts = [[end_of_text_id, *prompt][-context_length:] for prompt in prompts]
    rows = list(range(len(prompts)))  # row of `prompts` that stands at each place of the batch
    longest = max(map(len, texts))
    cache, logits = _read_prompts(model, texts, capacity=min(context_length, longest + settings.max_new_tokens))
    logits = _limit(logits, first_tokens or [None] * len(prompts))
    next_scores = None  # arranging the weights is worth it only for a second token
    for count in range(1, settings.max_new_tokens + 1):
        ended = []
        for place, token in enumerate(draw_tokens(logits, settings, [generators[row] for row in rows])):
            texts[rows[place]].append(token)
            yield rows[place], token
            if token == end_of_text_id or finished(rows[place]):
                ended.append(place)
        if len(ended) == len(rows) or count == settings.max_new_tokens:
            return
        if ended:
            rows = [rows[place] for place in cache.drop_rows(ended)]
        _slide_full_windows(model, cache, [texts[row] for row in rows], context_length)
        next_scores = next_scores or _next_scores(model, len(prompts), weights, settings.max_new_tokens)
        logits = next_scores([texts[row][-1] for row in rows], cache)


def _next_scores(model: GPT, rows: int, weights: str, longest: int) -> Callable[[list[int], KeyValueCache], Tensor]:
    """The function that adds one token to each row of a cache and returns the next scores (rows, vocab).

    `rows` is how many there are at first, `longest` how many tokens a row may get.
    """
    device = model.head.weight.device
    if device.type == "cpu":
        return FastModel(model, rows, weights).next_scores
    if device.type == "cuda" and longest >= WORTH_RECORDING:
        return GraphedModel(model, rows).next_scores
    return lambda tokens, cache: model(torch.tensor(tokens, device=device)[:, None], cache)[:, -1]


def _limit(logits: Tensor, allowed: list[list[int] | None]) -> Tensor:
    """Scores (rows, vocab) with minus infinity for every token that its row does not allow."""
    for row, tokens in enumerate(allowed):
        if tokens is not None:
            limited = torch.full_like(logits[row], -math.inf)
            limited[tokens] = logits[row, tokens]
            logits[row] = limited
    return logits


def _new_cache(model: GPT, rows: int, capacity: int) -> KeyValueCache:
    weight = model.head.weight
    return KeyValueCache(model.config, rows, capacity, device=weight.device, dtype=weight.dtype)


def _read_prompts(model: GPT, texts: list[list[int]], capacity: int) -> tuple[KeyValueCache, Tensor]:
    """Read each different text once, all in one padded batch; returns the cache and the next scores (rows, vocab)."""
    place = {text: number for number, text in enumerate(dict.fromkeys(map(tuple, texts)))}
    lengths = [len(text) for text in place]
    padded = torch.zeros(len(place), max(lengths), dtype=torch.long)
    for row, text in enumerate(place):
        padded[row, : len(text)] = torch.tensor(text)
    cache = _new_cache(model, len(place), capacity)
    hidden = model.hidden_states(padded.to(model.head.weight.device), cache)  # (B, T, C)
    cache.lengths = lengths  # forgets the padding
    places = [place[tuple(text)] for text in texts]
    cache.select_rows(places)
    return cache, model.head(hidden[places, [len(text) - 1 for text in texts]])


def _slide_full_windows(model: GPT, cache: KeyValueCache, texts: list[list[int]], context_length: int) -> None:
    """Make room for the newest token of each text: where the context is full, read the half before that token anew."""
    full = [row for row, length in enumerate(cache.lengths) if length == context_length]
    if not full:
        return
    kept = context_length // 2
    fresh = _new_cache(model, len(full), kept)
    model.hidden_states(torch.tensor([texts[row][-kept - 1 : -1] for row in full], device=fresh.keys.device), fresh)
    cache.keys[:, full, :, :kept] = fresh.keys
    cache.values[:, full, :, :kept] = fresh.values
    cache.shared = 0
    for row in full:
        cache.lengths[row] = kept
