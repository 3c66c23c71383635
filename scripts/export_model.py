"""Writes a model for the programs that people use: transformers, llama.cpp (Ollama, LM Studio) and MLX.

    python scripts/export_model.py --format gguf --dtype q8_0

Each export is a folder of its own, with a card (README.md) that says what the model is and how to run it. Before it is
done it is read back, by the program that it is for where that is installed, and compared with the checkpoint: token
ids, log-probabilities, and what both write. evaluation/export_table.py adds how fast each one is.
Exit code: 0 every export is the model, 1 one is not (it stays where it is, and the first differences are printed),
2 it could not be written.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import dataclasses
from math import isfinite

from evaluation.export_table import RESULT_NAME, table
from evaluation.exported.card import Subject, model_card
from evaluation.exported.check import Comparison, check_export
from evaluation.held_out import HeldOutError, read_held_out
from evaluation.result_files import RESULTS, ResultError, describe, file_sha256, load_result, save_result, shown_path
from model.architecture.config import ConfigError
from model.export.gguf_file import modelfile, write_gguf
from model.export.hugging_face import TORCH_DTYPES, write_hugging_face
from model.export.portable import DTYPES, ExportError, PortableModel, put_in_place
from pretraining.checkpoint import (
    CHECKPOINT_DIR,
    CheckpointError,
    TrainedModel,
    best_checkpoint,
    load_checkpoint,
    load_trained_model,
)
from pretraining.generate import SETTINGS
from tokenizer.bpe import TokenizerError

DTYPES_OF = {"hf": tuple(TORCH_DTYPES), "gguf": DTYPES, "mlx": tuple(TORCH_DTYPES)}


def chosen_exports(kind: str, dtype: str) -> list[tuple[str, str]]:
    """(format, dtype) pairs; `all` leaves out what does not exist. Raises ExportError where nothing is left."""
    kinds, dtypes = (list(DTYPES_OF) if kind == "all" else [kind]), (DTYPES if dtype == "all" else [dtype])
    exports = [(one, other) for one in kinds for other in dtypes if other in DTYPES_OF[one]]
    if not exports:
        raise ExportError(f"{kind} has no {dtype}; give --format gguf, or a dtype of {', '.join(DTYPES_OF[kind])}")
    return exports


def portable(trained: TrainedModel, settings: dict) -> PortableModel:
    """The model as the writers want it."""
    return PortableModel(
        name=Path(settings["config_path"]).stem.removesuffix("_config"),
        config=trained.model.config,
        weights=trained.model.state_dict(),
        tokenizer_json=trained.tokenizer.to_json(),
        end_of_text_id=trained.tokenizer.end_of_text_id,
        context_length=trained.context_length,
        sampling={name: SETTINGS[name] or 0 for name in ("temperature", "top_k", "top_p")},
    )


def write_export(folder: Path, model: PortableModel, kind: str, dtype: str) -> tuple[Path, Path]:
    """Write the files; returns the one with the weights, and what a program opens."""
    if kind != "gguf":
        return write_hugging_face(folder, model, dtype), folder
    path = write_gguf(folder / f"{model.name}-{dtype.upper()}.gguf", model, dtype)
    recipe = modelfile(model, path.name)
    put_in_place(folder / "Modelfile", lambda file: file.write_text(recipe, encoding="utf-8"))
    return path, path


def export(trained: TrainedModel, settings: dict, sha256: str, *, kind: str, dtype: str, out: Path) -> dict:
    """Write one export, check it, write its card, and say how it went; returns its row of the table."""
    folder = out / f"{kind}-{dtype}"
    model = portable(trained, settings)
    weights, opened = write_export(folder, model, kind, dtype)
    print(f"{shown_path(folder)}: {weights.stat().st_size / 1e6:,.1f} MB of weights; reading them back", flush=True)
    try:
        documents = read_held_out("heldout_code")
    except HeldOutError as error:
        documents = []
        if dtype != "f32":
            print(f"  what {dtype} costs is not measured: {error}")
    compared, cost = check_export(trained, kind, dtype, opened, documents)
    subject = Subject(trained, settings, sha256, model, kind, dtype, weights)
    card = model_card(subject, compared, cost)
    put_in_place(folder / "README.md", lambda file: file.write_text(card, encoding="utf-8"))
    print("\n".join(f"  {line}" for line in report(compared, cost)), flush=True)
    return {
        "format": kind,
        "dtype": dtype,
        "path": shown_path(opened),
        "bytes": weights.stat().st_size,
        "same": compared.same,
        **dataclasses.asdict(compared),
        "largest_difference": compared.largest_difference if isfinite(compared.largest_difference) else None,
        "rounding": cost,
    }


def report(compared: Comparison, cost: dict | None) -> list[str]:
    """What the check has found."""
    lines = [
        f"{compared.program}: token ids of {compared.equal_texts} of {compared.texts} texts are equal, "
        f"log-probabilities behind {compared.places} tokens differ by at most {compared.largest_difference:.1e} "
        f"(limit {compared.limit:.0e}), {compared.continued} tokens written greedily are the same"
    ]
    if cost:
        lines.append(
            f"held-out code, through this program: {cost['bits_per_byte']:.4f} bits per byte, unrounded "
            f"{cost['bits_per_byte_unrounded']:.4f}: it costs {cost['cost']['value']:+.5f} ({cost['tokens']:,} tokens)"
        )
    if compared.same:
        return [*lines, "It is the same model."]
    return [*lines, "IT IS NOT THE SAME MODEL. First differences:", *(f"- {found}" for found in compared.differences)]


def keep_results(path: Path, trained: TrainedModel, sha256: str, rows: list[dict]) -> dict:
    """Put rows into the results file, beside those of other exports of the same checkpoint.

    How fast these were is left out: only speeds of one run compare.
    """
    made = {(row["format"], row["dtype"]) for row in rows}
    try:
        earlier = load_result(path)
        known = earlier["exports"] if earlier["about"]["checkpoint"]["sha256"] == sha256 else []
    except (ResultError, KeyError, TypeError):
        known = []
    known = [{name: value for name, value in row.items() if name != "speed"} for row in known]
    rows = rows + [row for row in known if (row["format"], row["dtype"]) not in made]
    order = [(kind, dtype) for kind in DTYPES_OF for dtype in DTYPES]
    rows.sort(key=lambda row: order.index((row["format"], row["dtype"])))
    values = {"about": describe(trained), "exports": rows}
    save_result(path, values)
    return values


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    out = CHECKPOINT_DIR / "export"
    add("--checkpoint", type=Path, help="model to export; without it the best of the newest run")
    add("--format", choices=[*DTYPES_OF, "all"], default="all", help="hf: transformers (default: all)")
    add("--dtype", choices=[*DTYPES, "all"], default="f32", help="of the weights; q8_0 in gguf only (default: f32)")
    add("--out", type=Path, default=out, help=f"folder of the exports' folders (default: {shown_path(out)})")
    add("--results", type=Path, default=RESULTS, help="folder of the results file (default: evaluation/results)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Export, check and tell. Returns the exit code."""
    chosen = parse_arguments(arguments)
    try:
        exports = chosen_exports(chosen.format, chosen.dtype)
        trained = load_trained_model(chosen.checkpoint or best_checkpoint())
        settings, sha256 = load_checkpoint(trained.path)["settings"], file_sha256(trained.path)
        print(f"Checkpoint: {shown_path(trained.path)}, step {trained.step:,}", flush=True)
        rows = [export(trained, settings, sha256, kind=kind, dtype=dtype, out=chosen.out) for kind, dtype in exports]
        values = keep_results(chosen.results / f"{RESULT_NAME}.json", trained, sha256, rows)
    except (CheckpointError, ConfigError, ExportError, ResultError, TokenizerError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped; what was being written is not in place", file=sys.stderr)
        return 130
    print("\n" + "\n".join(table(values)))
    return 0 if all(row["same"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
