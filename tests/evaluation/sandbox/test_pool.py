"""The pool: verdicts in order whatever happens to its workers, no verdict invented, and refusals that say why."""

import itertools
import os
import signal
import threading

import pytest

from evaluation.sandbox import pool, probes
from evaluation.sandbox.pool import Job, Limits, Sandbox, SandboxBroken, SandboxUnavailable, Verdict, Worker
from tests.evaluation.sandbox.conftest import LINUX_ALONE
from tests.evaluation.sandbox.hostile import wait_until

pytestmark = LINUX_ALONE

RIGHT = Job("def add(a, b): return a + b", "add", cases=(((2, 3), 5),))
WRONG = Job("def add(a, b): return a - b", "add", cases=(((2, 3), 5),))
SLEEPER = Job("import time\ntime.sleep(100)", "add", cases=(((2, 3), 5),))


@pytest.fixture(scope="module")
def two():
    """A sandbox with two workers."""
    with Sandbox(Limits(cpu_seconds=1, wall_seconds=1.0), workers=2) as opened:
        yield opened


def number(n: int) -> Job:
    """A program that only passes for its own number, and takes the longer the smaller that is."""
    source = f"import time\ndef f(): time.sleep({0.05 if n % 5 == 0 else 0})\n"
    return Job(source, "f", cases=(((), None),)) if n % 3 else Job(source, "f", cases=(((), n),))


def test_verdicts_come_in_the_order_of_the_programs(two):
    verdicts = [verdict.verdict for verdict in two.judge(number(n) for n in range(40))]
    assert verdicts == ["pass" if n % 3 else "wrong" for n in range(40)]


def test_programs_are_taken_a_few_ahead_and_not_all_at_once(two):
    """The jobs may be samples that a model is still drawing, or more than fit into memory."""
    taken = []

    def endless():
        for n in itertools.count():
            taken.append(n)
            yield RIGHT

    assert all(verdict.is_pass for verdict in itertools.islice(two.judge(endless()), 20))
    assert 20 <= len(taken) <= 40


def test_a_loop_over_verdicts_can_be_left_and_another_one_run_inside(two):
    for verdict in two.judge([RIGHT] * 10):
        assert verdict.is_pass
        assert [inner.verdict for inner in two.judge([WRONG, RIGHT])] == ["wrong", "pass"]
        break
    first, second = two.judge([RIGHT] * 20), two.judge([WRONG] * 20)
    assert {(a.verdict, b.verdict) for a, b in zip(first, second, strict=True)} == {("pass", "wrong")}


