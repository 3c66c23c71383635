"""Fills data/raw with what every installation already holds, and with the pinned packages and books of data/sources.

A source is a folder, `code/collected/<package>/` or `books/collected/<source>/`, with a `source.json` that says where
it came from. A folder appears only when it is complete, so an interrupted collection goes on where it stopped.
What is good training text is not decided here: see clean.py.
"""

import ast
import concurrent.futures
import importlib.metadata
import json
import re
import shutil
import sys
import sysconfig
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from data.archives import read_members
from data.corpus import CorpusError
from data.fetch import package_client, read_pip_settings

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "data" / "sources"
PYTHON_VERSION = ".".join(map(str, sys.version_info[:3]))
STANDARD_LIBRARY = "python-stdlib"
TOPICS = "python-topics"
NOT_THE_LIBRARY = {"site-packages", "dist-packages", "test", "__pycache__", "pydoc_data"}
DOWNLOADS_AT_ONCE = 6
# Every term of a licence has to be one of these. MPL is not: it asks for changed files to be published.
PERMISSIVE = re.compile(
    r"(MIT(-CMU| No Attribution)?|HPND|(New |Modified |Simplified )?BSD|0BSD|BSD-[\w-]+|Apache([ -]?2(\.0)?)?"
    r"|Apache Software|PSF(-2\.0)?|Python Software Foundation|ISC|ISC License \(ISCL\)|Unlicense|The Unlicense|Zlib"
    r"|zlib/libpng|CC0-1\.0|BSL-1\.0|LLVM-exception|CNRI-Python|Public Domain)( License)?",
    re.IGNORECASE,
)


@dataclass
class Report:
    """What a collection did: lines for the reader, and the reasons for what it left out."""

    collected: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def collect_installed(raw: Path, requirements: Path, report: Report) -> None:
    """Collect the standard library, its language reference, and what requirements.txt pulls in."""
    library = Path(sysconfig.get_path("stdlib"))
    about = {"name": STANDARD_LIBRARY, "version": PYTHON_VERSION, "licence": "PSF-2.0"}
    _keep_source(raw / "code", about, lambda: _files_below(library, _standard_library(library)), report)
    about = {"name": TOPICS, "version": PYTHON_VERSION, "licence": "PSF-2.0"}
    _keep_source(raw / "books", about, _topics, report)
    for distribution in required_distributions(requirements):
        name, licence = canonical(distribution.metadata["Name"]), licence_of(distribution.metadata)
        if not is_permissive(licence):
            report.left_out.append(f"{name}: its licence {licence!r} is not on the list of permissive ones")
        elif distribution.files is None:
            report.left_out.append(f"{name}: the installation has no list of its files")
        elif any(file.suffix == ".py" for file in distribution.files):
            about = {"name": name, "version": distribution.version, "licence": licence}
            _keep_source(raw / "code", about, lambda distribution=distribution: _files_of(distribution), report)


def collect_pinned(raw: Path, sources: Path, report: Report) -> None:
    """Fetch the packages and books of the pinned lists; what can not be had is reported and left out."""
    wanted = [(raw / "code", pinned) for pinned in json.loads((sources / "code_packages.json").read_text("utf-8"))]
    wanted += [(raw / "books", pinned) for pinned in json.loads((sources / "books.json").read_text("utf-8"))]
    missing = []
    for place, pinned in wanted:
        pinned.pop("why")  # a reason to read, not a fact about the source
        if _is_present(place / "collected" / pinned["name"], pinned):
            report.present.append(pinned["name"])
        elif place.name == "code" and not is_permissive(pinned["licence"]):
            report.left_out.append(f"{pinned['name']}: its licence {pinned['licence']!r} is not permissive")
        else:
            missing.append((place, pinned))
    if not missing:
        return
    troubles: dict[str, list[str]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        package_client(read_pip_settings()) as client,
        concurrent.futures.ThreadPoolExecutor(max_workers=DOWNLOADS_AT_ONCE) as pool,
    ):
        fetched = [pool.submit(client.fetch, pinned, Path(folder)) for _, pinned in missing]
        try:
            for number, future in enumerate(tqdm(fetched, desc="[Collect] fetching", unit="source", leave=False)):
                place, pinned = missing[number]
                try:
                    _keep_pinned(place, pinned, future.result(), report)
                except CorpusError as error:
                    troubles.setdefault(str(error), []).append(f"{pinned['name']} {pinned['version']}")
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for downloads that have not begun
    report.left_out += [f"{', '.join(names)}: {trouble}" for trouble, names in troubles.items()]


def _keep_pinned(place: Path, pinned: dict, archive: Path, report: Report) -> None:
    read = _books_in if place.name == "books" else _code_in
    _keep_source(place, pinned, lambda: read(archive, pinned), report)


