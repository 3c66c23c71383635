"""What a text has in common with the corpus: as a slow search finds it, whatever the chunks, in little memory."""

import tracemalloc

import numpy as np
import pytest

from evaluation.texts import corpus_overlap
from evaluation.texts.corpus_overlap import longest_overlaps


def slow_overlap(text, corpus):
    """The length of the longest common run, from the textbook's table."""
    longest, row = 0, [0] * (len(corpus) + 1)
    for token in text:
        row = [0, *(row[place] + 1 if other == token else 0 for place, other in enumerate(corpus))]
        longest = max(longest, *row)
    return longest


@pytest.mark.parametrize("chunk", [1, 7, 50, 1 << 20])
def test_overlaps_are_those_of_a_slow_search_whatever_the_chunks(chunk, monkeypatch):
    monkeypatch.setattr(corpus_overlap, "CHUNK", chunk)
    dice = np.random.default_rng(chunk)
    for tokens in (2, 4, 300):
        corpus = dice.integers(1, tokens + 1, 400).astype("<u2")
        texts = [dice.integers(1, tokens + 1, dice.integers(30)).tolist() for _ in range(40)]
        texts += [corpus[100:160].tolist(), [tokens + 5, *corpus[-9:].tolist(), tokens + 5], [], [65535]]
        overlaps = longest_overlaps(texts, corpus)
        for text, (start, length) in zip(texts, overlaps, strict=True):
            assert length == slow_overlap(text, corpus.tolist())
            run = np.array(text[start : start + length], dtype="<u2").tobytes()
            assert run in corpus.tobytes(), "the run begins where it is said to"
        assert overlaps[-4].length == 60 and overlaps[-3] == (1, max(9, overlaps[-3].length))


def test_no_run_crosses_documents():
    """Documents begin with token 0, which no text contains."""
    corpus = np.array([0, 5, 6, 7, 0, 8, 9], dtype="<u2")
    assert longest_overlaps([[5, 6, 7, 8, 9]], corpus) == [(0, 3)]


def test_nothing_is_found_in_an_empty_corpus_or_for_no_texts():
    assert longest_overlaps([[1, 2]], np.zeros(0, dtype="<u2")) == [(0, 0)]
    assert longest_overlaps([], np.array([1, 2], dtype="<u2")) == []


def test_memory_does_not_grow_with_the_corpus(tmp_path, monkeypatch):
    """A training corpus may be far larger than memory."""
    monkeypatch.setattr(corpus_overlap, "CHUNK", 10_000)
    dice = np.random.default_rng(0)
    texts = [dice.integers(1, 50, 100).tolist() for _ in range(20)]
    peaks = []
    for size in (50_000, 2_000_000):
        path = tmp_path / f"{size}.bin"
        dice.integers(0, 50, size).astype("<u2").tofile(path)
        tracemalloc.start()
        longest_overlaps(texts, np.memmap(path, dtype="<u2", mode="r"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 8_000_000
