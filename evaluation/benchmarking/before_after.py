"""Before and after: the first model, the same model untrained, and what it is now, in one table and one picture.

Run by scripts/compare_baseline.py. The first model is version 0, known from the first README alone. The untrained one
has fresh weights of the same config and is measured here, with the same code as the trained one: what it scores is
luck, and the difference is what training did.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from evaluation.benchmark import SAMPLE_SETTINGS, held_out_loss, model_writer, read_baseline
from evaluation.benchmarking.before_after_picture import NAME, PAIRS, draw
from evaluation.figures import one_line
from evaluation.question import Effort, Question, answer, load_answer
from evaluation.result_files import ResultError, file_sha256, shown_path
from evaluation.targets import CODE_EVAL, target_lines
from evaluation.untrained import untrained
from pretraining.checkpoint import TrainedModel

NEEDED = {"code_perplexity", *(name for _, name in PAIRS.values())}
NOTES = (
    "v0 was published in the first README and not measured here; its four tests were",
    "other ones, paired as that README pairs them. Perplexities under different",
    "tokenizers do not compare; bits per byte do, and those of v0 are unknown.",
)


def comparison(results: Path, code_tests: Question) -> Question:
    """The question that compares, with what `code_tests` found out about the checkpoint and kept in `results`."""
    asks = "What has become better since the first model, and how much of it did training do?"
    return Question(NAME, asks, partial(measure, results=results, code_tests=code_tests), table, draw)


def measure(trained: TrainedModel, effort: Effort, results: Path, code_tests: Question) -> dict:
    """The three models side by side: perplexity, scores, and what each writes after the first model's prompt.

    Both models that are here are measured with the same code; perplexity on the same text, the untrained model's
    scores on the small sample.
    """
    baseline = read_baseline()
    code = code_results(trained, effort, results, code_tests)
    same = replace(effort, quick=code["about"]["quick"])
    fresh = untrained(trained, effort.seed)
    fresh_code = code_tests.measure(fresh, replace(same, quick=True)) | {"code_perplexity": held_out_loss(fresh, same)}
    return {
        "prompt": baseline["prompt"],
        "baseline": baseline,
        "untrained": _facts(fresh, fresh_code, baseline["prompt"], effort),
        "now": _facts(trained, code, baseline["prompt"], effort),
        "notes": " ".join(NOTES),
    }


def _facts(trained: TrainedModel, code: dict, prompt: str, effort: Effort) -> dict:
    """What is told of a model that is here."""
    written = model_writer(trained, effort.seed)([prompt], SAMPLE_SETTINGS)[0]
    return {name: code[name] for name in sorted(NEEDED)} | {"sample": prompt + written}


def code_results(trained: TrainedModel, effort: Effort, results: Path, code_tests: Question) -> dict:
    """What code_tests found out about this checkpoint: read where it was kept, else measured now, saying so."""
    path = results / f"{CODE_EVAL}.json"
    try:
        found = load_answer(path, code_tests, file_sha256(trained.path), effort)
        if missing := sorted(NEEDED - found.keys()):
            raise ResultError(f"{shown_path(path)} lacks {', '.join(missing)}")
        return found
    except ResultError as error:
        print(f"{error}; measuring now, as python evaluation/code_tests.py does", flush=True)
    return answer(code_tests, trained, effort, results)


def table(values: dict) -> list[str]:
    """The three models side by side, what they write, and the README's targets; lines of at most 80 characters."""
    baseline, fresh, now = values["baseline"], values["untrained"], values["now"]
    code = [model["code_perplexity"] for model in (fresh, now)]
    numbers = [f"{found['average_perplexity']:,.1f}" for found in code]
    bits = [f"{found['bits_per_byte']:.3f}" for found in code]
    lines = [
        f"{'':14}{'v0':>9}{'untrained':>11}{'now':>9}{'95% interval':>16}{'n':>8}{'guess':>7}",
        f"{'perplexity':14}{baseline['perplexity']:9.2f}{numbers[0]:>11}{numbers[1]:>9}",
        f"{'bits per byte':14}{'unknown':>9}{bits[0]:>11}{bits[1]:>9}",
    ]
    for label, (before, name) in PAIRS.items():
        interval = "{:.0%} to {:.0%}".format(*now[name]["interval"])
        scores = f"{baseline[before]:9.0%}{fresh[name]['score']:11.0%}{now[name]['score']:9.0%}"
        lines.append(f"{label:14}{scores}{interval:>16}{now[name]['n']:8,}{now[name]['best_constant_guess']:7.0%}")
    samples = [("v0", baseline), ("untrained", fresh), ("now", now)]
    lines += ["", *NOTES, "", *(f"{name}: {one_line(model['sample'])}"[:80] for name, model in samples)]
    return [*lines, "", *target_lines({CODE_EVAL: now})]
