"""Makes `.venv` in the repository root and installs requirements.txt into it; does nothing where it serves already.

    python3 scripts/make_environment.py --tests

With --tests also tests/requirements.txt. With --check it changes nothing and answers whether the Python that runs it
has what is asked for. Needs the standard library alone. An interrupted attempt is mended by the next; only ready-made
wheels are installed, so that nobody needs a compiler.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the line is for those who run an older one
    found = sys.version.split()[0]
    sys.stderr.write(f"error: Python 3.11 or newer is needed and this is {found}; try: python3.11 {sys.argv[0]}\n")
    sys.exit(2)

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PACKAGES = Path(sysconfig.get_path("purelib", "venv", {"base": str(ENVIRONMENT)}))
REQUIREMENTS, TEST_REQUIREMENTS = ROOT / "requirements.txt", ROOT / "tests" / "requirements.txt"
# Measured with `du` on Linux: 1.18 GB with the CPU build of PyTorch (5.2 GB with the one for NVIDIA GPUs).
GIGABYTES_NEEDED = 1.2
NOT_WRITABLE = (
    f"{ENVIRONMENT} can not be written to. If it was made with sudo: sudo rm -r .venv, then run the same command again"
)
REQUIREMENT = re.compile(r"(?P<name>\w[\w.-]*)\s*(?P<demands>((==|>=|<)\s*\d[\w.]*\s*(,\s*|$))*)")
VERSION = re.compile(r"v?(?P<numbers>\d+(\.\d+)*)(?P<suffix>.*)")


class SetupError(ValueError):
    """The environment could not be made, or a requirement not be read; the message says what to do."""


# -- what is asked for, and whether it is there ------------------------------------------------------------------------


def version_key(version: str) -> tuple[list[int], int, str]:
    """Orders versions: by their numbers, then candidates (2.0rc1) before and repairs (2.0.post1) after the release.

    The local part (2.0+cpu) says how something was built, and counts for nothing. Raises SetupError.
    """
    match = VERSION.fullmatch(version.partition("+")[0])
    if not match:
        raise SetupError(f"{version!r} is not a version that this script can compare")
    numbers = [int(number) for number in match["numbers"].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    suffix = match["suffix"]
    return numbers, 1 if "post" in suffix else -1 if suffix else 0, suffix


def meets(version: str, operator: str, wanted: str) -> bool:
    """Whether a version is ==, >= or < the wanted one; a candidate of the wanted release is not below it (PEP 440)."""
    have, want = version_key(version), version_key(wanted)
    if operator == "<":
        return have[0] < want[0]
    return have == want if operator == "==" else have >= want


def read_requirements(path: Path) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """Each requirement of a file as it stands there, its name, and its demands as pairs of operator and version."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.partition("#")[0].strip()
        match = REQUIREMENT.fullmatch(text)
        if text and not match:
            raise SetupError(f"{path.name}, line {number}: {text!r} is more than a name with ==, >= and < versions")
        if text:
            yield text, match["name"], re.findall(r"(==|>=|<)\s*([\w.]+)", match["demands"])


def shortcomings(paths: list[Path]) -> list[str]:
    """What the running Python lacks of some requirements files, in words; empty where it serves."""
    found = []
    for path in paths:
        for text, name, demands in read_requirements(path):
            try:
                distribution = importlib.metadata.distribution(name)
            except importlib.metadata.PackageNotFoundError:
                found.append(f"{text} is missing")
                continue
            if not distribution.read_text("INSTALLER"):  # installers write it last
                found.append(f"{name} is half installed")
            elif not all(meets(distribution.version, *demand) for demand in demands):
                found.append(f"{name} is {distribution.version} instead of {text.removeprefix(name).strip()}")
    return found


def check(paths: list[Path]) -> int:
    """Says in one line whether the running Python serves; returns the exit code."""
    lacking = shortcomings(paths)
    if lacking:
        tests = " --tests" if TEST_REQUIREMENTS in paths else ""
        print(f"{sys.executable} does not serve: {', '.join(lacking)}. Try: python3 scripts/make_environment.py{tests}")
        return 1
    print(f"{sys.executable} has all of {shown(*paths)}")
    return 0


