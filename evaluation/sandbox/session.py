"""A program as the judge sees it: far away, asked over a socket, and never to be trusted.

What comes back is plain data. Where a test works with objects of the program (classes, generators, functions), the job
names what may answer with one; the object stays there, and the test holds a `Remote` in its place. Anything else that
is not plain data is no answer: an object that says yes to every comparison never comes to be compared.
"""

import builtins
import contextlib
import os
import select
import socket
import time
from collections.abc import Callable

from evaluation.sandbox import wire
from evaluation.sandbox.child import OPERATIONS
from evaluation.sandbox.parties import START_SECONDS

LONGEST_NAME = 80


class Ended(BaseException):
    """The program can answer no more; not an Exception, so that few tests catch it."""


class SetupFailed(Exception):
    """The child was not locked in, or the fork server is gone: nothing is known about the program."""


class ProgramError(Exception):
    """The program raised something that is no builtin exception; no test expects this one."""


class Session:
    """One program, running far away."""

    def __init__(self, channel: socket.socket, pool: socket.socket, job: dict) -> None:
        self.channel, self.pool, self.job = channel, pool, job
        self.deadline = time.monotonic() + START_SECONDS
        self.calls = 0
        self.process = 0  # its number, as the fork server knows it
        self.ended = ""  # why it can answer no more: "closed", "timeout" or "protocol"
        self.raised: tuple[BaseException | None, str] = (None, "")  # the last that the program raised, and its name
        self.printed = ""  # so far

    def start(self) -> None:
        """Wait until the child is locked in. Raises SetupFailed."""
        try:
            message = wire.receive_frame(self.channel, self.deadline)
            self.process = message["ready"]
        except KeyError:
            raise SetupFailed(f"the child could not be locked in: {message['failed']}") from None
        except (wire.ChannelClosed, wire.DeadlinePassed, wire.WireError) as error:
            raise SetupFailed(f"the child was not ready: {error}") from None

    def load(self, wall_seconds: float) -> None:
        """Hand over the source and wait until it has run; the program's time begins. Raises as `ask` does."""
        self.deadline = time.monotonic() + wall_seconds
        request = {"source": self.job["source"], "objects": bool(self.job["objects"]), "changed": False}
        self._converse(request | {"printed": self.job["printed"]})

    def ask(self, target: str | int, operation: str, arguments: tuple, keywords: dict, name: str) -> object:
        """Let the program do something and return what it answers; `name` is what the job may allow objects for.

        Raises what the program raised, if that is a builtin, else ProgramError; Ended; WireError for arguments that
        can not cross. Such a call does not count: it never came to the program.
        """
        request = {
            "target": target,
            "operation": operation,
            "arguments": [wire.encode(value, _handle_of) for value in arguments],
            "keywords": {key: wire.encode(value, _handle_of) for key, value in keywords.items()},
            "changed": self.job["changed"],
            "printed": self.job["printed"],
        }
        reply = self._converse(request)
        object_of = self._object_maker(operation, name)
        try:
            value = wire.decode(reply["value"], object_of)
            changed = [wire.decode(part, object_of) for part in reply.get("changed", ())]
        except wire.WireError:
            raise self._end("protocol") from None
        for mine, theirs in zip(arguments, changed, strict=False):
            _take_over(mine, theirs)
        return value

    def _object_maker(self, operation: str, name: str) -> Callable[[int], "Method"] | None:
        """What a test sees of an object that stays there; None where only plain data is an answer."""
        allowed = name in self.job["objects"]
        if operation == "__getattr__":
            return lambda handle: (Remote if allowed else Method)(self, handle, name)
        return (lambda handle: Remote(self, handle, "__call__")) if allowed or operation == "__iter__" else None

    def _converse(self, request: dict) -> dict:
        """Send one request, wait for its reply, and raise what the program raised."""
        if self.ended:
            raise Ended(self.ended)
        try:
            wire.send_frame(self.channel, request, self.deadline)
            self.calls += "target" in request  # the first one only loads the program
            reply = self._reply()
        except wire.ChannelClosed:
            raise self._end("closed") from None
        except wire.DeadlinePassed:
            raise self._end("timeout") from None
        if not _well_formed(reply, request):
            raise self._end("protocol")
        if "error" in reply:
            raise self._exception(reply["error"], request)
        self.printed = reply.get("printed", "")
        return reply

    def _reply(self) -> object:
        """The next message, whatever it is; when the pool is gone nobody wants a verdict, and this judge ends."""
        left = max(0.0, self.deadline - time.monotonic())
        if self.pool in select.select([self.channel, self.pool], [], [], left)[0]:
            os._exit(0)
        try:
            return wire.receive_frame(self.channel, self.deadline)
        except wire.WireError:
            raise self._end("protocol") from None

    def _end(self, how: str) -> Ended:
        self.ended = how
        return Ended(how)

    def _exception(self, name: str, request: dict) -> Exception:
        """The builtin exception of that name, so that tests can expect it; else a ProgramError.

        StopIteration is one of these, except where it says that a generator is finished: anywhere else it would end a
        loop of the test that asks for more answers, and nothing would be compared.
        """
        kind = getattr(builtins, name, None)
        error: Exception = ProgramError(f"the program raised {name}")
        finished = request.get("operation") == "__next__"
        if isinstance(kind, type) and issubclass(kind, Exception) and (kind is not StopIteration or finished):
            with contextlib.suppress(TypeError):  # a few builtins can not be made from one text
                error = kind("raised by the program")
        self.raised = (error, name)
        return error


