"""Many texts side by side must be what each would be alone: all scores of what a model writes rest on it."""

import pytest

from evaluation import writing
from evaluation.writing import Written, write_texts
from pretraining.sampling import SamplingSettings, sample_generator
from pretraining.text_stream import generate_texts

SETTINGS = SamplingSettings(max_new_tokens=12, temperature=1.0)
PROMPTS = ["def value(", "x", "return value in range\n", "x", "class Open:\n    pass\n"]


def alone(trained, number: int) -> str:
    """Text `number`, written with nothing beside it."""
    pieces = generate_texts(
        trained.model,
        trained.tokenizer,
        [PROMPTS[number]],
        generators=[sample_generator(7, number)],
        settings=SETTINGS,
        context_length=trained.context_length,
    )
    return "".join(text for _, text in pieces)


@pytest.mark.parametrize("rows", [1, 2, 64])
def test_each_text_is_the_one_that_is_written_alone_whatever_the_batch(trained, monkeypatch, rows):
    monkeypatch.setattr(writing, "BATCH_ROWS", rows)
    written = write_texts(trained, PROMPTS, settings=SETTINGS, seed=7)
    assert [found.prompt for found in written] == PROMPTS
    assert [found.text for found in written] == [alone(trained, number) for number in range(len(PROMPTS))]
    assert written[1].text != written[3].text, "equal prompts are two samples"


def test_a_text_ends_where_its_reader_has_enough_and_others_go_on(trained, monkeypatch):
    monkeypatch.setattr(writing, "BATCH_ROWS", 2)
    asked = []

    def enough(number: int, text: str) -> bool:
        asked.append((number, text))
        return number == 2

    written = write_texts(trained, PROMPTS, settings=SETTINGS, seed=7, finished=enough)
    whole = write_texts(trained, PROMPTS, settings=SETTINGS, seed=7)
    assert len([number for number, _ in asked if number == 2]) == 1
    assert whole[2].text.startswith(written[2].text) and written[2].ended
    assert [found.text for found in written[3:]] == [found.text for found in whole[3:]]


def test_a_text_that_was_cut_off_is_told_from_one_that_ended(trained, monkeypatch):
    pieces = [(0, "short")] * 2 + [(1, "x")] * SETTINGS.max_new_tokens
    monkeypatch.setattr(writing, "generate_texts", lambda *_, **__: iter(pieces))
    assert write_texts(trained, ["a", "b"], settings=SETTINGS, seed=0) == [
        Written("a", "shortshort", True),
        Written("b", "x" * SETTINGS.max_new_tokens, False),
    ]
