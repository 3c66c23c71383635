"""The filter of system calls, tried by an interpreter of its own language: so the table of a machine that is not here
is tested too, and each argument that decides."""

import errno
import re
import struct
from pathlib import Path

import pytest

from evaluation.sandbox.seccomp import ALLOWED, ARCHITECTURES, CHECKED, OPENING, Filter, filter_program

MACHINES = ("x86_64", "aarch64")
OWN, OTHER = 4321, 1234
ALLOWED_ANSWER, REFUSED, NOT_THERE, KILLED = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS, 0x80000000
HEADERS = {"x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "/usr/include/asm-generic/unistd.h"}


def answer(program: bytes, machine: str, call: int, *arguments: int, architecture: int | None = None) -> int:
    """What the kernel would answer: classic BPF over struct seccomp_data."""
    data = struct.pack("iIQ", call, architecture or ARCHITECTURES[machine], 0)
    data += struct.pack("6Q", *(value & (1 << 64) - 1 for value in (*arguments, *[0] * (6 - len(arguments)))))
    at = loaded = 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("HBBI", program, 8 * at)
        at += 1
        if code == 0x20:
            loaded = struct.unpack_from("I", data, value)[0]
        elif code == 0x54:
            loaded &= value
        elif code in (0x15, 0x35):
            at += if_true if (loaded == value if code == 0x15 else loaded >= value) else if_false
        else:
            assert code == 0x06
            return value


@pytest.fixture(params=MACHINES)
def machine(request):
    return request.param


@pytest.fixture
def ask(machine):
    """The answer to a call by its name or number, in the program as a child completes it."""
    filtered = Filter(filter_program(machine, may_open=True))
    for place in filtered.places:
        struct.pack_into("I", filtered.code, place, OWN)

    def asked(call: str | int, *arguments: int, **more: int) -> int:
        number = call if isinstance(call, int) else (ALLOWED[machine] | CHECKED[machine])[call]
        return answer(filtered.code.raw, machine, number, *arguments, **more)

    return asked


def test_the_listed_calls_are_allowed_and_no_other(machine, ask):
    checked = set(CHECKED[machine].values())
    for number in range(600):
        if number not in checked:
            allowed = number in ALLOWED[machine].values()
            assert ask(number) == (ALLOWED_ANSWER if allowed else REFUSED), number
    assert ask(2**31 - 1) == REFUSED


def test_the_calls_of_another_architecture_are_the_end(machine, ask):
    """Numbers mean other calls there: on x86_64 a 32-bit call 2 is fork."""
    assert ask("read", architecture=0x40000003) == KILLED


def test_the_second_table_of_x86_64_is_shut():
    program = filter_program("x86_64", may_open=True)
    assert answer(program, "x86_64", 0x40000000 + ALLOWED["x86_64"]["read"]) == REFUSED


def test_the_program_is_short_enough_for_its_jumps_and_for_the_kernel(machine):
    assert len(filter_program(machine, may_open=True)) // 8 < 4096


def test_only_oneself_can_be_sent_a_signal(ask):
    for call in ("kill", "tgkill"):
        assert ask(call, OWN, 9) == ALLOWED_ANSWER
        for target in (OTHER, 0, -1, -OWN, 1):
            assert ask(call, target, 9) == REFUSED, target


def test_threads_can_be_made_and_processes_can_not(ask):
    thread_of_glibc, thread_of_musl, fork, vfork = 0x3D0F00, 0x7D0F00, 0x01200011, 0x4111
    assert ask("clone", thread_of_glibc) == ask("clone", thread_of_musl) == ALLOWED_ANSWER
    assert ask("clone", fork) == ask("clone", vfork) == ask("clone", 0) == REFUSED
    for new in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000, 0x80):
        assert ask("clone", thread_of_glibc | new) == REFUSED, "a thread in a namespace of its own"
    assert ask("clone3") == NOT_THERE, "the C library then uses clone"


def test_the_kernel_can_not_be_asked_to_send_signals_for_a_program(ask):
    for command in (0, 1, 2, 3, 4, 1030):
        assert ask("fcntl", 5, command, OTHER) == ALLOWED_ANSWER
    set_owner, set_signal, set_owner_extended, set_lease, notify = 8, 10, 15, 1024, 1026
    for command in (set_owner, set_signal, set_owner_extended, set_lease, notify):
        assert ask("fcntl", 5, command, OTHER) == REFUSED
    for command in (0x8901, 0x8902, 0x5412, 0x540E):  # FIOSETOWN, SIOCSPGRP, TIOCSTI, TIOCSCTTY
        assert ask("ioctl", 5, command, OTHER) == REFUSED
    assert ask("ioctl", 5, 0x5421) == ask("ioctl", 5, 0x5451) == ALLOWED_ANSWER


def test_only_connected_streams_can_be_made(ask):
    close_on_exec = 0o2000000
    assert ask("socketpair", 1, 1) == ask("socketpair", 1, 1 | close_on_exec) == ALLOWED_ANSWER
    datagram, packets = 2, 5
    assert ask("socketpair", 1, datagram) == ask("socketpair", 1, packets | close_on_exec) == REFUSED
    assert ask("socketpair", 2, 1) == REFUSED


def test_no_byte_goes_out_of_band(ask):
    out_of_band, no_signal, do_not_wait = 1, 0x4000, 0x40
    for call in ("sendto", "recvfrom"):
        assert ask(call, 5, 0, 1, 0) == ask(call, 5, 0, 1, no_signal | do_not_wait) == ALLOWED_ANSWER
        assert ask(call, 5, 0, 1, out_of_band) == ask(call, 5, 0, 1, out_of_band | do_not_wait) == REFUSED


def test_limits_can_be_read_and_not_set(ask):
    assert ask("prlimit64", 0, 9, 0, 0x7FFF12345678) == ALLOWED_ANSWER
    for new in (0x7FFF12345678, 1, 1 << 32):
        assert ask("prlimit64", 0, 9, new) == REFUSED, "both halves of the pointer count"


def test_a_thread_can_be_named_and_no_wall_torn_down(ask):
    assert ask("prctl", 15) == ALLOWED_ANSWER
    for option in (1, 4, 8, 21, 22, 36, 38, 0x59616D61):
        assert ask("prctl", option) == REFUSED


def test_where_files_can_not_be_walled_none_can_be_opened_or_looked_for(machine):
    program = filter_program(machine, may_open=False)
    for name in OPENING:
        if name in ALLOWED[machine]:
            assert answer(program, machine, ALLOWED[machine][name]) == REFUSED, name


def test_the_numbers_are_those_of_the_kernel(machine):
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    defined = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text(encoding="ascii")))
    for name, number in (ALLOWED[machine] | CHECKED[machine]).items():
        known = defined.get(name) or defined.get({"newfstatat": "fstatat"}.get(name, name))
        assert known is not None and int(known) == number, name
