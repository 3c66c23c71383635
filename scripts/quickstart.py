"""From nothing to a small language model that writes Python: environment, data, training and samples, in one command.

    python3 scripts/quickstart.py --minutes 10

Needs nothing but Python 3.11 and, the first time, a network. Ctrl-C stops it in any part; the same command goes on
there, and does nothing twice.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

if sys.version_info < (3, 11):  # noqa: UP036 - the line is for those who run an older one
    found = sys.version.split()[0]
    sys.stderr.write(f"error: Python 3.11 or newer is needed and this is {found}; try: python3.11 {sys.argv[0]}\n")
    sys.exit(2)

import argparse
import contextlib
import json
import math
import os
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass

from data.own_files import unseen_kinds
from pretraining.child_process import run_child
from pretraining.lock import running_process
from pretraining.perplexity import grade, perplexity
from pretraining.settings import ROOT, SettingsError, read_settings, recipe
from pretraining.watching.places_to_edit import TRAIN, plain_values
from pretraining.watching.run_facts import LogError, read_facts
from pretraining.watching.same_run import flags_of_run

OWN_PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PROCESSED = ROOT / "data" / "processed"
CORPORA = ("mixed_corpus.txt", "code_corpus.txt", "heldout_code.txt", "heldout_books.txt")
CURVE = ROOT / "evaluation" / "plots" / "training_curve.png"
SAME_COMMAND = shlex.join(sys.orig_argv)


class QuickstartError(ValueError):
    """It can not go on; the message says in which part, and what to do."""

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Part:
    """One of the things that are done one after another, by a script of the project."""

    name: str
    what: str
    minutes: float | None  # that it usually takes on two cores; None: the network decides
    gigabytes: float  # that it writes
    command: tuple[str, ...]
    done: bool
    verdict: bool = False  # it judges what was made: exit code 1 is an answer, not a failure


@dataclass(frozen=True)
class Training:
    """How the training that is asked for stands."""

    done: bool = False
    minutes_spent: float = 0.0  # of an unfinished one, on which training will go on
    note: str = ""


# -- what is there already ---------------------------------------------------------------------------------------------


def find_python() -> Path | None:
    """A Python with all that requirements.txt asks for: the one that runs this, else that of `.venv`, else None."""
    for python in (Path(sys.executable), OWN_PYTHON):
        command = [str(python), str(ROOT / "scripts" / "make_environment.py"), "--check"]
        with contextlib.suppress(OSError):  # no such file, or none for this machine
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return python
    return None


def data_was_mixed() -> bool:
    """Whether a mix was ever made; until then a collection may be incomplete, and is quick to complete."""
    return all((PROCESSED / name).is_file() for name in (*CORPORA, "manifest.json"))


def data_is_mixed() -> bool:
    """Whether the corpora are there, with all of the user's own files as they are now."""
    manifest = PROCESSED / "manifest.json"
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        return data_was_mixed() and not unseen_kinds(ROOT / "data" / "raw", content, manifest.stat().st_mtime)
    except (OSError, ValueError, LookupError, TypeError):  # not there, or damaged
        return False


def sources_left_out() -> list[str]:
    """The pinned packages and books that are not in data/raw, for want of a network most of the time."""
    pinned = {"code": "code_packages.json", "books": "books.json"}
    return [
        source["name"]
        for kind, name in pinned.items()
        for source in json.loads((ROOT / "data" / "sources" / name).read_text(encoding="utf-8"))
        if not (ROOT / "data" / "raw" / kind / "collected" / source["name"] / "source.json").is_file()
    ]


def read_config() -> dict:
    """CONFIG of train_improved.py; empty where it does not parse, which training will say."""
    try:
        return plain_values(ROOT / TRAIN)
    except (SyntaxError, ValueError):
        return {}