def test_several_threads_can_share_a_sandbox(two):
    found: list[list[str]] = []
    jobs = ([RIGHT] * 15, [WRONG] * 15, [RIGHT, WRONG] * 8)
    threads = [
        threading.Thread(target=lambda own=own: found.append([v.verdict for v in two.judge(own)])) for own in jobs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == sorted([["pass"] * 15, ["wrong"] * 15, ["pass", "wrong"] * 8])


def test_an_error_of_the_programs_source_comes_through(two):
    def broken():
        yield RIGHT
        raise KeyError("no more samples")

    with pytest.raises(KeyError, match="no more samples"):
        list(two.judge(broken()))
    assert next(two.judge([RIGHT])).is_pass


@pytest.mark.parametrize("which", ["judge", "fork server", "world of the fork server"])
def test_a_party_that_is_killed_is_replaced_and_its_program_judged_again(two, which):
    def jobs():
        yield from [RIGHT, WRONG] * 2
        for worker in list(two.workers):
            server, judge = (one.pid for one in worker.processes)
            inner = pool.Path(f"/proc/{server}/task/{server}/children").read_text().split()
            os.kill({"judge": judge, "fork server": server}.get(which, int((inner or [server])[0])), signal.SIGKILL)
        yield from [RIGHT, WRONG] * 5

    assert [verdict.verdict for verdict in two.judge(jobs())] == ["pass", "wrong"] * 7


def test_a_sandbox_that_keeps_failing_stops_the_run(two, monkeypatch):
    """Neither right nor wrong is known then, and counting either would be a lie."""
    failing = Verdict("sandbox-error", detail="the child could not be locked in: seccomp")
    monkeypatch.setattr(Worker, "judge", lambda self, job: failing)
    with pytest.raises(SandboxBroken, match=r"3 times .* the child could not be locked in: seccomp"):
        list(two.judge([RIGHT]))


def test_a_worker_that_can_not_be_started_again_stops_the_run(two, monkeypatch):
    for worker in two.workers:
        worker.close()
    monkeypatch.setattr(pool.parties, "start", lambda *details: (_ for _ in ()).throw(OSError("no more processes")))
    with pytest.raises(SandboxBroken, match="no more processes"):
        list(two.judge([RIGHT]))
    monkeypatch.undo()
    assert next(two.judge([RIGHT])).is_pass, "the sandbox is usable again when the machine is"


@pytest.mark.parametrize(("loaded", "runs"), [(True, 2), (False, 1)])
def test_what_only_the_clock_stopped_runs_again_alone_where_the_machine_was_loaded(two, monkeypatch, loaded, runs):
    """On a machine with other work a program may have been waiting; a sleeper is a sleeper on a quiet one."""
    running, seen = [], []
    judge = Worker.judge

    def watched(self, job):
        running.append(job)
        seen.append((job is SLEEPER, len(running)))
        try:
            return judge(self, job)
        finally:
            running.remove(job)

    monkeypatch.setattr(Worker, "judge", watched)
    monkeypatch.setattr(pool, "machine_is_loaded", lambda: loaded)
    verdicts = [verdict.verdict for verdict in two.judge([SLEEPER, *[RIGHT] * 20])]
    assert verdicts == ["timeout"] + ["pass"] * 20
    beside = [others for sleeper, others in seen if sleeper]
    assert len(beside) == runs and (runs == 1 or beside[1] == 1)


def test_what_used_its_processor_time_does_not_run_again(two, monkeypatch):
    monkeypatch.setattr(pool, "machine_is_loaded", lambda: True)
    judged = []
    judge = Worker.judge
    monkeypatch.setattr(Worker, "judge", lambda self, job: judged.append(job) or judge(self, job))
    assert not next(two.judge([Job("import os\nos.abort()", "f", cases=(((), 1),))])).is_pass
    assert len(judged) == 1


def test_a_machine_with_more_to_do_than_cores_counts_as_loaded(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (pool.cores() + 1.0, 0.0, 0.0))
    assert pool.machine_is_loaded()


def test_a_sandbox_that_is_not_open_says_so():
    with pytest.raises(ValueError, match="not open"):
        list(Sandbox().judge([RIGHT]))


@pytest.mark.parametrize("values", [{"cpu_seconds": 0}, {"cpu_seconds": 256}, {"memory_bytes": 1000}])
def test_limits_that_are_none_are_refused(values):
    with pytest.raises(ValueError, match="1 to 255 whole seconds"):
        Limits(**values)


# -- refusing ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def leaky(monkeypatch):
    """A machine on which a file can be read."""
    real = probes.probes

    def with_a_leak(*details):
        return [
            *real(*details)[:3],
            probes.Probe("no file is read", "def add(a, b): return a + b", ("error:PermissionError",)),
        ]

    monkeypatch.setattr(probes, "probes", with_a_leak)


def test_a_sandbox_that_leaks_is_refused_with_the_reason_and_the_next_command(leaky):
    sandbox = Sandbox(workers=1)
    with pytest.raises(SandboxUnavailable, match=r"no file is read: got pass") as refused, sandbox:
        pass
    assert "evaluation/sandbox/doctor.py" in str(refused.value) and "--allow-unsandboxed" in str(refused.value)
    assert sandbox.workers == []


def test_parties_that_do_not_come_up_in_time_are_refused_with_that_reason(monkeypatch):
    monkeypatch.setattr(pool, "START_SECONDS", 0.001)
    with pytest.raises(SandboxUnavailable, match="did not start: no answer in time"), Sandbox(workers=1):
        pass


def test_too_few_layers_are_refused(monkeypatch):
    monkeypatch.setattr(probes, "level_of", lambda layers: None)
    with pytest.raises(SandboxUnavailable, match="seccomp"), Sandbox(workers=1):
        pass


def test_running_without_walls_is_for_those_who_say_so_and_every_results_file_tells(leaky, capsys):
    with Sandbox(Limits(cpu_seconds=1), workers=1, allow_unsandboxed=True) as sandbox:
        verdicts = sandbox.judge([RIGHT, WRONG, Job("while True: pass", "f", cases=(((), 1),))])
        assert [verdict.verdict for verdict in verdicts] == ["pass", "wrong", "timeout"], "limits and judge stay"
        assert "--allow-unsandboxed" in sandbox.description["level"]
        assert "no file is read: got pass" in sandbox.description["probes"]
    assert "warning: --allow-unsandboxed" in capsys.readouterr().err


def test_what_is_left_behind_without_walls_is_swept_up():
    source = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(1000)\ndef add(a, b): return a + b"
    settings = Sandbox(Limits(cpu_seconds=1)).settings | {"unsandboxed": True}
    worker = Worker(settings)
    try:
        verdict = worker.judge(Job(source, "add", cases=(((2, 3), 5),)))
        assert (verdict.verdict, verdict.strays) == ("pass", 1)
    finally:
        worker.close()


def test_the_description_says_what_a_results_file_must(two):
    assert set(two.description) == {"level", "layers", "probes", "limits", "python"}
    assert two.description["level"] in probes.LEVELS
    share = two.description["probes"].split("/")
    assert share[0] == share[1]


def test_ctrl_c_while_it_starts_leaves_nothing_running(monkeypatch):
    started = []
    start = pool.parties.start
    monkeypatch.setattr(pool.parties, "start", lambda *details: started.append(start(*details)) or started[-1])
    monkeypatch.setattr(probes, "probe", lambda *details: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt), Sandbox(workers=1):
        pass
    assert len(started) == 2 and wait_until(lambda: all(one.returncode is not None for one in started))
