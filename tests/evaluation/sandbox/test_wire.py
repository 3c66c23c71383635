"""What crosses between judge and child: plain data comes back exactly, hostile frames are refused before they hurt."""

import math
import socket
import time

import pytest

from evaluation.sandbox import wire
from evaluation.sandbox.wire import ChannelClosed, DeadlinePassed, WireError, decode, encode

VALUES = [
    None,
    True,
    0,
    -1,
    2**53,
    -(2**200),
    1.0,
    -0.0,
    1e-320,
    math.inf,
    -math.inf,
    "",
    "naïve 日本 \ud800 \0",
    b"\x00\xff",
    1 + 2j,
    complex(math.inf, 0),
    [],
    [1, [2, (3,)]],
    (),
    {1, 2},
    frozenset("ab"),
    {"a": 1, (1, 2): [None]},
    {"int": 5},
    {"handle": 0},
]


def pieces(value: object) -> list[str]:
    """What a value is made of, in its order where it has one."""
    return sorted(map(repr, value)) if isinstance(value, set | frozenset) else [repr(value)]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_plain_data_comes_back_as_it_was(value):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.send_frame(ours, encode(value))
        came = decode(wire.receive_frame(theirs))
    assert came == value and type(came) is type(value)
    assert pieces(came) == pieces(value), "1 is not 1.0 or True, and zero keeps its sign"


def test_not_a_number_crosses_too():
    assert math.isnan(decode(encode(math.nan)))


class Liar(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


@pytest.mark.parametrize("value", [Liar(3), [Liar(3)], object(), len, int, range(3), 1 << (1 << 21)], ids=range(7))
def test_what_is_not_plain_data_does_not_cross(value):
    """An object that claims to equal everything passes 155 of HumanEval's problems where it reaches the test."""
    with pytest.raises(WireError):
        encode(value)


def test_lists_in_themselves_and_too_deep_ones_are_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(WireError, match="nested too deeply"):
        encode(loop)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"tuple": 5},
        {"int": 5},
        {"int": "0x" + "f" * (1 << 20)},
        {"float": "1.0"},
        {"dict": [[1]]},
        {"set": [[1]]},
        {"tuple": "abc"},
        {"tuple": {"a": 1}},
        {"dict": [[[1], 2]]},
        {"complex": [1, 2, 3]},
        {"bytes": "xy"},
        {"a": 1, "b": 2},
        {"unknown": 1},
        {"handle": 0},
        {"handle": -1},
    ],
    ids=lambda data: str(data)[:40],
)
def test_what_is_not_a_value_is_refused(data):
    with pytest.raises(WireError):
        decode(data)


def test_objects_cross_as_numbers_only_where_they_may():
    here: list = []
    thing = object()

    def keep(value):
        here.append(value)
        return len(here) - 1

    assert encode([1, thing], keep) == [1, {"handle": 0}] and here == [thing]
    assert decode([1, {"handle": 0}], here.__getitem__) == [1, thing]
    for hostile in (True, -1, 1.0, "0", None, 5):
        with pytest.raises(WireError):
            decode({"handle": hostile}, here.__getitem__)


def test_what_is_nested_more_deeply_than_an_honest_value_is_refused():
    deep: object = 0
    for _ in range(3 * wire.DEEPEST):
        deep = [deep]
    with pytest.raises(WireError, match="nested too deeply"):
        decode(deep)


def test_a_receiver_that_does_not_read_runs_into_the_deadline():
    """A program that sleeps instead of reading a long argument must not hold up its judge."""
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(DeadlinePassed):
        for _ in range(100):
            wire.send_frame(ours, "x" * 100_000, time.monotonic() + 0.05)


def test_a_frame_that_announces_too_much_is_refused_before_it_is_read():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall((wire.LARGEST_FRAME + 1).to_bytes(4, "big"))
        with pytest.raises(WireError, match="was announced"):
            wire.receive_frame(theirs)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}"], ids=len)
def test_garbage_is_refused(data):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(len(data).to_bytes(4, "big") + data)
        with pytest.raises(WireError):
            wire.receive_frame(theirs)


def test_half_a_frame_runs_into_the_deadline_and_a_closed_channel_is_told():
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(b"\0\0\0\x09half")
            with pytest.raises(DeadlinePassed):
                wire.receive_frame(theirs, time.monotonic() + 0.05)
        with pytest.raises(ChannelClosed):
            wire.receive_frame(theirs, time.monotonic() + 5)
