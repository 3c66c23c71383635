"""The judge: owns the tests, calls the program as if it were far away, and compares what comes back.

A process of its own, because a test handles hostile values; it limits itself. Started by parties.py with its channels
to the pool and to the fork server. The program sees calls and nothing else of a test, so all that it can forge is an
answer, and a right answer is a pass.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import contextlib
import json
import os
import random
import resource
import signal
import socket
import time
from collections.abc import Callable

from evaluation.sandbox import parties, wire
from evaluation.sandbox.comparing import same
from evaluation.sandbox.parties import OWN_SECONDS, START_SECONDS
from evaluation.sandbox.session import Candidate, Ended, Session, SetupFailed

# Of a test, for what it makes of answers: an answer is at most wire.LARGEST_FRAME, and may be slow to take apart.
OWN_MEMORY = 2 << 30  # bytes
OWN_CPU_SECONDS = 1.0
LONGEST_DETAIL = 300


# -- one test ----------------------------------------------------------------------------------------------------------


def run_cases(session: Session, candidate: Candidate, result: dict) -> str:
    """Call once for each case and compare; returns the verdict of the first case that fails, or "pass"."""
    verdict = "pass"
    for case in session.job["cases"]:
        arguments, expected = (wire.decode(part) for part in case)
        call = f"{session.job['entry']}{brief(tuple(arguments))}"
        try:
            answer = candidate(*arguments)
        except Exception as error:
            failure, detail = verdict_of(error, session), f"{call} raised {session.raised[1]}"
        else:
            failure, detail = "wrong", f"{call} gave {brief(answer)}, not {brief(expected)}"
            result["right_type"] += type(answer) is type(expected)
            if same(answer, expected):
                result["passed"] += 1
                continue
        if verdict == "pass":
            verdict, result["detail"] = failure, detail
    return verdict


def run_check(session: Session, candidate: Candidate, result: dict, check: Callable) -> str:
    """Run a test's own function `check(candidate)`; what it raises means that the answers were wrong."""
    try:
        check(candidate)
    except Exception as error:
        result["detail"] = f"{type(error).__name__}: {brief(error)}"
        return verdict_of(error, session) if session.calls else "invalid-test"
    if not session.calls:
        result["detail"] = "the test did not call the program"
        return "invalid-test"
    result["passed"] = 1
    return "pass"


def load_check(job: dict) -> Callable:
    """The function `check` of a test. Raises whatever the test raises while it is loaded."""
    names: dict = {"__name__": "test"}
    exec(compile(job["helpers"] + "\n" + job["test"], "<test>", "exec", dont_inherit=True), names)
    return names["check"]


def verdict_of(error: BaseException, session: Session) -> str:
    """`error:NAME` for what the program raised, `wrong` for what the test made of its answers."""
    raised, name = session.raised
    if error is raised:
        return "memory" if name == "MemoryError" else f"error:{name}"
    return "wrong"


def brief(value: object) -> str:
    """A value for human eyes, on one line; nothing in it can steer a terminal."""
    try:
        text = str(value) if isinstance(value, Exception) else repr(value)
    except BaseException as error:  # a number of too many digits; an object of a program that has ended
        text = f"something that can not be shown: {type(error).__name__}"
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text[:LONGEST_DETAIL])


# -- one program after the other ---------------------------------------------------------------------------------------


