"""The n-gram: what plain dictionaries give, a proper distribution, better for every part of it, and bounded."""

import math
from collections import defaultdict

import numpy as np
import pytest

from data.corpus import CorpusError
from evaluation.costs.ngram import BUCKETS, NGram, sample_tokens, train_ngram
from tests.evaluation.conftest import python_source

VOCABULARY, END_OF_TEXT = 8, 0


def a_stream(seed: int = 0, documents: int = 40, length: int = 50) -> np.ndarray:
    """Documents in which a token mostly follows from the two before it, each with habits of its own."""
    dice = np.random.default_rng(seed)
    tokens = []
    for _ in range(documents):
        document, habit = [1, 2], dice.integers(2)
        while len(document) < length:
            usual = 1 + (document[-1] * 3 + document[-2] + habit) % (VOCABULARY - 2)  # never the last token
            document.append(usual if dice.random() < 0.8 else dice.integers(1, VOCABULARY - 1))
        tokens += [END_OF_TEXT, *document]
    return np.array(tokens, dtype=np.uint16)


@pytest.fixture(scope="module")
def ngram() -> NGram:
    return NGram(a_stream(), VOCABULARY, END_OF_TEXT, order=3)


def slow_nats(ngram: NGram, stream: np.ndarray, tokens: list[int]) -> list[float]:
    """The formula of the module, with dictionaries and one token at a time: the reference."""

    def count(sequence: list[int], order: int) -> dict:
        counts = defaultdict(lambda: defaultdict(int))
        for place in range(order - 1, len(sequence)):
            counts[tuple(sequence[place - order + 1 : place])][sequence[place]] += 1
        return counts

    orders = range(1, ngram.order + 1)
    corpus = [count(list(map(int, stream[: ngram.counted_tokens])), order) for order in orders]
    nats = []
    for place, token in enumerate(tokens):
        past = [END_OF_TEXT, *tokens[:place]]
        layers = corpus + [count(past, order) for order in orders]
        probability = 1 / VOCABULARY
        for order, counts, weights in zip([*orders, *orders], layers, ngram.weights, strict=True):
            context = tuple(past[len(past) - order + 1 :]) if len(past) >= order - 1 else None
            following = counts.get(context)
            if following:
                total = sum(following.values())
                weight = weights[int(math.log2(total)) * BUCKETS + int(math.log2(len(following)))]
                probability = weight * following.get(token, 0) / total + (1 - weight) * probability
        nats.append(-math.log(probability))
    return nats


def test_probabilities_are_those_of_plain_dictionaries(ngram):
    text = [int(token) for token in a_stream(seed=1, documents=1)[1:]] + [7, 7, 3, 7, 7, 3]
    np.testing.assert_allclose(ngram.nats(np.array(text)), slow_nats(ngram, a_stream(), text), atol=1e-9)


@pytest.mark.parametrize("past", [[], [1, 2], [7, 7, 7], [1, 2, 4, 5, 1, 2, 4, 5, 1, 2]])
def test_the_probabilities_of_all_tokens_add_up_to_one(ngram, past):
    """After nothing, after what was counted, after what was never seen, and after what the cache knows."""
    total = sum(math.exp(-ngram.nats(np.array([*past, token]))[-1]) for token in range(VOCABULARY))
    assert total == pytest.approx(1.0, abs=1e-12)


def test_what_was_never_seen_keeps_some_probability(ngram):
    assert not (a_stream() == 7).any()
    nats = ngram.nats(np.array([7, 7, 6, 7, 5]))
    assert np.isfinite(nats).all() and nats[0] > math.log(VOCABULARY)
    assert ngram.nats(np.array([], dtype=np.int64)).shape == (0,)


def test_it_predicts_without_looking_ahead(ngram):
    text = a_stream(seed=2, documents=1)[1:]
    changed = np.append(text[:30], (text[30:] % 6) + 1)
    np.testing.assert_array_equal(ngram.nats(text)[:30], ngram.nats(changed)[:30])
    assert len(ngram.nats(text)) == len(text)


def test_longer_contexts_and_the_cache_each_help():
    stream, text = a_stream(documents=200), a_stream(seed=3, documents=1, length=400)[1:]
    trigram, without_cache, unigram = (NGram(stream, VOCABULARY, END_OF_TEXT, order=order) for order in (3, 3, 1))
    without_cache.weights[3:] = [np.zeros(BUCKETS**2)] * 3
    unigram.weights[1:] = [np.zeros(BUCKETS**2)]
    means = [model.nats(text).mean() for model in (trigram, without_cache, unigram)]
    assert means[0] < means[1] - 0.1, "each document has its habit, which only the cache can learn"
    assert means[1] < means[2] - 0.1, "the two tokens before say much about the next"


def test_the_weights_are_fitted_on_what_is_not_counted():
    """Weights fitted on counted text would trust the longest context blindly: there it is always right."""
    noise = np.random.default_rng(0).integers(1, 200, 4000).astype(np.uint16)
    ngram = NGram(np.append(END_OF_TEXT, noise), 200, END_OF_TEXT, order=3)
    assert ngram.counted_tokens + ngram.tuning_tokens == 4001 and ngram.tuning_tokens == 200
    assert ngram.mean_weights[2] < 0.1, "in noise the pair before a token says nothing"


def test_a_corpus_is_read_as_far_as_asked_and_repeats_once(tokenizer, tmp_path):
    documents = [python_source(seed) for seed in (1, 2, 1, 3)]
    corpus = tmp_path / "mixed_corpus.txt"
    corpus.write_text("<|endoftext|>\n".join(documents), encoding="utf-8")
    encoded = [[tokenizer.end_of_text_id, *tokenizer.encode(text)] for text in documents]
    everything = [*encoded[0], *encoded[1], *encoded[3]]
    assert sample_tokens(corpus, tokenizer, 10**6).tolist() == everything
    assert sample_tokens(corpus, tokenizer, 100).tolist() == everything[:100]
    ngram = train_ngram(corpus, tokenizer, 1000)
    assert ngram.counted_tokens + ngram.tuning_tokens == 1000
    held_out = np.array(tokenizer.encode(python_source(9)))
    assert ngram.nats(held_out).mean() < 0.5 * math.log(tokenizer.vocab_size)


def test_a_missing_or_empty_corpus_is_said_in_one_line(tokenizer, tmp_path):
    with pytest.raises(CorpusError, match="there is no corpus file"):
        train_ngram(tmp_path / "none.txt", tokenizer, 1000)
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(CorpusError, match="0 tokens are too few"):
        train_ngram(tmp_path / "empty.txt", tokenizer, 1000)
