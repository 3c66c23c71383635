"""Runs the tests in an environment of their own: makes `.venv`, installs what is needed, and calls pytest.

    python3 scripts/run_tests.py -k tokenizer

Needs the standard library alone. Whatever follows the script's name goes to pytest, and pytest's exit code comes back
(2 as well where the environment cannot be made). The install runs again only when a requirements file has changed.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the line is for those who run an older one
    found = sys.version.split()[0]
    sys.stderr.write(f"error: Python 3.11 or newer is needed and this is {found}; try: python3.11 {sys.argv[0]}\n")
    sys.exit(2)

import hashlib
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
REQUIREMENTS = (ROOT / "requirements.txt", ROOT / "tests" / "requirements.txt")
STAMP = ENVIRONMENT / "installed-requirements.sha256"


class SetupError(RuntimeError):
    """The environment could not be made; the message says what to do."""


def run(*command: str | Path, quiet: bool = False) -> int:
    """Runs a command in the repository root and returns its exit code."""
    output = subprocess.DEVNULL if quiet else None
    return subprocess.run([*map(str, command)], cwd=ROOT, stdout=output, stderr=output, check=False).returncode


def requirements_hash() -> str:
    """Changes when a requirements file does, or the Python that runs this."""
    return hashlib.sha256(b"\0".join([sys.version.encode(), *(path.read_bytes() for path in REQUIREMENTS)])).hexdigest()


def make_environment() -> None:
    """Makes `.venv` where there is none that has pip; an interrupted or refused attempt leaves one without."""
    if PYTHON.exists() and run(PYTHON, "-m", "pip", "--version", quiet=True) == 0:
        return
    print(f"[Tests] Making {ENVIRONMENT}", flush=True)
    if run(sys.executable, "-m", "venv", ENVIRONMENT) != 0:
        raise SetupError(
            f"{sys.executable} could not make {ENVIRONMENT} (its message is above). Where ensurepip is missing, as on "
            "Debian and Ubuntu: sudo apt install python3-venv, then run this again"
        )


def install_requirements() -> None:
    print("[Tests] Installing requirements.txt and tests/requirements.txt: some minutes the first time", flush=True)
    files = [argument for path in REQUIREMENTS for argument in ("-r", path)]
    if run(PYTHON, "-m", "pip", "install", "--disable-pip-version-check", *files) != 0:
        raise SetupError("pip could not install the requirements (its message is above); check the network, run again")
    STAMP.write_text(requirements_hash())


def main(arguments: list[str] | None = None) -> int:
    pytest_arguments = sys.argv[1:] if arguments is None else arguments
    if pytest_arguments in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    try:
        if not (PYTHON.exists() and STAMP.exists() and STAMP.read_text() == requirements_hash()):
            make_environment()
            install_requirements()
    except (SetupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return run(PYTHON, "-m", "pytest", *pytest_arguments)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(2)