class Judge:
    """Gives the verdicts on what a fork server runs."""

    def __init__(self, pool: socket.socket, control: socket.socket, wall_seconds: float) -> None:
        self.pool, self.control, self.wall_seconds = pool, control, wall_seconds

    def judge(self, job: dict) -> dict:
        """The verdict on one program, as the fields of pool.Verdict."""
        result = {
            "verdict": "",
            "passed": 0,
            "total": len(job["cases"]) or 1,
            "right_type": 0,
            "calls": 0,
            "detail": "",
        }
        random.seed(0)  # a test that draws numbers draws the same ones for each program
        try:
            check = None if job["cases"] else load_check(job)
        except BaseException as error:
            detail = f"the test itself can not be loaded: {type(error).__name__}: {brief(error)}"
            return result | {"verdict": "invalid-test", "detail": detail}
        started = time.monotonic()
        session, report = self._let_run(job, result, check)
        if report is None:
            return result | {"verdict": "sandbox-error", "detail": result["detail"] or "the fork server is gone"}
        measured = {key: report[key] for key in ("cpu", "memory", "strays")}
        if result["verdict"] != "sandbox-error":
            measured |= {"calls": session.calls, "by_wall": session.ended == "timeout"}
            result["verdict"] = final_verdict(result["verdict"], session.ended, report, job["cpu_seconds"])
        return result | measured | {"seconds": time.monotonic() - started}

    def _let_run(self, job: dict, result: dict, check: Callable | None) -> tuple[Session, dict | None]:
        """Have the program run and the result filled in; returns its session, and the fork server's report on it."""
        ours, theirs = socket.socketpair()
        session = Session(ours, self.pool, job)
        with ours:
            with theirs, contextlib.suppress(OSError):  # a fork server that is gone is noticed below
                socket.send_fds(self.control, [bytes([job["cpu_seconds"]])], [theirs.fileno()])
            try:
                session.start()
                set_alarms(self.wall_seconds + OWN_SECONDS, OWN_CPU_SECONDS)
                result["verdict"] = self._run(session, result, check)
            except SetupFailed as error:
                result |= {"verdict": "sandbox-error", "detail": str(error)}
            finally:
                set_alarms(0, 0)
        report = self._end_program(wait=session.ended == "closed")
        if report is None and session.process and sys.platform == "darwin":
            with contextlib.suppress(OSError):  # Linux ends a child whose fork server has died
                os.kill(session.process, signal.SIGKILL)
        return session, report

    def _run(self, session: Session, result: dict, check: Callable | None) -> str:
        """Load the program and test it; what is returned does not count where the program has ended."""
        try:
            session.load(self.wall_seconds)
        except Exception as error:
            result["detail"] = f"raised {session.raised[1]} while it was loaded"
            return verdict_of(error, session)
        except Ended:
            return ""
        candidate = Candidate(session, session.job["entry"], session.job["entry"])
        try:
            return run_check(session, candidate, result, check) if check else run_cases(session, candidate, result)
        except Ended:
            return ""
        except BaseException as error:
            result["detail"] = f"the test was left by {type(error).__name__}"
            return "wrong"

    def _end_program(self, wait: bool) -> dict | None:
        """Tell the fork server that enough was heard, exactly once for each program; returns how the child ended."""
        try:
            self.control.sendall(b"W" if wait else b"K")
            return wire.receive_frame(self.control, time.monotonic() + START_SECONDS)
        except (OSError, wire.ChannelClosed, wire.DeadlinePassed, wire.WireError):
            return None


def set_alarms(seconds: float, cpu_seconds: float) -> None:
    """End this judge when a test or an answer holds it up: nothing can catch these alarms or sleep through them."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)


def final_verdict(verdict: str, ended: str, report: dict, cpu_seconds: int) -> str:
    """What a test made of the answers counts only where the program lived to give them, within its memory."""
    if report["memory_killed"]:
        return "memory"
    if ended != "closed":
        return ended or verdict
    status = report["status"]
    if report["killed"]:
        return "protocol"  # it lived on behind a closed channel
    if status >= 0:
        return f"exit:{status}"
    # The kernel samples the time that it limits: on a busy machine it kills somewhat early by the exact measure.
    if status == -signal.SIGKILL and report["cpu"] > cpu_seconds / 2:
        return "timeout"
    names = {number.value: number.name for number in signal.Signals}
    return f"crash:{names.get(-status, f'SIG{-status}')}"


def main() -> None:
    """Judge what the pool sends until it closes the channel."""
    settings = json.loads(sys.argv[1])
    pool, control = socket.socket(fileno=os.dup(0)), socket.socket(fileno=os.dup(1))
    parties.reset_signals()
    try:
        description = wire.receive_frame(control, time.monotonic() + START_SECONDS)
    except (wire.ChannelClosed, wire.DeadlinePassed, wire.WireError) as error:
        description = {"failed": f"the fork server did not start ({error})"}
    parties.be_quiet()
    os.dup2(1, 0)  # a test that reads finds nothing
    with contextlib.suppress(OSError, ValueError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (OWN_MEMORY, OWN_MEMORY))
    judge = Judge(pool, control, settings["wall_seconds"])
    with contextlib.suppress(wire.ChannelClosed):  # the pool is closed, or gone
        wire.send_frame(pool, description)
        while True:
            wire.send_frame(pool, judge.judge(wire.receive_frame(pool)))


if __name__ == "__main__":
    main()
