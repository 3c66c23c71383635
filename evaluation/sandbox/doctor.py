"""Shows what the sandbox holds on this machine: each probe, the layers, how well that is, and what is not covered.

    python evaluation/sandbox/doctor.py --benchmark

Exit code 0: generated programs can be run here. 1: they can not, or the benchmark left something behind. 2: nothing
could be found out.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import argparse
import os
import platform
import time
from collections.abc import Iterator
from contextlib import closing

from evaluation.sandbox.pool import (
    Job,
    Limits,
    Sandbox,
    SandboxBroken,
    SandboxUnavailable,
    Verdict,
    Worker,
    cores,
    explain,
)
from evaluation.sandbox.probes import LEVELS, Probe, level_of, probe

NOT_COVERED = {
    "everywhere": (
        "faults of the kernel itself, and what can be learned from how long things take",
        "a program that needs files, a network, other processes or installed packages fails, be it right or not",
        "not the same in each run: clocks, os.urandom, uuid4, process numbers, and id(): with it the order of a set",
        "    of objects that have no hash of their own",
    ),
    "L3": ("that a path exists, its size and its times can be seen; nothing in it",),
    "L2": (
        "that a path exists, its size and its times can be seen; nothing in it",
        "without namespaces a program could find out which process numbers are in use",
    ),
    "L1": ("modules that the fork server has not loaded can not be imported",),
    "macOS": (
        "memory is looked at every hundredth of a second and afterwards, not walled",
        "nobody has tried this on a Mac yet: the probes above are all that is known",
    ),
}
PROGRAM = "def add(a, b):\n    return a + b\n"
CASES = (((2, 3), 5), ((10, -4), 6), (("a", "b"), "ab"))
WARM_UP = 100
MEMORY_NOISE = 8 << 20  # bytes that a process may grow by without a leak


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--benchmark", action="store_true", help="how many programs a second, and whether they leave anything behind")
    add("--programs", type=int, default=10_000, help="of the benchmark (default: %(default)s)")
    add("--without", action="append", default=[], choices=("namespaces", "landlock"), help="see how it is without")
    chosen = parser.parse_args(arguments)
    print(f"{platform.platform()}, Python {platform.python_version()}, {cores()} cores")
    sandbox = Sandbox(Limits(), workers=1, **{name: False for name in chosen.without})
    try:
        if not examine(sandbox):
            return 1
        return 0 if not chosen.benchmark or benchmark(sandbox, max(chosen.programs, 1)) else 1
    except (OSError, SandboxBroken, SandboxUnavailable) as error:
        print(f"error: the sandbox could not be looked at: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped", file=sys.stderr)
        return 2


# -- what holds --------------------------------------------------------------------------------------------------------


def examine(sandbox: Sandbox) -> bool:
    """Try and show everything; can programs be run here?"""
    try:
        sandbox.refuse_windows()
        with closing(Worker(sandbox.settings)) as worker:
            print("\nProbes: programs that were run just now")
            tried = probe(worker, sandbox.limits.memory_bytes, tell)
            layers = worker.description["layers"]
    except SandboxUnavailable as error:
        print(f"\nNo sandbox here: {error}")
        return False
    print("\nLayers")
    for name, state in layers.items():
        print(f"  {name:12} {state}")
    level = level_of(layers)
    if tried.failed or level is None:
        print(f"\n{explain(f'{tried.share} probes hold')}")
        return False
    print(f"\nLevel {level}: {LEVELS[level]} ({tried.share} probes hold)")
    print("\nNot covered")
    for line in (*NOT_COVERED[level], *NOT_COVERED["everywhere"]):
        print(f"  {line}")
    return True


def tell(one: Probe, verdict: Verdict) -> None:
    """One line about one probe."""
    holds = verdict.verdict in one.allowed
    found = f"{verdict.verdict} {'' if holds else verdict.detail}".strip()
    print(f"  [{'OK' if holds else 'FAIL'}] {one.name}: {found}, {1000 * verdict.seconds:.0f} ms", flush=True)


# -- how fast, and whether anything is left behind ---------------------------------------------------------------------


def benchmark(sandbox: Sandbox, programs: int) -> bool:
    """Run many programs and show how fast that was; is everything afterwards as it was before?"""
    print(f"\n{programs:,} programs of {len(CASES)} calls each; load {os.getloadavg()[0]:.1f} on {cores()} cores")
    job = Job(PROGRAM, "add", cases=CASES)
    with sandbox:
        wrong = run(sandbox, job, WARM_UP)[1]
        before = held(sandbox.workers)
        rate, more = run(sandbox, job, programs)
        after = held(sandbox.workers)
    print(f"  one worker: {rate:.0f} a second")
    if cores() > 1:
        with Sandbox(sandbox.limits, workers=cores()) as many:
            rate, _ = run(many, job, programs)
        print(f"  {cores()} workers: {rate:.0f} a second, {rate / cores():.0f} on each core")
    if wrong + more:
        print(f"  {wrong + more} right programs were not judged right")
    return wrong + more == 0 and show_growth(before, after)


def run(sandbox: Sandbox, job: Job, programs: int) -> tuple[float, int]:
    """Judge the same program many times: (programs a second, verdicts other than pass)."""
    started = time.monotonic()
    wrong = sum(not verdict.is_pass for verdict in sandbox.judge(job for _ in range(programs)))
    return programs / (time.monotonic() - started), wrong


def held(workers: list[Worker]) -> dict[str, dict[str, int | None]] | None:
    """Memory and descriptors of this process and of the sandbox's, and how many those are; None where /proc is not."""
    if not Path("/proc/self/statm").exists():
        return None
    found = {"this process": os.getpid()}
    for number, worker in enumerate(workers):
        server, judge = (process.pid for process in worker.processes)
        found |= {f"judge {number}": judge, f"fork server {number}": [server, *descendants(server)][-1]}
    about = {
        name: {"memory": _memory(process), "descriptors": _descriptors(process)} for name, process in found.items()
    }
    return about | {"processes": {"count": len(list(descendants(os.getpid())))}}


def descendants(process: int) -> Iterator[int]:
    """All processes that stem from one, parents first."""
    for listed in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = listed.read_text(encoding="ascii").split()
        except OSError:
            continue  # it has ended meanwhile
        for child in map(int, children):
            yield child
            yield from descendants(child)


def _memory(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def _descriptors(process: int) -> int | None:
    try:
        return len(os.listdir(f"/proc/{process}/fd"))
    except PermissionError:  # the fork server hides its own from everybody but root
        return None


def show_growth(before: dict | None, after: dict | None) -> bool:
    """Show what is held before and after; is it the same?"""
    if before is None:
        print("  whether anything is left behind can not be seen here")
        return True
    same = True
    for name, values in before.items():
        for what, value in values.items():
            now = after[name][what]
            grown = value is not None and now > value + (MEMORY_NOISE if what == "memory" else 0)
            same = same and not grown
            unit, scale = (" MiB", 1 << 20) if what == "memory" else ("", 1)
            shown = (
                "not to be seen"
                if value is None
                else f"{value / scale:.0f}{unit} before, {now / scale:.0f}{unit} after"
            )
            print(f"  {name}, {what}: {shown}{', it has grown' if grown else ''}")
    return same


if __name__ == "__main__":
    sys.exit(main())
