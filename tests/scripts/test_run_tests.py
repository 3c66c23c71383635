"""The test runner: has the environment made, passes arguments and exit codes through, and explains an old Python."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

runner = importlib.import_module("scripts.run_tests")


class Commands:
    """Stands in for the running of commands: remembers them, and fails where a test wants it."""

    def __init__(self, failing: str = "", code: int = 1):
        self.seen: list[list[str]] = []
        self.failing, self.code = failing, code

    def __call__(self, *command) -> int:
        self.seen.append([str(part) for part in command])
        return self.code if self.failing and self.failing in " ".join(self.seen[-1]) else 0


def use(monkeypatch, commands: Commands) -> Commands:
    monkeypatch.setattr(runner, "run", commands)
    return commands


def test_it_has_the_environment_made_and_then_runs_pytest_in_it(monkeypatch):
    commands = use(monkeypatch, Commands())
    assert runner.main(["-k", "a name with spaces", "-x"]) == 0
    making, testing = commands.seen
    assert making[0] == sys.executable
    assert making[1].endswith("make_environment.py")
    assert making[2:] == ["--tests"]
    assert testing == [str(runner.PYTHON), "-m", "pytest", "-k", "a name with spaces", "-x"]
    assert ".venv" in testing[0]


@pytest.mark.parametrize("code", [1, 5])
def test_pytest_s_exit_code_comes_back(monkeypatch, code):
    use(monkeypatch, Commands("-m pytest", code))
    assert runner.main([]) == code


@pytest.mark.parametrize("code", [1, 2, 130])
def test_without_an_environment_no_test_runs(monkeypatch, code):
    """2, whatever happened: 1 would read as tests that failed."""
    commands = use(monkeypatch, Commands("make_environment", code))
    assert runner.main([]) == 2
    assert len(commands.seen) == 1


def test_help_is_answered_at_once(monkeypatch, capsys):
    commands = use(monkeypatch, Commands())
    assert runner.main(["--help"]) == 0
    assert "goes to pytest" in capsys.readouterr().out
    assert not commands.seen


@pytest.mark.parametrize("script", ["run_tests", "make_environment", "quickstart"])
def test_an_old_python_gets_one_line(script):
    """Newer syntax above the check would be a SyntaxError there, so the check runs for real, with a lowered version."""
    path = Path(runner.__file__).with_name(f"{script}.py")
    lowered = f"import runpy, sys; sys.version_info = (3, 9, 1); runpy.run_path({str(path)!r}, run_name='__main__')"
    result = subprocess.run([sys.executable, "-c", lowered], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "Python 3.11 or newer is needed" in result.stderr


@pytest.mark.parametrize("script", ["run_tests", "make_environment", "quickstart"])
def test_the_standard_library_is_enough(script, tmp_path):
    """They are what a newcomer runs before anything is installed."""
    command = [sys.executable, "-I", "-S", str(Path(runner.__file__).with_name(f"{script}.py")), "--help"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
