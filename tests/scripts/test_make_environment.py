"""Making `.venv`: what serves is left alone, what is half made is mended, and each failure is told in one line.

Most of it runs for real, with pip and a package of one line from a folder instead of an index.
"""

import importlib
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

maker = importlib.import_module("scripts.make_environment")
ROOT = Path(maker.__file__).resolve().parents[1]
STUBBORN_PIP = """#!/bin/sh
case "$*" in
*--check*) exit 1;;
*"pip install"*) trap "sleep 0.6; touch cleaned; exit 1" INT; touch started; while :; do sleep 0.1; done;;
esac
"""
posix_only = pytest.mark.skipif(os.name != "posix", reason="process groups and shell scripts")


def write_wheel(folder: Path, name: str, version: str) -> None:
    """A package of one module, as an installable file."""
    information = f"{name}-{version}.dist-info"
    members = {
        f"{name}.py": f"version = {version!r}\n",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{member},,\n" for member in members) + f"{information}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for member, content in {**members, f"{information}/RECORD": record}.items():
            archive.writestr(member, content)


class Checkout:
    """A repository with nothing but the script and its two lists, and a folder that pip takes packages from."""

    def __init__(self, root: Path) -> None:
        self.root, self.packages = root, root / "packages"
        for folder in ("scripts", "tests", "packages"):
            (root / folder).mkdir(parents=True)
        shutil.copy(maker.__file__, root / "scripts")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PIP_")},
            "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.packages),
        }  # fmt: skip
        self.ask_for("tinycode>=1.0  # a reason\n")
        write_wheel(self.packages, "tinycode", "1.2")

    def ask_for(self, text: str, tests: str = "") -> None:
        (self.root / "requirements.txt").write_text(f"# what is needed\n{text}")
        (self.root / "tests" / "requirements.txt").write_text(tests)

    def run(self, *flags: str, python: Path | str = sys.executable, **variables: str) -> subprocess.CompletedProcess:
        command = [str(python), str(self.root / "scripts" / "make_environment.py"), *flags]
        environment = self.environment | variables
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=self.root, check=False)

    @property
    def python(self) -> Path:
        return self.root / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def serves(self) -> bool:
        return self.run("--check", python=self.python).returncode == 0


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Checkout:
    """An environment that was made for real. Tests leave it serving."""
    checkout = Checkout(tmp_path_factory.mktemp("made"))
    result = checkout.run()
    assert result.returncode == 0, result.stderr
    return checkout


