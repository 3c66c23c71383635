"""The status page: true in every state a project can be in, in one line where a file is damaged, and quick to read."""

import importlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time

import pytest

from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining.lock import FolderLock
from pretraining.settings import ROOT, read_settings
from pretraining.train_improved import CONFIG

status = importlib.import_module("scripts.status")

COMMITTED = [
    "pretraining/train_improved.py",
    "pretraining/generate.py",
    "scripts/create_mixed_corpus.py",
    "tokenizer/tokenizer_8k.json",
    *(f"model/config/gpt_{name}_config.json" for name in ("nano", "tiny", "small")),
]
HOUR = 3_600


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A fresh clone where the user is, in which this Python serves."""
    root = tmp_path / "project"
    for name in COMMITTED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    monkeypatch.chdir(root)
    monkeypatch.setattr(status, "look_at_environment", lambda root: (["this Python serves"], "python", True))
    return root


def told(root):
    """The whole page as text; every line fits into 80 columns unless it is a command."""
    lines = status.report(status.look(root))
    assert all(len(line) < 80 for line in lines if not re.match(r"  (cd|\S*python[\d.]*) ", line)), lines
    return "\n".join(lines)


def next_command(root):
    return told(root).splitlines()[-1].strip()


def write(path, content="", hours_ago=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    moment = time.time() - hours_ago * HOUR
    os.utime(path, (moment, moment))
    return path


def trained(root, state, *flags, saved=True, hours_ago=1, **about):
    """Leave behind what a run leaves behind that got to step 250 of 1,000."""
    settings = read_settings(CONFIG, list(flags))
    run = {
        "id": "1", "started": "20260101-000000", "preset": settings["preset"], "config": "gpt_nano", "process": 1,
        "checkpoint_dir": str(root / "pretraining/checkpoints"), "device": "cpu", "parameters": 7_211_776,
        "tokens_per_step": 4096, "last_step": 1000,
        "settings": settings | {"log_path": str(root / "logs/training_log.json")},
    }  # fmt: skip
    train = [
        {"step": step, "loss": 4.0, "learning_rate": 1e-3, "tokens_per_second": 7000.0, "seconds": step * 0.5}
        for step in range(10, 260, 10)
    ]
    losses = {0: 9.0, 100: 3.5, 200: 3.8}
    validation = [
        {"step": step, "heldout_code": {"loss": loss, "perplexity": 1.0, "bits_per_byte": 1.5},
         "heldout_books": {"loss": 5.0, "perplexity": 1.0, "bits_per_byte": 2.0}}
        for step, loss in losses.items()
    ]  # fmt: skip
    log = {"run": run | about, "train": train, "validation": validation, "status": state}
    write(root / "logs/training_log.json", log, hours_ago)
    if saved:
        for name in ("best.pt", "last.pt", "step_000100.pt", "step_000200.pt"):
            write(root / "pretraining/checkpoints" / name, "x" * 1_000_000, hours_ago)


def mixed(root, own=(), hours_ago=2):
    """Leave behind what a mix leaves behind that knew these of the user's files: (kind, files, bytes)."""
    processed = root / "data/processed"
    write(processed / "mixed_corpus.txt", "x" * 2_500_000, hours_ago)
    write(processed / "heldout_code.txt", "x" * 100_000, hours_ago)
    sources = [{"name": "own", "kind": kind, "files": files, "bytes": size} for kind, files, size in own]
    corpora = {"mixed_corpus": {"documents": 8520, "bytes": 2_500_000}, "heldout_code": {"documents": 1, "bytes": 9}}
    write(processed / "manifest.json", {"corpora": corpora, "sources": sources}, hours_ago)


# -- the states of a project -------------------------------------------------------------------------------------------


