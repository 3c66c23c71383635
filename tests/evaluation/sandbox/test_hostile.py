"""Programs that attack and programs that cheat: allowed verdicts alone, and nothing is different afterwards."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.sandbox import pool
from tests.evaluation.sandbox.conftest import LINUX_ALONE
from tests.evaluation.sandbox.hostile import ALL, REPOSITORY, SHORT, arena, programs

pytestmark = LINUX_ALONE

WITHOUT = {"all walls": {}, "no namespaces": {"namespaces": False}, "no Landlock": {"landlock": False}}
QUICK = [program for program in ALL if not program.slow]
SLOW = [program for program in ALL if program.slow]
OTHER_PYTHONS = ("3.12", "3.13", "3.14")
INSTALLED_BY = (".pyenv/versions/{}.*/bin/python3", ".local/share/uv/python/cpython-{}.*/bin/python3")  # at home


@pytest.fixture(scope="module")
def place(request):
    with arena(**WITHOUT[request.param]) as opened:
        yield opened


@pytest.mark.parametrize("program", QUICK, ids=str)
@pytest.mark.parametrize("place", WITHOUT, indirect=True, scope="module")
def test_a_hostile_program_gets_an_allowed_verdict_and_does_no_harm(place, program):
    assert place.faults(program) == []


def test_slow_programs_are_stopped_and_do_no_harm(monkeypatch):
    monkeypatch.setattr(pool, "machine_is_loaded", lambda: False)  # else each would be tried twice
    with arena(workers=2 * pool.cores(), limits=SHORT) as place:
        verdicts = place.sandbox.judge(place.job(program.source) for program in SLOW)
        judged = zip(SLOW, list(verdicts), strict=True)
        assert [fault for program, verdict in judged for fault in place.faults(program, verdict)] == []


def test_no_forgery_is_allowed_to_pass():
    forgeries = programs("forgeries.txt")
    assert len(forgeries) > 40
    assert not [program.name for program in forgeries if "pass" in program.allowed_without_files]


def report(python: str, settings: dict, **user: object) -> dict:
    """What another user or another Python sees; skips where that can not be tried."""
    here = f"import sys, os; os.chdir({str(REPOSITORY)!r}); sys.exit(sys.version_info < (3, 11))"
    try:
        subprocess.run([python, "-c", here], check=True, capture_output=True, cwd="/", **user)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"this can not be tried here: {error}")
    command = [python, "-m", "tests.evaluation.sandbox.hostile", json.dumps(settings)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, **user)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize("namespaces", [True, False])
def test_the_walls_hold_for_an_ordinary_user(namespaces):
    """Root has rights that hide a missing wall, and lacks limits that bind others: both are tried."""
    if os.getuid() != 0:
        pytest.skip("these tests are run by an ordinary user anyway")
    readable = [sys.executable, "/usr/bin/python3"]
    user = {"user": 65534, "group": 65534, "extra_groups": []}
    python = next((one for one in readable if _can_run(one, **user)), readable[-1])
    assert report(python, {"namespaces": namespaces}, **user)["faults"] == []


def _can_run(python: str, **user: object) -> bool:
    try:
        return subprocess.run([python, "-c", ""], capture_output=True, check=False, cwd="/", **user).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


@pytest.mark.parametrize("version", OTHER_PYTHONS)
def test_the_walls_hold_under_other_versions_of_python(version):
    installed = [found for place in INSTALLED_BY for found in sorted(Path.home().glob(place.format(version)))]
    pythons = filter(None, [shutil.which(f"python{version}"), *map(str, installed)])
    python = next((one for one in pythons if _can_run(one)), None)
    if python is None:
        pytest.skip(f"no Python {version} here")
    assert report(python, {})["faults"] == []
