"""An n-gram with a cache: what counting alone makes of a text, and so what a neural model has to beat.

The probability of a token is a mixture of relative frequencies, from the shortest context to the longest, first in a
sample of the training corpus, then in the document so far (the cache; Kuhn and De Mori 1990, for code Tu et al. 2014):

    p[i](token | context) = weight * count(context, token) / count(context) + (1 - weight) * p[i-1](token | context)

with p[0] uniform (Jelinek and Mercer 1980). A weight depends on how often its context was seen and how many different
tokens followed it, never on the token to come, so each p[i] is a proper distribution. The weights are fitted on a part
of the training sample that is not counted; no held-out text is seen.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from data.corpus import CorpusError, read_pieces
from tokenizer.bpe import Tokenizer

ORDER = 5  # a token is predicted from at most four before it
TUNING_SHARE = 0.05  # of the sample, its end: fits the weights, is not counted
ROUNDS = 20  # of expectation and maximisation
BUCKETS = 16  # weights are shared by contexts with like counts: 1, 2-3, 4-7, ...


class Evidence(NamedTuple):
    """What the counts of one order say about each token of a text; arrays of shape (tokens,)."""

    together: np.ndarray  # how often the token followed its context
    context: np.ndarray  # how often any token did
    followers: np.ndarray  # how many different ones did


@dataclass(frozen=True)
class Counts:
    """All n-grams of one order in a text, sorted. Contexts are numbered, as the n-grams of the order below are."""

    keys: np.ndarray  # (n-grams,) number of the context * vocab_size + token, ascending
    before: np.ndarray  # (n-grams + 1,) occurrences of all n-grams before each one
    first: np.ndarray  # (contexts + 2,) where the n-grams of each context begin; the last context is the unseen one
    vocab_size: int

    @classmethod
    def of(cls, contexts: np.ndarray, tokens: np.ndarray, size: int, vocab_size: int) -> "tuple[Counts, np.ndarray]":
        """Count tokens (n,) behind contexts (n,) with numbers below `size`; also the number of each n-gram (n,)."""
        keys, numbers, counts = np.unique(contexts * vocab_size + tokens, return_inverse=True, return_counts=True)
        first = np.searchsorted(keys, np.arange(size + 2) * vocab_size).astype(np.uint32)
        return cls(keys, np.append(0, np.cumsum(counts)).astype(np.uint32), first, vocab_size), numbers

    def look_up(self, contexts: np.ndarray, tokens: np.ndarray) -> tuple[Evidence, np.ndarray]:
        """The evidence on tokens behind contexts, and the numbers of these n-grams: the contexts of the next order."""
        begin, end = self.first[contexts], self.first[contexts + 1]
        keys = contexts * self.vocab_size + tokens
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        found = self.keys[places] == keys
        together = np.where(found, self.before[places + 1] - self.before[places], 0)
        evidence = Evidence(together, self.before[end] - self.before[begin], end - begin)
        return evidence, np.where(found, places, len(self.keys))


class NGram:
    """An n-gram counted and fitted on a stream of tokens in which each document begins with `end_of_text_id`.

    Holds about 25 bytes for each token of the stream, 90 while counting (10 million tokens: 0.9 GB, 10 seconds).
    """

    def __init__(self, stream: np.ndarray, vocab_size: int, end_of_text_id: int, order: int = ORDER) -> None:
        self.vocab_size, self.end_of_text_id, self.order = vocab_size, end_of_text_id, order
        cut = len(stream) - max(1, int(len(stream) * TUNING_SHARE))
        if cut < order:
            raise CorpusError(f"{len(stream)} tokens are too few to count n-grams of {order}")
        self.counted_tokens, self.tuning_tokens = cut, len(stream) - cut
        self.counts = count_ngrams(stream[:cut].astype(np.int64), vocab_size, order)
        tuning = np.split(stream[cut:], np.flatnonzero(stream[cut:] == end_of_text_id))
        layers = zip(*(self._evidence(tokens[tokens != end_of_text_id]) for tokens in tuning), strict=True)
        self.weights, self.mean_weights = fit_weights(
            (Evidence(*map(np.concatenate, zip(*parts, strict=True))) for parts in layers), vocab_size
        )

    def nats(self, tokens: np.ndarray) -> np.ndarray:
        """Minus the natural logarithm of each token's probability after those before it in the document: (tokens,)."""
        probabilities = np.full(len(tokens), 1 / self.vocab_size)
        for evidence, weights in zip(self._evidence(tokens), self.weights, strict=True):
            probabilities = _mix(evidence, weights[_bucket(evidence)], probabilities)
        return -np.log(probabilities)

    def _evidence(self, tokens: np.ndarray) -> list[Evidence]:
        """All layers of the mixture for one document, from the bottom up."""
        sequence = np.append(self.end_of_text_id, tokens).astype(np.int64)
        layers = itertools.chain(
            corpus_evidence(self.counts, sequence), cache_evidence(sequence, self.order, self.vocab_size)
        )
        return [Evidence(*(values[1:] for values in evidence)) for evidence in layers]