def test_a_fresh_clone_is_told_what_it_has_and_the_way_to_a_first_model(root):
    page = told(root)
    for label in ("environment", "data", "tokenizer", "models", "training", "checkpoints", "evaluation", "settings"):
        assert f"\n{label} " in f"\n{page}"
    assert "data/raw/code      0 sources collected, 0 files of yours" in page
    assert "no corpus yet; the first training makes it" in page
    assert "8,192 tokens" in page and "nothing was trained here yet" in page and "nothing evaluated yet" in page
    assert page.index("nano_config.json") < page.index("tiny_config.json") < page.index("small_config.json")
    assert "27.1M parameters, 6 layers of 512  <- CONFIG" in page
    assert len(page.splitlines()) <= 45, "it is to fit on a screen"
    assert next_command(root) == "python scripts/quickstart.py"


def test_with_data_the_next_thing_is_a_training_with_the_settings_that_were_edited_if_any(root):
    mixed(root)
    assert next_command(root) == "python pretraining/train_improved.py --preset nano"
    source = root / "pretraining/train_improved.py"
    source.write_text(source.read_text().replace('"max_steps": 2500', '"max_steps": 4000'))
    assert next_command(root) == "python pretraining/train_improved.py", "a preset would be against the edit"


def test_the_corpora_are_told_with_size_documents_and_age(root):
    mixed(root)
    write(root / "data/processed/my_corpus.txt", "x" * 300_000)
    write(root / "data/raw/code/collected/click/source.json")
    write(root / "data/raw/code/collected/click/mine.py")
    page = told(root)
    assert "mixed_corpus.txt      2.5 MB  8,520 documents  2 hours ago" in page
    assert "heldout_code.txt      0.1 MB       1 document  2 hours ago" in page
    assert "my_corpus.txt         0.3 MB                   just now" in page
    assert page.index("my_corpus") < page.index("heldout_code"), "what is trained on stands before what is held out"
    assert "data/raw/code      1 source collected, 0 files of yours\n" in page


def test_own_files_that_the_mix_has_not_seen_are_to_be_mixed_in(root):
    """Somebody who added files and trains without mixing trains on the old corpus and wonders."""
    mixed(root)
    write(root / "data/raw/code/project/mine.py", "print(1)\n")
    assert "create_mixed_corpus.py has not seen your newest code yet" in told(root)
    assert next_command(root) == "python scripts/create_mixed_corpus.py"
    mixed(root, own=[("code", 1, 9)], hours_ago=0)
    assert "1 file of yours\n" in told(root) and "has not seen" not in told(root)
    assert next_command(root) == "python pretraining/train_improved.py --preset nano"


def test_a_finished_run_is_summed_up_and_its_model_looked_at(root):
    mixed(root)
    trained(root, "finished", "--preset", "nano", last_step=250)
    page = told(root)
    assert "finished 1 hour ago: step 250 of 250 (100%) in 2 min 5 s" in page
    assert "gpt_nano, 7.2M parameters, preset nano, cpu, 7,000 tokens/s" in page
    assert "training text  loss 4.000" in page
    assert "heldout_code   loss 3.800, perplexity 44.7 (excellent, step 200)" in page, "not that of step 250"
    assert "heldout_books  loss 5.000, perplexity 148.4 (okay, step 200)" in page
    assert "best.pt               1.0 MB  1 hour ago  step 100\n" in page, "the lowest loss, not the last"
    assert "step_*.pt             2.0 MB  2 files, the newest step_000200.pt" in page
    assert next_command(root) == "python scripts/quick_gen_test.py"
    write(root / "scripts/full_evaluation.py")
    assert next_command(root) == "python scripts/full_evaluation.py --quick"


