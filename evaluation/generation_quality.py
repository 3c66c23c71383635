"""Is what the model writes good text? Signs of it, repetition, and how much is copied from the training corpus.

    python evaluation/generation_quality.py --quick

The model goes on from held-out functions (signature and docstring) and sentences of held-out books, with the settings
of pretraining/generate.py. The same is measured on how each text really goes on: no model has to be better than that.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import random
import re
from collections.abc import Sequence
from dataclasses import asdict

from data.corpus import CorpusError
from evaluation.held_out import MAKE_THEM, HeldOutError, Origin, corpus_of, read_held_out
from evaluation.question import Effort, Question, ask
from evaluation.statistics import ratio_of_sums, share_of_items, units_of
from evaluation.texts.corpus_overlap import Overlap, longest_overlaps
from evaluation.texts.generation_view import KINDS, LONG_RUN, SIGNS, draw, table
from evaluation.texts.openings import Opening, draw_openings, function_openings, sentence_openings
from evaluation.texts.text_signs import TOKENS, Sign, judge, looks_like_text
from evaluation.writing import Written, write_texts
from pretraining.checkpoint import TrainedModel
from pretraining.generate import SETTINGS
from pretraining.sampling import SamplingSettings
from pretraining.token_files import tokenize_corpus

TEXTS, QUICK_TEXTS = 300, 40  # of each kind
SAMPLING = SamplingSettings(**{name: value for name, value in SETTINGS.items() if name != "prompt"})
DISTINCT = (1, 2, 4)
SHOWN = 3  # examples of each sort that are kept
CODE_LINE = re.compile(
    r"^\s*(?:(?:from [\w.]+ )?import [\w.]+|(?:async )?def \w+\(|class \w+[(:]|@\w|[\w.\[\]]+ [-+*/|]?= )", re.MULTILINE
)


def measure(trained: TrainedModel, effort: Effort) -> dict:
    """Let the model write, and judge its texts and the real ones; `judge_kind` says what the values of a kind are."""
    count = QUICK_TEXTS if effort.quick else TEXTS
    code = [opening for document in read_held_out("heldout_code") for opening in function_openings(document)]
    books = [opening for document in read_held_out("heldout_books") for opening in sentence_openings(document)]
    openings = {"code": draw_openings(code, count, effort.seed), "books": draw_openings(books, count, effort.seed)}
    for kind, found in openings.items():
        if not found:
            raise HeldOutError(f"among the {KINDS[kind]} none can be a prompt: too short or none there. {MAKE_THEM}")
    written = {kind: write(trained, openings[kind], effort.seed) for kind in KINDS}
    real = {kind: [really(trained, opening) for opening in openings[kind]] for kind in KINDS}
    corpus, overlaps = measure_overlap(trained, [written["code"], real["code"], written["books"], real["books"]])
    return {
        "held_out": ["heldout_code", "heldout_books"],
        "sampling": asdict(SAMPLING),
        "corpus": corpus,
        "code": judge_kind(openings["code"], written["code"], real["code"], overlaps[:2], is_code=True),
        "books": judge_kind(openings["books"], written["books"], real["books"], overlaps[2:], is_code=False),
    }


def write(trained: TrainedModel, openings: Sequence[Opening], seed: int) -> list[Written]:
    """What the model writes behind each opening."""
    return write_texts(trained, [opening.prompt for opening in openings], settings=SAMPLING, seed=seed)


def really(trained: TrainedModel, opening: Opening) -> Written:
    """How an opening really goes on, for as many tokens as the model may write."""
    tokens = trained.tokenizer.encode(opening.following)[: SAMPLING.max_new_tokens]
    return Written(opening.prompt, trained.tokenizer.decode(tokens).rstrip("\ufffd"), ended=False)


def measure_overlap(trained: TrainedModel, sets: list[list[Written]]) -> tuple[dict, list[list[tuple[str, int]]]]:
    """The training corpus, and for each text of each set the longest run that stands in it, with its tokens counted.

    Every second set is the real one of that before it; its texts are cut to the length of the model's. Where there is
    no corpus, it says so and the lists are empty.
    """
    try:
        tokens = tokenize_corpus(corpus_of(trained), trained.tokenizer)
    except CorpusError as error:
        return {"left_out": str(error)}, [[] for _ in sets]
    encoded = [trained.tokenizer.encode_batch([written.text for written in texts]) for texts in sets]
    for model, real in zip(encoded[::2], encoded[1::2], strict=True):
        real[:] = [text[: len(own)] for text, own in zip(real, model, strict=True)]
    found = iter(longest_overlaps([text for texts in encoded for text in texts], tokens.open()))

    def run(text: list[int], overlap: Overlap) -> tuple[str, int]:
        return trained.tokenizer.decode(text[overlap.start : overlap.start + overlap.length]), overlap.length

    about = {"name": tokens.path.name, "sha256": tokens.corpus_sha256, "tokens": tokens.tokens}
    about["trained_on_it"] = tokens.corpus_sha256 in trained.trained_on if trained.trained_on else None
    return about, [[run(text, next(found)) for text in texts] for texts in encoded]


def judge_kind(
    openings: Sequence[Opening],
    model: Sequence[Written],
    real: Sequence[Written],
    overlaps: Sequence[Sequence[tuple[str, int]]],
    is_code: bool,
) -> dict:
    """Everything about one kind of text, of the model and of the real continuations, and examples.

    `exchanged` are the real continuations behind the prompt of another text: good code that has nothing to do with it.
    """
    texts, origins = {"model": model, "real": real}, [opening.origin for opening in openings]
    judged = {who: [signs_of(written, is_code) for written in found] for who, found in texts.items()}
    if is_code:
        exchanged = [Written(written.prompt, real[number - 1].text, False) for number, written in enumerate(real)]
        judged["exchanged"] = [signs_of(written, is_code) for written in exchanged]
    return {
        "texts": len(model),
        "sources": sorted({opening.source for opening in openings}),
        "characters": {who: sum(len(w.text) for w in found) / len(found) for who, found in texts.items()},
        "signs": {
            name: {who: share_of_sign(signs, name, origins) for who, signs in judged.items()}
            for name in SIGNS["code" if is_code else "books"]
        },
        "distinct": {
            str(n): {who: distinct([written.text for written in found], n, origins) for who, found in texts.items()}
            for n in DISTINCT
        },
        "overlap": {
            who: {
                "lengths": sorted(length for _, length in runs),
                "long": share_of_items([length >= LONG_RUN for _, length in runs], origins),
            }
            for who, runs in zip(texts, overlaps, strict=True)
            if runs
        },
        "examples": choose_examples(openings, model, judged["model"], overlaps[0]),
    }


def signs_of(written: Written, is_code: bool) -> list[Sign]:
    """The signs of text_signs.py, and for prose whether it stays prose: small models slip into code."""
    signs = judge(written.prompt, written.text, is_code=is_code, ended=written.ended)
    if not is_code and signs[0].name != "length":
        lines = CODE_LINE.findall(written.text)
        detail = f"turns into code: {' '.join(lines[0].split())} ..." if lines else "stays prose"
        signs.append(Sign("prose", not lines, detail))
    return signs


def share_of_sign(judged: Sequence[list[Sign]], name: str, origins: Sequence[Origin]) -> dict:
    """In how many texts a sign is good (`text`: the verdict on all of them); `origins` are those of the prompts.

    Prompts without a name of their own are not counted for `names`; a text of hardly a word has no good sign.
    """
    if name == "text":
        return share_of_items([looks_like_text(signs) for signs in judged], origins)
    of_name = [{sign.name: sign.good for sign in signs} for signs in judged]
    counted = [number for number, signs in enumerate(of_name) if name in signs or "length" in signs]
    return share_of_items([of_name[n].get(name, False) for n in counted], [origins[n] for n in counted])


def distinct(texts: Sequence[str], n: int, origins: Sequence[Origin]) -> dict:
    """The different n-grams of words and symbols within a text by all of them, over all texts together.

    The interval is over packages or books, or over files where there are too few; `origins` are those of the prompts.
    Li et al. 2016 count those that differ in all texts together, which depends on how many texts there are.
    """
    words = [TOKENS.findall(text) for text in texts]
    grams = [[tuple(text[place : place + n]) for place in range(len(text) - n + 1)] for text in words]
    return ratio_of_sums([len(set(found)) for found in grams], [len(found) for found in grams], units_of(origins))


def choose_examples(
    openings: Sequence[Opening],
    model: Sequence[Written],
    judged: Sequence[list[Sign]],
    runs: Sequence[tuple[str, int]],
) -> dict[str, list[dict]]:
    """Texts with the most good signs, with middling and with the fewest, by lot where equal; and the most copied."""
    shown = [
        {
            "from": opening.path,
            "sample": number,
            "prompt": opening.prompt,
            "text": written.text,
            "good": sum(sign.good for sign in signs) / len(signs),
            "signs": [f"{'good' if sign.good else 'warning'}: {sign.detail}" for sign in signs],
        }
        for number, (opening, written, signs) in enumerate(zip(openings, model, judged, strict=True))
    ]
    for example, (run, length) in zip(shown, runs, strict=False):
        example["longest_run_in_training"] = {"tokens": length, "text": run}
    copied = sorted(shown, key=lambda example: -example["longest_run_in_training"]["tokens"])[:SHOWN] if runs else []
    random.Random(0).shuffle(shown)
    shown.sort(key=lambda example: -example["good"])
    middle = max(0, len(shown) - SHOWN) // 2
    sorts = {"best": shown[:SHOWN], "typical": shown[middle : middle + SHOWN], "worst": shown[-SHOWN:]}
    return sorts | {"most_copied": copied}


QUESTION = Question(
    "generation_quality",
    "Is what the model writes good text, and is it its own?",
    measure,
    table,
    draw,
)


def main(arguments: list[str] | None = None) -> int:
    """Ask. Returns 0, or 2 with one line on stderr when that is not possible."""
    return ask(QUESTION, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
