"""The script as its user meets it: the line to edit, the flags, and one clear line where it can not go on."""

import importlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
script = importlib.import_module("scripts.create_mixed_corpus")


def words(seed, number):
    generator = random.Random(str(seed))
    return ["".join(generator.choices("abcdefghijklmnop", k=6)) for _ in range(number)]


@pytest.fixture
def raw(tmp_path):
    """Own code and one book, as a user would put them there: more code than five parts to one."""
    raw = tmp_path / "raw"
    (raw / "code").mkdir(parents=True)
    (raw / "books").mkdir()
    for package in ("first", "second"):
        folder = raw / "code" / "collected" / package
        folder.mkdir(parents=True)
        (folder / "source.json").write_text(json.dumps({"name": package, "version": "1", "licence": "MIT"}))
        for number in range(40):
            lines = [
                f"{word} = {other!r}" for word, other in zip(*[iter(words((package, number), 40))] * 2, strict=True)
            ]
            (folder / f"m{number}.py").write_text("\n".join(lines) + "\n")
    for number in range(3):
        (raw / "books" / f"book{number}.txt").write_text(" ".join(words(number, 70)) + "\n")
    return raw


def made(raw, *flags, arguments=None):
    output = raw.parent / "out"
    arguments = ["--raw_dir", str(raw), "--output_dir", str(output), *flags]
    assert script.main(arguments) == 0
    return json.loads((output / "manifest.json").read_text())


def test_the_ratio_follows_the_flag(raw, monkeypatch):
    monkeypatch.setattr(script, "token_counter", lambda: None)
    three, five = made(raw, "--code_weight", "3"), made(raw, "--code-weight", "5")
    assert made(raw) == three, "3 is the default"
    assert three["mix"]["ratio"] == pytest.approx(3, rel=0.1)
    assert five["mix"]["ratio"] == pytest.approx(5, rel=0.1)
    assert five["mix"]["code_bytes"] > 1.4 * three["mix"]["code_bytes"]


def test_the_line_to_edit_is_the_default_of_the_flag(raw, tmp_path):
    """The README tells the user to change 3 to 5 in this very line."""
    text = Path(script.__file__).read_text()
    assert text.count("create_mixed_corpus(code_weight=3)") == 1
    edited = tmp_path / "edited.py"
    text = text.replace("create_mixed_corpus(code_weight=3)", "create_mixed_corpus(code_weight=5)")
    edited.write_text(text.replace("Path(__file__).resolve().parents[1]", f"Path({str(ROOT)!r})"))
    command = [sys.executable, edited, "--raw_dir", raw, "--output_dir", tmp_path / "out"]
    subprocess.run(command, check=True, capture_output=True)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["settings"]["code_weight"] == 5
    assert manifest["mix"]["ratio"] == pytest.approx(5, rel=0.1)


def test_where_nothing_was_collected_the_collection_runs_first(raw, monkeypatch, capsys):
    commands = []

    def run(command, check):
        (raw / "hidden").rename(raw / "code" / "collected")
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    (raw / "code" / "collected").rename(raw / "hidden")
    monkeypatch.setattr(script.subprocess, "run", run)
    monkeypatch.setattr(script, "token_counter", lambda: None)
    made(raw)
    ((_, collecting, *flags),) = commands
    assert Path(collecting).name == "collect_raw_data.py" and flags == ["--raw_dir", str(raw)]
    assert "running scripts/collect_raw_data.py" in capsys.readouterr().out
    made(raw)
    assert len(commands) == 1, "what is there is not collected again"


def test_what_stops_it_is_one_line_and_exit_code_2(raw, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script, "token_counter", lambda: None)
    (tmp_path / "empty").mkdir()
    assert script.main(["--raw_dir", str(tmp_path / "empty"), "--output_dir", str(tmp_path / "out"), "--only_own"]) == 2
    assert script.main(["--raw_dir", str(raw), "--output_dir", str(tmp_path / "out"), "--code_weight", "-1"]) == 2
    (tmp_path / "file").write_text("")
    assert script.main(["--raw_dir", str(raw), "--output_dir", str(tmp_path / "file" / "out")]) == 2
    monkeypatch.setattr(script.subprocess, "run", lambda command, check: subprocess.CompletedProcess(command, 2))
    assert script.main(["--raw_dir", str(tmp_path / "empty"), "--output_dir", str(tmp_path / "out")]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 4
    assert "no Python file of yours" in errors[0] and "code_weight" in errors[1] and "collection failed" in errors[3]
