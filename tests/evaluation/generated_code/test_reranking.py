"""Which of several completions a model finds the likeliest: by the mean over the completion's own tokens."""

import math

import pytest
import torch

from evaluation.generated_code.attempts import Attempt
from evaluation.generated_code.reranking import likeliest, mean_log_probabilities
from tests.evaluation.generated_code.test_attempts import Adding


@torch.inference_mode()
def slow_mean(trained, prompt, completion):
    """Reads the text anew for each token."""
    tokens = trained.tokenizer.encode(prompt + completion)
    found, read = [], 0
    for place, token in enumerate(tokens):
        read += len(trained.tokenizer.token_bytes(token))
        if read > len(prompt.encode()):
            before = torch.tensor([[trained.tokenizer.end_of_text_id, *tokens[:place]]])
            found.append(torch.log_softmax(trained.model(before)[0, -1], dim=-1)[token].item())
    return sum(found) / len(found)


def test_the_mean_is_over_the_tokens_behind_the_prompt(trained):
    """Also where the prompt ends within a token, or holds characters of several bytes."""
    texts = [
        ("def f(a):\n", "    return a\n"),
        ("größe = ", "index"),
        ("def f(a", "):\n    return a"),
        ("valu", "e = 1"),
    ]
    for (prompt, completion), mean in zip(texts, mean_log_probabilities(trained, texts), strict=True):
        assert mean == pytest.approx(slow_mean(trained, prompt, completion), abs=1e-4)


def test_an_empty_completion_is_never_chosen(trained):
    assert mean_log_probabilities(trained, [("def f(a):\n", "")]) == [-math.inf]


def test_equal_texts_have_equal_values_each_in_its_place(trained):
    texts = [("x = ", "1"), ("x = ", "value"), ("x = ", "1")]
    first, second, third = mean_log_probabilities(trained, texts)
    assert first == third != second


def test_one_attempt_of_each_problem_is_chosen(trained):
    completions = ["    return a + b\n", "    zzzzqqqq\n", "    return b\n", "    return b\n"]
    attempts = [Attempt(Adding(), text, True, True) for text in completions]
    means = mean_log_probabilities(trained, [(Adding.prompt, text) for text in completions])
    chosen = likeliest(trained, attempts, 2)
    assert chosen[0] is attempts[0 if means[0] >= means[1] else 1]
    assert chosen[1] is attempts[2], "of equals the first"
