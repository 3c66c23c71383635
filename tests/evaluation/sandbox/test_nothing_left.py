"""Nothing is left behind, whoever is killed and whenever, and the sandbox works on machines that are in a bad state."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import venv
from pathlib import Path

import pytest

from evaluation.sandbox import doctor, probes
from evaluation.sandbox.pool import Job, Limits, Sandbox, SandboxBroken, Verdict, Worker
from tests.evaluation.sandbox.conftest import LINUX_ALONE
from tests.evaluation.sandbox.hostile import REPOSITORY, wait_until

pytestmark = LINUX_ALONE

RIGHT = Job("def add(a, b): return a + b", "add", cases=(((2, 3), 5),))
SLEEPER = Job("import time\ntime.sleep(1000)", "add", cases=(((2, 3), 5),))
DEAF = """
import signal, threading, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
for _ in range(3): threading.Thread(target=time.sleep, args=(1000,)).start()
time.sleep(1000)
"""
ENDS = {
    "pass": "def add(a, b): return a + b",
    "wrong": "def add(a, b): return a - b",
    "error:ZeroDivisionError": "def add(a, b): 1 / 0",
    "exit:3": "import os\nos._exit(3)",
    "crash:SIGKILL": "import os\nos.kill(os.getpid(), 9)",
    "memory": "x = [0] * 10**10",
    "protocol": "def add(a, b): return add",
}
LIMITS = Limits(cpu_seconds=1, wall_seconds=20.0)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(params=[True, False], ids=["with namespaces", "without"])
def worker(request):
    with contextlib.closing(Worker(Sandbox(LIMITS, namespaces=request.param).settings)) as opened:
        yield opened


def family(worker: Worker) -> list[int]:
    return [number for one in worker.processes for number in (one.pid, *doctor.descendants(one.pid))]


def in_the_middle_of(worker: Worker, source: str) -> tuple[list[int], threading.Thread, list[Verdict]]:
    """Start a program that goes on and on; returns all processes, and what will have become of it."""
    at_rest, verdicts = len(family(worker)), []
    job = Job(source, "add", cases=(((2, 3), 5),))
    thread = threading.Thread(target=lambda: verdicts.append(worker.judge(job)))
    thread.start()
    assert wait_until(lambda: len(family(worker)) > at_rest)
    return family(worker), thread, verdicts


@pytest.mark.parametrize("source", [SLEEPER.source, "while True: pass", DEAF], ids=["sleeps", "loops", "is deaf"])
@pytest.mark.parametrize("victim", [0, 1], ids=["fork server", "judge"])
def test_when_a_party_is_killed_in_the_middle_of_a_program_nothing_runs_on(worker, victim, source):
    processes, thread, verdicts = in_the_middle_of(worker, source)
    os.kill(worker.processes[victim].pid, signal.SIGKILL)
    thread.join(30)
    assert [verdict.verdict for verdict in verdicts] == ["sandbox-error"], "no verdict is invented"
    assert wait_until(lambda: not any(map(alive, processes))), [number for number in processes if alive(number)]


def test_when_the_script_that_uses_the_sandbox_is_killed_nothing_runs_on(tmp_path):
    script = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
from evaluation.sandbox.pool import *
with Sandbox(Limits(cpu_seconds=1, wall_seconds=100.0), workers=2) as sandbox:
    print("ready", flush=True)
    list(sandbox.judge([Job("import time\\ntime.sleep(1000)", "f", cases=(((), 1),))] * 2))
"""
    user = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=tmp_path)
    assert user.stdout.readline() == b"ready\n"
    at_rest = set(doctor.descendants(user.pid))
    assert wait_until(lambda: len(set(doctor.descendants(user.pid)) - at_rest) == 2)
    processes = list(doctor.descendants(user.pid))
    user.kill()
    user.communicate()
    assert len(processes) >= 6 and wait_until(lambda: not any(map(alive, processes)))


def test_a_fork_of_the_script_does_not_keep_the_sandbox_alive(worker):
    """Data loaders are forked and inherit our end of each channel: closing it must be heard all the same."""
    processes = family(worker)
    fork = subprocess.Popen(["sleep", "100"], pass_fds=[worker.channel.fileno()])
    try:
        worker.close()
        assert not any(map(alive, processes))
    finally:
        fork.kill()
        fork.wait()


