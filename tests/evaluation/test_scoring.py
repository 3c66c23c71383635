"""Scores of texts: what a slow reference gives, whatever the batch; comparisons that no merged token skews."""

import math

import numpy as np
import pytest
import torch

from evaluation.scoring import (
    _encode_endings,
    continuation_log_probabilities,
    indentation_log_probabilities,
    score_texts,
)
from tests.evaluation.conftest import python_source

TEXTS = [python_source(seed, functions) for seed, functions in ((1, 1), (2, 4), (3, 2))] + ["x", ""]


@torch.inference_mode()
def slow_nats(trained, text, context):
    """Token by token, each from its own window: the reference."""
    sequence = [trained.tokenizer.end_of_text_id, *trained.tokenizer.encode(text)]
    nats = []
    for place in range(1, len(sequence)):
        start = 0
        while start + context < place:  # the first of the half-overlapping windows that reaches this token
            start += context // 2
        logits = trained.model(torch.tensor([sequence[start:place]]))[0, -1].double()
        nats.append(-torch.log_softmax(logits, dim=0)[sequence[place]].item())
    return np.array(nats)


def test_scores_are_those_of_a_slow_reference(trained):
    for text, scored in zip(TEXTS, score_texts(trained, TEXTS), strict=True):
        assert list(scored.tokens) == trained.tokenizer.encode(text)
        np.testing.assert_allclose(scored.nats, slow_nats(trained, text, 32), atol=1e-4)


@pytest.mark.parametrize("batch_tokens", [1, 100, 100_000])
def test_scores_do_not_depend_on_the_batch(trained, batch_tokens):
    usual = [scored.nats for scored in score_texts(trained, TEXTS)]
    for scored, expected in zip(score_texts(trained, TEXTS, batch_tokens=batch_tokens), usual, strict=True):
        np.testing.assert_allclose(scored.nats, expected, atol=1e-5)


def test_documents_know_nothing_of_each_other(trained):
    alone = [next(score_texts(trained, [text])).nats for text in TEXTS]
    for nats, scored in zip(alone, score_texts(trained, TEXTS), strict=True):
        np.testing.assert_allclose(scored.nats, nats, atol=1e-5)


def test_a_continuation_is_as_probable_as_its_tokens_and_all_that_begin_with_the_last(trained):
    tokenizer, prompt = trained.tokenizer, "def function(value, items):\n    return"
    (scores,) = continuation_log_probabilities(trained, [prompt], [[" value", " items", " x"]])
    read = torch.tensor([[tokenizer.end_of_text_id, *tokenizer.encode(prompt)]])
    with torch.inference_mode():
        table = torch.log_softmax(trained.model(read)[0, -1].double(), dim=0)
    (token,) = tokenizer.encode(" value")
    beginning = [t for t in range(tokenizer.vocab_size) if tokenizer.token_bytes(t).startswith(b" value")]
    assert scores[0] == pytest.approx(torch.logsumexp(table[beginning], 0).item(), abs=1e-4)
    (exact,) = continuation_log_probabilities(trained, [prompt], [[" value", " items"]], whole_words=True)
    assert exact[0] == pytest.approx(table[token].item(), abs=1e-4)


def test_all_ways_to_go_on_by_one_character_share_the_whole_probability(trained):
    """If a bracket that melts into a longer token were not counted, this sum would fall short of one."""
    tokenizer = trained.tokenizer
    prompt = "    return value"
    first_bytes = sorted({tokenizer.token_bytes(t)[:1] for t in range(tokenizer.vocab_size)} - {b""})
    ascii_endings = [byte.decode() for byte in first_bytes if byte[0] < 128]
    (scores,) = continuation_log_probabilities(trained, [prompt], [ascii_endings])
    alone = {ending: tokenizer.encode(prompt + ending)[:-1] == tokenizer.encode(prompt) for ending in ascii_endings}
    read = torch.tensor([[tokenizer.end_of_text_id, *tokenizer.encode(prompt)]])
    with torch.inference_mode():
        probabilities = torch.softmax(trained.model(read)[0, -1].double(), dim=0)
    starts = {tokenizer.token_bytes(t)[:1]: 0.0 for t in range(tokenizer.vocab_size)}
    for token in range(tokenizer.vocab_size):
        starts[tokenizer.token_bytes(token)[:1]] += probabilities[token].item()
    same = [ending for ending in ascii_endings if alone[ending]]
    assert len(same) > 20
    got = np.array([scores[ascii_endings.index(ending)] for ending in same])
    expected = np.array([math.log(starts[ending.encode()]) for ending in same])
    np.testing.assert_allclose(got - got[0], expected - expected[0], atol=1e-3)


