"""The quickstart: every part in its order, once; what was interrupted goes on; what failed is named.

It runs for real in a small repository where the scripts of its parts are stand-ins that note that they were called.
"""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pretraining.lock import FolderLock

quickstart = importlib.import_module("scripts.quickstart")
ROOT = Path(quickstart.__file__).resolve().parents[1]
posix_only = pytest.mark.skipif(os.name != "posix", reason="signals to a process group")

STAND_IN = """
import json, os, sys, time
from pathlib import Path
sys.path[0] = str(Path(__file__).resolve().parents[1])
ROOT, NAME = Path(sys.path[0]), Path(__file__).stem
if "--check" in sys.argv:
    sys.exit(not (ROOT / "made").exists())
with open(ROOT / "calls", "a") as calls:
    calls.write(" ".join([NAME, *sys.argv[1:]]) + "\\n")
print(f"this is {NAME}")
if (ROOT / "fail" / NAME).exists():
    os._exit(int((ROOT / "fail" / NAME).read_text()))  # as a crash does it: nothing is flushed
def wait():
    (ROOT / "slow" / NAME).exists() and time.sleep(60)
def make(*names):
    for name in names:
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text('{"sources": []}')
try:
    WORK
except KeyboardInterrupt:
    time.sleep(0.6)
    make(f"saved-{NAME}")
    sys.exit(2)
"""
CORPORA = ", ".join(f'"data/processed/{name}"' for name in (*quickstart.CORPORA, "manifest.json"))
TRAINING = """
    from pretraining.settings import read_settings
    settings = read_settings(CONFIG, sys.argv[1:])
    losses = {"heldout_code": {"loss": 3.75, "perplexity": 42.5, "bits_per_byte": 1.6}}
    entry = {"step": 10, "loss": 4.0, "learning_rate": 1e-3, "tokens": 40, "tokens_per_second": 9.0, "seconds": 30.0}
    run = {"id": "1", "config": "gpt_nano", "parameters": 7211776, "preset": settings["preset"], "device": "cpu",
           "checkpoint_dir": settings["checkpoint_dir"], "tokens_per_step": 4, "process": 1, "settings": settings}
    log = {"run": run, "train": [entry], "validation": [{"step": 10, **losses}]}
    folder = Path(settings["checkpoint_dir"])
    def save(status):
        make(folder / "last.pt", "logs/training_log.json")
        time.sleep(0.02)
        (ROOT / "logs/training_log.json").write_text(json.dumps(log | {"status": status}))
    save("stopped")
    wait()
    make(folder / "best.pt")
    save("finished")
""".strip()
WORK = {
    "scripts/make_environment.py": 'wait(); make("made")',
    "scripts/collect_raw_data.py": "wait()",
    "scripts/create_mixed_corpus.py": f"wait(); make({CORPORA})",
    "pretraining/train_improved.py": TRAINING,
    "scripts/quick_gen_test.py": "print('def fibonacci')",
}
PARTS = [Path(script).stem for script in WORK]


