"""Runs the tests in an environment of their own: has `.venv` made by make_environment.py, and calls pytest there.

    python3 scripts/run_tests.py -k tokenizer

Needs the standard library alone. Whatever follows the script's name goes to pytest, and pytest's exit code comes back
(2 as well where the environment cannot be made). Packages are installed only when `.venv` lacks what is asked for.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the line is for those who run an older one
    found = sys.version.split()[0]
    sys.stderr.write(f"error: Python 3.11 or newer is needed and this is {found}; try: python3.11 {sys.argv[0]}\n")
    sys.exit(2)

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(*command: str | Path) -> int:
    """Runs a command in the repository root and returns its exit code."""
    return subprocess.run([*map(str, command)], cwd=ROOT, check=False).returncode


def main(arguments: list[str] | None = None) -> int:
    pytest_arguments = sys.argv[1:] if arguments is None else arguments
    if pytest_arguments in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    if run(sys.executable, ROOT / "scripts" / "make_environment.py", "--tests") != 0:
        return 2  # it has said why
    return run(PYTHON, "-m", "pytest", *pytest_arguments)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(2)
