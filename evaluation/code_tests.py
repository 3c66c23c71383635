"""What does a model know of Python? Brackets, keywords, indentation, functions, mistakes and names in unseen code.

    python evaluation/code_tests.py --quick

All questions are built from held-out code by program, in equal parts from each package as far as it reaches. Beside
each score stand its 95% interval, over packages, and what the best guesser gets that does not understand the text. The
items are made in code_items.py, minimal_pairs.py, identifier_recall.py and function_completion.py, and asked in
forced_choice.py.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import math
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from tqdm import tqdm

from evaluation.code_questions.code_figures import draw
from evaluation.code_questions.code_items import bracket_items, indentation_items, keyword_items
from evaluation.code_questions.forced_choice import draw_evenly, draw_items
from evaluation.code_questions.function_completion import measure_functions, openings
from evaluation.code_questions.identifier_recall import measure_recall, recall_items
from evaluation.code_questions.minimal_pairs import draw_pairs, measure_pairs, pair_items
from evaluation.code_questions.python_code import Code, read_code
from evaluation.code_questions.syntax_tests import measure_brackets, measure_indentation, measure_keywords
from evaluation.held_out import MAKE_THEM, Document, HeldOutError, read_held_out, sample_documents
from evaluation.question import Effort, Question, ask
from evaluation.scoring import continuation_log_probabilities, indentation_log_probabilities, score_texts
from evaluation.statistics import ratio_of_sums
from pretraining.checkpoint import TrainedModel
from pretraining.perplexity import grade, perplexity

HELD_OUT = "heldout_code"
ROWS = {  # of the table
    "bracket_completion": "brackets",
    "keyword_completion": "keywords",
    "indentation_awareness": "indentation",
    "function_completion": "functions",
    "minimal_pairs": "minimal pairs",
    "identifier_recall": "recall of names",
}


@dataclass(frozen=True)
class Sizes:
    """How much is asked."""

    perplexity_bytes: int  # of held-out code
    item_bytes: int | None  # of held-out code from which items are drawn; None: all
    brackets: int  # of each of three, at each of three depths
    keywords: int  # of each
    steps: int  # of indentation, of each kind
    functions: int
    pairs: int  # of each kind
    recalls: int  # at each distance


FULL = Sizes(400_000, None, brackets=120, keywords=40, steps=210, functions=1000, pairs=300, recalls=180)
QUICK = Sizes(50_000, 400_000, brackets=10, keywords=3, steps=20, functions=40, pairs=24, recalls=16)


def measure(trained: TrainedModel, effort: Effort) -> dict:
    """Ask everything. Raises HeldOutError where there is no held-out code, or none that is Python."""
    sizes, seed = (QUICK if effort.quick else FULL), effort.seed
    documents = read_held_out(HELD_OUT)
    found, files = collect(sample_documents(documents, sizes.item_bytes, seed), seed)
    goes_on = partial(continuation_log_probabilities, trained)
    whole_words = partial(continuation_log_probabilities, trained, whole_words=True)
    indents = partial(indentation_log_probabilities, trained)
    brackets = draw_items(found["brackets"], sizes.brackets, seed, lambda item: (item.kind, item.facts["depth"]))
    keywords, often = draw_items(found["keywords"], sizes.keywords, seed), Counter(i.kind for i in found["keywords"])
    pairs = draw_pairs(found["pairs"], sizes.pairs, seed)
    functions = draw_evenly(found["functions"], sizes.functions, f"{seed}")
    return {
        "held_out": {
            "set": HELD_OUT,
            "sources": sorted({document.source for document in documents}),
            "files": files,
            "drawn": "at random, in equal parts from each package as far as it reaches",
        },
        "code_perplexity": measure_perplexity(trained, sample_documents(documents, sizes.perplexity_bytes, seed)),
        "bracket_completion": measure_brackets(brackets, goes_on),
        "keyword_completion": measure_keywords(keywords, whole_words, often),
        "indentation_awareness": measure_indentation(draw_items(found["indentation"], sizes.steps, seed), indents),
        "function_completion": measure_functions(trained, functions, seed),
        "minimal_pairs": measure_pairs(pairs, goes_on, trained.tokenizer.encode_batch),
        "identifier_recall": measure_recall(draw_items(found["recalls"], sizes.recalls, seed), whole_words),
    }


def collect(documents: Sequence[Document], seed: int) -> tuple[dict[str, list], int]:
    """Everything that held-out files give to ask about, by test, and how many of the files are Python."""
    builders: dict[str, Callable[[Code], Iterable]] = {
        "brackets": bracket_items,
        "keywords": keyword_items,
        "indentation": indentation_items,
        "functions": openings,
        "pairs": partial(pair_items, seed=seed),
        "recalls": partial(recall_items, seed=seed),
    }
    found: dict[str, list] = {name: [] for name in builders}
    files = 0
    for document in tqdm(documents, desc="reading held-out code", unit=" files", leave=False, disable=None):
        if code := read_code(document):
            files += 1
            for name, builder in builders.items():
                found[name] += builder(code)
    if not files:
        raise HeldOutError(f"none of {len(documents)} files of {HELD_OUT} is Python that can be read. {MAKE_THEM}")
    return found, files


def measure_perplexity(trained: TrainedModel, documents: Sequence[Document]) -> dict:
    """Perplexity per token and bits per byte of whole files; the intervals are over packages."""
    texts = (document.text for document in documents)
    scored = tqdm(score_texts(trained, texts), total=len(documents), desc="perplexity", leave=False, disable=None)
    nats, tokens = zip(*((float(text.nats.sum()), len(text.tokens)) for text in scored), strict=True)
    sizes, packages = [document.bytes for document in documents], [document.source for document in documents]
    per_token = ratio_of_sums(nats, tokens, packages)
    per_byte = ratio_of_sums([cost / math.log(2) for cost in nats], sizes, packages)
    return {
        "average_perplexity": perplexity(per_token["value"]),
        "interval": per_token["interval"] and [perplexity(limit) for limit in per_token["interval"]],
        "bits_per_byte": per_byte["value"],
        "bits_per_byte_interval": per_byte["interval"],
        "n": sum(tokens),
        "counted": "tokens",
        "bytes": sum(sizes),
        "context_length": trained.context_length,
    }


def table(values: dict) -> list[str]:
    """The scores as lines of at most 80 characters, and what is behind them."""
    code = values["code_perplexity"]
    shown = f"{code['average_perplexity']:,.1f} ({grade(code['average_perplexity'])})"
    lines = [
        f"Code perplexity {shown}, {code['bits_per_byte']:.3f} bits per byte: {code['n']:,} tokens of",
        f"{values['held_out']['set']}, each predicted from at most {code['context_length']} before it.",
        "",
        f"{'':16}{'score':>6}  {'95% interval':14}{'guess':>6}{'n':>7}  the best guess",
    ]
    for key, name in ROWS.items():
        found = values[key]
        low, high = found["interval"]
        shown = f"{name:16}{found['score']:>6.0%}  {f'{low:.0%} to {high:.0%}':14}{found['best_constant_guess']:>6.0%}"
        lines.append(f"{shown}{found['n']:>7,}  {found['guesser']}")
    return [*lines, *_details(values)]


def _details(values: dict) -> list[str]:
    """The splits that say more than the scores."""
    functions = values["function_completion"]
    ended, sampling = functions["of_those_that_ended"], functions["sampling"]
    often = values["keyword_completion"]["as_often_as_in_code"]
    kinds = {name.split()[-1]: part for name, part in values["minimal_pairs"]["kinds"].items()}
    paragraphs = (
        f"Brackets by depth: {_shares(values['bracket_completion']['by_depth'])}; by characters to the opening one: "
        f"{_shares(values['bracket_completion']['by_distance'])}.",
        f"Keywords: {often['score']:.0%} if each counts as often as it occurs (guess: "
        f"{often['best_constant_guess']:.0%}, {often['guesser']}).",
        f"Indentation: {_shares(values['indentation_awareness']['by_step'])}.",
        f"Functions: of {ended['parses']['n']} bodies that ended: {_shares(ended)}; "
        f"{functions['cut_off']['score']:.0%} did not end within {sampling['tokens']} tokens (temperature "
        f"{sampling['temperature']}, top_p {sampling['top_p']}). Real bodies pass: "
        f"{functions['real_bodies']['score']:.0%}. This is a test of form, not of sense: a program that always writes "
        f"`{functions['guesser']}` passes {functions['best_constant_guess']:.0%}.",
        f"Minimal pairs, mistakes seen: {_shares(kinds)}.",
        f"Recall by tokens since the last use: {_shares(values['identifier_recall']['distances'])}.",
    )
    sources = ", ".join(values["held_out"]["sources"])
    paragraphs = (f"Built by program from {values['held_out']['files']} files of {sources}.", *paragraphs)
    lines = ["", "A score is the mean over the kinds of question: no frequent kind decides.", ""]
    return lines + [line for text in paragraphs for line in textwrap.wrap(text, 80, subsequent_indent="  ")]


def _shares(parts: dict[str, dict]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {part['score']:.0%}" for name, part in parts.items())


QUESTION = Question(
    "code_eval", "What does it know of Python: brackets, keywords, indentation, functions?", measure, table, draw
)


def main(arguments: list[str] | None = None) -> int:
    """Ask what a checkpoint knows of Python."""
    return ask(QUESTION, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