def test_hundreds_of_programs_of_all_kinds_leave_everything_as_it_was():
    folders = [folder for folder in (tempfile.gettempdir(), "/dev/shm") if os.path.isdir(folder)]
    jobs = [Job(source, "add", cases=(((2, 3), 5),)) for source in ENDS.values()]
    with Sandbox(Limits(cpu_seconds=1), workers=1) as sandbox:
        assert [verdict.verdict for verdict in sandbox.judge(jobs)] == list(ENDS)
        before = doctor.held(sandbox.workers)
        files = [{name for name in os.listdir(folder) if "sandbox" in name} for folder in folders]
        assert [verdict.verdict for verdict in sandbox.judge(jobs * 40)] == list(ENDS) * 40
        assert files == [{name for name in os.listdir(folder) if "sandbox" in name} for folder in folders]
        assert doctor.show_growth(before, doctor.held(sandbox.workers))


def test_workers_that_are_replaced_leave_no_descriptor_and_no_zombie():
    started = len(os.listdir("/proc/self/fd")), list(doctor.descendants(os.getpid()))
    settings = Sandbox(LIMITS).settings
    for _ in range(3):
        worker = Worker(settings)
        os.kill(worker.processes[1].pid, signal.SIGKILL)
        assert worker.judge(RIGHT).verdict == "sandbox-error" and worker.closed
    assert (len(os.listdir("/proc/self/fd")), list(doctor.descendants(os.getpid()))) == started


# -- machines in a bad state -------------------------------------------------------------------------------------------


def verdicts_of_a_script(
    prepare: str = "", python: str = sys.executable, repository: Path = REPOSITORY, **details: object
) -> str:
    """What a script says that makes a sandbox after `prepare`; by a file, since it may have no stdout."""
    with tempfile.TemporaryDirectory() as folder:
        script, result = Path(folder, "script.py"), Path(folder, "result")
        script.write_text(f"""
import os, signal, sys
sys.path.insert(0, {str(repository)!r})
{prepare}
from evaluation.sandbox import probes
from evaluation.sandbox.pool import *
every = probes.probes
probes.probes = lambda *details: [one for one in every(*details) if "while True" not in one.source]  # it takes a second
jobs = [Job(source, "add", cases=(((2, 3), 5),)) for source in {list(ENDS.values())!r}]
with Sandbox(Limits(cpu_seconds=1), workers=2) as sandbox:
    found = [verdict.verdict for verdict in sandbox.judge(jobs * 3)]
open({str(result)!r}, "w").write(repr(found))
""")
        ran = subprocess.run([python, str(script)], capture_output=True, text=True, check=False, **details)
        assert ran.returncode == 0, ran.stderr
        return result.read_text()


@pytest.mark.parametrize(
    "prepare",
    [
        "for number in (0, 1, 2): os.close(number)",
        "os.close(0)",
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096))",
        "held = [os.dup(1) for _ in range(1500)]",
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN); signal.signal(signal.SIGALRM, signal.SIG_IGN)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))",
        "os.environ.update(PYTHONHASHSEED='7', PYTHONSTARTUP='/x', PYTHONPATH='/x', PYTHONDEVMODE='1', LD_PRELOAD='')",
        "os.environ.clear()",
        "os.umask(0o777)",
        "import tempfile; tempfile.gettempdir = lambda: (_ for _ in ()).throw(FileNotFoundError('the disk is full'))",
    ],
    ids=["nothing open", "no stdin", "64 files", "64 files softly", "1500 files open", "signals ignored",
         "signals blocked", "odd environment", "no environment", "umask", "full disk"],
)  # fmt: skip
def test_the_sandbox_works_whatever_the_state_of_the_script(prepare):
    if "1500" in prepare and resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2000:
        pytest.skip("this machine does not let so many files be opened")
    prepare = prepare.replace(
        "held =", "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (2000, 2000)); held ="
    )
    assert verdicts_of_a_script(prepare) == repr(list(ENDS) * 3)


