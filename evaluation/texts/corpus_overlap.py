"""How much of a text stands word for word in the training corpus: the longest run of tokens that the two share.

A long run may be memory; it may also be idiom, a licence or a quotation, so it says something only beside the same
number for held-out text, which no model has written.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

CHUNK = 1 << 20  # tokens of the corpus that are looked at at once; a walk needs some 50 bytes for each
ABSENT = -1


class Overlap(NamedTuple):
    """The longest run of a text that the corpus holds."""

    start: int  # token of the text at which it begins
    length: int  # in tokens


class _Level(NamedTuple):
    """All runs of one length that the texts hold, as the next step of a walk: a run is its beginning and a token."""

    keys: np.ndarray  # (runs,) sorted; number of the run without its last token * 2**16 + that token
    places: np.ndarray  # (places,) where in the joined texts a run of this length begins
    runs: np.ndarray  # (places,) which run it is


def longest_overlaps(texts: Sequence[Sequence[int]], corpus: np.ndarray) -> list[Overlap]:
    """For each text (token ids) its longest run that also stands in `corpus`, an array (tokens,) of uint16.

    Exact, not by hashing: the runs of all texts form a trie, and every place of the corpus walks down it for as far as
    it can, all places of a chunk together. Most fall off after two or three tokens. The corpus is read once and never
    held whole; the trie takes 24 bytes for each token of a text and each run that begins there. Id 0 begins the
    documents of a corpus and occurs in no text, so no run crosses documents.
    """
    levels = _trie(texts)
    found = [np.zeros(len(level.keys), dtype=bool) for level in levels]
    for first in tqdm(range(0, len(corpus), CHUNK), desc="Training corpus", unit=" chunks", leave=False, disable=None):
        part = np.asarray(corpus[first : first + CHUNK + len(levels)])
        _walk(levels, found, part, min(CHUNK, len(part)))
    text_of = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    begins = np.cumsum([0, *map(len, texts)])
    starts, lengths = np.zeros(len(texts), dtype=int), np.zeros(len(texts), dtype=int)
    for length, (level, hits) in enumerate(zip(levels, found, strict=True), start=1):
        places = level.places[hits[level.runs]]  # longer runs come later and take the place of shorter ones
        starts[text_of[places]] = places - begins[text_of[places]]
        lengths[text_of[places]] = length
    return [Overlap(*pair) for pair in zip(starts.tolist(), lengths.tolist(), strict=True)]


def _trie(texts: Sequence[Sequence[int]]) -> list[_Level]:
    """The runs of all texts; at place n of the list those of n + 1 tokens."""
    nothing = np.zeros(0, dtype=np.int64)
    tokens = np.concatenate([nothing, *(np.asarray(text, dtype=np.int64) for text in texts)])
    left = np.concatenate([nothing, *(np.arange(len(text), 0, -1) for text in texts)])  # tokens up to the text's end
    places, runs = np.arange(len(tokens)), np.zeros(len(tokens), dtype=np.int64)
    levels: list[_Level] = []
    while len(places):
        keys, runs = np.unique((runs << 16) | tokens[places + len(levels)], return_inverse=True)
        levels.append(_Level(keys, places, runs))
        longer = left[places] > len(levels)
        places, runs = places[longer], runs[longer]
    return levels


def _walk(levels: list[_Level], found: list[np.ndarray], corpus: np.ndarray, starts: int) -> None:
    """Mark in `found` all runs that begin at one of the first `starts` tokens of this part of the corpus."""
    places, runs = np.arange(starts), np.zeros(starts, dtype=np.int64)
    for depth, level in enumerate(levels):
        inside = places + depth < len(corpus)
        places, runs = places[inside], runs[inside]
        keys = (runs << 16) | corpus[places + depth]
        runs = np.searchsorted(level.keys, keys)
        known = level.keys[np.minimum(runs, len(level.keys) - 1)] == keys
        places, runs = places[known], runs[known]
        if not len(places):
            return
        found[depth][runs] = True