def count_ngrams(stream: np.ndarray, vocab_size: int, order: int) -> list[Counts]:
    """The n-grams of a stream of tokens, of lengths 1 to `order`."""
    tables, contexts, size = [], np.zeros(len(stream), dtype=np.int64), 1
    for length in tqdm(range(1, order + 1), desc="[n-gram] counting", leave=False, disable=None):
        table, numbers = Counts.of(contexts, stream[length - 1 :], size, vocab_size)
        tables.append(table)
        contexts, size = numbers[:-1], len(table.keys)
    return tables


def corpus_evidence(counts: list[Counts], sequence: np.ndarray) -> Iterator[Evidence]:
    """What the counts of a corpus say about each token of a document, by order."""
    contexts = np.zeros(len(sequence), dtype=np.int64)
    for table in counts:
        evidence, numbers = table.look_up(contexts, sequence)
        yield evidence
        contexts = np.append(len(table.keys), numbers[:-1])  # nothing stands before the first token: unseen


def cache_evidence(sequence: np.ndarray, order: int, vocab_size: int) -> Iterator[Evidence]:
    """What the document before each of its tokens says about it, by order."""
    contexts, each = np.zeros(len(sequence), dtype=np.int64), np.ones(len(sequence), dtype=np.int64)
    for _ in range(order):
        ngrams = np.unique(contexts * vocab_size + sequence, return_inverse=True)[1]
        together = _earlier(ngrams, each)
        new_follower = (together == 0).astype(np.int64)
        yield Evidence(together, _earlier(contexts, each), _earlier(contexts, new_follower))
        contexts = np.append(len(sequence), ngrams[:-1])  # a number that no other context has


def _earlier(groups: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """For each place the sum of `counted` (not negative) over the earlier places of the same group."""
    order = np.argsort(groups, kind="stable")
    in_order = groups[order]
    sums = np.cumsum(counted[order]) - counted[order]
    begins = np.append(True, in_order[1:] != in_order[:-1])
    result = np.empty_like(sums)
    result[order] = sums - np.maximum.accumulate(np.where(begins, sums, 0))
    return result


def _bucket(evidence: Evidence) -> np.ndarray:
    """Which of the shared weights applies: by context count and number of followers, each to a power of two."""
    context, followers = (
        np.minimum(np.log2(np.maximum(values, 1)).astype(np.int64), BUCKETS - 1) for values in evidence[1:]
    )
    return context * BUCKETS + followers


def _mix(evidence: Evidence, weights: np.ndarray, below: np.ndarray) -> np.ndarray:
    """One layer over the probabilities below; a context never seen leaves them as they are."""
    weights = np.where(evidence.context > 0, weights, 0.0)
    return weights * evidence.together / np.maximum(evidence.context, 1) + (1 - weights) * below


def fit_weights(layers: Iterable[Evidence], vocab_size: int) -> tuple[list[np.ndarray], list[float]]:
    """The most likely weights of each layer given those below (EM), one for each bucket; and each layer's mean weight.

    A bucket seen n times has weight (n * likely + 0.5) / (n + 1): never 0 or 1, and 0.5 where nothing is known.
    """
    fitted, means, below = [], [], None
    for evidence in layers:
        below = np.full(len(evidence.context), 1 / vocab_size) if below is None else below
        seen, bucket = evidence.context > 0, _bucket(evidence)
        share, lower = evidence.together[seen] / evidence.context[seen], below[seen]
        number = np.bincount(bucket[seen], minlength=BUCKETS**2)
        weights = np.full(BUCKETS**2, 0.5)
        for _ in range(ROUNDS):
            here = weights[bucket[seen]] * share
            responsible = here / (here + (1 - weights[bucket[seen]]) * lower)
            weights = (np.bincount(bucket[seen], responsible, BUCKETS**2) + 0.5) / (number + 1)
        fitted.append(weights)
        means.append(float(np.where(seen, weights[bucket], 0.0).mean()) if len(seen) else 0.0)
        below = _mix(evidence, weights[bucket], below)
    return fitted, means


def train_ngram(corpus: Path, tokenizer: Tokenizer, tokens: int) -> NGram:
    """An n-gram on the first `tokens` tokens of a corpus, whose documents stand in random order.

    What comes again (books do, to balance the mix) is read once. Raises CorpusError where there is no usable corpus.
    """
    return NGram(sample_tokens(corpus, tokenizer, tokens), tokenizer.vocab_size, tokenizer.end_of_text_id)


def sample_tokens(corpus: Path, tokenizer: Tokenizer, tokens: int) -> np.ndarray:
    """The first `tokens` tokens (uint16) of the different documents of a corpus, each behind `<|endoftext|>`.

    Tokenised anew rather than read from the cache beside the corpus, which may be another tokenizer's.
    """
    parts: list[np.ndarray] = []
    size, seen = 0, set()
    with tqdm(total=tokens, unit="token", unit_scale=True, desc="[n-gram] sample", leave=False, disable=None) as bar:
        for piece in read_pieces(corpus):
            if hash(piece.text) in seen:
                continue
            seen.add(hash(piece.text))
            start = [tokenizer.end_of_text_id] if piece.starts_document else []
            parts.append(np.array(start + tokenizer.encode(piece.text), dtype=np.uint16))
            size += len(parts[-1])
            bar.update(len(parts[-1]))
            if size >= tokens:
                break
    return np.concatenate(parts)[:tokens] if parts else np.empty(0, dtype=np.uint16)