def module_in(root: Path):
    """The script as a module, for a repository elsewhere."""
    spec = importlib.util.spec_from_file_location("make_environment_elsewhere", root / "scripts/make_environment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- demands -----------------------------------------------------------------------------------------------------------


def test_versions_compare_as_packaging_compares_them():
    """The standard library has no comparison of versions; the packaging project's is the reference."""
    versions = "1.9 2 2.0 2.0.0 2.0.1 2.1 2.10 2.9 2.0rc1 2.0.dev3 2.0b2 2.0.post1 2.0+cpu 2.1+cu130 10.0".split()
    for version, operator, wanted in itertools.product(versions, ("==", ">=", "<"), ("2", "2.0.0", "2.1", "2.9", "10")):
        expected = SpecifierSet(operator + wanted).contains(version, prereleases=True)
        assert maker.meets(version, operator, wanted) == expected, (version, operator, wanted)


@pytest.mark.parametrize("path", [maker.REQUIREMENTS, maker.TEST_REQUIREMENTS])
def test_the_project_s_own_requirements_can_be_read(path):
    """Whoever adds a requirement in another notation must see here that --check would not understand it."""
    assert list(maker.read_requirements(path))


@pytest.mark.parametrize("line", ["tiny~=1.0", "tiny[extra]>=1", "-r more.txt", "tiny>=1; sys_platform == 'x'", "a b"])
def test_a_requirement_that_is_not_understood_is_refused_and_not_taken_for_met(checkout, line):
    checkout.ask_for(f"{line}\n")
    result = checkout.run("--check")
    assert result.returncode == 2
    assert "requirements.txt, line 2" in result.stderr
    assert result.stderr.count("\n") == 1


# -- --check -----------------------------------------------------------------------------------------------------------


def installed(folder: Path, name: str, version: str, complete: bool = True) -> None:
    information = folder / f"{name}-{version}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if complete:
        (information / "INSTALLER").write_text("pip\n")


@pytest.mark.parametrize(
    "version, complete, asked, answer",
    [
        ("1.2", True, "tiny_code>=1.0,<2", None),
        ("1.2+cpu", True, "tiny-code==1.2", None),
        ("1.2", True, "Tiny.Code", None),
        ("1.2", True, "tiny_code>=1.3", "tiny_code is 1.2 instead of >=1.3"),
        ("1.2", True, "tiny_code>=1.0, <1.2", "tiny_code is 1.2 instead of >=1.0, <1.2"),
        ("1.2", False, "tiny_code", "tiny_code is half installed"),
        ("1.2", True, "another>=1", "another>=1 is missing"),
    ],
)
def test_check_says_in_one_line_what_is_lacking(checkout, version, complete, asked, answer):
    installed(checkout.root / "site", "tiny_code", version, complete)
    checkout.ask_for(f"{asked}\n")
    before = sorted(checkout.root.rglob("*"))
    result = checkout.run("--check", PYTHONPATH=str(checkout.root / "site"), PYTHONDONTWRITEBYTECODE="1")
    assert result.returncode == (1 if answer else 0)
    assert result.stdout.count("\n") == 1
    assert sys.executable in result.stdout
    assert answer is None or f"does not serve: {answer}. Try: " in result.stdout
    assert sorted(checkout.root.rglob("*")) == before


def test_check_looks_at_the_tests_requirements_only_when_asked(checkout):
    installed(checkout.root / "site", "tinycode", "1.0")
    checkout.ask_for("tinycode\n", tests="not-there\n")
    assert checkout.run("--check", PYTHONPATH=str(checkout.root / "site")).returncode == 0
    result = checkout.run("--check", "--tests", PYTHONPATH=str(checkout.root / "site"))
    assert result.returncode == 1
    assert "not-there is missing. Try: python3 scripts/make_environment.py --tests" in result.stdout


# -- making ------------------------------------------------------------------------------------------------------------


def test_what_serves_is_left_alone_and_what_changed_is_installed(made):
    """A minute of pip before every run would keep people from running anything."""
    assert made.serves()
    again = made.run(PIP_FIND_LINKS="")  # pip would find nothing
    assert again.returncode == 0
    assert "has all that is needed" in again.stdout
    write_wheel(made.packages, "tinytests", "3.0")
    made.ask_for("tinycode>=1.0\n", tests="tinytests>=3\n")
    assert made.run("--tests").returncode == 0
    assert made.run("--check", "--tests", python=made.python).returncode == 0


def test_an_environment_made_otherwise_is_used(made):
    """PyTorch's CPU build comes from its own index: whoever installed it must not get the other one on top."""
    write_wheel(made.packages, "bigcode", "2.13.0+cpu")
    subprocess.run([made.python, "-m", "pip", "install", "bigcode"], env=made.environment, check=True)
    made.ask_for("bigcode==2.13.0\n")
    result = made.run(PIP_FIND_LINKS="")
    assert result.returncode == 0
    assert "has all that is needed" in result.stdout
    made.ask_for("tinycode>=1.0\n")


def test_a_package_that_pip_was_interrupted_in_is_installed_once_more(made):
    """Its metadata may be there before its code is, and pip would call the requirement satisfied for ever after."""
    folder = next(made.root.rglob("tinycode-*.dist-info"))
    (folder / "INSTALLER").unlink()
    (folder.parent / "tinycode.py").unlink()
    assert not made.serves()
    result = made.run()
    assert result.returncode == 0
    assert "tinycode-1.2 was half installed" in result.stdout
    subprocess.run([made.python, "-c", "import tinycode"], check=True)


@posix_only
def test_an_environment_whose_python_is_gone_is_made_anew(made):
    """As it happens when the system's Python is upgraded."""
    made.python.unlink()
    made.python.symlink_to(made.root / "no-python-here")
    result = made.run()
    assert result.returncode == 0, result.stderr
    assert "Making .venv anew" in result.stdout
    assert made.serves()


@pytest.mark.parametrize(
    "variables", [{}, {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "https://127.0.0.1:9/", "PIP_RETRIES": "1"}]
)
def test_no_wheel_and_no_network_are_told_apart(made, variables):
    """Pip ends both with `No matching distribution`, and a source archive must not start a compiler."""
    (made.packages / "newcode-1.0.tar.gz").write_bytes(b"this needs a compiler")
    made.ask_for("tinycode>=1.0\nnewcode>=1.0\n")
    result = made.run(**variables, **({"PIP_FIND_LINKS": ""} if variables else {}))
    made.ask_for("tinycode>=1.0\n")
    said = result.stderr.splitlines()[-1]
    assert result.returncode == 2
    assert said.startswith("error: ")
    if variables:
        assert "Check the network" in said
    else:
        assert f"ready-made wheel of newcode>=1.0 for Python {sys.version_info[0]}.{sys.version_info[1]} on" in said
        assert "python3.11 scripts/make_environment.py" in said
    assert "No matching distribution" in result.stderr, "pip's own messages stay visible"


@pytest.mark.parametrize(
    "message, answer",
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "TMPDIR"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] ...", "pip's option cert"),
        ("ReadTimeoutError: Read timed out.\nERROR: No matching distribution found for torch==2.13.0", "network"),
        ("ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: 'x'", "sudo rm -r .venv"),
        ("ERROR: ResolutionImpossible", "remove .venv"),
    ],
)
def test_pip_s_messages_are_explained_in_one_line(message, answer):
    explained = maker.explain(message)
    assert answer in explained
    assert "the same command again" in explained
    assert "\n" not in explained


