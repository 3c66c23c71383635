"""Amounts as people say them: how many, how large, how long ago. Standard library alone."""

import time
from pathlib import Path


def plural(number: int, noun: str) -> str:
    """1 file, 2 files."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """Bytes: 0.3 MB, 161.1 MB, 79.7 GB."""
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.1f} MB"


def age(path: Path) -> str:
    """How long ago a file was written: just now, 3 minutes ago."""
    seconds = time.time() - path.stat().st_mtime
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return f"{plural(int(seconds / length), unit)} ago"
    return "just now"
