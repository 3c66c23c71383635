"""The child: locked in before it sees its program, it runs it and answers calls, and that is all it can do.

Everything after the frame "ready" is the program's doing: it may change any name, so what is needed is taken first.
"""

import io
import operator
import os
import random
import socket
import sys
import types
from collections.abc import Callable

from evaluation.sandbox import wire

MOST_PRINTED = 1 << 16  # bytes that are kept of what a program prints
OPERATORS = """
    __getitem__ __setitem__ __delitem__ __contains__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __add__ __sub__ __mul__
    __truediv__ __floordiv__ __mod__ __pow__ __matmul__ __and__ __or__ __xor__ __neg__ __pos__ __invert__
""".split()
# What can be done with an object that stays here.
OPERATIONS = {name: getattr(operator, name) for name in OPERATORS} | {
    "__call__": lambda subject, *arguments, **keywords: subject(*arguments, **keywords),
    "__getattr__": getattr,
    "__setattr__": setattr,
    "__str__": str,
    "__repr__": repr,
    "__len__": len,
    "__bool__": bool,
    "__hash__": hash,
    "__iter__": iter,
    "__next__": next,
    "__abs__": abs,
    "__int__": int,
    "__float__": float,
    "__radd__": lambda subject, other: other + subject,
    "__rsub__": lambda subject, other: other - subject,
    "__rmul__": lambda subject, other: other * subject,
}


class CappedOutput(io.RawIOBase):
    """Takes what a program prints, keeps the beginning, and never grows beyond it."""

    def __init__(self) -> None:
        self.kept = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        self.kept += data[: MOST_PRINTED - len(self.kept)]
        return len(data)

    def text(self) -> str:
        """What has been printed so far."""
        return self.kept.decode("utf-8", "replace")


def prepare_streams() -> CappedOutput:
    """Nothing to read, and a place for what is printed; done before the fork, since it is the same for all."""

    def text(raw: io.RawIOBase | io.BytesIO) -> io.TextIOWrapper:
        return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)

    output = CappedOutput()
    sys.stdin, sys.stdout, sys.stderr = text(io.BytesIO()), text(output), text(CappedOutput())
    return output


def live(channel: socket.socket, lock_in: Callable[[], None], output: CappedOutput) -> None:
    """Lock this process in, run the program that comes over the channel, and answer calls until nobody asks."""
    try:
        lock_in()
    except (OSError, ValueError) as error:
        wire.send_frame(channel, {"failed": str(error)})
        return
    wire.send_frame(channel, {"ready": os.getpid()})
    request = wire.receive_frame(channel)
    random.seed(0)  # Python has just made it random, as it does after each fork
    program = sys.modules["__main__"] = types.ModuleType("__main__")
    answer = Answering(channel, output, keeps_objects=request["objects"])
    answer(request, lambda: exec(compile(request["source"], "<program>", "exec", dont_inherit=True), vars(program)))
    serve(channel, vars(program), answer)


def serve(channel: socket.socket, names: dict, answer: "Answering") -> None:
    """Answer requests: {"target": name or handle, "operation", "arguments", "keywords", "changed", "printed"}."""
    receive, decode, operations = wire.receive_frame, wire.decode, OPERATIONS
    objects, object_of = answer.objects, answer.objects.__getitem__
    while True:
        request = receive(channel)
        arguments = [decode(value, object_of) for value in request["arguments"]]
        keywords = {name: decode(value, object_of) for name, value in request["keywords"].items()}
        target, operation = request["target"], operations[request["operation"]]

        def run(target=target, operation=operation, arguments=arguments, keywords=keywords) -> object:
            subject = names[target] if isinstance(target, str) else objects[target]
            return operation(subject, *arguments, **keywords)

        answer(request, run, arguments)


class Answering:
    """How what came of a request is told: a value, the name of an exception, or that the value can not cross."""

    def __init__(self, channel: socket.socket, output: CappedOutput, keeps_objects: bool) -> None:
        self.channel, self.output, self.objects = channel, output, []
        self.handle_of = self.keep if keeps_objects else None
        self.send, self.encode, self.failure = wire.send_frame, wire.encode, BaseException
        self.name_of = vars(type)["__name__"].__get__  # the true one: a class of the program may have its own

    def keep(self, thing: object) -> int:
        """The number of an object that stays here."""
        self.objects.append(thing)
        return len(self.objects) - 1

    def __call__(self, request: dict, run: Callable[[], object], arguments: list | tuple = ()) -> None:
        try:
            value = run()
        except self.failure as error:
            self.send(self.channel, {"error": self.name_of(type(error))})
            return
        try:
            reply = {"value": self.encode(value, self.handle_of)}
            if request["changed"]:
                reply["changed"] = [self.encode(argument, self.handle_of) for argument in arguments]
            if request["printed"]:
                reply["printed"] = self.output.text()
            self.send(self.channel, reply)
        except Exception:
            self.send(self.channel, {"unspeakable": True})
