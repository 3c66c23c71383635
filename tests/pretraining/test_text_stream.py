"""Text as it comes: characters arrive whole, stop strings stop, and a batch changes nobody's text."""

import random

import pytest
import torch

from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining.sampling import SamplingSettings, sample_generator
from pretraining.text_stream import TextStream, generate_texts
from tokenizer.bpe import Tokenizer


@pytest.fixture(scope="module")
def byte_tokenizer() -> Tokenizer:
    """Every token is one byte, so that characters beyond ASCII and stop strings are cut as often as possible."""
    return Tokenizer.train([], vocab_size=260)


def stream_all(stream: TextStream, tokens: list[int]) -> list[str]:
    """The pieces of a text whose last token is the last of `tokens`, up to where the stream stops."""
    pieces = []
    for token in tokens:
        pieces.append(stream.add(token))
        if stream.stopped:
            return pieces
    return [*pieces, stream.end()]


def test_characters_arrive_whole(byte_tokenizer):
    text = "naïve café, 日本語 🎉 👨‍👩‍👧"
    pieces = stream_all(TextStream(byte_tokenizer), byte_tokenizer.encode(text))
    assert [piece for piece in pieces if piece] == list(text), "each character with its last byte, not before"


def test_a_character_whose_end_never_comes_is_left_out(byte_tokenizer):
    tokens = byte_tokenizer.encode("party 🎉")
    assert "".join(stream_all(TextStream(byte_tokenizer), tokens[:-1])) == "party "


def test_bytes_that_are_no_text_become_replacement_characters(byte_tokenizer):
    tokens = [*byte_tokenizer.encode("a🎉")[:-1], *byte_tokenizer.encode("bé")]
    assert "".join(stream_all(TextStream(byte_tokenizer), tokens)) == byte_tokenizer.decode(tokens) == "a\ufffdbé"


def test_outputs_without_a_token_stand_for_no_text(byte_tokenizer):
    """A model may have more outputs than its tokenizer has tokens, and special tokens have no text."""
    assert stream_all(
        TextStream(byte_tokenizer), [300, byte_tokenizer.end_of_text_id, byte_tokenizer.encode("x")[0]]
    ) == ["", "", "x", ""]


def test_the_beginning_of_a_stop_string_is_held_back_until_it_is_decided(byte_tokenizer):
    stream = TextStream(byte_tokenizer, stop=("\n\ndef",))
    pieces = [stream.add(token) for token in byte_tokenizer.encode("a\n\n\n\nde")]
    assert pieces == ["a", "", "", "\n", "\n", "", ""]
    assert stream.add(*byte_tokenizer.encode("x")) == "\n\ndex"
    assert not stream.stopped


def test_what_was_held_back_is_given_out_at_the_end(byte_tokenizer):
    assert stream_all(TextStream(byte_tokenizer, stop=("end!",)), byte_tokenizer.encode("the end"))[-1] == "end"


def reference_stopped_text(tokenizer: Tokenizer, tokens: list[int], stop: tuple[str, ...]) -> str:
    """The text of ever more tokens, searched from the start each time; cut when a stop string is in it."""
    for count in range(len(tokens) + 1):
        text = tokenizer.decode(tokens[:count])
        if places := [text.index(one) for one in stop if one in text]:
            return text[: min(places)]
    return text


def test_stop_strings_are_honoured_wherever_tokens_are_cut():
    chance = random.Random(7)
    tokenizer = Tokenizer.train(["ab abc aab bba cab abcabc"] * 9, vocab_size=268)
    stops = 0
    for _ in range(500):
        tokens = tokenizer.encode("".join(chance.choices("abc ", k=12)))
        stop = tuple("".join(chance.choices("abc ", k=chance.randint(1, 4))) for _ in range(chance.randint(1, 3)))
        stream = TextStream(tokenizer, stop)
        assert "".join(stream_all(stream, tokens)) == reference_stopped_text(tokenizer, tokens, stop)
        stops += stream.stopped
    assert 100 < stops < 500, "texts with and without a stop string must both occur"


@pytest.fixture(scope="module")
def model() -> GPT:
    """A float64 model with every weight random, whose texts therefore depend on all that they read."""
    model = GPT(ModelConfig(n_layers=2, n_heads=2, hidden_size=16, max_seq_len=24, vocab_size=260)).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return model


def texts_of(model, tokenizer, prompts, settings, samples=None) -> list[str]:
    texts = [""] * len(prompts)
    for row, text in generate_texts(
        model,
        tokenizer,
        prompts,
        generators=[sample_generator(8, sample) for sample in samples or range(len(prompts))],
        settings=settings,
        context_length=24,
    ):
        texts[row] += text
    return texts


def test_a_seed_gives_the_same_text_alone_and_in_a_batch(model, byte_tokenizer):
    settings = SamplingSettings(max_new_tokens=50, temperature=1.0, top_k=0, top_p=1.0)
    prompts = ["one", "", "another, and quite a bit longer than the context", "one", "é"]
    together = texts_of(model, byte_tokenizer, prompts, settings)
    for sample, prompt in enumerate(prompts):
        assert texts_of(model, byte_tokenizer, [prompt], settings, samples=[sample]) == [together[sample]]
    assert together[0] != together[3], "two samples of one prompt differ"


def test_each_row_stops_at_its_own_stop_string_and_tells_of_every_token(model, byte_tokenizer):
    free = SamplingSettings(max_new_tokens=50, temperature=1.0, top_k=0, top_p=1.0)
    texts = texts_of(model, byte_tokenizer, ["a"] * 4, free)
    stop = texts[2][10:12]
    stopped = texts_of(model, byte_tokenizer, ["a"] * 4, SamplingSettings(50, 1.0, 0, 1.0, stop=(stop,)))
    assert stopped == [text.split(stop)[0] for text in texts]
    assert stopped[2] != texts[2]


def test_a_row_ends_when_its_reader_has_enough_and_the_others_go_on_unchanged(model, byte_tokenizer):
    """What ends a text may be no fixed string, such as the first line that leaves a function's body."""
    settings = SamplingSettings(max_new_tokens=50, temperature=1.0, top_k=0, top_p=1.0)
    whole = texts_of(model, byte_tokenizer, ["a"] * 3, settings)
    texts = [""] * 3
    for row, text in generate_texts(
        model,
        byte_tokenizer,
        ["a"] * 3,
        generators=[sample_generator(8, sample) for sample in range(3)],
        settings=settings,
        context_length=24,
        finished=lambda row: row == 1 and len(texts[1]) >= 7,
    ):
        texts[row] += text
    assert texts == [whole[0], whole[1][:7], whole[2]]