def _well_formed(reply: object, request: dict) -> bool:
    if not isinstance(reply, dict):
        return False
    if "error" in reply:
        name = reply["error"]
        return len(reply) == 1 and isinstance(name, str) and name.isidentifier() and len(name) <= LONGEST_NAME
    changed, printed = reply.get("changed", []), reply.get("printed", "")
    return (
        reply.keys() == {"value"} | {extra for extra in ("changed", "printed") if request[extra]}
        and isinstance(changed, list)
        and (not request["changed"] or len(changed) == len(request["arguments"]))
        and isinstance(printed, str)
    )


def _take_over(mine: object, theirs: object) -> None:
    """Change an argument as the program changed its copy."""
    if type(mine) is not type(theirs):
        return
    if isinstance(mine, list):
        mine[:] = theirs
    elif isinstance(mine, (dict, set)):
        mine.clear()
        mine.update(theirs)


# -- objects that stay with the program --------------------------------------------------------------------------------


class Method:
    """Something of the program that a test can call, and nothing else."""

    def __init__(self, session: Session, target: str | int, name: str) -> None:
        vars(self)["_far"] = (session, target, name)

    def __call__(self, *arguments: object, **keywords: object) -> object:
        session, target, name = self._far
        return session.ask(target, "__call__", arguments, keywords, name)


class Remote(Method):
    """An object of the program, which stays there; a test uses it as if it were here.

    Calls, attributes and operators are asked of the object; `is` and `isinstance` see this stand-in.
    """

    def __getattr__(self, name: str) -> object:
        session, target, _ = self._far
        return session.ask(target, "__getattr__", (name,), {}, name)


class Candidate(Remote):
    """What a test is given: the function or class under test."""

    def printed(self) -> str:
        """What the program has printed so far."""
        session = self._far[0]
        session.calls += 1
        return session.printed


def _forward(operation: str) -> Callable:
    def forward(self: Remote, *arguments: object) -> object:
        session, target, _ = self._far
        return session.ask(target, operation, arguments, {}, operation)

    return forward


for _operation in OPERATIONS.keys() - {"__call__", "__getattr__"}:
    setattr(Remote, _operation, _forward(_operation))


def _handle_of(thing: object) -> int:
    """The number of an object of the program. Raises WireError for anything else, which can not cross."""
    if isinstance(thing, Remote) and isinstance(thing._far[1], int):
        return thing._far[1]
    raise wire.WireError(f"a test passed on what can not cross: {type(thing).__name__}")