def test_an_evaluation_counts_when_it_is_newer_than_the_model(root):
    mixed(root)
    trained(root, "finished")
    write(root / "scripts/full_evaluation.py")
    results = root / "evaluation/results"
    write(results / "baseline_v0.json", {"perplexity": 247.96})
    assert "nothing evaluated yet" in told(root), "the first results are not of a model that was trained here"
    scores = {"question": "?", "perplexity": 42.3505, "format": 1, "brackets": {"score": 0.625, "n": 9}}
    write(results / "code_eval.json", scores, hours_ago=3)
    assert "code_eval.json, 3 hours ago\n             perplexity 42.35, brackets score 0.625" in told(root)
    assert next_command(root).endswith("full_evaluation.py --quick"), "that was another model"
    write(results / "speed.json", {"format": 1, "about": {"device": "cpu"}, "peaks": {"score": 1.0}})
    assert "code_eval.json, 3 hours ago" in told(root), "how fast a machine is says nothing of a model"
    assert next_command(root).endswith("full_evaluation.py --quick")
    write(results / "code_eval.json", scores)
    assert next_command(root) == "python pretraining/generate.py"


def test_a_run_that_learnt_too_little_is_to_be_lengthened_with_its_own_flags(root):
    mixed(root)
    trained(root, "finished", "--preset", "nano", "--learning_rate", "1e-3", "--max_minutes", "1", last_step=250)
    log = json.loads((root / "logs/training_log.json").read_text("utf-8"))
    log["validation"][-1]["heldout_code"]["loss"] = 6.0
    write(root / "logs/training_log.json", log)
    first, *flags = next_command(root).split(" --")
    assert first == "python pretraining/train_improved.py"
    assert flags == ["preset nano", "learning_rate 0.001", "resume last", "max_steps 500"]


def test_a_corpus_that_is_newer_than_the_model_is_to_be_trained_on(root):
    trained(root, "finished", hours_ago=5)
    mixed(root)
    assert next_command(root) == "python pretraining/train_improved.py"


def test_a_running_training_is_told_with_its_process_and_the_time_left(root):
    trained(root, "running", process=os.getpid(), hours_ago=0)
    lock = FolderLock(root / "pretraining/checkpoints")
    try:
        page = told(root)
        assert f"running now (process {os.getpid()})\n             step 250 of 1,000 (25%), 6 min 15 s left\n" in page
        assert next_command(root) == "python scripts/monitor_training.py"
    finally:
        lock.release()


def test_a_training_that_only_prepares_is_not_taken_for_the_run_before_it(root):
    """For minutes it mixes and counts tokens, while the log is still that of the last run."""
    lock = FolderLock(root / "pretraining/checkpoints")
    try:
        assert f"preparing now (process {os.getpid()})" in told(root), "the first training of all"
        trained(root, "finished", process=1)
        page = told(root)
        assert f"preparing now (process {os.getpid()})" in page and "before that: finished 1 hour ago" in page
        assert next_command(root) == "python scripts/monitor_training.py"
    finally:
        lock.release()


def test_a_killed_run_goes_on_with_the_flags_it_was_started_with(root):
    """Other flags are another run: the half-done one would be archived and training would start anew."""
    trained(root, "running", "--preset", "nano", "--learning_rate", "1e-3", "--max_minutes", "5")
    assert "interrupted 1 hour ago: step 250 of 1,000 (25%) in 2 min 5 s" in told(root)
    assert "go on where it was saved last" in told(root)
    first, *flags = next_command(root).split(" --")
    assert first == "python pretraining/train_improved.py"
    assert sorted(flags) == ["learning_rate 0.001", "max_minutes 5", "preset nano"]
    trained(root, "stopped")
    assert "stopped 1 hour ago" in told(root)
    assert next_command(root) == "python pretraining/train_improved.py"


def test_a_run_that_saved_nothing_is_said_to_begin_again(root):
    trained(root, "running", "--preset", "nano", saved=False, process=None)  # an older log does not name it
    assert "begin again; nothing was saved yet" in told(root)
    assert next_command(root) == "python pretraining/train_improved.py --preset nano"


def test_a_failed_run_is_to_be_looked_at(root):
    trained(root, "failed")
    assert "failed 1 hour ago" in told(root)
    assert next_command(root) == "python scripts/monitor_training.py --summary"