def test_comparisons_see_the_same_context_and_depend_on_no_batch(trained):
    prompts = [python_source(4), "x = (", "y"]
    endings = [[")", "]", "}}"], ["1)", "2]"], ["", " = 1"]]
    usual = continuation_log_probabilities(trained, prompts, endings)
    single = [
        continuation_log_probabilities(trained, [p], [e], batch_tokens=1)[0]
        for p, e in zip(prompts, endings, strict=True)
    ]
    for one, other in zip(usual, single, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert usual[2][0] == 0.0, "a continuation by nothing is certain"


@torch.inference_mode()
def slow_comparison(trained, prompt, endings, context):
    """Every continuation read as a whole, without a cache: the reference."""
    tokenizer = trained.tokenizer
    rows = [[tokenizer.end_of_text_id, *tokenizer.encode(prompt + ending)] for ending in endings]
    same = next(place for place in range(min(map(len, rows))) if len({row[place] for row in rows}) > 1)
    left = max(0, max(map(len, rows)) - 1 - context)
    totals = []
    for row in rows:
        table = torch.log_softmax(trained.model(torch.tensor([row[left:-1]]))[0].double(), dim=-1)[same - left - 1 :]
        beginning = tokenizer.token_bytes(row[-1])
        last = [t for t in range(tokenizer.vocab_size) if tokenizer.token_bytes(t).startswith(beginning)]
        exact = sum(table[place, token].item() for place, token in enumerate(row[same:-1]))
        totals.append(exact + torch.logsumexp(table[len(row) - same - 1, last], dim=0).item())
    return np.array(totals)


def test_long_continuations_are_scored_as_a_slow_reference_scores_them(trained):
    """What continuations share is read once and they are read behind it; that must not change a number."""
    prompts = [python_source(6), "def f(größe):\n    return (", "x"]
    endings = [
        ["zq_4813 + value", "items[0]", "zq_4"],
        ["größe, [1])\n", ")"],
        [" = {}", ".append(items)\n\n", "y = 1"],
    ]
    got = continuation_log_probabilities(trained, prompts, endings)
    for prompt, choices, scores in zip(prompts, endings, got, strict=True):
        np.testing.assert_allclose(scores, slow_comparison(trained, prompt, choices, 32), atol=1e-4)


def test_an_indentation_is_as_probable_as_its_spaces_and_any_word_behind_them(trained):
    """Three spaces are the token of two and then a token that brings the third with it, such as ` return`."""
    tokenizer, prompt = trained.tokenizer, python_source(7) + "if value:\n"
    (got,) = indentation_log_probabilities(trained, [prompt], [["", " ", "   "]])
    text = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
    without_space = [t for t, b in enumerate(text) if b.lstrip() == b != b""]
    with_space = [t for t, b in enumerate(text) if b == b" " or (b[:1] == b" " and b[1:].lstrip() == b[1:])]
    read = [tokenizer.end_of_text_id, *tokenizer.encode(prompt + "  ")][-32:]
    with torch.inference_mode():
        before, after = torch.log_softmax(trained.model(torch.tensor([read]))[0, -2:].double(), dim=-1)
    expected = [
        torch.logsumexp(before[without_space], 0).item(),
        torch.logsumexp(before[with_space], 0).item(),
        (before[read[-1]] + torch.logsumexp(after[with_space], 0)).item(),
    ]
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_prompts_are_cut_where_no_token_can_cross(trained):
    """Encoding a prompt in two pieces saves time, and must give the tokens of the whole."""
    start, tokenizer = trained.tokenizer.end_of_text_id, trained.tokenizer
    document = python_source(8, 2) + 'x = """a\n\n b"""\r\nif x :\n\n\treturn 1\n  # \'r\n\'ré\n'
    prompts = [document[:place] for place in range(len(document))]
    endings = ["", "\n", "x", ")", "    y"]
    for prompt, rows in zip(prompts, _encode_endings(tokenizer, prompts, [endings] * len(prompts)), strict=True):
        assert rows == [[start, *tokens] for tokens in tokenizer.encode_batch([prompt + ending for ending in endings])]
