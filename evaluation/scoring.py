"""How probable a model finds a text: what every question of this room is answered with.

`score_texts` gives the nats of each token of whole documents; `continuation_log_probabilities` compares ways in which
a text may go on, `indentation_log_probabilities` how far to the right its next line may begin. All give the same
numbers, to rounding, whatever the batch size and the device. Drawing text from a model is elsewhere
(pretraining/text_stream.py).
"""

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from model.architecture.layers import KeyValueCache
from pretraining.checkpoint import TrainedModel
from pretraining.text_stream import tokens_beginning_with, tokens_in_order
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
    asked = []
    for tokens in _encode_endings(trained.tokenizer, prompts, continuations):
        same = _common_length(tokens)
        asked.append((tokens[0][:same], [_way(trained.tokenizer, row[same:], whole_words) for row in tokens]))
    return _compare(trained, asked, context_length or trained.context_length, batch_tokens)


def indentation_log_probabilities(
    trained: TrainedModel,
    prompts: Sequence[str],
    indentations: Sequence[Sequence[str]],
    *,
    context_length: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> list[np.ndarray]:
    """For each prompt, which ends with a line, the log-probability (nats) that the next one begins with just this.

    An indentation is a string of spaces: these and no more stand before the first character of the line. It can not be
    asked as a continuation, since the last of the spaces belongs to the token of the word behind it, whatever that is:
    a token of eight spaces means an indentation of nine.
    """
    read = [[indentation[1:] for indentation in choices] for choices in indentations]
    asked = []
    for tokens, choices in zip(_encode_endings(trained.tokenizer, prompts, read), indentations, strict=True):
        same = _common_length(tokens)
        last = [_first_tokens_of_a_line(trained.tokenizer, bool(indentation)) for indentation in choices]
        asked.append(
            (tokens[0][:same], [_Way(tuple(row[same:]), any_of) for row, any_of in zip(tokens, last, strict=True)])
        )
    return _compare(trained, asked, context_length or trained.context_length, batch_tokens)


@dataclass(frozen=True)
class _Way:
    """One way to go on: tokens that are read one after the other, then any one of several."""

    read: tuple[int, ...]
    any_of: tuple[int, ...]


def _way(tokenizer: Tokenizer, tokens: list[int], whole_words: bool) -> _Way | None:
    """The way of a continuation, or None where nothing is left of it: then it is certain."""
    if not tokens:
        return None
    last = tokens[-1:] if whole_words else tokens_beginning_with(tokenizer, tokenizer.token_bytes(tokens[-1]))
    return _Way(tuple(tokens[:-1]), tuple(last))


def _encode_endings(
    tokenizer: Tokenizer, prompts: Sequence[str], endings: Sequence[Sequence[str]]
) -> Iterator[list[list[int]]]:
    """For each prompt the tokens of prompt and ending together, for each of its endings, behind `<|endoftext|>`.

    Most of a prompt is encoded only once: no word of the tokenizer's pattern reaches from a letter or digit over a
    line break, so the last such place is a border between tokens whatever follows.
    """
    cuts = [max((place.start() + 1 for place in re.finditer(r"[A-Za-z0-9]\n", text)), default=0) for text in prompts]
    heads = tokenizer.encode_batch([text[:cut] for text, cut in zip(prompts, cuts, strict=True)])
    asked = zip(prompts, cuts, endings, strict=True)
    tails = iter(tokenizer.encode_batch([text[cut:] + ending for text, cut, choices in asked for ending in choices]))
    for head, choices in zip(heads, endings, strict=True):
        yield [[tokenizer.end_of_text_id, *head, *next(tails)] for _ in choices]


@torch.inference_mode()
def _compare(
    trained: TrainedModel, asked: Sequence[tuple[list[int], list[_Way | None]]], context: int, batch_tokens: int
) -> list[np.ndarray]:
    """Log-probabilities of ways to go on after the tokens that all ways of a prompt share, which are read once."""
    results = [np.zeros(len(ways)) for _, ways in asked]
    longest = [max((len(way.read) for way in ways if way), default=0) for _, ways in asked]
    prompts = []
    for (tokens, _), read in zip(asked, longest, strict=True):
        left = max(0, len(tokens) + read - context)  # the same cut for all ways, so that they compare
        prompts.append(tokens[min(left, len(tokens) - 1) :])
    for rows in _batches([len(tokens) for tokens in prompts], batch_tokens):
        cache, first = _read(trained, [prompts[row] for row in rows], room=max(longest[row] for row in rows))
        for place, row in enumerate(rows):
            ways = asked[row][1]
            later = _read_on(trained, cache, place, sorted({way.read for way in ways if way and way.read}))
            for number, way in enumerate(ways):
                if way:
                    tables = [first[place], *later.get(way.read, ())]
                    exact = sum(table[token].item() for table, token in zip(tables, way.read, strict=False))
                    results[row][number] = exact + torch.logsumexp(tables[-1][list(way.any_of)], dim=0).item()
    return results


def _read(trained: TrainedModel, rows: list[list[int]], room: int) -> tuple[KeyValueCache, Tensor]:
    """Read rows of token ids: a cache with room for more behind them, and log-probabilities (rows, vocab) of the next
    token of each."""
    model, lengths = trained.model, [len(row) for row in rows]
    weight = model.head.weight
    capacity = min(max(lengths) + room, model.config.max_seq_len)
    cache = KeyValueCache(model.config, len(rows), capacity, device=weight.device, dtype=weight.dtype)
    hidden = model.hidden_states(_padded(rows).to(weight.device), cache)
    cache.lengths = lengths  # forgets the padding
    return cache, _log_probabilities(model.head(hidden[range(len(rows)), [length - 1 for length in lengths]]))


def _read_on(
    trained: TrainedModel, cache: KeyValueCache, row: int, reads: list[tuple[int, ...]]
) -> dict[tuple[int, ...], Tensor]:
    """Read each of several rows of tokens behind one row of a cache, which stays as it is.

    Returns for each the log-probabilities (tokens, vocab) of what comes after its tokens, one by one.
    """
    if not reads:
        return {}
    copied = copy.copy(cache)
    copied.select_rows([row] * len(reads))
    logits = trained.model(_padded(reads).to(cache.keys.device), copied)
    return {read: _log_probabilities(logits[number, : len(read)]) for number, read in enumerate(reads)}


def _log_probabilities(logits: Tensor) -> Tensor:
    """On the CPU and in float64, which not every device has."""
    return torch.log_softmax(logits.float().cpu().double(), dim=-1)


@lru_cache(maxsize=8)
def _first_tokens_of_a_line(tokenizer: Tokenizer, after_spaces: bool) -> tuple[int, ...]:
    """Tokens with which a line's text may begin: after spaces those that bring the last one with them.

    A lone space is among the latter: a digit never joins the space before it.
    """
    in_order = tokens_in_order(tokenizer)
    if after_spaces:
        return tuple(t for text, t in in_order if text == b" " or (text[:1] == b" " and text[1:2].strip()))
    return tuple(token for text, token in in_order if text[:1].strip())


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
    logits = trained.model(_padded(rows).to(device)).float()
    for number, row in enumerate(rows):
        yield logits[number, : len(row)]


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Rows of token ids as one tensor (rows, longest), filled up with zeros on the right."""
    padded = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = torch.from_numpy(np.asarray(row))
    return padded
