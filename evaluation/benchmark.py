"""The project's first evaluation, kept runnable: perplexity and four small tests, beside what the first model got.

    python evaluation/benchmark.py

Each run is a new version, results/benchmark_v1.json with plots/benchmark_v1.png and so on, compared with the newest
earlier one and with version 0, which the first README published; no version is ever overwritten.

What the tests asked is not written down anywhere. Here they are fixed prompts (benchmark_tests.py): bracket_test, does
it close what is open; repeat_test, does it go on with `foo foo foo`; alphabet_test, does e follow a b c d;
sentence_test, does it end a sentence such as "In the city of Toronto," in whole words. Perplexity is per token of a
sample of heldout_code, file by file within the model's context, as code_tests.py measures it.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import hashlib
import json
import re
from functools import partial

from evaluation.benchmarking.benchmark_picture import picture
from evaluation.benchmarking.benchmark_tests import TESTS, Writer, run
from evaluation.code_tests import FULL, HELD_OUT, QUICK, measure_perplexity
from evaluation.figures import one_line, save_figure
from evaluation.held_out import read_held_out, sample_documents
from evaluation.question import Effort, Question, ask
from evaluation.result_files import BASELINE, ResultError, load_result, shown_path
from evaluation.writing import write_texts
from pretraining.checkpoint import TrainedModel
from pretraining.sampling import SamplingSettings

ASKS = "How does the model do in the project's first evaluation?"
PROMPT = "In the city of Toronto,"
SAMPLE_SETTINGS = SamplingSettings(40, temperature=0.8, top_k=40, top_p=0.9)
TEST_NAMES = tuple(test.name for test in TESTS)
COMPARED = ("version", "perplexity", "bits_per_byte", *TEST_NAMES, "sample", "text_sha256", "tokenizer_sha256")
VERSION = re.compile(r"benchmark_v(\d+)\.(?:json|png)")


def read_baseline(path: Path = BASELINE) -> dict:
    """The first results, version 0; an original file needs no more than its five numbers.

    Raises ResultError where the file is missing or is not theirs.
    """
    restore = "It is part of the repository: git checkout -- evaluation/results/baseline_v0.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        numbers = [float(values[name]) for name in ("perplexity", *TEST_NAMES)]
    except FileNotFoundError:
        raise ResultError(f"there is no {shown_path(path)}. {restore}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultError(f"{shown_path(path)} does not hold the first results ({error!r}). {restore}") from None
    return {
        "version": 0,
        "prompt": PROMPT,
        "sample": "",
        **values,
        **dict(zip(("perplexity", *TEST_NAMES), numbers, strict=True)),
    }


def next_version(results: Path, plots: Path) -> Question:
    """The question that is kept under the next free version, in the folders that hold the earlier ones."""
    found = [
        VERSION.fullmatch(path.name) for folder in (results, plots) if folder.is_dir() for path in folder.iterdir()
    ]
    taken = {int(match[1]): match[0] for match in found if match}
    measured = [version for version in taken if version > 0 and (results / f"benchmark_v{version}.json").is_file()]
    earlier = [read_baseline()]
    if measured:
        earlier.append(load_result(results / f"benchmark_v{max(measured)}.json"))
    version = max(taken, default=0) + 1
    return Question(f"benchmark_v{version}", ASKS, partial(measure, version=version, earlier=earlier), table, draw)


def newest_version(results: Path) -> Path:
    """The results file of the newest version, whether there is one or not."""
    found = [VERSION.fullmatch(path.name) for path in results.glob("benchmark_v*.json")]
    return results / f"benchmark_v{max((int(match[1]) for match in found if match), default=0)}.json"


def measure(trained: TrainedModel, effort: Effort, version: int, earlier: list[dict]) -> dict:
    """Perplexity, the four tests and a sample: the keys of baseline_v0.json, and what they rest on."""
    write = model_writer(trained, effort.seed)
    loss = held_out_loss(trained, effort)
    tests = {test.name: run(test, write) for test in TESTS}
    return {
        "version": version,
        "perplexity": loss["average_perplexity"],
        **{name: found["score"] for name, found in tests.items()},
        "prompt": PROMPT,
        "sample": PROMPT + write([PROMPT], SAMPLE_SETTINGS)[0],
        "bits_per_byte": loss["bits_per_byte"],
        "text_sha256": loss["text_sha256"],
        "tokenizer_sha256": trained.tokenizer.sha256,
        "loss": loss,
        "tests": tests,
        "compared_with": [{key: values.get(key) for key in COMPARED} for values in earlier],
    }


def model_writer(trained: TrainedModel, seed: int) -> Writer:
    """The model as a writer: from prompts to what follows them, the same for the same seed."""

    def write(prompts: list[str], settings: SamplingSettings) -> list[str]:
        return [found.text for found in write_texts(trained, prompts, settings=settings, seed=seed)]

    return write


def held_out_loss(trained: TrainedModel, effort: Effort) -> dict:
    """Perplexity per token and bits per byte, of the text that code_tests.py measures them on with this effort."""
    size = (QUICK if effort.quick else FULL).perplexity_bytes
    documents = sample_documents(read_held_out(HELD_OUT), size, effort.seed)
    return measure_perplexity(trained, documents) | {
        "held_out_set": HELD_OUT,
        "sources": sorted({document.source for document in documents}),
        "text_sha256": hashlib.sha256("\0".join(document.text for document in documents).encode()).hexdigest(),
    }


def table(values: dict) -> list[str]:
    """This version beside the earlier ones, and what must be known to compare them."""
    versions = [*values["compared_with"], values]
    lines = [f"{'':14}" + "".join(f"{'v' + str(row['version']):>9}" for row in versions) + f"{'95% interval':>16}"]
    lines[0] += f"{'n':>8}{'guess':>7}"
    loss = values["loss"]
    interval = "{:.0f} to {:.0f}".format(*loss["interval"]) if loss["interval"] else "-"
    lines.append(_row("perplexity", [f"{row['perplexity']:,.2f}" for row in versions], interval, loss["n"]))
    bits = [f"{row['bits_per_byte']:.3f}" if row["bits_per_byte"] else "unknown" for row in versions]
    lines.append(_row("bits per byte", bits))
    for name, found in values["tests"].items():
        interval = "{:.0%} to {:.0%}".format(*found["interval"])
        shares = [f"{row[name]:.0%}" for row in versions]
        lines.append(_row(name, shares, interval, found["n"]) + f"{found['best_constant_guess']:7.0%}")
    return [
        *lines,
        "",
        *_notes(values),
        "",
        *(f"v{row['version']}: {one_line(row['sample'])}"[:80] for row in versions),
    ]


def _row(name: str, cells: list[str], interval: str = "", n: int | None = None) -> str:
    counted = "" if n is None else f"{interval:>16}{n:8,}"
    return f"{name:14}" + "".join(f"{cell:>9}" for cell in cells) + counted


def _notes(values: dict) -> list[str]:
    """What the numbers rest on, and which of them do not compare."""
    loss = values["loss"]
    lines = [
        "n: tokens or prompts. guess: the best that one same answer to every prompt gets.",
        f"Perplexity: per token of {loss['bytes'] / 1000:,.0f} kB of {loss['held_out_set']}, "
        f"{len(loss['sources'])} packages.",
        "v0 was published in the first README and not measured here; its tests were",
        "other ones. Perplexities under different tokenizers do not compare; bits per",
        "byte do, and those of v0 are unknown.",
    ]
    for row in values["compared_with"][1:]:
        if row["text_sha256"] != values["text_sha256"]:
            lines.append(f"v{row['version']} read another sample of text: compare its perplexity with care.")
        if row["tokenizer_sha256"] != values["tokenizer_sha256"]:
            lines.append(f"v{row['version']} had another tokenizer: of its numbers only bits per byte compare.")
    return lines


def draw(values: dict, folder: Path) -> list[Path]:
    """Draw a version. Raises ResultError for version 0, whose picture was made once and is kept."""
    return [save_figure(picture(values), folder / f"benchmark_v{values['version']}.png")]


def main(arguments: list[str] | None = None) -> int:
    """Measure the next version and compare it. Returns 0, or 2 with one line on stderr."""
    return ask(next_version, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
