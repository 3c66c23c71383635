"""Reads single files out of wheels and source distributions without unpacking the archive or running anything in it.

Only regular files are ever read, one after the other and up to a size; links and devices are passed over, so nothing
in an archive can point anywhere. A name that would leave the folder refuses the whole archive.
"""

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from data.corpus import CorpusError

LARGEST_MEMBER = 32 << 20
LARGEST_TOTAL = 256 << 20


def read_members(archive: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the regular files that are wanted.

    The folder that a source distribution wraps everything in is not part of the names.

    Raises:
        CorpusError: a name leaves the folder, a size is beyond all reason, or the archive is damaged.
    """
    try:
        yield from (_read_wheel if archive.suffix in (".whl", ".zip") else _read_sdist)(archive, wanted)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, NotImplementedError) as error:
        raise CorpusError(f"{archive.name} can not be unpacked: {error}") from error


def _read_wheel(archive: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    total = 0
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            name = checked_name(member.filename, archive)
            is_link = (member.external_attr >> 16) & 0o170000 == 0o120000
            if member.is_dir() or is_link or not wanted(name):
                continue
            with opened.open(member) as file:
                content = _read_bounded(file.read, name, archive, total)
            total += len(content)
            yield name, content


def _read_sdist(archive: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    total = 0
    with tarfile.open(archive) as opened:
        for member in opened:
            whole_name = checked_name(member.name, archive)
            name = whole_name.partition("/")[2]
            if not member.isreg() or not wanted(name):
                continue
            content = _read_bounded(opened.extractfile(member).read, name, archive, total)
            total += len(content)
            yield name, content


def checked_name(name: str, archive: Path) -> str:
    """The member's name, if it stays inside the folder that the archive is unpacked to."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise CorpusError(f"{archive.name} is refused: its member {name!r} would be written outside the folder")
    return str(path)


def _read_bounded(read: Callable[[int], bytes], name: str, archive: Path, total: int) -> bytes:
    content = read(LARGEST_MEMBER + 1)  # what the header says about the size is not to be trusted
    if len(content) > LARGEST_MEMBER or total + len(content) > LARGEST_TOTAL:
        raise CorpusError(
            f"{archive.name} is refused: {name} makes it larger than {LARGEST_MEMBER:,} bytes a file "
            f"or {LARGEST_TOTAL:,} in all"
        )
    return content
