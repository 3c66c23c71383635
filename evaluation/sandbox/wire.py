"""How judge and child speak: frames of tagged JSON over a socket, which hold plain data and nothing else.

What comes from a child is hostile: a frame is refused before it is read when it is too large, and whatever is not
exactly what is expected is a WireError. Never pickle, marshal or eval: they run what they read.
"""

import json
import math
import socket
import time
from collections.abc import Callable

LARGEST_FRAME = 1 << 20  # bytes
DEEPEST = 50  # lists in lists
LARGEST_PLAIN_INT = 1 << 53
LONGEST_NUMBER = 1 << 18  # hexadecimal digits
RECEIVED_AT_ONCE = 1 << 16  # bytes: no more is set aside for what has only been announced


class WireError(ValueError):
    """What came is not a frame, or a value can not cross."""


class ChannelClosed(Exception):
    """The other side is gone."""


class DeadlinePassed(Exception):
    """Nothing came in time, or nobody read in time what was sent."""


def send_frame(channel: socket.socket, message: object, deadline: float | None = None) -> None:
    """Send one message that is already plain JSON.

    Raises WireError when it is too large, ChannelClosed when nobody is there, DeadlinePassed (`deadline` as
    time.monotonic) when somebody is who does not read.
    """
    data = json.dumps(message).encode("ascii")
    if len(data) > LARGEST_FRAME:
        raise WireError(f"a message of {len(data):,} bytes")
    _within(channel, deadline, lambda: channel.sendall(len(data).to_bytes(4, "big") + data))


def receive_frame(channel: socket.socket, deadline: float | None = None) -> object:
    """The next message. Raises ChannelClosed, DeadlinePassed or WireError."""
    size = int.from_bytes(_receive(channel, 4, deadline), "big")
    if size > LARGEST_FRAME:
        raise WireError(f"a message of {size:,} bytes was announced")
    try:
        return json.loads(_receive(channel, size, deadline))
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message that is not JSON: {type(error).__name__}") from None


def _receive(channel: socket.socket, size: int, deadline: float | None) -> bytes:
    """Exactly `size` bytes."""
    data = bytearray()
    while len(data) < size:
        most = min(size - len(data), RECEIVED_AT_ONCE)
        part = _within(channel, deadline, lambda most=most: channel.recv(most))
        if not part:
            raise ChannelClosed("the other side is gone")
        data += part
    return bytes(data)


def _within(channel: socket.socket, deadline: float | None, do: Callable[[], bytes | None]) -> bytes | None:
    """Do something with a channel until a deadline."""
    if deadline is not None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlinePassed("no answer in time")
        channel.settimeout(left)
    try:
        return do()
    except TimeoutError:
        raise DeadlinePassed("no answer in time") from None
    except OSError:
        raise ChannelClosed("the other side is gone") from None


def encode(value: object, handle_of: Callable[[object], int] | None = None, depth: int = 0) -> object:
    """A value as tagged JSON. Exact types only: a subclass could answer differently each time it is asked.

    Any other object crosses as the number that `handle_of` gives for it. Raises WireError where that is not given.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind in NUMBERS_AND_BYTES:
        return NUMBERS_AND_BYTES[kind](value)
    if kind in (list, tuple, set, frozenset, dict):
        if depth >= DEEPEST:
            raise WireError("lists nested too deeply, or in themselves")
        parts = map(list, value.items()) if kind is dict else value
        encoded = [encode(part, handle_of, depth + 1) for part in parts]
        return encoded if kind is list else {kind.__name__: encoded}
    if handle_of is None:
        raise WireError(f"not plain data: {kind.__name__}")
    return {"handle": handle_of(value)}


def _encode_int(value: int) -> object:
    if value.bit_length() > LONGEST_NUMBER * 4:
        raise WireError("a number of too many digits")
    return value if -LARGEST_PLAIN_INT < value < LARGEST_PLAIN_INT else {"int": hex(value)}


def _encode_float(value: float) -> object:
    return value if math.isfinite(value) else {"float": repr(value)}


NUMBERS_AND_BYTES = {
    int: _encode_int,
    float: _encode_float,
    complex: lambda value: {"complex": [_encode_float(value.real), _encode_float(value.imag)]},
    bytes: lambda value: {"bytes": value.hex()},
}


def decode(data: object, object_of: Callable[[int], object] | None = None) -> object:
    """The value that tagged JSON stands for; `object_of` gives what a handle stands for, where handles may come.

    Raises WireError for anything else.
    """
    try:
        return _decode(data, object_of, 0)
    except WireError:
        raise
    except (ValueError, TypeError, LookupError, OverflowError, AttributeError) as error:
        raise WireError(f"not a value: {type(error).__name__}") from None


def _decode(data: object, object_of: Callable[[int], object] | None, depth: int) -> object:
    if data is None or isinstance(data, (bool, str, int, float)):
        return data
    if depth > 2 * DEEPEST:  # a pair of a dictionary is one list more
        raise WireError("lists nested too deeply")
    if isinstance(data, list):
        return [_decode(item, object_of, depth + 1) for item in data]
    ((tag, content),) = data.items()
    if tag == "handle":
        if object_of is None or type(content) is not int or content < 0:
            raise WireError("a handle that was not asked for")
        return object_of(content)
    if tag in FROM_TEXT:
        return FROM_TEXT[tag](content)
    if not isinstance(content, list):
        raise WireError("something else than a list of parts")
    return FROM_PARTS[tag](_decode(item, object_of, depth + 1) for item in content)


def _decode_int(text: str) -> int:
    if len(text) > LONGEST_NUMBER + len("-0x"):
        raise WireError("a number of too many digits")
    return int(text, 16)


FROM_TEXT = {
    "int": _decode_int,
    "float": {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}.__getitem__,
    "bytes": bytes.fromhex,
}
FROM_PARTS = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
    "complex": lambda parts: complex(*parts),
}
