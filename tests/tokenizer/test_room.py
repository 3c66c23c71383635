"""Without the tokenizers package, the room's scripts say in one line how to get it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


SCRIPTS = ("train_tokenizer_improved.py", "verify_token.py")


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_missing_package_is_one_line_not_a_traceback(tmp_path, name):
    """-I and -S leave the standard library alone, as in a Python where nothing was installed."""
    result = run(tmp_path, "-I", "-S", ROOT / "tokenizer" / name)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "pip install -r requirements.txt" in result.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_runs_from_any_folder(tmp_path, name):
    result = run(tmp_path, ROOT / "tokenizer" / name, "--help")
    assert result.returncode == 0
    assert "default" in result.stdout
