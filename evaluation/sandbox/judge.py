"""The judge: owns the tests, calls the program as if it were far away, and compares what comes back.

A process of its own (`python -s -S -X utf8 judge.py SETTINGS`, its channel to the pool as descriptor 0), because a
test handles hostile values; it limits itself. The program sees calls and nothing else of a test, so all that it can
forge is an answer, and a right answer is a pass.
"""

import builtins
import contextlib
import json
import math
import os
import resource
import signal
import socket
import sys
import time

import parties
import wire
from parties import OWN_SECONDS, START_SECONDS

OWN_MEMORY = 2 << 30  # bytes; what a program answers is at most wire.LARGEST_FRAME, what a test makes of it may be more
LONGEST_DETAIL = 300


class Ended(BaseException):
    """The program can answer no more; not an Exception, so that no test catches it."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how  # "closed", "timeout" or "protocol"


class SetupFailed(Exception):
    """The child was not locked in, or the fork server is gone: nothing is known about the program."""


class Session:
    """One program, running far away."""

    def __init__(self, channel: socket.socket, job: dict, deadline: float) -> None:
        self.channel, self.job, self.deadline = channel, job, deadline
        self.calls = 0
        self.error: tuple[BaseException | None, str] = (None, "")  # the last one that the program raised
        self.printed = ""

    def start(self) -> None:
        """Wait until the child is locked in, hand over the source, and wait until it has run."""
        try:
            if wire.receive_frame(self.channel, time.monotonic() + START_SECONDS) != "ready":
                raise SetupFailed("the child said something else than ready")
        except (wire.ChannelClosed, wire.DeadlinePassed, wire.WireError) as error:
            raise SetupFailed(f"the child was not ready: {type(error).__name__}") from None
        self._ask({"source": self.job["source"], "handles": self.job["handles"]})

    def call(self, target: str | int, operation: str | None, arguments: tuple, keywords: dict | None = None) -> object:
        """Let the program do something and return what it answers; raises what it raises, if that is a builtin."""
        self.calls += 1
        request = {
            "call": target,
            "operation": operation,
            "arguments": [_outgoing(value) for value in arguments],
            "keywords": {name: _outgoing(value) for name, value in (keywords or {}).items()},
            "changed": self.job["changed"],
            "printed": self.job["printed"],
        }
        reply = self._ask(request)
        if self.job["changed"]:
            for mine, theirs in zip(arguments, reply["changed"], strict=True):
                _take_over(mine, self._incoming(theirs))
        if self.job["printed"]:
            self.printed = reply["printed"]
        return self._incoming(reply["value"])

    def _ask(self, request: dict) -> dict:
        """Send one request, wait for its reply, and raise what the program raised."""
        try:
            wire.send_frame(self.channel, request)
            reply = wire.receive_frame(self.channel, self.deadline)
        except (wire.ChannelClosed, OSError):
            raise Ended("closed") from None
        except wire.DeadlinePassed:
            raise Ended("timeout") from None
        except wire.WireError:
            raise Ended("protocol") from None
        if not isinstance(reply, dict) or not self._well_formed(reply, request):
            raise Ended("protocol")
        if "error" in reply:
            self._raise(reply["error"])
        return reply

    def _well_formed(self, reply: dict, request: dict) -> bool:
        name = reply.get("error")
        if name is not None:
            return isinstance(name, str) and name.isidentifier() and len(name) <= 80
        wanted = {"value"} | {extra for extra in ("changed", "printed") if request.get(extra)}
        lists = not request.get("changed") or isinstance(reply.get("changed"), list)
        lists = lists and (
            not lists or not request.get("changed") or len(reply["changed"]) == len(request["arguments"])
        )
        return set(reply) == wanted and lists and isinstance(reply.get("printed", ""), str)

    def _incoming(self, data: object) -> object:
        try:
            value = wire.decode(data, handles=self.job["handles"])
        except wire.WireError:
            raise Ended("protocol") from None
        return Remote(self, value.number) if isinstance(value, wire.Handle) else value

    def _raise(self, name: str) -> None:
        """The builtin exception of that name, so that tests can expect it; else one that no test expects."""
        kind = getattr(builtins, name, None)
        error: BaseException = RuntimeError(f"the program raised {name}")
        if isinstance(kind, type) and issubclass(kind, Exception):
            with contextlib.suppress(TypeError):  # a few builtins can not be made from one text
                error = kind("raised by the program")
        self.error = (error, name)
        raise error


def _outgoing(value: object) -> object:
    return {"handle": value._number} if isinstance(value, Remote) else wire.encode(value)


def _take_over(mine: object, theirs: object) -> None:
    """Change an argument as the program changed its copy."""
    if type(mine) is not type(theirs):
        return
    if isinstance(mine, list):
        mine[:] = theirs
    elif isinstance(mine, (dict, set)):
        mine.clear()
        mine.update(theirs)


class Remote:
    """An object of the program, which stays there; a test uses it as if it were here."""

    def __init__(self, session: Session, number: int) -> None:
        self.__dict__.update(_session=session, _number=number)

    def _do(self, operation: str, *arguments: object, **keywords: object) -> object:
        return self._session.call(self._number, operation, arguments, keywords)

    def _answer(self, operation: str, kind: type, *arguments: object) -> object:
        """What the language insists on being of one type."""
        value = self._do(operation, *arguments)
        if type(value) is not kind:
            raise Ended("protocol")
        return value

    def __getattr__(self, name: str) -> object:
        value = self._do("attribute", name) if not self._is_method(name) else None
        return Method(self, name) if value is None and self._is_method(name) else value

    def _is_method(self, name: str) -> bool:
        return name in self._session.job["methods"]

    def __setattr__(self, name: str, value: object) -> None:
        self._do("assign", name, value)

    def __str__(self) -> str:
        return self._answer("text", str)

    def __repr__(self) -> str:
        return self._answer("representation", str)

    def __len__(self) -> int:
        length = self._answer("length", int)
        if not 0 <= length < sys.maxsize:
            raise Ended("protocol")
        return length

    def __bool__(self) -> bool:
        return self._answer("truth", bool)

    def __iter__(self) -> object:
        return iter(self._answer("list", list))

    def __contains__(self, item: object) -> bool:
        return self._answer("contains", bool, item)

    def __getitem__(self, key: object) -> object:
        return self._do("item", key)

    def __eq__(self, other: object) -> bool:
        return self._do("equal", other) is True

    def __lt__(self, other: object) -> bool:
        return self._do("less", other) is True

    def __add__(self, other: object) -> object:
        return self._do("add", other)

    def __sub__(self, other: object) -> object:
        return self._do("subtract", other)

    def __mul__(self, other: object) -> object:
        return self._do("multiply", other)

    __hash__ = object.__hash__


class Method:
    """A method of an object of the program."""

    def __init__(self, remote: Remote, name: str) -> None:
        self.remote, self.name = remote, name

    def __call__(self, *arguments: object, **keywords: object) -> object:
        return self.remote._do("method", self.name, *arguments, **keywords)


# -- comparing ---------------------------------------------------------------------------------------------------------


def same(answer: object, expected: object) -> bool:
    """Equal and of the same type, all the way down; floats to nine digits. All values are plain data."""
    if type(answer) is not type(expected):
        return False
    if isinstance(expected, float):
        return answer == expected or math.isclose(answer, expected, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(expected, (list, tuple)):
        return len(answer) == len(expected) and all(map(same, answer, expected))
    if isinstance(expected, dict):
        return answer.keys() == expected.keys() and all(same(answer[key], expected[key]) for key in expected)
    return answer == expected


def run_cases(session: Session, job: dict, result: dict) -> str:
    """Call once for each case and compare; returns the verdict of the first case that fails, or "pass"."""
    verdict = "pass"
    for case in job["cases"]:
        arguments, expected = (wire.decode(part) for part in case)
        try:
            answer = session.call(job["entry"], None, tuple(arguments))
        except Ended:
            raise
        except BaseException as error:
            verdict = verdict if verdict != "pass" else _verdict_of(error, session)
            continue
        result["right_type"] += type(answer) is type(expected)
        if same(answer, expected):
            result["passed"] += 1
        elif verdict == "pass":
            verdict = "wrong"
            result["detail"] = f"{job['entry']}{tuple(arguments)!r} gave {answer!r}, not {expected!r}"[:LONGEST_DETAIL]
    return verdict


def run_check(session: Session, job: dict, result: dict) -> str:
    """Run a test's own function `check(candidate)`; what it raises means that the answers were wrong."""
    names: dict = {"__name__": "test"}
    try:
        exec(compile(job["helpers"] + "\n" + job["test"], "<test>", "exec"), names)
        check = names["check"]
    except Exception as error:
        result["detail"] = f"the test itself can not be loaded: {error!r}"[:LONGEST_DETAIL]
        return "invalid-test"

    def candidate(*arguments: object, **keywords: object) -> object:
        return session.call(job["entry"], None, arguments, keywords)

    candidate.printed = lambda: session.printed
    try:
        check(candidate)
    except Ended:
        raise
    except BaseException as error:
        result["detail"] = f"{type(error).__name__}: {error}"[:LONGEST_DETAIL]
        return _verdict_of(error, session) if session.calls else "invalid-test"
    result["passed"] = 1 if session.calls else 0
    return "pass" if session.calls else "invalid-test"


