"""What a measurement of speed ran on: processor, memory, versions."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def machine(device: str, precision: str) -> str:
    """Where something was measured, and how, in a line."""
    memory = f", {physical_memory() / 2**30:.0f} GB" if physical_memory() else ""
    threads = f" ({torch.get_num_threads()} threads{memory})"
    return f"{device}, {processor()}{threads}, PyTorch {torch.__version__}, {precision}"


def describe_machine(device: torch.device, packages: tuple[str, ...]) -> dict:
    """The same as plain values for a results file, with the versions of those `packages` that are installed."""
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "memory": physical_memory(),
        "system": platform.system(),
        "versions": versions,
    }


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
