"""How judge and child speak: frames of tagged JSON over a socket, which hold plain data and nothing else.

What comes from a child is hostile: a frame is refused before it is read when it is too large, and whatever is not
exactly what is expected is a WireError. Never pickle, marshal or eval: they run what they read.
"""

import json
import math
import select
import socket
import time

LARGEST_FRAME = 1 << 20  # bytes
DEEPEST = 50  # lists in lists
LARGEST_PLAIN_INT = 1 << 53
LONGEST_NUMBER = 1 << 18  # hexadecimal digits


class WireError(ValueError):
    """What came is not a frame, or a value can not cross."""


class ChannelClosed(Exception):
    """The other side is gone."""


class DeadlinePassed(Exception):
    """Nothing came in time."""


class Handle:
    """An object that stays where it is; only its number crosses."""

    def __init__(self, number: int) -> None:
        self.number = number


def send_frame(channel: socket.socket, message: object) -> None:
    """Send one message that is already plain JSON. Raises WireError when it is too large, OSError when nobody reads."""
    data = json.dumps(message).encode("ascii")
    if len(data) > LARGEST_FRAME:
        raise WireError(f"a message of {len(data)} bytes")
    channel.sendall(len(data).to_bytes(4, "big") + data)


def receive_frame(channel: socket.socket, deadline: float | None = None) -> object:
    """The next message. Raises ChannelClosed, DeadlinePassed (`deadline` as time.monotonic) or WireError."""
    size = int.from_bytes(_receive(channel, 4, deadline), "big")
    if size > LARGEST_FRAME:
        raise WireError(f"a message of {size} bytes was announced")
    try:
        return json.loads(_receive(channel, size, deadline))
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message that is not JSON: {type(error).__name__}") from None


def _receive(channel: socket.socket, size: int, deadline: float | None) -> bytes:
    """Exactly `size` bytes."""
    data = bytearray()
    while len(data) < size:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([channel], [], [], left)[0]:
                raise DeadlinePassed
        try:
            part = channel.recv(size - len(data))
        except ConnectionError:
            part = b""
        if not part:
            raise ChannelClosed
        data += part
    return bytes(data)


def encode(value: object, *, handles: list[object] | None = None, depth: int = 0) -> object:
    """A value as tagged JSON. Exact types only: a subclass could answer differently each time it is asked.

    Where a list `handles` is given, any other object stays there and its place in the list crosses in its stead.
    Raises WireError for what can not cross.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind in NUMBERS_AND_BYTES:
        return NUMBERS_AND_BYTES[kind](value)
    if depth >= DEEPEST:
        raise WireError("lists nested too deeply, or in themselves")
    if kind in (list, tuple, set, frozenset, dict):
        parts = map(list, value.items()) if kind is dict else value
        encoded = [encode(part, handles=handles, depth=depth + 1) for part in parts]
        return encoded if kind is list else {kind.__name__: encoded}
    if handles is None or kind is type:
        raise WireError("not plain data")
    handles.append(value)
    return {"handle": len(handles) - 1}


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


def decode(data: object, *, handles: bool = False) -> object:
    """The value that tagged JSON stands for. Raises WireError for anything else; handles only where they may come."""
    try:
        return _decode(data, handles)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, AttributeError) as error:
        raise WireError(f"not a value: {type(error).__name__}") from None


def _decode(data: object, handles: bool) -> object:
    if data is None or isinstance(data, (bool, str, int, float)):
        return data
    if isinstance(data, list):
        return [_decode(item, handles) for item in data]
    ((tag, content),) = data.items()
    if tag == "handle":
        if not handles or type(content) is not int or content < 0:
            raise WireError("a handle that was not asked for")
        return Handle(content)
    if tag in ("int", "float", "bytes"):
        return FROM_TEXT[tag](content)
    return FROM_PARTS[tag](_decode(item, handles) for item in content)


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