def canonical(name: str) -> str:
    """A distribution's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def required_distributions(requirements: Path) -> Iterator[importlib.metadata.Distribution]:
    """The installed distributions that a requirements file asks for, directly or through others, by name."""
    lines = requirements.read_text("utf-8").splitlines()
    waiting = [line for line in lines if re.match(r"[A-Za-z0-9]", line)]
    found: dict[str, importlib.metadata.Distribution | None] = {}
    while waiting:
        requirement = waiting.pop()
        name = canonical(re.match(r"[A-Za-z0-9._-]+", requirement)[0])
        if name in found or re.search(r"\bextra\s*==", requirement):
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None  # for another system or Python
            continue
        waiting.extend(found[name].requires or [])
    yield from (distribution for _, distribution in sorted(found.items()) if distribution)


def licence_of(metadata) -> str:
    """The licence that a distribution states: the expression, else the classifiers, else a short License field."""
    if expression := metadata.get("License-Expression"):
        return expression
    classifiers = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or []
                   if line.startswith("License :: ")]  # fmt: skip
    stated = (metadata.get("License") or "").strip()
    return " AND ".join(classifiers) or (stated.splitlines()[0] if stated else "not stated")


def is_permissive(licence: str) -> bool:
    """Whether every term of a licence expression is permissive; also of a choice, to stay on the safe side."""
    terms = [term.strip(" ()") for term in re.split(r"\s+(?:AND|OR|WITH)\s+", licence)]
    return all(PERMISSIVE.fullmatch(term) for term in terms)


def _is_present(folder: Path, about: dict) -> bool:
    try:
        kept = json.loads((folder / "source.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    if "sha256" in about and "sha256" not in kept:
        return True  # the installation has this package itself
    return all(kept.get(key) == value for key, value in about.items())


def _keep_source(place: Path, about: dict, files: Callable[[], Iterable[tuple[str, bytes]]], report: Report) -> None:
    """Write the files of a source and its source.json to a folder that takes its name when it is complete."""
    folder = place / "collected" / about["name"]
    if _is_present(folder, about):
        report.present.append(about["name"])
        return
    partial = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    number = size = 0
    try:
        for name, content in files():
            target = partial / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            number, size = number + 1, size + len(content)
        kept = json.dumps({**about, "files": number, "bytes": size}, indent=1, ensure_ascii=False)
        (partial / "source.json").write_text(kept + "\n", "utf-8")
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    report.collected.append(
        f"{about['name']} {about['version']}: {number:,} files, {size:,} bytes ({about['licence']})"
    )


def _standard_library(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*.py") if path.relative_to(folder).parts[0] not in NOT_THE_LIBRARY)


def _files_below(folder: Path, paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Name and content of files, without those that a link would take from outside the folder."""
    inside = folder.resolve()
    for path in sorted(paths):
        name = path.relative_to(folder)
        if path.is_file() and path.resolve().is_relative_to(inside):
            yield name.as_posix(), path.read_bytes()


def _files_of(distribution: importlib.metadata.Distribution) -> Iterator[tuple[str, bytes]]:
    folder = Path(distribution.locate_file(""))
    inside = [file for file in distribution.files if file.suffix == ".py" and ".." not in file.parts]
    return _files_below(folder, [folder / file for file in inside])


def _topics() -> Iterator[tuple[str, bytes]]:
    from pydoc_data.topics import topics

    for name, text in sorted(topics.items()):
        yield f"{name}.txt", text.encode()


def _code_in(archive: Path, pinned: dict) -> Iterator[tuple[str, bytes]]:
    return read_members(archive, lambda name: name.endswith(".py") and name.startswith(tuple(pinned["take"])))


def _books_in(archive: Path, pinned: dict) -> Iterator[tuple[str, bytes]]:
    books = {book["path"]: book for book in pinned["books"]}
    for name, content in read_members(archive, books.__contains__):
        book = books[name]
        if book.get("reader") == "bible":
            yield from _bible_books(content)
            continue
        begin = content.find(book.get("begins_with", "").encode())
        if begin < 0:
            raise CorpusError(
                f"{pinned['name']}: {name} does not contain {book['begins_with']!r}, where the book begins"
            )
        yield PurePosixPath(name).name, content[begin:]


def _bible_books(source: bytes) -> Iterator[tuple[str, bytes]]:
    """The books of a pythonbible module, read from its constants, never run: one text, where each verse starts and
    ends in it (by book, chapter and verse: bbcccvvv), how many verses there are, and the titles."""
    call = next(node.value for node in ast.parse(source).body if isinstance(node, ast.Assign))
    text, starts, ends = (ast.literal_eval(argument) for argument in call.args[1:4])
    chapters: dict[tuple[int, int], list[str]] = {}
    for verse, start in starts.items():
        words = " ".join(text[start : ends[verse]].split()).replace("`", "'")
        chapters.setdefault((verse // 1_000_000, verse // 1_000 % 1_000), []).append(words)
    for number, title in enumerate(map(ast.literal_eval, call.args[5].values), start=1):
        prose = [f"Chapter {chapter}\n\n{textwrap.fill(' '.join(verses), 78)}\n"
                 for (book, chapter), verses in chapters.items() if book == number]  # fmt: skip
        name = re.sub(r"[^a-z0-9]+", "_", title.lower())
        yield f"{name}.txt", "\n".join([f"{title}\n", *prose]).encode()