# -- refusals before anything is made ----------------------------------------------------------------------------------


def refused(checkout: Checkout, monkeypatch, capsys, prepare) -> str:
    """What is said when making an environment is refused; nothing may have been run or made."""
    module = module_in(checkout.root)
    monkeypatch.setattr(module, "run", lambda *command: pytest.fail(f"{command} was run"))
    prepare(module)
    assert module.main([]) == 2
    assert not (checkout.root / ".venv").exists()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_a_full_disk_is_noticed_beforehand(checkout, monkeypatch, capsys):
    usage = shutil.disk_usage(checkout.root)._replace(free=700_000_000)
    said = refused(
        checkout,
        monkeypatch,
        capsys,
        lambda module: monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage),
    )
    assert "needs 1.2 GB and 0.7 GB are free" in said


def test_a_folder_of_somebody_else_is_refused(checkout, monkeypatch, capsys):
    said = refused(
        checkout, monkeypatch, capsys, lambda module: monkeypatch.setattr(module.os, "access", lambda *asked: False)
    )
    assert "can not be written to" in said


def test_a_python_without_ensurepip_is_told_what_to_install(checkout, monkeypatch, capsys):
    """Debian's python3 comes without it."""
    said = refused(
        checkout,
        monkeypatch,
        capsys,
        lambda module: monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None),
    )
    assert "sudo apt install python3-venv" in said


@pytest.mark.parametrize(
    "system, driver, warned", [("linux", None, True), ("linux", "/bin/nvidia-smi", False), ("darwin", None, False)]
)
def test_pytorch_for_gpus_is_announced_where_nobody_can_use_it(monkeypatch, capsys, system, driver, warned):
    monkeypatch.setattr(maker.sys, "platform", system)
    monkeypatch.setattr(maker.shutil, "which", lambda name: driver)
    monkeypatch.setattr(maker.Path, "exists", lambda path: False)
    maker.warn_of_large_torch()
    monkeypatch.undo()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == int(warned)
    assert not warned or "CPU build" in lines[0]


@posix_only
def test_after_ctrl_c_pip_is_given_the_time_to_clean_up(checkout):
    """A pip that is killed leaves more behind than one that stops."""
    checkout.python.parent.mkdir(parents=True)
    checkout.python.write_text(STUBBORN_PIP)
    checkout.python.chmod(0o755)
    command = [sys.executable, "scripts/make_environment.py"]
    process = subprocess.Popen(command, cwd=checkout.root, start_new_session=True, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not (checkout.root / "started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert (checkout.root / "cleaned").exists()
    assert said.strip().splitlines()[-1] == "stopped: the same command goes on from here"
