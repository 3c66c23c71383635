"""The test runner: installs once, passes arguments and exit codes through, and explains a Python that cannot."""

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

    def __call__(self, *command, quiet=False) -> int:
        self.seen.append([str(part) for part in command])
        fails = self.failing and self.failing in " ".join(self.seen[-1])
        if "venv" in self.seen[-1] and not fails:
            runner.PYTHON.parent.mkdir(parents=True, exist_ok=True)
            runner.PYTHON.touch()
        return self.code if fails else 0

    def of(self, module: str) -> list[list[str]]:
        return [command for command in self.seen if command[1:3] == ["-m", module]]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """An empty repository with two requirements files, in place of this one."""
    (tmp_path / "tests").mkdir()
    files = (tmp_path / "requirements.txt", tmp_path / "tests" / "requirements.txt")
    for path in files:
        path.write_text("pytest\n")
    monkeypatch.setattr(runner, "ENVIRONMENT", tmp_path / ".venv")
    monkeypatch.setattr(runner, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setattr(runner, "STAMP", tmp_path / ".venv" / "stamp")
    monkeypatch.setattr(runner, "REQUIREMENTS", files)
    return tmp_path


def use(monkeypatch, commands: Commands) -> Commands:
    monkeypatch.setattr(runner, "run", commands)
    return commands


def test_the_first_run_makes_installs_and_tests(checkout, monkeypatch):
    commands = use(monkeypatch, Commands())
    assert runner.main(["-k", "a name with spaces", "-x"]) == 0
    assert [command[2] for command in commands.seen] == ["venv", "pip", "pytest"]
    assert commands.seen[-1][3:] == ["-k", "a name with spaces", "-x"]
    assert commands.of("pip")[0].count("-r") == 2


def test_it_installs_again_only_when_the_requirements_change(checkout, monkeypatch):
    """A minute of pip before every run would keep people from running the tests."""
    commands = use(monkeypatch, Commands())
    runner.main([])
    runner.main([])
    assert len(commands.of("venv")) == 1
    assert len([command for command in commands.of("pip") if "install" in command]) == 1
    (checkout / "tests" / "requirements.txt").write_text("pytest\ntransformers\n")
    runner.main([])
    assert len([command for command in commands.of("pip") if "install" in command]) == 2
    assert len(commands.of("venv")) == 1


@pytest.mark.parametrize("code", [1, 5])
def test_pytest_s_exit_code_comes_back(checkout, monkeypatch, code):
    use(monkeypatch, Commands("-m pytest", code))
    assert runner.main([]) == code


def test_a_failed_install_is_tried_again_and_runs_no_tests(checkout, monkeypatch, capsys):
    commands = use(monkeypatch, Commands("-m pip install"))
    assert runner.main([]) == 2
    assert not commands.of("pytest")
    assert "could not install" in capsys.readouterr().err
    commands = use(monkeypatch, Commands())
    assert runner.main([]) == 0
    assert [command for command in commands.of("pip") if "install" in command]


def test_a_python_without_ensurepip_is_told_what_to_install(checkout, monkeypatch, capsys):
    """Debian's python3 comes without it; the half-made folder must not count as an environment the next time."""
    use(monkeypatch, Commands("-m venv"))
    assert runner.main([]) == 2
    assert "sudo apt install python3-venv" in capsys.readouterr().err
    runner.PYTHON.parent.mkdir(parents=True)
    runner.PYTHON.touch()
    commands = use(monkeypatch, Commands("pip --version"))
    runner.main([])
    assert commands.of("venv")


def test_help_is_answered_at_once(checkout, monkeypatch, capsys):
    commands = use(monkeypatch, Commands())
    assert runner.main(["--help"]) == 0
    assert "goes to pytest" in capsys.readouterr().out
    assert not commands.seen


def test_an_old_python_gets_one_line():
    """Newer syntax above the check would be a SyntaxError there, so the check runs for real, with a lowered version."""
    script = Path(runner.__file__)
    lowered = (
        f"import sys; sys.version_info = (3, 9, 1); sys.argv = ['run_tests.py']; exec(open({str(script)!r}).read())"
    )
    result = subprocess.run([sys.executable, "-c", lowered], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "Python 3.11 or newer is needed" in result.stderr


def test_it_needs_the_standard_library_alone(tmp_path):
    command = [sys.executable, "-I", "-S", runner.__file__, "--help"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
