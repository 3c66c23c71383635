"""How well does the model predict text it has never seen? Perplexity and bits per byte of held-out code and books.

    python evaluation/language_modelling.py --quick

Beside the model stand an n-gram with a cache, which only counts, and the compressors xz and gzip. Every document is
read from its own beginning; what the bits go into, by class of Python token, is split in token_classes.py.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from dataclasses import replace

from data.corpus import CorpusError
from evaluation.costs.ngram import NGram, train_ngram
from evaluation.costs.source_costs import draw_sources, measure_sources, source_lines
from evaluation.costs.token_classes import class_lines, draw_classes, measure_classes
from evaluation.costs.token_costs import measure_costs
from evaluation.held_out import Document, HeldOutError, read_held_out, sample_documents
from evaluation.question import Effort, Question, ask
from pretraining import dataset
from pretraining.checkpoint import TrainedModel

CORPUS = "mixed_corpus.txt"
NGRAM_TOKENS, QUICK_NGRAM_TOKENS = 10_000_000, 2_000_000
CODE_BYTES, QUICK_CODE_BYTES = 2_400_000, 140_000
QUICK_BOOK_CHARACTERS = 4_000  # of each part of a book
NOTE = (
    "Perplexities under different tokenizers do not compare; bits per byte do.",
    "Model and n-gram start each document anew with what they learned in training,",
    "and see of it: the model its context, the n-gram all so far. xz and gzip know",
    "nothing, but read a whole package or book as one stream and adapt to it.",
)


def sample_code(effort: Effort) -> tuple[list[Document], str]:
    """Held-out files, and in words which ones they are."""
    size = QUICK_CODE_BYTES if effort.quick else CODE_BYTES
    documents = sample_documents(read_held_out("heldout_code"), size, effort.seed)
    return documents, f"files drawn at random, equal parts from each package, {size:,} bytes at most"


def sample_books(effort: Effort) -> tuple[list[Document], str]:
    """Held-out books as parts whose source is the book (`brotli/alice29`), and in words which ones they are."""
    parts = [replace(part, source=part.origin.work.removesuffix(".txt")) for part in read_held_out("heldout_books")]
    if not effort.quick:
        return parts, "everything"
    parts = [replace(part, text=beginning(part.text, QUICK_BOOK_CHARACTERS)) for part in parts]
    return parts, f"the first {QUICK_BOOK_CHARACTERS:,} characters of each part"


SAMPLES = {"heldout_code": sample_code, "heldout_books": sample_books}


def beginning(text: str, characters: int) -> str:
    """The whole lines that fit into so many characters, or as much of the first one."""
    return text if len(text) <= characters else text[: text.rfind("\n", 0, characters) + 1] or text[:characters]


def measure(trained: TrainedModel, effort: Effort) -> dict:
    """Score both held-out sets, or the one that is there; the other, or a missing corpus, is named in `left_out`.

    Raises HeldOutError where neither is there.
    """
    samples, left_out = {}, {}
    for name, sample in SAMPLES.items():
        try:
            samples[name] = sample(effort)
        except HeldOutError as error:
            left_out[name] = error
    if not samples:
        raise left_out["heldout_code"]
    ngram = None
    try:
        tokens = QUICK_NGRAM_TOKENS if effort.quick else NGRAM_TOKENS
        ngram = train_ngram(dataset.PROCESSED / CORPUS, trained.tokenizer, tokens)
    except CorpusError as error:
        left_out["n-gram"] = error
    costs = {name: measure_costs(trained, ngram, documents) for name, (documents, _) in samples.items()}
    values = {
        "context_length": trained.context_length,
        "note": " ".join(NOTE),
        "ngram": describe_ngram(ngram) if ngram else None,
        "left_out": {name: str(error) for name, error in left_out.items()},
        "sets": {name: {"sample": samples[name][1], **measure_sources(found)} for name, found in costs.items()},
    }
    if "heldout_code" in costs:
        values["token_classes"] = measure_classes(costs["heldout_code"])
    return values


def describe_ngram(ngram: NGram) -> dict:
    """What the n-gram was made from, and how much each of its layers has a say."""
    layers = [f"{counted}, order {order}" for counted in ("corpus", "cache") for order in range(1, ngram.order + 1)]
    return {
        "order": ngram.order,
        "corpus": CORPUS,
        "sample": "the first tokens of the corpus, whose documents stand in random order; repeated ones once",
        "counted_tokens": ngram.counted_tokens,
        "tuning_tokens": ngram.tuning_tokens,
        "mean_weights": dict(zip(layers, ngram.mean_weights, strict=True)),
    }


def table(values: dict) -> list[str]:
    """The answer as lines of at most 80 characters."""
    lines = []
    for name, found in values["sets"].items():
        lines += [*source_lines(name, found), ""]
    if classes := values.get("token_classes"):
        lines += [*class_lines(classes), ""]
    lines += [f"{name} is left out: {reason}" for name, reason in values["left_out"].items()]
    if ngram := values["ngram"]:
        lines.append(f"The n-gram (order {ngram['order']}) has counted {ngram['counted_tokens']:,} tokens of {CORPUS}.")
    return lines + list(NOTE)


def draw(values: dict, folder: Path) -> list[Path]:
    """Costs by package and book and by place in the document; costs by class of token."""
    pictures = [draw_sources(values["sets"], values["context_length"], folder / "language_modelling.png")]
    if values.get("token_classes", {}).get("classes"):
        pictures.append(draw_classes(values["token_classes"], folder / "token_classes.png"))
    return pictures


QUESTION = Question(
    "language_modelling", "How well does the model predict text it has never seen?", measure, table, draw
)


def main(arguments: list[str] | None = None) -> int:
    """Ask a checkpoint. Returns 0, or 2 with one line on stderr when that is not possible."""
    return ask(QUESTION, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
