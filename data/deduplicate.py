"""Finds texts that are nearly the same: MinHash signatures (Broder 1997) in numpy, compared band by band.

Two texts are compared as sets of shingles, runs of five words. A signature keeps, for each of 128 hash functions, the
smallest hash of a text's shingles; the share of places where two signatures agree estimates the sets' Jaccard
similarity with a standard error of at most 0.045. Containment, a short text inside a long one, is not looked for.
"""

import random
from collections.abc import Callable, Iterator

import numpy

HASHES = 128
WORDS_IN_SHINGLE = 5
# 25 bands of 5 hashes: a pair of similarity .7 meets in one with probability .99, one of .3 with .06.
BANDS, ROWS_IN_BAND = 25, 5
ALIKE = 0.7  # SantaCoder's threshold for near duplicates in training
ALIKE_HELDOUT = 0.5  # stricter, since a held-out text that was seen makes a score meaningless
STANDARD_ERROR = 0.045

_random = random.Random(20240901)  # the same functions in every run and on every machine
_MULTIPLIERS = numpy.array([_random.getrandbits(64) | 1 for _ in range(HASHES)], dtype=numpy.uint64)
_OFFSETS = numpy.array([_random.getrandbits(64) for _ in range(HASHES)], dtype=numpy.uint64)
_BASE = numpy.uint64(0x9E3779B97F4A7C15)  # odd, so it has an inverse modulo 2**64
_INVERSE = numpy.uint64(pow(int(_BASE), -1, 1 << 64))
_IS_WORD = numpy.zeros(256, dtype=bool)
_IS_WORD[[*b"0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", *range(128, 256)]] = True


def shingles(text: str) -> numpy.ndarray:
    """The set of a text's shingles as sorted 64-bit hashes; a text shorter than a shingle is one shingle."""
    words = _word_hashes(numpy.frombuffer(text.encode(), dtype=numpy.uint8))
    length = max(1, min(WORDS_IN_SHINGLE, len(words)))
    rolled = numpy.zeros(max(len(words) - length + 1, 1), dtype=numpy.uint64)
    for place in range(min(length, len(words))):
        rolled = _mixed(rolled + words[place : place + len(rolled)])
    return numpy.unique(rolled)


def _word_hashes(content: numpy.ndarray) -> numpy.ndarray:
    """A hash of each run of letters, digits and underscores, all runs at once: differences of one running sum."""
    is_word = numpy.concatenate([[False], _IS_WORD[content], [False]])
    edges = numpy.flatnonzero(is_word[1:] != is_word[:-1])
    starts, ends = edges[::2], edges[1::2]
    powers = _powers(_BASE, len(content))
    running = numpy.concatenate([[numpy.uint64(0)], numpy.cumsum((content + numpy.uint64(1)) * powers)])
    return _mixed((running[ends] - running[starts]) * _powers(_INVERSE, len(content) + 1)[starts])


_known_powers: dict[int, numpy.ndarray] = {}


def _powers(base: numpy.uint64, number: int) -> numpy.ndarray:
    """base**0 .. base**(number - 1) modulo 2**64; the longest table asked for is kept."""
    known = _known_powers.get(int(base), numpy.empty(0, dtype=numpy.uint64))
    if len(known) < number:
        factors = numpy.full(max(number, 1 << 16), base, dtype=numpy.uint64)
        factors[0] = 1
        known = _known_powers[int(base)] = numpy.cumprod(factors)
    return known[:number]


def _mixed(values: numpy.ndarray) -> numpy.ndarray:
    """The finalizer of MurmurHash3: every bit of the input moves every bit of the output."""
    values = (values ^ (values >> numpy.uint64(33))) * numpy.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> numpy.uint64(33))) * numpy.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> numpy.uint64(33))


def signature(text: str) -> numpy.ndarray:
    """The MinHash signature of a text: (128,) uint32."""
    smallest = numpy.full(HASHES, numpy.iinfo(numpy.uint32).max, dtype=numpy.uint32)
    values = shingles(text)
    for start in range(0, len(values), 4096):  # the table of hashes of a block stays in the cache
        block = values[start : start + 4096, None] * _MULTIPLIERS + _OFFSETS
        smallest = numpy.minimum(smallest, (block >> numpy.uint64(32)).astype(numpy.uint32).min(axis=0))
    return smallest


def estimate(signatures: numpy.ndarray, other: numpy.ndarray) -> numpy.ndarray:
    """The estimated similarity of each of (n, 128) signatures to one: (n,)."""
    return (signatures == other).mean(axis=1)


def jaccard(text: str, other: str) -> float:
    """The similarity itself: shared shingles over all shingles."""
    left, right = shingles(text), shingles(other)
    shared = len(numpy.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)


def near_duplicates(signatures: numpy.ndarray, keep_anyway: numpy.ndarray) -> dict[int, int]:
    """For each text that nearly repeats an earlier one that stays: which one. `keep_anyway` (n,) marks texts that stay.

    Texts are taken in their order, so the earlier of two alike stays.
    """
    repeats: dict[int, int] = {}
    buckets: list[dict[bytes, list[int]]] = [{} for _ in range(BANDS)]
    for number, one in enumerate(signatures):
        keys = [one[band * ROWS_IN_BAND : (band + 1) * ROWS_IN_BAND].tobytes() for band in range(BANDS)]
        if not keep_anyway[number]:
            met = sorted({other for bucket, key in zip(buckets, keys, strict=True) for other in bucket.get(key, ())})
            alike = numpy.flatnonzero(estimate(signatures[met], one) >= ALIKE) if met else ()
            if len(alike):
                repeats[number] = met[alike[0]]
                continue
        for bucket, key in zip(buckets, keys, strict=True):
            bucket.setdefault(key, []).append(number)
    return repeats


def pairs_alike(
    heldout: numpy.ndarray,
    training: numpy.ndarray,
    read_heldout: Callable[[int], str],
    read_training: Callable[[int], str],
) -> Iterator[tuple[int, int]]:
    """Every held-out and training text of similarity `ALIKE_HELDOUT` or more, as a pair of row numbers.

    Each held-out signature is compared with all of training; where the estimate comes within three standard errors of
    the threshold, the texts themselves decide.
    """
    for one, row in enumerate(heldout):
        close = numpy.flatnonzero(estimate(training, row) >= ALIKE_HELDOUT - 3 * STANDARD_ERROR)
        if len(close):
            text = read_heldout(one)
            yield from ((one, int(other)) for other in close if jaccard(text, read_training(other)) >= ALIKE_HELDOUT)