def look_at_training(settings: dict, config: dict, mixed: bool, python: Path) -> Training:
    """What the training of these settings will find; `mixed` says whether it will read the corpora that are there."""
    folder, log_path, corpus = (Path(settings[key]) for key in ("checkpoint_dir", "log_path", "corpus_file"))
    try:
        facts = read_facts(log_path)
    except LogError:
        return Training()
    theirs, progress, saved = facts.log["run"]["settings"], facts.progress, (folder / "last.pt").is_file()
    is_same = (
        (mixed and corpus.is_file() and corpus.stat().st_mtime < log_path.stat().st_mtime)
        and all(theirs.get(key) == value for key, value in recipe(settings).items())
        and all(Path(theirs[key]).name == Path(settings[key]).name for key in ("config_path", "corpus_file"))
    )
    if is_same and progress.state == "finished" and (folder / "best.pt").is_file():
        return Training(done=True, note=f"this model is there already, after {progress.step:,} steps")
    if is_same and progress.state != "finished" and saved:
        return Training(minutes_spent=progress.seconds / 60, note="it goes on where it stopped")
    if not any(folder.glob("*.pt")):
        return Training()
    note = (f"the run that is there (preset {theirs['preset']}, {progress.state}, step {progress.step:,}) is another "
            f"one. It will be moved to {typed(folder / 'archive')}; nothing is lost")  # fmt: skip
    if progress.state != "finished":
        command = shlex.join([typed(ROOT / TRAIN), *flags_of_run(theirs, config, saved)])
        note += f". To go on with it instead: {typed(python)} {command}"
    return Training(note=note)


# -- the plan ----------------------------------------------------------------------------------------------------------


def make_plan(minutes: float, python: Path | None, mixed: bool, training: Training) -> list[Part]:
    """The parts in order. Sizes are measured with `du`, times on two cores."""
    return [
        Part("environment", "make .venv with PyTorch and all else that is needed", None, 0,
             ("scripts/make_environment.py",), python is not None),
        Part("collect", "collect Python code and books in the public domain", 0.2, 0.3,
             ("scripts/collect_raw_data.py",), data_was_mixed()),
        Part("mix", "clean, hold some out, drop duplicates, mix", 1, 0.6,
             ("scripts/create_mixed_corpus.py",), mixed),
        Part("train", f"turn text into tokens, then train for {minutes:g} min",
             0.5 + max(0.0, minutes - training.minutes_spent), 0.6,
             (TRAIN, "--preset", "nano", "--max_minutes", f"{minutes:g}"), training.done),
        Part("look", "let it write: before and after training", 0.5, 0,
             ("scripts/quick_gen_test.py", "--before"), False, verdict=True),
    ]  # fmt: skip


def print_plan(parts: list[Part], training: Training) -> None:
    print("Mini LLM: from nothing to a small language model that writes Python.\n")
    for number, part in enumerate(parts, start=1):
        takes = "done" if part.done else "1 to 10 min" if part.minutes is None else in_words(part.minutes)
        print(f"  {number}  {part.name:12} {part.what:50} {takes}")
    if training.note:
        print(f"\nTraining: {training.note}.")
    total = sum(part.minutes or 0 for part in parts if not part.done)
    download = "" if parts[0].done else ", and as long as the download of PyTorch takes"
    print(f"\nAbout {in_words(total)}{download}. Ctrl-C stops in any part; the same command goes on.", flush=True)


