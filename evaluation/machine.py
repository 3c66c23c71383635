"""What a measurement ran on: processor, memory, versions, and whether other work was in its way."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

BUSY = 0.5  # processes per core that make a machine too busy to be measured


def machine(device: str, precision: str) -> str:
    """Where something was measured, and how, in a line."""
    memory = f", {physical_memory() / 2**30:.0f} GB" if physical_memory() else ""
    threads = f" ({torch.get_num_threads()} threads{memory})"
    return f"{device}, {processor()}{threads}, PyTorch {torch.__version__}, {precision}"


def describe_machine(device: torch.device, packages: tuple[str, ...]) -> dict:
    """The same as plain values for a results file, with the versions of those `packages` that are installed."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "memory": physical_memory(),
        "system": platform.system(),
        "versions": versions(packages),
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Python's version and those of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def other_work() -> str | None:
    """A note for the reader when other programs keep this machine busy; None where it is free or does not tell."""
    if not hasattr(os, "getloadavg") or (load := os.getloadavg()[0]) <= BUSY * (os.cpu_count() or 1):
        return None
    return f"Note: other programs keep this machine busy (load {load:.1f}); it will seem slower than it is."


def physical_memory() -> int | None:
    """Bytes of memory that this machine has; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf, others may not know these names
        return None


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