def test_the_sandbox_works_on_a_disk_without_room():
    """A probe must not need a file, nor a party."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    with tempfile.TemporaryDirectory() as folder:
        small = f"mount -t tmpfs -o size=4k,nr_inodes=2 none {folder}"
        fill = f'{small} && (head -c 8192 /dev/zero > {folder}/fill; exec "$@")'
        code = "from evaluation.sandbox.pool import *\nwith Sandbox(workers=1) as s: print(s.description['level'])"
        command = ["unshare", "--mount", "sh", "-c", fill, "sh", sys.executable, "-c", code]
        ran = subprocess.run(
            command, cwd=REPOSITORY, env={"TMPDIR": folder}, capture_output=True, text=True, check=False
        )
        if "unshare" in ran.stderr or "mount:" in ran.stderr:
            pytest.skip(f"no small disk can be mounted here: {ran.stderr.strip()}")
        assert ran.stdout.strip() in probes.LEVELS, ran.stderr


def test_the_repository_and_the_interpreter_may_lie_in_odd_places(tmp_path):
    """A home folder with spaces and letters of other scripts, reached over a link, with a venv in it."""
    home = tmp_path / "my höme 日本"
    shutil.copytree(
        REPOSITORY / "evaluation" / "sandbox",
        home / "evaluation" / "sandbox",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(REPOSITORY / "evaluation" / "__init__.py", home / "evaluation")
    venv.create(home / "a venv", with_pip=False, symlinks=True)
    link = tmp_path / "link"
    link.symlink_to(home)
    python = str(link / "a venv" / "bin" / "python")
    assert verdicts_of_a_script(python=python, repository=link, cwd=home, env={"HOME": str(home)}) == repr(
        list(ENDS) * 3
    )


# -- doctor ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def without_the_slow_probe(monkeypatch):
    every = probes.probes
    quick = lambda *details: [one for one in every(*details) if one.name != "time is limited"]  # noqa: E731
    monkeypatch.setattr(probes, "probes", quick)


def test_the_doctor_shows_each_probe_the_layers_the_level_and_the_gaps(capsys, without_the_slow_probe):
    assert doctor.main(["--without", "namespaces", "--benchmark", "--programs", "20"]) == 0
    shown = capsys.readouterr().out
    assert "[OK] a right program passes: pass" in shown and "[FAIL]" not in shown
    assert "namespaces   switched off" in shown and "seccomp      on" in shown
    assert "Level L2" in shown or "Level L1" in shown
    assert "Not covered" in shown and "faults of the kernel" in shown
    assert "one worker:" in shown and "judge 0, descriptors: " in shown


def test_the_doctor_says_no_where_a_probe_fails(monkeypatch, capsys):
    real = probes.probes
    leak = probes.Probe("no file is read", "def add(a, b): return a + b", ("error:PermissionError",))
    monkeypatch.setattr(probes, "probes", lambda *details: [*real(*details)[:1], leak])
    assert doctor.main([]) == 1
    shown = capsys.readouterr().out
    assert "[FAIL] no file is read: pass" in shown and "--allow-unsandboxed" in shown and "1/2 probes hold" in shown


def test_the_doctor_says_no_where_nothing_starts(monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "win32")
    assert doctor.main([]) == 1
    assert "WSL2" in capsys.readouterr().out


def test_the_doctor_can_not_find_out_where_the_sandbox_breaks(monkeypatch, capsys, without_the_slow_probe):
    def broken(*details):
        raise SandboxBroken("the sandbox failed 3 times on one program")

    monkeypatch.setattr(doctor, "run", broken)
    assert doctor.main(["--benchmark", "--programs", "1"]) == 2
    assert "error: the sandbox could not be looked at: the sandbox failed 3 times" in capsys.readouterr().err


def test_growth_is_a_no():
    held = {"judge 0": {"memory": 1 << 24, "descriptors": 5}, "processes": {"count": 3}}
    assert doctor.show_growth(held, held) and doctor.show_growth(None, None)
    for more in ({"memory": 1 << 26, "descriptors": 5}, {"memory": 1 << 24, "descriptors": 6}):
        assert not doctor.show_growth(held, held | {"judge 0": more})
    assert not doctor.show_growth(held, held | {"processes": {"count": 4}})
