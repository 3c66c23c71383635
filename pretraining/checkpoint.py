"""Files that hold a model: written so that no crash can spoil one, read so that no file can run code.

`last.pt` has everything to go on exactly; `best.pt` and `step_000250.pt` hold weights. Both carry the model's config,
the tokenizer and the context length trained at, so one file is all that generation or evaluation needs. A checkpoint
is a dictionary of tensors and plain values, which `torch.load(weights_only=True)` reads without trusting it.
"""

import contextlib
import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from tokenizer.bpe import Tokenizer

FORMAT = 1
CHECKPOINT_DIR = Path(__file__).resolve().parent / "checkpoints"


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, or does not fit; the message says what to run."""


class DamagedCheckpoint(CheckpointError):
    """A file holds no checkpoint of this project, or not all of one."""


@dataclass
class TrainedModel:
    """A model ready to answer, with what its checkpoint says about it."""

    model: GPT
    tokenizer: Tokenizer
    path: Path
    step: int
    losses: dict[str, float]  # held-out set: nats per token
    context_length: int  # tokens it was trained to see at once
    trained_on: list[str] | None = None  # sha256 of every corpus it was trained on; None where that is not known


def save_checkpoint(values: dict, path: Path) -> None:
    """Write `values` so that `path` holds either the old file or the whole new one, whenever the power fails.

    Raises CheckpointError when the disk is full or the folder can not be written; what was there stays.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            torch.save({"format": FORMAT, **values}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        if os.name == "posix":  # the new name itself must reach the disk too
            folder = os.open(path.parent, os.O_RDONLY)
            with contextlib.suppress(OSError):  # some network disks can not do this for a folder
                os.fsync(folder)
            os.close(folder)
    except (OSError, RuntimeError) as error:  # torch's writer wraps a full disk in a RuntimeError
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise CheckpointError(_write_failure(path, error)) from error


def _write_failure(path: Path, error: Exception) -> str:
    """Say what kept a checkpoint from being written and what helps."""
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    writer_failed = isinstance(error, RuntimeError) and "write" in str(error).lower()
    if writer_failed or free < 1 << 26 or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk is full: {path} could not be written ({free / 1e6:,.0f} MB free). Earlier checkpoints are "
            "untouched. Free some space (old runs are in checkpoints/archive) and run the same command to go on"
        )
    return f"{path} could not be written: {error}. Give --checkpoint_dir a folder that you may write to"


def load_checkpoint(path: str | Path) -> dict:
    """Read a checkpoint onto the CPU.

    Raises CheckpointError when it is missing or can not be read, DamagedCheckpoint when it is damaged or of another
    kind.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}. {_offer(path.parent)}")
    try:
        with open(path, "rb") as file:
            values = torch.load(file, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise CheckpointError(f"{path} can not be read ({error.strerror})") from None
    except MemoryError:
        raise CheckpointError(f"{path} can not be read: memory ran out") from None
    except Exception as error:  # damaged bytes end torch's reader in a dozen ways: KeyError, struct.error, ...
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise DamagedCheckpoint(f"{path} is damaged or not a checkpoint ({reason}). {_offer(path.parent)}") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DamagedCheckpoint(f"{path} was not written by this project (format {FORMAT}). {_offer(path.parent)}")
    return values


def _offer(folder: Path) -> str:
    """The next command: other checkpoints beside a missing one, or how to make the first."""
    found = sorted(p.name for p in folder.glob("*.pt"))
    if found:
        return f"In {folder} there are: {', '.join(found)}"
    return "Train one first: python pretraining/train_improved.py --preset nano"


def best_checkpoint(folder: Path = CHECKPOINT_DIR) -> Path:
    """The best checkpoint of the newest run: `best.pt`, or the latest where no evaluation has happened yet.

    A folder without checkpoints gives the newest archived run, as when a new training has only just begun.
    """
    archived = sorted((folder / "archive").glob("*/"), reverse=True) if (folder / "archive").is_dir() else []
    for run in (folder, *archived):
        for name in ("best.pt", "last.pt"):
            if (run / name).is_file():
                return run / name
        steps = sorted(run.glob("step_*.pt"))
        if steps:
            return steps[-1]
    raise CheckpointError(f"there is no checkpoint in {folder}. {_offer(folder)}")


def build_model(values: dict, source: Path) -> GPT:
    """The model that a checkpoint holds, on the CPU."""
    model = GPT(ModelConfig.from_dict(values["model_config"], source=str(source)))
    try:
        model.load_state_dict(values["model"])
    except RuntimeError as error:
        raise CheckpointError(f"{source}: its weights do not fit its config: {error}") from None
    return model


def load_trained_model(path: str | Path, device: torch.device | str = "cpu") -> TrainedModel:
    """Read a model with its tokenizer from one file, ready for generation or evaluation."""
    values = load_checkpoint(path)
    return TrainedModel(
        model=build_model(values, Path(path)).to(device).eval(),
        tokenizer=Tokenizer.from_json(values["tokenizer"]),
        path=Path(path),
        step=values["step"],
        losses=values["losses"],
        context_length=values["context_length"],
        trained_on=values.get("trained_on"),
    )