def in_words(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes >= 0.95 else f"{minutes * 60:.0f} s"


def typed(path: Path) -> str:
    """A path, or the Python that runs this, as it is typed in the current folder."""
    if path == Path(sys.executable) and os.sep not in sys.orig_argv[0]:
        return sys.orig_argv[0]
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


# -- doing it ----------------------------------------------------------------------------------------------------------


def do_all(parts: list[Part], python: Path | None) -> Path:
    """Runs what is not done, and returns the Python that can go on."""
    for number, part in enumerate(parts, start=1):
        if part.done:
            continue
        title = f"part {number} of {len(parts)}, {part.name}"
        check_disk(part, title)
        print(f"\n== {title.capitalize()}: {part.what}", flush=True)
        started = time.monotonic()
        try:
            code = run_child(python or sys.executable, ROOT / part.command[0], *part.command[1:])
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"Stopped in {title}; what was done before it stays done") from None
        if code != 0 and not (part.verdict and code == 1):
            raise QuickstartError(f"{title}, ended with exit code {code}; why is said above. When that is mended, the "
                                  f"same command goes on: {SAME_COMMAND}", 1 if code == 1 else 2)  # fmt: skip
        print(f"== {part.name.capitalize()}: done in {in_words((time.monotonic() - started) / 60)}", flush=True)
        python = python or find_python()
    return python


def check_disk(part: Part, title: str) -> None:
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < part.gigabytes:
        raise QuickstartError(f"{title}, needs {part.gigabytes} GB of disk and {free:.1f} GB are free in {ROOT}. Free "
                              f"some space; the same command goes on: {SAME_COMMAND}")  # fmt: skip


def print_result(settings: dict, python: Path, seconds: float) -> None:
    """What was made, and what to do next."""
    facts = read_facts(Path(settings["log_path"]))
    name, model, curve = typed(python), Path(settings["checkpoint_dir"], "best.pt"), facts.held_out[0]
    loss = curve.best[1]
    value = perplexity(loss)
    print(f"\n== Done in {in_words(seconds / 60)}. This is yours now:\n")
    print(f"  model       {typed(model)}: {', '.join(facts.title[:2])}, {facts.progress.step:,} steps")
    print(
        f"  quality     perplexity {value:,.1f} ({grade(value)}), loss {loss:.3f} on {curve.name}, unseen in training"
    )
    print(f"  loss curve  {typed(CURVE)}")
    left_out = sources_left_out()
    if left_out:
        scripts = [typed(ROOT / "scripts" / script) for script in ("collect_raw_data.py", "create_mixed_corpus.py")]
        print(f"  data        little: {len(left_out)} packages and books could not be fetched. With a network: "
              f"{name} {scripts[0]}, {name} {scripts[1]}, and this once more")  # fmt: skip
    print("\nThree things to try next:\n")
    print(f'  {name} {typed(ROOT / "pretraining/generate.py")} --prompt "def fibonacci(n):"')
    print("      let it go on from any beginning of yours")
    print(f"  {SAME_COMMAND}")
    print(f"      once more, with your own .py files in {typed(ROOT / 'data/raw/code')}: it learns from them too")
    print(f"  {name} {typed(ROOT / TRAIN)}")
    print("      the model of 27M parameters: an evening on a laptop (this one moves to the archive)")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=positive_minutes, default=10.0, help="of training (default: 10)")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        config, python = read_config(), find_python()
        settings = read_settings(config, ["--preset", "nano", "--max_minutes", f"{options.minutes:g}"])
        process = running_process(Path(settings["checkpoint_dir"]))
        if process is not None:
            raise QuickstartError(
                f"a training is running already (process {process}). Watch it: {typed(python or Path(sys.executable))} "
                f"{typed(ROOT / 'scripts/monitor_training.py')}. When it has ended: {SAME_COMMAND}"
            )
        mixed = data_is_mixed()
        training = look_at_training(settings, config, mixed, python or OWN_PYTHON)
        parts = make_plan(options.minutes, python, mixed, training)
        print_plan(parts, training)
        python = do_all(parts, python)
        print_result(settings, python, time.monotonic() - started)
    except (QuickstartError, SettingsError, LogError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, QuickstartError) else 2
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt or 'Stopped'}; the same command goes on: {SAME_COMMAND}", file=sys.stderr)
        return 130
    return 0


def positive_minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number; try --minutes 10")
    return minutes


if __name__ == "__main__":
    sys.exit(main())
