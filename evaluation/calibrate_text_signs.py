"""How often each sign of text_signs.py is right: on real text, and on text that is broken in known ways.

    python evaluation/calibrate_text_signs.py --texts 300

Real are the held-out sets, cut as long as a model's answer. Broken are the same texts in the pieces of the project's
first tokenizer, what an untrained model writes after the same prompts, and real texts with one thing done to them that
one sign must notice. Prints the share of good signs; that is to be high in the first row of each table and low in the
others (a sign is not asked to notice what others are for). Takes about a minute.
Exit code: 0 fine, 1 a sign is wrong too often, 2 there is no held-out text.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import contextlib
import io
import random
import re
import tokenize
from typing import NamedTuple

import torch

from data.corpus import CorpusError, read_documents
from evaluation.benchmarking.broken_tokenizer import broken_tokenizer, first_corpus, there_and_back
from evaluation.texts.text_signs import judge, looks_like_text
from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining.sampling import SamplingSettings, sample_generator
from pretraining.text_stream import generate_texts
from tokenizer.bpe import Tokenizer

ROOT = Path(__file__).resolve().parents[1]
PROCESSED = ROOT / "data" / "processed"
NANO = ROOT / "model" / "config" / "gpt_nano_config.json"

TOKENS = 100  # length of a continuation, as pretraining/generate.py writes
PROMPT_TOKENS = 8  # of prose; in code the prompt is the header of a function or class
LEAST_GOOD = 0.95  # of each sign in real text
MOST_TAKEN_FOR_TEXT = 0.05  # of the broken texts
STARTS = {"prose": re.compile(r"(?<=\n\n)\S"), "code": re.compile(r"^(?:async )?(?:def|class) .*:(?=\n)", re.MULTILINE)}
SIGNS = ("words", "spacing", "characters", "repetition", "syntax", "names")


class Sample(NamedTuple):
    """A prompt and what follows it."""

    prompt: str
    continuation: str


def real_samples(path: Path, kind: str, tokenizer: Tokenizer, count: int, seed: int) -> list[Sample]:
    """Places of a held-out set drawn at random: paragraphs of prose, or functions and classes with their header."""
    places = [(text, start) for text in read_documents(path) for start in STARTS[kind].finditer(text)]
    random.Random(seed).shuffle(places)
    samples = []
    for text, start in places:
        if kind == "code":
            prompt = start.group()
        else:
            prompt = tokenizer.decode(tokenizer.encode(text[start.start() : start.start() + 200])[:PROMPT_TOKENS])
        following = text[start.start() + len(prompt) :][: TOKENS * 20]
        if len(tokenizer.encode(following)) >= TOKENS and len(samples) < count:
            samples.append(Sample(prompt, cut(following, tokenizer)))
    if len(samples) < 2:
        raise CorpusError(f"{path} has {len(samples)} places that {TOKENS} tokens follow; more text is needed")
    return samples


def cut(text: str, tokenizer: Tokenizer) -> str:
    """The first TOKENS tokens of a text, without half a character at the end."""
    return tokenizer.decode(tokenizer.encode(text)[:TOKENS]).rstrip("\ufffd")


# -- ways to be broken -------------------------------------------------------------------------------------------------


def in_pieces(samples: list[Sample], tokenizer: Tokenizer) -> list[Sample]:
    """The continuations as the first tokenizer gave text back."""
    broken = broken_tokenizer(first_corpus())
    return [
        Sample(prompt, " " + cut(there_and_back(broken, continuation), tokenizer)) for prompt, continuation in samples
    ]


def of_untrained_model(samples: list[Sample], tokenizer: Tokenizer, seed: int) -> list[Sample]:
    """What a model with random weights writes after the same prompts."""
    torch.manual_seed(seed)
    model = GPT(ModelConfig.load(NANO)).eval()
    texts = [""] * len(samples)
    pieces = generate_texts(
        model,
        tokenizer,
        [sample.prompt for sample in samples],
        generators=[sample_generator(seed, number) for number in range(len(samples))],
        settings=SamplingSettings(max_new_tokens=TOKENS),
        context_length=model.config.max_seq_len,
    )
    for row, text in pieces:
        texts[row] += text
    return [Sample(sample.prompt, text) for sample, text in zip(samples, texts, strict=True)]


def looping(samples: list[Sample]) -> list[Sample]:
    """The continuations whose second half is four of their words over and over."""
    loops = []
    for prompt, continuation in samples:
        half = continuation[: len(continuation) // 2]
        phrase = " " + " ".join(half.split()[-4:])
        loops.append(Sample(prompt, half + phrase * (len(half) // len(phrase))))
    return loops


def without_a_bracket(samples: list[Sample], seed: int) -> list[Sample]:
    """Those that have one outside of strings and before the last two lines, with an opening bracket left out."""
    dice, broken = random.Random(seed), []
    for prompt, continuation in samples:
        lines = (prompt + continuation).splitlines(keepends=True)
        brackets = []
        with contextlib.suppress(tokenize.TokenError, SyntaxError):  # of the open end
            for token in tokenize.generate_tokens(io.StringIO("".join(lines)).readline):
                if token.type == tokenize.OP and token.string in "([{" and 1 < token.start[0] < len(lines) - 1:
                    brackets.append(token.start)
        if brackets:
            row, column = dice.choice(brackets)
            lines[row - 1] = lines[row - 1][:column] + lines[row - 1][column + 1 :]
            broken.append(Sample(prompt, "".join(lines)[len(prompt) :]))
    return broken


def exchanged(samples: list[Sample]) -> list[Sample]:
    """Each prompt with the continuation of another."""
    continuations = [sample.continuation for sample in samples]
    return [Sample(sample.prompt, continuations[number - 1]) for number, sample in enumerate(samples)]


# -- the tables --------------------------------------------------------------------------------------------------------


def shares(samples: list[Sample], is_code: bool) -> dict[str, float]:
    """For each sign, and for the verdict `text`, the share of samples in which it is good."""
    judged = [judge(*sample, is_code=is_code) for sample in samples]
    found: dict[str, list[bool]] = {}
    for signs in judged:
        for sign in signs:
            found.setdefault(sign.name, []).append(sign.good)
    found["text"] = [looks_like_text(signs) for signs in judged]
    return {name: sum(good) / len(good) for name, good in found.items()}


def print_row(name: str, count: int, measured: dict[str, float]) -> None:
    columns = [f"{measured[sign]:{len(sign) + 2}.0%}" if sign in measured else " " * (len(sign) + 2) for sign in SIGNS]
    print(f"{name:22}{count:5}{''.join(columns)}{measured['text']:7.0%}", flush=True)


def calibrate(kind: str, path: Path, tokenizer: Tokenizer, count: int, seed: int) -> list[str]:
    """Print the table of one kind of text; returns what is wrong too often."""
    real = real_samples(path, kind, tokenizer, count, seed)
    rows = {
        "held-out text": real,
        "in the first pieces": in_pieces(real, tokenizer),
        "an untrained model": of_untrained_model(real, tokenizer, seed),
        "looping half way": looping(real),
    }
    if kind == "code":
        rows |= {"a bracket left out": without_a_bracket(real, seed), "under another header": exchanged(real)}
    print(f"\n{kind + ', ' + path.stem:22}    n  {'  '.join(SIGNS)}   text")
    measured = {name: shares(samples, kind == "code") for name, samples in rows.items()}
    for name, samples in rows.items():
        print_row(name, len(samples), measured[name])
    wrong = [
        f"{sign} is good in {share:.1%} of {path.stem} only"
        for sign, share in measured["held-out text"].items()
        if share < LEAST_GOOD
    ]
    return wrong + [
        f"{measured[name]['text']:.1%} of {kind} {name} is taken for text"
        for name in ("in the first pieces", "an untrained model")
        if measured[name]["text"] > MOST_TAKEN_FOR_TEXT
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Measure how often the signs of generated text are right.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--texts", type=int, default=300, help="most samples in each row")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other samples")
    parser.add_argument("--processed", type=Path, default=PROCESSED, help="the folder of the held-out sets")
    settings = parser.parse_args(arguments)
    tokenizer = Tokenizer.load()
    print(f"Share of texts in which each sign is good; {TOKENS} tokens each. text: taken for text on the whole.")
    try:
        wrong = [
            *calibrate("prose", settings.processed / "heldout_books.txt", tokenizer, settings.texts, settings.seed),
            *calibrate("code", settings.processed / "heldout_code.txt", tokenizer, settings.texts, settings.seed),
        ]
    except (CorpusError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n" + ("\n".join(f"Wrong too often: {finding}" for finding in wrong) or "Fine."))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
