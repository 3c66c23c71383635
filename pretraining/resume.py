"""Which run goes on, and what happens to the one that was there before.

A run is told from another by its identity: model, tokenizer, corpus and recipe. Equal identities mean that going on
gives what the unbroken run would have given, on a CPU bit for bit. Nothing is ever deleted: what makes room is moved
to `archive/`.
"""

import shutil
import time
from pathlib import Path

from pretraining.checkpoint import CheckpointError, DamagedCheckpoint, load_checkpoint
from pretraining.training_log import read_log

ARCHIVED_LOG = "training_log.json"
MAY_LENGTHEN = ("recipe.max_steps", "recipe.max_minutes")


def checkpoint_to_resume(resume: str, folder: Path) -> dict | None:
    """The content of the checkpoint that `--resume` means, or None for a fresh run.

    `auto` gives what is in `folder`, if anything; whether it fits is seen later, by its identity. `last` and a path
    insist. Raises CheckpointError when an insisted-on file is missing, damaged, or holds weights only.
    """
    if resume == "none":
        return None
    path = folder / "last.pt" if resume in ("auto", "last") else Path(resume)
    if resume == "auto" and not path.is_file():
        return None
    try:
        values = load_checkpoint(path)
    except DamagedCheckpoint as error:
        if resume != "auto":
            raise
        print(f"[Resume] {error}\n[Resume] It is put aside, and a fresh run starts")
        return None
    if "training" not in values:
        raise CheckpointError(
            f"{path} holds weights only, so training can not go on from it exactly. Resume from a last.pt, "
            f"or start a new run from these weights: --init_from {path}"
        )
    return values


def differences(there: dict, here: dict, prefix: str = "") -> dict[str, tuple[object, object]]:
    """Dotted names of all values in which two nested dictionaries differ: (there, here)."""
    found = {}
    for key in {**there, **here}:
        old, new = there.get(key), here.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found |= differences(old, new, f"{prefix}{key}.")
        elif old != new:
            found[prefix + key] = (old, new)
    return found


def fits(checkpoint: dict, identity: dict, resume: str) -> bool:
    """Whether a run goes on from `checkpoint`. Raises CheckpointError when the user insists and it must not."""
    different = differences(checkpoint["training"]["identity"], identity)
    finished = checkpoint["step"] >= (checkpoint["training"]["total_steps"] or checkpoint["step"] + 1)
    if resume == "auto":
        return not different and not finished
    refused = {name: values for name, values in different.items() if name not in MAY_LENGTHEN}
    if refused:
        listed = "\n  ".join(f"{name}: {old} there, {new} here" for name, (old, new) in refused.items())
        raise CheckpointError(
            f"this run can not go on, because it was made with other settings:\n  {listed}\n"
            f"It was started with --preset {checkpoint['training']['preset']}: give the same settings, or start a new "
            "run (--resume none)"
        )
    if finished and not different:
        training = checkpoint["training"]
        preset = "" if training["preset"] == "default" else f"--preset {training['preset']} "
        raise CheckpointError(
            f"this run has finished its {checkpoint['step']:,} steps. To go on, lengthen it: "
            f"{preset}--resume {resume} --max_steps {checkpoint['step'] * 2}"
        )
    return True


def find_log(run_id: str, *places: Path) -> dict | None:
    """The log of the run `run_id`, from the first of these places that has it."""
    for path in places:
        log = read_log(path)
        if log and log["run"].get("id") == run_id:
            return log
    return None


def archive_run(folder: Path, log_path: Path, checkpoints: bool = True, log: bool = True) -> Path | None:
    """Move what a run is about to write over to `folder`/archive/<start>-<config>: checkpoints, log, or both.

    Returns where, or None when nothing was there. A log of a run in another folder, or a file that is no log, is
    moved as well, under its own name.
    """
    content = read_log(log_path)
    is_ours = content is not None and content["run"].get("checkpoint_dir") == str(folder)
    moves = {path: path.name for path in sorted(folder.glob("*.pt")) if checkpoints}
    if log and log_path.is_file():
        moves[log_path] = ARCHIVED_LOG if is_ours else f"other_{log_path.name}"
    if not moves:
        return None
    name = f"{_timestamp(min(path.stat().st_mtime for path in moves))}-unknown"
    if is_ours:
        name = f"{content['run']['started']}-{content['run']['config']}"
    target = folder / "archive" / name
    number = 2
    while target.exists():
        target = folder / "archive" / f"{name}-{number}"
        number += 1
    try:
        target.mkdir(parents=True)
        for path, new_name in moves.items():
            shutil.move(path, target / new_name)  # the log may lie on another disk
    except OSError as error:
        raise CheckpointError(f"the earlier run could not be moved to {target}: {error}") from None
    return target


def _timestamp(seconds: float) -> str:
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(seconds))


def timestamp_now() -> str:
    """The present as it stands in the names of archived runs."""
    return _timestamp(time.time())