def test_earlier_runs_are_counted(root):
    trained(root, "finished")
    for name in ("20260101-101010-gpt_tiny", "20260202-101010-gpt_nano"):
        write(root / "pretraining/checkpoints/archive" / name / "best.pt")
    assert "archive            2 runs, the newest 20260202-101010-gpt_nano" in told(root)


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "data/processed/manifest.json",
        "logs/training_log.json",
        "tokenizer/tokenizer_8k.json",
        "model/config/gpt_nano_config.json",
        "evaluation/results/code_eval.json",
        "pretraining/train_improved.py",
        "scripts/create_mixed_corpus.py",
    ],
)
def test_a_damaged_file_is_a_line_and_takes_nothing_else_with_it(root, name):
    mixed(root)
    trained(root, "finished")
    whole = set(told(root).splitlines())
    for content in ("", "{", '{"run": {}, "train": 3}', "[]", "null", "[" * 100_000, "\0", "{}"):
        write(root / name, content)
        damaged = told(root).splitlines()
        assert len(whole & set(damaged)) > len(whole) - 12, "the other sections are as before"
        assert damaged[-1].startswith("  python ")
        said = any(word in line for line in damaged for word in ("damaged", " does not ", "can not be"))
        assert "nano" not in name or "gpt_nano_config.json  is damaged" in " ".join(damaged)
        assert said or ("code_eval" in name and content.endswith("}")), "a result without known numbers is no damage"


@pytest.mark.parametrize(
    "change", [{"status": "paused"}, {"train": [{"step": "10"}]}, {"validation": [{"step": 5, "heldout_code": 3}]}]
)
def test_a_log_of_another_version_is_a_line(root, change):
    trained(root, "finished")
    path = root / "logs/training_log.json"
    write(path, json.loads(path.read_text()) | change)
    assert "training_log.json is damaged: nothing is known of the last run" in told(root)


def test_a_setting_that_can_not_be_run_is_told_before_anybody_starts_a_training(root):
    path = root / "pretraining/train_improved.py"
    path.write_text(path.read_text().replace('"max_steps": 2500', '"max_step": 2500'))
    assert "CONFIG has an unknown key 'max_step'; did you mean 'max_steps'?" in " ".join(told(root).split())


# -- settings, places, Pythons -----------------------------------------------------------------------------------------


def test_line_numbers_are_those_of_the_files_as_they_are_now(root):
    """The numbers in a README are wrong after the first edit; these never are."""
    for edit in ("", "# a line that the user inserted\n"):
        for name in ("pretraining/train_improved.py", "scripts/create_mixed_corpus.py", "pretraining/generate.py"):
            (root / name).write_text(edit + (root / name).read_text())
        places = [line.split()[:2] for line in told(root).splitlines() if line.startswith("  ") and ".py:" in line]
        assert len(places) == 15
        for place, name in places:
            file, _, number = place.partition(":")
            assert name in (root / file).read_text().splitlines()[int(number) - 1]


def test_the_marked_model_is_the_one_that_a_training_would_take(root):
    path = root / "pretraining/train_improved.py"
    path.write_text(path.read_text().replace('"preset": "default"', '"preset": "nano"'))
    page = told(root)
    assert "gpt_nano_config.json" in next(line for line in page.splitlines() if "<- CONFIG" in line)
    assert "preset of CONFIG: nano" in page


def test_runs_are_looked_for_where_config_puts_them(root):
    path = root / "pretraining/train_improved.py"
    path.write_text(path.read_text().replace("pretraining/checkpoints", "big_disk").replace("logs/", "diary/"))
    write(root / "big_disk/last.pt", "x" * 3_000_000)
    write(root / "diary/training_log.json", "{")
    assert "last.pt               3.0 MB" in told(root) and "training_log.json is damaged" in told(root)


@pytest.mark.parametrize("path", sorted((ROOT / "model/config").glob("*.json")), ids=lambda path: path.stem)
def test_parameters_are_counted_as_the_model_counts_them(path):
    sizes = json.loads(path.read_text())
    assert status.parameter_count(sizes) == GPT(ModelConfig.load(path)).parameter_count()