def _verdict_of(error: BaseException, session: Session) -> str:
    """`error:NAME` for what the program raised, `wrong` for what the test made of its answers."""
    raised, name = session.error
    if error is raised:
        return "memory" if name == "MemoryError" else f"error:{name}"
    return "invalid-test" if isinstance(error, wire.WireError) else "wrong"


# -- one program after the other ---------------------------------------------------------------------------------------


class Judge:
    """A fork server and the verdicts on what it runs."""

    def __init__(self, settings: dict) -> None:
        self.settings = settings
        self.server, self.control = parties.start("fork_server.py", settings)
        try:
            self.description = wire.receive_frame(self.control, time.monotonic() + START_SECONDS)
        except (wire.ChannelClosed, wire.DeadlinePassed, wire.WireError):
            self.server.kill()
            raise SetupFailed(f"the fork server did not start: {parties.last_words(self.server)}") from None

    def judge(self, job: dict) -> dict:
        """The verdict on one program: {"verdict", "passed", "total", "right_type", "calls", "detail", "cpu", ...}."""
        result = {"passed": 0, "total": len(job["cases"]) or 1, "right_type": 0, "detail": ""}
        started = time.monotonic()
        ours, theirs = socket.socketpair()
        session = Session(ours, job, started + self.settings["wall_seconds"])
        signal.setitimer(signal.ITIMER_REAL, self.settings["wall_seconds"] + OWN_SECONDS)
        how = ""
        try:
            socket.send_fds(self.control, [b"R"], [theirs.fileno()])
            theirs.close()
            session.start()
            verdict = run_cases(session, job, result) if job["cases"] else run_check(session, job, result)
        except Ended as end:
            how, verdict = end.how, end.how
        except SetupFailed as error:
            verdict, result["detail"] = "sandbox-error", str(error)
        except BaseException as error:  # raised while the program was loaded, or by what a test made of an answer
            verdict = _verdict_of(error, session)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            ours.close()
        report = self._end_program(wait=how == "closed")
        if report is None:
            return result | {"verdict": "sandbox-error", "detail": "the fork server is gone", "calls": session.calls}
        if how == "closed":
            verdict = _how_it_ended(report, self.settings["cpu_seconds"])
        extra = {"calls": session.calls, "seconds": time.monotonic() - started, "by_wall": how == "timeout"}
        return result | {"verdict": verdict} | extra | {key: report[key] for key in ("cpu", "memory", "strays")}

    def _end_program(self, wait: bool) -> dict | None:
        """Tell the fork server that enough was heard (exactly once for each program) and how the child ended."""
        try:
            self.control.sendall(b"W" if wait else b"K")
            return wire.receive_frame(self.control, time.monotonic() + START_SECONDS)
        except (OSError, wire.ChannelClosed, wire.DeadlinePassed, wire.WireError):
            return None


def _how_it_ended(report: dict, cpu_seconds: int) -> str:
    """The verdict on a program that ended, or closed its channel, before it answered."""
    status = report["status"]
    if report.get("memory_killed"):
        return "memory"
    if report["killed"]:
        return "protocol"  # it lived on behind a closed channel
    if status >= 0:
        return f"exit:{status}"
    if -status in (signal.SIGKILL, signal.SIGXCPU) and report["cpu"] >= cpu_seconds * 0.9:
        return "timeout"
    return f"crash:{signal.Signals(-status).name}"


def _out_of_time(number: int, frame: object) -> None:
    raise Ended("timeout")


def main() -> None:
    """Judge what the pool sends until it closes the channel."""
    pool = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _out_of_time)
    try:
        judge = Judge(json.loads(sys.argv[1]))
    except (SetupFailed, OSError) as error:
        wire.send_frame(pool, {"failed": str(error)})
        return
    with contextlib.suppress(OSError, ValueError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (OWN_MEMORY, OWN_MEMORY))
    wire.send_frame(pool, judge.description)
    while True:
        try:
            job = wire.receive_frame(pool)
        except wire.ChannelClosed:
            return
        wire.send_frame(pool, judge.judge(job))


if __name__ == "__main__":
    main()
