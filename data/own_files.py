"""The user's own files in data/raw, and whether the mix knows them as they are now.

Standard library alone: `scripts/status.py` asks where nothing is installed. What becomes of the files is decided in
documents.py; here they are only looked for, by the same rules.
"""

import os
from pathlib import Path

SUFFIXES = {"code": ".py", "books": ".txt"}


def own_files(raw: Path, kind: str) -> list[os.stat_result]:
    """Size and date of each file of the user of this kind: all but the collected, and links that leave the folder."""
    folder, found = raw / kind, []
    for place, folders, files in os.walk(folder):
        if Path(place) == folder and "collected" in folders:
            folders.remove("collected")
        for path in (Path(place, name) for name in files):
            if path.suffix.lower() == SUFFIXES[kind] and path.is_file() and _is_inside(path, folder):
                found.append(path.stat())
    return found


def _is_inside(path: Path, folder: Path) -> bool:
    return not path.is_symlink() or path.resolve().is_relative_to(folder.resolve())


def unseen_kinds(raw: Path, manifest: dict, mixed_at: float) -> list[str]:
    """The kinds ("code", "books") of which the mix does not know all files as they are now.

    `mixed_at` is when the manifest was written. A file that was added, removed or resized differs from its account
    whatever its date says; one of the same size is noticed by its date.
    """
    sources = manifest["sources"]
    known = {source["kind"]: (source["files"], source["bytes"]) for source in sources if source["name"] == "own"}
    unseen = []
    for kind in SUFFIXES:
        files = own_files(raw, kind)
        now = len(files), sum(file.st_size for file in files)
        if now != known.get(kind, (0, 0)) or any(file.st_mtime > mixed_at for file in files):
            unseen.append(kind)
    return unseen