def test_parameters_of_a_config_with_every_size_given_are_counted_too():
    sizes = {"n_layers": 3, "n_heads": 2, "hidden_size": 24, "max_seq_len": 8, "vocab_size": 300, "dropout": 0.1}
    for feed_forward in (0, 40):
        config = ModelConfig.from_dict(sizes | {"ffn_hidden_size": feed_forward}, source="test")
        counted = status.parameter_count(sizes | {"ffn_hidden_size": feed_forward})
        assert counted == GPT(config).parameter_count()


def test_in_another_folder_the_command_goes_to_the_project_first(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert next_command(root) == f"cd {root} && python scripts/quickstart.py"


@pytest.fixture
def environment(root, monkeypatch):
    """The real question to a Python, answered no by this one; makes a .venv that answers as wanted."""
    monkeypatch.undo()
    monkeypatch.chdir(root)
    write(
        root / "scripts/make_environment.py",
        "import sys\nprint(f'{sys.executable} does not serve: torch is missing. Try: it')\nsys.exit(1)\n",
    )

    def make_venv(script):
        python = write(root / ".venv/bin/python", script)
        python.chmod(python.stat().st_mode | stat.S_IXUSR)

    return make_venv


@pytest.mark.skipif(os.name == "nt", reason="the .venv of this test is a shell script")
def test_commands_use_the_python_that_serves(root, environment):
    mixed(root)
    page = told(root)
    assert f"this Python ({sys.version.split()[0]}) does not serve: torch is missing\n" in page
    assert ".venv is not there;" in page and "Try" not in page
    assert next_command(root) == f"{sys.executable} scripts/make_environment.py"
    environment("#!/bin/sh\necho $0 has all of requirements.txt\n")
    assert ".venv has all of requirements.txt\n" in told(root)
    assert next_command(root) == ".venv/bin/python pretraining/train_improved.py --preset nano"


@pytest.mark.skipif(os.name == "nt", reason="the .venv of this test is a shell script")
def test_a_broken_venv_is_a_line(root, environment):
    environment("#!/bin/nowhere\n")
    assert ".venv does not answer: " in told(root)
    (root / ".venv/bin/python").unlink()
    assert ".venv is broken; " in told(root)
    assert next_command(root) == f"{sys.executable} scripts/quickstart.py"


def test_a_bare_python_shows_it_all(tmp_path):
    """Whoever has not installed anything yet is who needs it most; a pipe in an old locale must do as well."""
    command = [sys.executable, "-I", "-S", str(ROOT / "scripts/status.py")]
    bare = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=bare, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout and "scripts/create_mixed_corpus.py:" in done.stdout
    assert subprocess.run([*command, "--help"], capture_output=True, check=False).returncode == 0


def test_a_name_that_the_terminal_can_not_show_is_no_obstacle(root, monkeypatch):
    write(root / "data/processed/bücher.txt")
    monkeypatch.setattr(status, "ROOT", root)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert status.main([]) == 0
    sys.stdout.flush()
    assert b"b?cher.txt" in sys.stdout.buffer.getvalue()


def test_it_only_looks(root):
    """A status that leaves files behind, or keeps a lock, is part of the trouble it is asked about."""
    mixed(root)
    trained(root, "running")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    told(root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_a_plan_is_made_by_the_python_that_can_train(capfd):
    """status.py itself runs without torch; the flags of a training reach the plan, and its answer is the exit code."""
    assert status.main(["--plan", "--batch_size", "0"]) == 2
    assert "batch_size is 0" in capfd.readouterr().err


def test_an_unknown_flag_is_no_plan(capsys):
    with pytest.raises(SystemExit) as left:
        status.main(["--plam"])
    assert left.value.code == 2
    assert "--plam" in capsys.readouterr().err


def test_whoever_has_read_enough_of_it_sees_no_traceback():
    command = [sys.executable, str(ROOT / "scripts" / "status.py")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0
