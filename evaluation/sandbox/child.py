"""The child: locked in before it sees its program, it runs it and answers calls, and that is all it can do.

Everything after the frame "ready" is the program's doing: it may change any name, so what is needed is taken first.
"""

import io
import random
import socket
import sys
import types
from collections.abc import Callable

import wire

MOST_PRINTED = 1 << 16  # characters that are kept of what a program prints


class CappedOutput(io.TextIOBase):
    """Takes what a program prints, keeps the beginning, and never grows beyond it."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.left = MOST_PRINTED

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.left > 0:
            self.kept.append(text[: self.left])
            self.left -= len(text)
        return len(text)


def live(channel: socket.socket, lock_in: Callable[[], None]) -> None:
    """Lock this process in, run the program that comes over the channel, and answer calls until nobody asks."""
    lock_in()
    wire.send_frame(channel, "ready")
    request = wire.receive_frame(channel)
    output = CappedOutput()
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(""), output, CappedOutput()
    sys.argv = [""]
    random.seed(0)
    program = types.ModuleType("__main__")
    sys.modules["__main__"] = program
    _answer(channel, lambda: exec(compile(request["source"], "<program>", "exec"), program.__dict__), {})
    objects: list[object] | None = [] if request["handles"] else None
    serve(channel, program.__dict__, objects, output)


def serve(channel: socket.socket, names: dict, objects: list | None, output: CappedOutput) -> None:
    """Answer calls: {"call": name or handle, "operation", "arguments", "keywords", "changed", "printed"}."""
    receive, decode = wire.receive_frame, wire.decode
    while True:
        request = receive(channel)
        arguments = [_local(decode(value, handles=True), objects) for value in request["arguments"]]
        keywords = {name: _local(decode(value), objects) for name, value in request.get("keywords", {}).items()}
        target, operation = request["call"], request.get("operation")

        def run(target=target, operation=operation, arguments=arguments, keywords=keywords) -> object:
            subject = names[target] if isinstance(target, str) else objects[target]
            if operation is None:
                return subject(*arguments, **keywords)
            return OPERATIONS[operation](subject, *arguments, **keywords)

        extras = {"changed": arguments} if request.get("changed") else {}
        if request.get("printed"):
            extras["printed"] = output.kept
        _answer(channel, run, extras, objects)


def _local(value: object, objects: list | None) -> object:
    """What a handle stands for."""
    return objects[value.number] if isinstance(value, wire.Handle) and objects is not None else value


def _method(subject: object, name: str, *arguments: object, **keywords: object) -> object:
    return getattr(subject, name)(*arguments, **keywords)


# What can be done to an object that stays here.
OPERATIONS = {
    "attribute": getattr,
    "assign": setattr,
    "method": _method,
    "text": str,
    "representation": repr,
    "length": len,
    "item": lambda subject, key: subject[key],
    "contains": lambda subject, item: item in subject,
    "list": list,
    "truth": bool,
    "equal": lambda subject, other: subject == other,
    "less": lambda subject, other: subject < other,
    "add": lambda subject, other: subject + other,
    "subtract": lambda subject, other: subject - other,
    "multiply": lambda subject, other: subject * other,
}


def _answer(channel: socket.socket, run: Callable[[], object], extras: dict, objects: list | None = None) -> None:
    """Do something and send what came of it: a value, the name of an exception, or that the value can not cross."""
    send, encode, name_of = wire.send_frame, wire.encode, type
    try:
        value = run()
    except BaseException as error:
        send(channel, {"error": name_of(error).__name__})
        return
    try:
        reply = {"value": encode(value, handles=objects)}
        if "changed" in extras:
            reply["changed"] = [encode(argument, handles=objects) for argument in extras["changed"]]
        if "printed" in extras:
            reply["printed"] = "".join(extras["printed"])
        send(channel, reply)
    except (wire.WireError, RecursionError, MemoryError, ValueError):
        send(channel, {"unspeakable": True})