def shown(*paths: Path) -> str:
    """Paths as they are typed in the repository root."""
    return " and ".join(path.relative_to(ROOT).as_posix() for path in paths)


# -- making it ---------------------------------------------------------------------------------------------------------


def make_environment(paths: list[Path]) -> None:
    """Makes `.venv` serve, from whatever state it is in."""
    if serves(paths):
        print(f"[Environment] {shown(PYTHON)} has all that is needed")
        return
    if not os.access(ROOT, os.W_OK):
        raise SetupError(f"{ROOT} can not be written to. Put the repository into a folder of your own and run it there")
    if ENVIRONMENT.exists() and not os.access(ENVIRONMENT, os.W_OK):
        raise SetupError(NOT_WRITABLE)
    forget_half_installed()
    has_torch = any(PACKAGES.glob("torch-*.dist-info"))
    if not has_torch:
        check_disk()
    make_venv()
    if not has_torch:
        warn_of_large_torch()
    install(paths)
    if not serves(paths):
        raise SetupError(f"pip was satisfied, and yet something is missing. What: {shown(PYTHON)} scripts/"
                         "make_environment.py --check; to begin anew: rm -r .venv")  # fmt: skip
    print(f"[Environment] {shown(PYTHON)} is ready")


def serves(paths: list[Path]) -> bool:
    """Whether the Python of `.venv` has what the requirements files ask for."""
    tests = ["--tests"] if TEST_REQUIREMENTS in paths else []
    return run_quietly(PYTHON, __file__, "--check", *tests)


def forget_half_installed() -> None:
    """Removes what is known about packages that an interrupted pip was writing: it would take them for installed."""
    for folder in PACKAGES.glob("*.dist-info"):
        if not (folder / "INSTALLER").is_file():
            print(f"[Environment] {folder.name.removesuffix('.dist-info')} was half installed: once more", flush=True)
            shutil.rmtree(folder)


def check_disk() -> None:
    """Raises SetupError where PyTorch and the rest can not fit."""
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < GIGABYTES_NEEDED:
        raise SetupError(f"{ENVIRONMENT} needs {GIGABYTES_NEEDED} GB and {free:.1f} GB are free there. Free some "
                         "space, then run the same command again")  # fmt: skip


def warn_of_large_torch() -> None:
    """Says beforehand that pip may fetch gigabytes that nobody will use, and how to do without them."""
    has_driver = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists()
    if sys.platform == "linux" and not has_driver:
        print("[Environment] There is no NVIDIA driver here, and yet on Linux pip usually fetches PyTorch for NVIDIA "
              "GPUs: 3 GB to download, 5 GB on disk. For the small CPU build press Ctrl-C, take the pip command from "
              f"PyTorch's own install page, run it as {shown(PYTHON)} -m pip ..., then run the same command again",
              flush=True)  # fmt: skip


def make_venv() -> None:
    """Makes `.venv`, of the running Python's version and with pip, keeping what is good of one that is there."""
    same_version = f"import sys; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    has_pip = "import importlib.metadata as m, sys; sys.exit(not m.distribution('pip').read_text('INSTALLER'))"
    runs = run_quietly(PYTHON, "-c", same_version)
    if runs and run_quietly(PYTHON, "-c", has_pip):
        return
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise SetupError(f"{sys.executable} comes without venv and ensurepip. On Debian and Ubuntu: sudo apt install "
                         "python3-venv, then run the same command again")  # fmt: skip
    print(f"[Environment] Making {shown(ENVIRONMENT)}{'' if runs or not ENVIRONMENT.exists() else ' anew'}", flush=True)
    for options in ([[]] if runs else []) + [["--clear"]]:
        if run(sys.executable, "-m", "venv", *options, ENVIRONMENT)[0] == 0 and run_quietly(PYTHON, "-c", has_pip):
            return
    raise SetupError(f"{sys.executable} could not make {ENVIRONMENT} (its message is above). Try another Python 3.11 "
                     "or newer, or remove that folder, then run the same command again")  # fmt: skip


