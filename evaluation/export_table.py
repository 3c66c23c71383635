"""How do the exports of a model compare: are they exact, how large are they, and how fast do they write?

    python evaluation/export_table.py

Takes what scripts/export_model.py found (evaluation/results/export.json), and measures how fast each export writes with
the program that it is for, and how fast our own generation does, one after the other on this machine's CPU. Only speeds
of one run compare: other work on the machine slows all of it.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import time
from contextlib import closing

import torch
from tqdm import tqdm

from evaluation.exported.own_reader import OwnReader
from evaluation.exported.reader import PLAIN, Reader, open_reader
from evaluation.result_files import RESULTS, ResultError, file_sha256, load_result, save_result, shown_path
from model.architecture.config import ConfigError
from model.export.portable import ExportError
from pretraining.checkpoint import CheckpointError, load_trained_model
from tokenizer.bpe import TokenizerError

RESULT_NAME = "export"
ROOT = RESULTS.parents[1]
PROMPT, TOKENS, TIMES = "def fibonacci(n):", 128, 3


def tokens_per_second(reader: Reader, prompt: list[int], count: int) -> float:
    """The best of three times for writing `count` tokens greedily, after one that warms up."""
    speeds = []
    for _ in range(1 + TIMES):
        start = time.perf_counter()
        written = reader.continue_greedily(prompt, count)
        speeds.append(len(written) / (time.perf_counter() - start))
    return max(speeds[1:])


def measure_speeds(values: dict) -> dict:
    """Add `speed` to every row whose files are still there, and our own to the whole.

    Raises CheckpointError where the checkpoint is not the one that was exported.
    """
    about = values["about"]["checkpoint"]
    path = ROOT / about["path"]
    trained = load_trained_model(path)
    if file_sha256(path) != about["sha256"]:
        raise CheckpointError(f"{path} is another one since it was exported: run scripts/export_model.py again")
    ours = OwnReader(trained)
    prompt = ours.encode_prompt(PROMPT)
    count = min(TOKENS, trained.context_length - len(prompt))
    speed = tokens_per_second(ours, prompt, count)
    values["speed"] = {"ours": speed, "tokens": count, "threads": torch.get_num_threads()}
    for row in tqdm(values["exports"], unit=" exports", leave=False, disable=None):
        if (ROOT / row["path"]).exists() and row["same"]:
            with closing(open_reader(row["format"], ROOT / row["path"], row["dtype"])) as reader:
                if not reader.program.startswith(PLAIN):
                    row["speed"] = tokens_per_second(reader, prompt, count)
    return values


def table(values: dict) -> list[str]:
    """One line for each export, at most 80 characters, and what the columns mean."""
    lines = [
        f"{'':11}{'':>8}  {'largest':>9}{'':>8}{'token ids':>11}{'bits/byte':>11}{'tokens':>9}",
        f"{'export':11}{'MB':>8}  {'diff.':>9}{'limit':>8}{'equal':>11}{'cost':>11}{'/second':>9}  same",
    ]
    for row in values["exports"]:
        difference = "no number" if row["largest_difference"] is None else f"{row['largest_difference']:.1e}"
        cost = row["rounding"]["cost"]["value"] if row["rounding"] else None
        speed = row.get("speed")
        lines.append(
            f"{row['format'] + ' ' + row['dtype']:11}{row['bytes'] / 1e6:8.1f}  "
            f"{difference:>9}{row['limit']:8.0e}{row['equal_texts']:7}/{row['texts']:3}"
            f"{'-' if cost is None else f'{cost:+.5f}':>11}{'-' if speed is None else f'{speed:,.0f}':>9}"
            f"  {'yes' if row['same'] else 'NO'}"
        )
    notes = [
        "Differences are of log-probabilities, in nats, from our model with weights",
        "rounded alike. All compute in float32, but llama.cpp with weights below f32.",
    ]
    if speed := values.get("speed"):
        lines.append(f"{'ours f32':60}{speed['ours']:9,.0f}")
        notes.append(f"Speed: {speed['tokens']} tokens, one text, greedily, on {speed['threads']} CPU threads.")
    programs = dict.fromkeys(f"{row['format']}: {row['program']}" for row in values["exports"])
    return [*lines, *programs, *notes]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. Returns 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results file")
    chosen = parser.parse_args(arguments)
    path = chosen.results / f"{RESULT_NAME}.json"
    try:
        if not path.is_file():
            raise ResultError("nothing was exported yet: python scripts/export_model.py --format all")
        values = measure_speeds(load_result(path))
        save_result(path, values)
    except (CheckpointError, ConfigError, ExportError, ResultError, TokenizerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(table(values)))
    print(f"\nResults: {shown_path(path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
