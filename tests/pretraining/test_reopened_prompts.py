"""A prompt ends between characters, not between tokens: what follows must not depend on where its last token ends."""

import pytest
import torch

from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining.sampling import SamplingSettings, sample_generator
from pretraining.text_stream import generate_texts, reopen_last_token
from tokenizer.bpe import Tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


@pytest.fixture(scope="module")
def model(tokenizer) -> GPT:
    model = GPT(ModelConfig(n_layers=2, n_heads=2, hidden_size=16, max_seq_len=64, vocab_size=tokenizer.vocab_size))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return model.eval()


@pytest.mark.parametrize(
    ("prompt", "goes_on"),
    [
        ("def fibonacci(n):", "\n    if n < 2:\n        return n\n"),
        ("x = [1, 2, ", "3]\n"),
        ("The sky is bl", "ue.\n"),
        ("import ", "os\n"),
        ("for i in range(3):\n   ", " print(i)\n"),
    ],
)
def test_the_tokens_that_training_would_have_seen_can_be_reached(tokenizer, prompt, goes_on):
    natural = tokenizer.encode(prompt + goes_on)
    read, first_tokens, _ = reopen_last_token(tokenizer, tokenizer.encode(prompt))
    assert natural[: len(read)] == read
    assert first_tokens is None or natural[len(read)] in first_tokens


def test_without_it_a_function_could_never_begin_its_body_as_in_training(tokenizer):
    prompt = tokenizer.encode("def fibonacci(n):")
    assert tokenizer.encode("def fibonacci(n):\n    pass\n")[: len(prompt)] != prompt


def test_the_first_token_is_the_likeliest_that_begins_with_the_end_of_the_prompt(tokenizer, model):
    prompt = "def fibonacci(n):"
    read, first_tokens, known = reopen_last_token(tokenizer, tokenizer.encode(prompt))
    with torch.no_grad():
        scores = model(torch.tensor([[tokenizer.end_of_text_id, *read]]))[0, -1]
    likeliest = max(first_tokens, key=lambda token: scores[token].item())
    expected = tokenizer.token_bytes(likeliest)[known:].decode()
    (first, *_) = write(model, tokenizer, [prompt], max_new_tokens=3, temperature=0)
    assert first == (0, expected)


def test_prompt_and_answer_fit_together_without_a_character_twice(tokenizer, model):
    prompts = ["def f(x):", "class A", "", "x = 'é", "def f(x):"]
    texts = list(prompts)
    for row, text in write(model, tokenizer, prompts, max_new_tokens=8, temperature=1.0):
        texts[row] += text
    for prompt, text in zip(prompts, texts, strict=True):
        assert text.startswith(prompt)
        assert len(text) > len(prompt)


def write(model, tokenizer, prompts, **settings):
    return list(
        generate_texts(
            model,
            tokenizer,
            prompts,
            generators=[sample_generator(7, row) for row in range(len(prompts))],
            settings=SamplingSettings(**settings),
            context_length=64,
        )
    )
