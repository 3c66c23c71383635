"""Measures every checkpoint of a run on the same small sample: what improves when, and which one was best.

    python evaluation/evaluate_checkpoints.py
    python evaluation/evaluate_checkpoints.py pretraining/checkpoints/archive/*

What has been measured before on the same held-out sets is not measured again: a checkpoint is known by the sha256 of
its file.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import math
from collections.abc import Iterator

from tqdm import tqdm

from evaluation import code_tests
from evaluation.figures import PLOTS, new_figure, save_figure
from evaluation.held_out import Document, corpora_sha256, read_held_out, sample_documents
from evaluation.question import EXPLAINED, Effort
from evaluation.result_files import RESULTS, ResultError, file_sha256, load_result, save_result, shown_path
from evaluation.scoring import score_texts
from pretraining.checkpoint import CHECKPOINT_DIR, CheckpointError, TrainedModel, load_checkpoint, load_trained_model
from pretraining.device import choose_device
from pretraining.perplexity import perplexity

RESULT_NAME = "checkpoints"
SAMPLE_BYTES = {"heldout_code": 150_000, "heldout_books": 50_000}
EFFORT = Effort(quick=True)  # small, since there are many checkpoints; the same for all, so that they compare
SCORES = {
    "bracket_completion": "brackets",
    "keyword_completion": "keywords",
    "indentation_awareness": "indentation",
    "function_completion": "functions",
}


def checkpoints_of(folder: Path) -> list[Path]:
    """The checkpoints of a run in the order of training: those kept at intervals, then best and last.

    Raises CheckpointError where there is none.
    """
    found = [*sorted(folder.glob("step_*.pt")), *(folder / name for name in ("best.pt", "last.pt"))]
    found = [path for path in found if path.is_file()]
    if not found:
        raise CheckpointError(
            f"there is no checkpoint in {folder}. Train: python pretraining/train_improved.py --preset nano"
        )
    return found


def measure(trained: TrainedModel, samples: dict[str, list[Document]]) -> dict:
    """What is told of each checkpoint: perplexity and bits per byte of both samples, and the scores of code_tests."""
    values: dict = {"step": trained.step, "parameters": trained.model.parameter_count()}
    for name, documents in samples.items():
        scored = list(score_texts(trained, (document.text for document in documents)))
        nats, tokens = sum(text.nats.sum() for text in scored), sum(len(text.tokens) for text in scored)
        size = sum(document.bytes for document in documents)
        values[name] = {"perplexity": perplexity(nats / tokens), "bits_per_byte": nats / math.log(2) / size}
    tests = code_tests.QUESTION.measure(trained, EFFORT)
    return values | {name: tests[name]["score"] for name in SCORES}


def read_rows(results: Path) -> dict[str, dict]:
    """What was measured of checkpoints, by the sha256 of their files."""
    try:
        return load_result(results / f"{RESULT_NAME}.json")["measured"]
    except (ResultError, KeyError):
        return {}


def sample_facts() -> dict:
    """What checkpoints are measured on; only what was measured on the same compares."""
    digests = corpora_sha256()
    return {"bytes": SAMPLE_BYTES, "held_out": {name: digests.get(name) for name in SAMPLE_BYTES}}


def all_known(paths: list[Path], results: Path) -> bool:
    """Whether nothing is left to measure."""
    rows, sample = read_rows(results), sample_facts()
    return all(rows.get(file_sha256(path), {}).get("sample") == sample for path in paths)


def measure_all(paths: list[Path], device: str, results: Path) -> Iterator[tuple[Path, dict]]:
    """Measure checkpoints one by one, or take over what was measured of the same file; each is kept at once."""
    rows, sample = read_rows(results), sample_facts()
    samples = {name: sample_documents(read_held_out(name), size) for name, size in SAMPLE_BYTES.items()}
    chosen_device, _ = choose_device(device)
    for checkpoint in tqdm(paths, unit="checkpoint", leave=False):
        key = file_sha256(checkpoint)
        if rows.get(key, {}).get("sample") != sample:
            trained = load_trained_model(checkpoint, chosen_device)
            rows[key] = {"sample": sample, "tokens": tokens_seen(checkpoint), **measure(trained, samples)}
            save_result(results / f"{RESULT_NAME}.json", {"measured": rows})
        yield checkpoint, rows[key]


def tokens_seen(checkpoint: Path) -> int:
    """How many tokens the model of a checkpoint was trained on."""
    values = load_checkpoint(checkpoint)
    settings = values["settings"]
    return values["step"] * settings["batch_size"] * settings["block_size"] * settings["gradient_accumulation"]


def best_of(rows: list[tuple[Path, dict]]) -> int:
    """The row with the fewest bits per byte on held-out code."""
    return min(range(len(rows)), key=lambda row: rows[row][1]["heldout_code"]["bits_per_byte"])


def table(rows: list[tuple[Path, dict]]) -> list[str]:
    """One line for each checkpoint, at most 80 characters."""
    lines = [
        f"{'':13}{'':>7}  {'held-out code':>15}{'books':>8}",
        f"{'checkpoint':13}{'step':>7}{'perplexity':>11}{'b/byte':>7}{'b/byte':>8}"
        + "".join(f"{title[:7]:>8}" for title in SCORES.values()),
    ]
    for path, values in rows:
        code, books = values["heldout_code"], values["heldout_books"]
        lines.append(
            f"{path.stem[:12]:13}{values['step']:7,}{code['perplexity']:11,.1f}{code['bits_per_byte']:7.3f}"
            f"{books['bits_per_byte']:8.3f}" + "".join(f"{values[name]:8.0%}" for name in SCORES)
        )
    path, values = rows[best_of(rows)]
    return [*lines, f"Fewest bits per byte on held-out code: {path.name} (step {values['step']:,})"]


def draw(runs: dict[str, list[tuple[Path, dict]]], folder: Path) -> Path:
    """Bits per byte and scores over the tokens seen, one colour for each run."""
    figure, (loss_axes, score_axes) = new_figure(columns=2, size=(11, 4.6))
    for number, (name, rows) in enumerate(runs.items()):
        by_step = {values["step"]: values for _, values in rows}
        ordered = [by_step[step] for step in sorted(by_step)]
        places = [values["tokens"] / 1e6 for values in ordered]
        label = f"{name}: " if len(runs) > 1 else ""
        for held_out, style in (("heldout_code", "o-"), ("heldout_books", "s--")):
            losses = [values[held_out]["bits_per_byte"] for values in ordered]
            title = held_out.replace("heldout_", "held-out ")
            loss_axes.plot(places, losses, style, color=f"C{number}", markersize=4, label=f"{label}{title}")
        for score, (key, title) in enumerate(SCORES.items()):
            color = f"C{score}" if len(runs) == 1 else f"C{number}"
            shares = [values[key] for values in ordered]
            score_axes.plot(places, shares, "osv^"[score] + "-", color=color, markersize=4, label=f"{label}{title}")
    best = min(
        (runs[name][best_of(runs[name])] for name in runs), key=lambda row: row[1]["heldout_code"]["bits_per_byte"]
    )
    loss_axes.set(xlabel="million tokens seen", ylabel="bits per byte (lower is better)")
    loss_axes.set_title(f"Best: {best[0].name} with {best[1]['heldout_code']['bits_per_byte']:.2f} on held-out code")
    score_axes.set(xlabel="million tokens seen", ylabel="share right", ylim=(0, 1))
    score_axes.set_title("What is learnt when")
    for axes in (loss_axes, score_axes):
        axes.legend(fontsize=8)
    return save_figure(figure, folder / "checkpoints.png")


def named_runs(folders: list[Path]) -> dict[str, Path]:
    """Folders by their last names, or by their paths where two have the same one."""
    folders = list(dict.fromkeys(folder.resolve() for folder in folders))
    names = [folder.name for folder in folders]
    return {folder.name if names.count(folder.name) == 1 else shown_path(folder): folder for folder in folders}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and draw. Returns 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="runs to measure (default: pretraining/checkpoints)")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or mps")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results file")
    parser.add_argument("--plots", type=Path, default=PLOTS, help="folder of the picture")
    chosen = parser.parse_args(arguments)
    try:
        folders = named_runs(chosen.folders or [CHECKPOINT_DIR])
        paths = {name: checkpoints_of(folder) for name, folder in folders.items()}
        runs = {}
        for name, found in paths.items():
            runs[name] = list(measure_all(found, chosen.device, chosen.results))
            print("\n".join([f"\n{name}", *table(runs[name])]))
        print(f"\nResults: {shown_path(chosen.results / f'{RESULT_NAME}.json')}")
        print(f"Plot: {shown_path(draw(runs, chosen.plots))}")
    except EXPLAINED as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped; what was measured is kept, the same command goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