class Checkout:
    """A repository with the quickstart, what it imports, and stand-ins for the parts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("data/raw/code", "data/raw/books", "data/sources", "pretraining/watching", "scripts", "fail"):
            (root / folder).mkdir(parents=True)
        (root / "slow").mkdir()
        for path in [*(ROOT / "pretraining").glob("*.py"), *(ROOT / "pretraining" / "watching").glob("*.py")]:
            shutil.copy(path, root / path.parent.relative_to(ROOT))
        for name in ("data/__init__.py", "data/own_files.py", "scripts/quickstart.py"):
            shutil.copy(ROOT / name, root / name)
        for name in ("books.json", "code_packages.json"):
            (root / "data/sources" / name).write_text("[]")
        for script, work in WORK.items():
            config = "CONFIG = {'preset': 'default'}" if script == "pretraining/train_improved.py" else ""
            (root / script).write_text(config + STAND_IN.replace("WORK", work))

    def command(self, *flags: str) -> list[str]:
        return [sys.executable, "-I", "-S", str(self.root / "scripts" / "quickstart.py"), *flags]

    def run(self, *flags: str) -> subprocess.CompletedProcess:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command = self.command(*flags)
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)

    def calls(self) -> list[str]:
        """What was run since the last time somebody asked."""
        path = self.root / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def mark(self, what: str, name: str, content: str = "") -> Path:
        path = self.root / what / name
        path.write_text(content)
        return path


def names(calls: list[str]) -> list[str]:
    return [call.split()[0] for call in calls]


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return Checkout(tmp_path)


def test_all_parts_run_in_order_and_the_end_says_what_was_made(checkout):
    result = checkout.run("--minutes", "7")
    assert result.returncode == 0, result.stderr
    calls = checkout.calls()
    assert names(calls) == PARTS
    assert "train_improved --preset nano --max_minutes 7" in calls
    assert "quick_gen_test --before" in calls
    plan, _, rest = result.stdout.partition("Ctrl-C stops")
    assert all(
        f"  {number}  {name}" in plan for number, name in enumerate("environment collect mix train look".split(), 1)
    )
    headers = [line for line in rest.splitlines() if line.startswith("== Part")]
    assert [line.partition(",")[0] for line in headers] == [f"== Part {number} of 5" for number in range(1, 6)]
    end = rest.rpartition("== Done")[2]
    assert "gpt_nano, 7.2M parameters" in end
    assert "perplexity 42.5 (excellent), loss 3.750" in end
    assert str(Path("evaluation/plots/training_curve.png")) in end
    assert end.count(str(Path("pretraining/generate.py"))) == 1


def test_a_part_s_lines_come_after_its_header_also_in_a_file(checkout):
    lines = checkout.run().stdout.splitlines()
    for number, name in enumerate(PARTS, start=1):
        header = next(place for place, line in enumerate(lines) if line.startswith(f"== Part {number} of 5"))
        assert lines[header + 1] == f"this is {name}"


def test_what_is_done_is_not_done_again(checkout):
    """A finished training above all: train_improved.py would archive it and begin anew."""
    checkout.run("--minutes", "7")
    checkout.calls()
    result = checkout.run("--minutes", "7")
    assert result.returncode == 0
    assert names(checkout.calls()) == ["quick_gen_test"]
    assert "this model is there already" in result.stdout


def test_a_repository_that_was_moved_keeps_its_model(checkout):
    checkout.run("--minutes", "7")
    checkout.calls()
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    result = checkout.run("--minutes", "7")
    assert names(checkout.calls()) == ["quick_gen_test"]
    assert f"model       {Path('pretraining/checkpoints/best.pt')}: " in result.stdout


def test_other_minutes_are_another_training_and_the_archive_is_announced(checkout):
    checkout.run("--minutes", "7")
    checkout.calls()
    result = checkout.run("--minutes", "8")
    assert names(checkout.calls()) == ["train_improved", "quick_gen_test"]
    assert f"will be moved to {Path('pretraining/checkpoints/archive')}; nothing is lost" in result.stdout


def test_an_unfinished_run_of_other_settings_comes_with_the_command_that_goes_on_with_it(checkout):
    checkout.run("--minutes", "7")
    log_path = checkout.root / "logs" / "training_log.json"
    log = json.loads(log_path.read_text())
    log["run"]["settings"] |= {"preset": "default", "max_minutes": None, "max_steps": 4_000, "block_size": 512}
    log["status"] = "stopped"
    log_path.write_text(json.dumps(log))
    said = checkout.run("--minutes", "7").stdout
    assert "nothing is lost. To go on with it instead: " in said
    assert "pretraining/train_improved.py" in said
    assert "--max_steps 4000" in said


@posix_only
@pytest.mark.parametrize("name", ["make_environment", "create_mixed_corpus", "train_improved"])
def test_interrupted_in_any_part_the_same_command_goes_on(checkout, name):
    slow = checkout.mark("slow", name)
    process = subprocess.Popen(
        checkout.command(), cwd=checkout.root, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not (checkout.root / "calls").exists() or name not in (checkout.root / "calls").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert (checkout.root / f"saved-{name}").exists(), "the part had no time to save its work"
    last = process.communicate()[1].strip().splitlines()[-1]
    assert f"Stopped in part {PARTS.index(name) + 1} of 5" in last
    assert last.endswith(f"the same command goes on: {' '.join(checkout.command())}")
    slow.unlink()
    checkout.calls()
    result = checkout.run()
    assert result.returncode == 0
    left = PARTS[PARTS.index(name) :]
    assert [call for call in names(checkout.calls()) if call != "collect_raw_data"] == [
        part for part in left if part != "collect_raw_data"
    ]
    assert ("it goes on where it stopped" in result.stdout) == (name == "train_improved")


@pytest.mark.parametrize("code, returned", [(1, 1), (2, 2), (143, 2)])
@pytest.mark.parametrize("name", ["make_environment", "train_improved"])
def test_the_part_that_fails_is_named_and_ends_it(checkout, name, code, returned):
    checkout.mark("fail", name, str(code))
    result = checkout.run()
    assert result.returncode == returned
    number = PARTS.index(name) + 1
    assert names(checkout.calls()) == PARTS[:number]
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"error: part {number} of 5")
    assert f"exit code {code}" in result.stderr
    assert f"this is {name}" in result.stdout, "what it said before is why it failed"
    assert "the same command goes on: " in result.stderr


@pytest.mark.parametrize("code, returned", [(1, 0), (2, 2)])
def test_a_model_that_writes_gibberish_is_no_failure(checkout, code, returned):
    """quick_gen_test.py judges with exit code 1; after a minute of training that is what to expect."""
    checkout.mark("fail", "quick_gen_test", str(code))
    result = checkout.run("--minutes", "1")
    assert result.returncode == returned
    assert ("== Done" in result.stdout) == (returned == 0)


@posix_only
def test_an_environment_that_can_not_even_start_is_made_anew(checkout):
    (checkout.root / ".venv" / "bin").mkdir(parents=True)
    (checkout.root / ".venv" / "bin" / "python").write_text("not a program")
    (checkout.root / ".venv" / "bin" / "python").chmod(0o755)
    assert checkout.run().returncode == 0
    assert names(checkout.calls()) == PARTS


def test_own_files_are_mixed_in_and_trained_on(checkout):
    """The third thing that the end tells people to try."""
    checkout.run()
    checkout.calls()
    (checkout.root / "data/raw/code/mine.py").write_text("print('mine')\n")
    checkout.run()
    assert names(checkout.calls()) == ["create_mixed_corpus", "train_improved", "quick_gen_test"]


def test_a_newer_corpus_is_trained_on(checkout):
    checkout.run()
    checkout.calls()
    os.utime(checkout.root / "data/processed/mixed_corpus.txt", (time.time() + 9, time.time() + 9))
    checkout.run()
    assert names(checkout.calls()) == ["train_improved", "quick_gen_test"]


def test_what_could_not_be_fetched_is_told_at_the_end(checkout):
    """Without a network the model learns from a fraction of the text, and nobody would know why it is poor."""
    (checkout.root / "data/sources/books.json").write_text('[{"name": "shakespeare"}, {"name": "brotli"}]')
    kept = checkout.root / "data/raw/books/collected/brotli/source.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    said = checkout.run().stdout
    assert "little: 1 packages and books could not be fetched" in said
    assert "collect_raw_data.py" in said.rpartition("== Done")[2]
    (checkout.root / "data/sources/books.json").write_text('[{"name": "brotli"}]')
    assert "could not be fetched" not in checkout.run().stdout


@pytest.mark.parametrize("missing", ["heldout_books.txt", "manifest.json"])
def test_a_mix_that_was_cut_off_is_made_whole(checkout, missing):
    """The manifest comes last, so that its absence tells of an interruption."""
    checkout.run()
    checkout.calls()
    (checkout.root / "data/processed" / missing).unlink()
    checkout.run()
    assert names(checkout.calls())[:2] == ["collect_raw_data", "create_mixed_corpus"]


def test_a_training_that_is_running_is_left_alone(checkout):
    lock = FolderLock(checkout.root / "pretraining" / "checkpoints")
    try:
        result = checkout.run()
    finally:
        lock.release()
    assert result.returncode == 2
    assert not checkout.calls()
    assert f"a training is running already (process {os.getpid()})" in result.stderr
    assert "monitor_training.py" in result.stderr


def test_a_full_disk_is_noticed_before_the_part_that_needs_it(monkeypatch):
    usage = shutil.disk_usage(ROOT)._replace(free=100_000_000)
    monkeypatch.setattr(quickstart.shutil, "disk_usage", lambda path: usage)
    parts = quickstart.make_plan(10, None, False, quickstart.Training())
    quickstart.check_disk(parts[-1], "part 5 of 5, look")  # needs nothing
    with pytest.raises(quickstart.QuickstartError, match=r"part 3 of 5, mix, needs 0.6 GB of disk and 0.1 GB are free"):
        quickstart.check_disk(parts[2], "part 3 of 5, mix")


@pytest.mark.parametrize("minutes", ["0", "-3", "nan", "inf", "ten"])
def test_minutes_are_a_positive_number(checkout, minutes):
    result = checkout.run("--minutes", minutes)
    assert result.returncode == 2
    assert f"'{minutes}' is not a positive number; try --minutes 10" in result.stderr
    assert not checkout.calls()


def test_commands_are_told_as_they_are_typed(monkeypatch, tmp_path):
    inside, outside = ROOT / "pretraining" / "generate.py", tmp_path / "python"
    monkeypatch.chdir(ROOT)
    assert quickstart.typed(inside) == str(Path("pretraining/generate.py"))
    assert quickstart.typed(outside) == str(outside)
    monkeypatch.chdir(ROOT.parent)
    assert quickstart.typed(inside) == str(Path(ROOT.name, "pretraining/generate.py"))
    monkeypatch.setattr(sys, "orig_argv", ["python3", "scripts/quickstart.py"])
    assert quickstart.typed(Path(sys.executable)) == "python3"