def install(paths: list[Path]) -> None:
    """Runs pip; where it fails, says what its messages mean."""
    print(f"[Environment] Installing {shown(*paths)}: some minutes the first time, as fast as your network", flush=True)
    files = [argument for path in paths for argument in ("-r", path)]
    options = ["--disable-pip-version-check", "--only-binary", ":all:"]
    code, messages = run(PYTHON, "-m", "pip", "install", *options, *files)
    if code != 0:
        raise SetupError(explain(messages))


def explain(messages: str) -> str:
    """What pip's error messages mean, and what to do."""

    def says(*signs: str) -> bool:
        return any(sign.lower() in messages.lower() for sign in signs)

    again = "then run the same command again"
    if says("No space left on device", "not enough space on the disk"):
        folders = {str(folder): shutil.disk_usage(folder).free / 1e9 for folder in (ROOT, tempfile.gettempdir())}
        listed = " and ".join(f"{free:.1f} GB in {folder}" for folder, free in folders.items())
        return (f"the disk is full: {listed} are free. Free some space, or set TMPDIR to a folder with more for what "
                f"pip unpacks, {again}")  # fmt: skip
    if says("CERTIFICATE_VERIFY_FAILED", "SSLError"):
        return ("pip does not trust the certificate of the package index (its message is above), often because of a "
                f"company's proxy: set pip's option cert, {again}")  # fmt: skip
    if says("NewConnectionError", "NameResolutionError", "name resolution", "Name or service not known",
            "getaddrinfo failed", "Network is unreachable", "Connection refused", "Connection reset", "timed out",
            "ProxyError", "Max retries exceeded", "ConnectionError", "ProtocolError", "IncompleteRead"):  # fmt: skip
        return f"pip could not reach the package index (its message is above). Check the network, {again}"
    if says("Permission denied", "Read-only file system"):
        return NOT_WRITABLE
    missing = re.search(r"(?:No matching distribution found for|that satisfies the requirement) (\S+)", messages)
    if missing:
        version, system = ".".join(platform.python_version_tuple()[:2]), f"{platform.system()} {platform.machine()}"
        return (f"pip finds no ready-made wheel of {missing[1]} for Python {version} on {system}, and without one a "
                "compiler would be needed. Try the Python this project is tested with: python3.11 "
                "scripts/make_environment.py")  # fmt: skip
    return f"pip could not install the requirements (its message is above). Mend that, or remove .venv, {again}"


def run(*command: str | Path) -> tuple[int, str]:
    """Runs a command and returns its exit code and error messages; all it says is shown while it runs.

    Its output has the terminal to itself, for pip's progress bars. After Ctrl-C it is given the time to clean up.
    """
    process = subprocess.Popen([*map(str, command)], cwd=ROOT, stderr=subprocess.PIPE, text=True, errors="replace")
    messages = []
    try:
        for line in process.stderr:
            sys.stderr.write(line)
            sys.stderr.flush()
            messages.append(line)
        return process.wait(), "".join(messages)
    except KeyboardInterrupt:
        process.communicate()
        raise


def run_quietly(*command: str | Path) -> bool:
    """Whether a command can be run and succeeds."""
    try:
        return subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, check=False).returncode == 0
    except OSError:  # no such file, or none for this machine
        return False


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", action="store_true", help="also what tests/requirements.txt asks for")
    parser.add_argument("--check", action="store_true",
                        help="only say whether the Python that runs this serves: exit code 0 yes, 1 no")  # fmt: skip
    options = parser.parse_args(arguments)
    paths = [REQUIREMENTS, TEST_REQUIREMENTS] if options.tests else [REQUIREMENTS]
    try:
        if options.check:
            return check(paths)
        make_environment(paths)
    except (SetupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nstopped: the same command goes on from here", file=sys.stderr)
        sys.exit(130)
