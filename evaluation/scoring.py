"""How probable a model finds a text: what every question of this room is answered with.

`score_texts` gives the nats of each token of whole documents; `continuation_log_probabilities` compares ways in which
a text may go on. Both give the same numbers, to rounding, whatever the batch size and the device. Drawing text from a
model is elsewhere (pretraining/text_stream.py).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from pretraining.checkpoint import TrainedModel
from tokenizer.bpe import Tokenizer

BATCH_TOKENS = 4096  # at once: 134 MB of scores over 8,192 tokens
TOKENS_IN_HAND = 1 << 17  # tokens of documents that are collected to make full batches


@dataclass(frozen=True)
class ScoredText:
    """A text as a model reads it."""

    tokens: np.ndarray  # (tokens,) ids
    nats: np.ndarray  # (tokens,) minus the natural logarithm of each token's probability after those before it


def score_texts(
    trained: TrainedModel, texts: Iterable[str], *, context_length: int | None = None, batch_tokens: int = BATCH_TOKENS
) -> Iterator[ScoredText]:
    """Score whole documents, one after the other in the order given; each starts behind `<|endoftext|>`.

    What is longer than `context_length` (the model's own, if None) is read in windows that overlap by half, so that
    every token is predicted from all that stands before it in the document, or from at least half a context.
    """
    context = context_length or trained.context_length
    waiting: list[np.ndarray] = []
    size = 0
    for text in texts:
        waiting.append(np.asarray(trained.tokenizer.encode(text), dtype=np.int64))
        size += len(waiting[-1])
        if size > TOKENS_IN_HAND:
            yield from _score(trained, waiting, context, batch_tokens)
            waiting, size = [], 0
    yield from _score(trained, waiting, context, batch_tokens)


def _score(trained: TrainedModel, documents: list[np.ndarray], context: int, batch_tokens: int) -> Iterator[ScoredText]:
    """Cut documents into windows, run them in batches of like length, and put the pieces together again."""
    stride = max(1, context // 2)
    nats = [np.zeros(len(tokens)) for tokens in documents]
    windows, places = [], []  # a window's tokens, the last one a target only; its (document, start, first scored)
    for number, tokens in enumerate(documents):
        sequence = np.concatenate(([trained.tokenizer.end_of_text_id], tokens))
        for start in range(0, max(1, len(tokens) - (context - stride)), stride):
            windows.append(sequence[start : start + context + 1])
            places.append((number, start, start + context - stride if start else 0))
    for rows in _batches([len(window) - 1 for window in windows], batch_tokens):
        scores = _next_token_scores(trained, [windows[row][:-1] for row in rows])
        for row, logits in zip(rows, scores, strict=True):
            number, start, first = places[row]
            targets = torch.as_tensor(windows[row][1:], device=logits.device)
            losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none").cpu().numpy()
            nats[number][first : start + len(losses)] = losses[first - start :]
    for tokens, values in zip(documents, nats, strict=True):
        yield ScoredText(tokens, values)


def continuation_log_probabilities(
    trained: TrainedModel,
    prompts: Sequence[str],
    continuations: Sequence[Sequence[str]],
    *,
    whole_words: bool = False,
    context_length: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> list[np.ndarray]:
    """For each prompt the log-probability (nats) of each of its continuations, up to a constant for the prompt.

    A continuation is what the text goes on with, not all that follows: a last token counts together with all longer
    tokens that begin with it, since `)` goes on as `):` and a newline in one token. With `whole_words` it must end
    there. Prompt and continuation are cut into tokens together, as in training, and compared from the first token in
    which the continuations of a prompt differ; what is the same in all cancels. Only the last `context_length` tokens
    are read (the model's own, if None).
    """
    context = context_length or trained.context_length
    texts = [prompt + ending for prompt, endings in zip(prompts, continuations, strict=True) for ending in endings]
    encoded = iter(trained.tokenizer.encode_batch(texts))
    results = [np.zeros(len(endings)) for endings in continuations]
    readers: dict[tuple[int, ...], list[tuple[int, int, list[int]]]] = defaultdict(list)
    for number, endings in enumerate(continuations):
        tokens = [[trained.tokenizer.end_of_text_id, *next(encoded)] for _ in endings]
        same = _common_length(tokens)
        left = max(0, max(map(len, tokens)) - 1 - context)  # the same cut for all, so that they compare
        for choice, sequence in enumerate(tokens):
            if len(sequence) > same:  # else nothing distinguishes it: log-probability 0
                readers[tuple(sequence[min(left, same - 1) : -1])].append((number, choice, sequence[same:]))
    inputs = list(readers)
    for rows in _batches([len(row) for row in inputs], batch_tokens):
        scores = _next_token_scores(trained, [np.array(inputs[row]) for row in rows])
        for row, logits in zip(rows, scores, strict=True):
            for number, choice, rest in readers[inputs[row]]:
                results[number][choice] = _log_probability(trained.tokenizer, logits, rest, whole_words)
    return results


def _log_probability(tokenizer: Tokenizer, logits: Tensor, tokens: list[int], whole_words: bool) -> float:
    """Of the last `tokens` of a row, the very last one with all that begin with it unless `whole_words`."""
    table = torch.log_softmax(logits[len(logits) - len(tokens) :].double(), dim=-1)
    total = sum(table[place, token].item() for place, token in enumerate(tokens[:-1]))
    last = tokens[-1:] if whole_words else tokens_beginning_with(tokenizer, tokenizer.token_bytes(tokens[-1]))
    return total + torch.logsumexp(table[-1, list(last)], dim=0).item()


@lru_cache(maxsize=4096)
def tokens_beginning_with(tokenizer: Tokenizer, beginning: bytes) -> tuple[int, ...]:
    """All tokens whose bytes begin with these."""
    return tuple(t for t in range(tokenizer.vocab_size) if tokenizer.token_bytes(t).startswith(beginning))


def _common_length(rows: list[list[int]]) -> int:
    """How many tokens all rows share at their beginning."""
    shortest = min(map(len, rows))
    return next((place for place in range(shortest) if len({row[place] for row in rows}) > 1), shortest)


def _batches(lengths: list[int], batch_tokens: int) -> Iterator[list[int]]:
    """Numbers of rows of like length, together at most `batch_tokens` long once padded (one row may be longer)."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda number: lengths[number]):
        if batch and (len(batch) + 1) * lengths[row] > batch_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@torch.inference_mode()
def _next_token_scores(trained: TrainedModel, rows: list[np.ndarray]) -> Iterator[Tensor]:
    """For each row of token ids its float32 logits (length, vocab). Padding on the right is never looked at."""
    device = next(trained.model.parameters()).device
    padded = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = torch.from_numpy(np.asarray(row))
    logits = trained.model(padded.to(device)).float()
    for number, row in enumerate(rows):
        yield logits[number, : len(row)]
