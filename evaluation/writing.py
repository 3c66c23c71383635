"""Letting a model go on from many prompts: in batches, each text the same whatever stands beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from pretraining.checkpoint import TrainedModel
from pretraining.sampling import SamplingSettings, sample_generator
from pretraining.text_stream import generate_texts

BATCH_ROWS = 64  # the more texts side by side, the longer most of them wait for the last


@dataclass(frozen=True)
class Written:
    """A text behind a prompt: by a model, or the real one."""

    prompt: str
    text: str
    ended: bool  # by itself, not because it was as long as it may be


def write_texts(
    trained: TrainedModel,
    prompts: Sequence[str],
    *,
    settings: SamplingSettings,
    seed: int,
    finished: Callable[[int, str], bool] = lambda number, text: False,
    unit: str = " texts",
) -> list[Written]:
    """Continue each prompt; text n has the random numbers of `seed`, sample n.

    Prompts of like length are read side by side, equal ones once. A text also ends when `finished(n, text so far)`,
    asked after each of its tokens, is true.
    """
    texts, counts = [""] * len(prompts), [0] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    with tqdm(total=len(prompts), desc="writing", unit=unit, leave=False, disable=None) as bar:
        for first in range(0, len(order), BATCH_ROWS):
            numbers = order[first : first + BATCH_ROWS]
            for row, text in generate_texts(
                trained.model,
                trained.tokenizer,
                [prompts[number] for number in numbers],
                generators=[sample_generator(seed, number) for number in numbers],
                settings=settings,
                context_length=trained.context_length,
                finished=lambda row, numbers=numbers: finished(numbers[row], texts[numbers[row]]),
            ):
                texts[numbers[row]] += text
                counts[numbers[row]] += 1
            bar.update(len(numbers))
    ended = [count < settings.max_new_tokens for count in counts]
    return [Written(*found) for found in zip(prompts, texts, ended, strict=True)]
