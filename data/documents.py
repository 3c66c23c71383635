"""Reads data/raw into documents: the collected sources through the filters of clean.py, the user's own files as they
are. The texts wait in a temporary file, so that memory grows by about a kilobyte for each document, not by its text.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy
from tqdm import tqdm

from data import clean
from data.corpus import as_document, explained
from data.deduplicate import signature
from data.manifest import Source

OWN = "own"  # the source of the files that the user put into data/raw
SUFFIXES = {"code": ".py", "books": ".txt"}


@dataclass(slots=True, eq=False)
class Document:
    """A text that may go into a corpus, and where it waits; `size` is in bytes of UTF-8."""

    kind: str
    source: str
    path: str
    size: int
    offset: int
    digest: bytes
    signature: numpy.ndarray

    @property
    def own(self) -> bool:
        return self.source == OWN


class Library:
    """All documents of data/raw in a fixed order, the user's own first, with an account of their sources."""

    def __init__(self, output_dir: Path) -> None:
        output_dir.mkdir(parents=True, exist_ok=True)
        self._path = output_dir / "documents"
        self._file = tempfile.TemporaryFile(dir=output_dir)  # noqa: SIM115, __exit__ closes it
        self._end = 0
        self.escaped = 0
        self.documents: list[Document] = []
        self.sources: dict[tuple[str, str], Source] = {}

    def __enter__(self) -> "Library":
        return self

    def __exit__(self, *error) -> None:
        self._file.close()

    def read(self, document: Document) -> str:
        """The text of a document."""
        self._file.seek(document.offset)
        return self._file.read(document.size).decode()

    def add(self, source: Source, path: str, text: str) -> Document:
        """Keep a text as a document, ended by a newline."""
        encoded, escaped = as_document(text)
        self.escaped += escaped
        try:
            self._write(encoded)
        except OSError as error:
            raise explained(error, self._path, self._end) from error
        document = Document(
            source.kind, source.name, path, len(encoded), self._end, hashlib.sha256(encoded).digest(), signature(text)
        )
        self._end += len(encoded)
        self.documents.append(document)
        return document

    def _write(self, encoded: bytes) -> None:
        self._file.seek(self._end)
        self._file.write(encoded)

    def source_of(self, document: Document) -> Source:
        return self.sources[document.kind, document.source]

    def fill(self, raw: Path, only_own: bool) -> None:
        """Read every source of a raw folder: what the user put there, then what was collected."""
        for kind in SUFFIXES:
            own = self.sources[kind, OWN] = Source(kind, {"name": OWN, "licence": "the user's own"})
            self._add_own(raw / kind, own)
        for folder, path, source in tqdm(
            [] if only_own else self._collected(raw), desc="[Mix] cleaning", unit="file", leave=False
        ):
            self._add_collected(folder, path, source)

    def _collected(self, raw: Path) -> list[tuple[Path, Path, Source]]:
        """The files of all collected sources, with the folder and the account of each."""
        files = []
        for folder in collected_sources(raw):
            about = json.loads((folder / "source.json").read_text("utf-8"))
            kind = folder.parents[1].name
            source = self.sources[kind, about["name"]] = Source(kind, about)
            files += [(folder, path, source) for path in _walk(folder, SUFFIXES[kind], source.left_out)]
        return files

    def _add_own(self, folder: Path, source: Source) -> None:
        for path in _walk(folder, SUFFIXES[source.kind], source.left_out, skip="collected"):
            name = path.relative_to(folder).as_posix()
            try:
                self._count(path, source)
                if source.kind == "code":
                    text = clean.read_code(path)
                    if not text.strip():
                        raise clean.Unreadable("is empty")
                    self.add(source, name, text)
                elif self._add_book(path, name, source) == 0:
                    raise clean.Unreadable("is empty")
            except clean.Unreadable as error:
                source.left_out.append(f"{source.kind}/{name} {error}")

    def _add_collected(self, folder: Path, path: Path, source: Source) -> None:
        name = path.relative_to(folder).as_posix()
        size = self._count(path, source)
        try:
            if source.kind == "books":
                self._add_book(path, name, source)
                return
            if reason := clean.reason_by_path(name):
                raise clean.Rejected(reason)
            text = clean.read_code(path)
            clean.check_code(text)
            self.add(source, name, text)
        except clean.Rejected as reason:
            source.remove(str(reason), size)
        except clean.Unreadable as error:
            source.remove("undecodable", size)
            source.left_out.append(f"{name} {error}")

    def _add_book(self, path: Path, name: str, source: Source) -> int:
        number = 0
        for number, chapter in enumerate(clean.read_chapters(path), start=1):
            self.add(source, f"{name}#{number}", chapter)
        return number

    def _count(self, path: Path, source: Source) -> int:
        try:
            size = path.stat().st_size
        except OSError as error:
            raise clean.Unreadable(f"can not be read ({error.strerror})") from error
        source.files += 1
        source.bytes += size
        return size


def collected_sources(raw: Path) -> list[Path]:
    """The folders of collected sources, in a fixed order."""
    return sorted(path.parent for kind in SUFFIXES for path in (raw / kind / "collected").glob("*/source.json"))


def _walk(folder: Path, suffix: str, left_out: list[str], skip: str | None = None) -> Iterator[Path]:
    """The files below a folder in a fixed order. Links that lead out of it are not followed, and named."""
    inside = folder.resolve()
    for place, folders, files in os.walk(folder):
        if Path(place) == folder and skip in folders:
            folders.remove(skip)
        folders.sort()
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in sorted([*links, *files]):
            path = Path(place) / name
            wanted = name in links or path.suffix.lower() == suffix
            if wanted and path.is_symlink() and not path.resolve().is_relative_to(inside):
                left_out.append(f"{path.relative_to(folder.parent).as_posix()} is a link that leaves the folder; copy "
                                "what it points to instead")  # fmt: skip
            elif wanted and name not in links:
                yield path
