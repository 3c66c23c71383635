"""Makes the corpora: reads data/raw, splits it, and mixes code with books by bytes.

The mix is `code_weight` : 1. Books repeat up to four times (Muennighoff et al. 2023: up to four passes are worth
nearly as much as new text), code never does; whichever side is still too large is subsampled by whole documents.
"""

import contextlib
import math
import random
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from data.corpus import SEPARATOR, CorpusError, CorpusWriter
from data.documents import OWN, Document, Library
from data.manifest import count_source_tokens, passport, write_manifest
from data.split import Split, split_documents

SOURCES = Path(__file__).resolve().parent / "sources"
MOST_PASSES = 4  # over the books
# No package has more than this share of the code: torch alone would be a quarter. What it costs is not missed, since
# the books, repeated four times, call for less code than is left. A small collection has no such giants.
LARGEST_SHARE, SHARE_MATTERS_FROM = 0.1, 10_000_000  # share of the code's bytes; bytes

CountTokens = Callable[[list[str]], Iterable[int]]


@dataclass
class Mix:
    """The documents of the mixed corpus, repeats included, in no particular order yet."""

    code: list[Document]
    books: list[Document]
    notes: list[str]


def create_mixed_corpus(
    code_weight: float,
    raw_dir: Path,
    output_dir: Path,
    *,
    only_own: bool = False,
    seed: int = 0,
    count_tokens: CountTokens | None = None,
    heldout_list: Path = SOURCES / "heldout.json",
) -> dict:
    """Write mixed_corpus, code_corpus, heldout_code, heldout_books (.txt) and manifest.json; return the manifest.

    Raises:
        CorpusError: there is nothing to make a corpus from, or no room to write it.
    """
    if not 0 < code_weight < math.inf:
        raise CorpusError(
            f"code_weight is {code_weight}; it has to be above 0, 3 means three bytes of code to one of books"
        )
    seconds: dict[str, float] = {}
    with Library(output_dir) as library:
        with _timed(seconds, "read and clean"):
            library.fill(raw_dir, only_own)
        _say_what_was_left_out(library)
        if not library.documents:
            raise CorpusError(_nothing_there(raw_dir, only_own))
        with _timed(seconds, "split and deduplicate"):
            split = split_documents(library, heldout_list)
        with _timed(seconds, "mix and write"):
            code, books = split.of("code")[0], split.of("books")[0]
            code = cap_packages(code, library, random.Random(f"{seed} cap"))
            mix = mix_documents(code, books, code_weight, random.Random(f"{seed} mix"))
            written = _write(library, _arrange(mix, code, split, seed), output_dir)
        if count_tokens:
            with _timed(seconds, "count tokens"):
                _count_tokens(library, split, code, count_tokens, seed)
        settings = {"code_weight": code_weight, "only_own": only_own, "seed": seed}
        manifest = _manifest(library, split, mix, code, settings=settings, corpora=written)
    write_manifest(output_dir / "manifest.json", manifest)
    _print_summary(manifest, seconds)
    return manifest


@contextlib.contextmanager
def _timed(seconds: dict[str, float], stage: str):
    started = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - started


def _nothing_there(raw_dir: Path, only_own: bool) -> str:
    if only_own:
        return (f"there is no Python file of yours in {raw_dir / 'code'} and no .txt book in {raw_dir / 'books'}; put "
                "some there, or leave out --only_own")  # fmt: skip
    return f"there is no usable text in {raw_dir}; run: python scripts/collect_raw_data.py"


def _say_what_was_left_out(library: Library) -> None:
    for source in library.sources.values():
        for line in source.left_out:
            print(f"[Mix] left out: {line if source.name == OWN else f'{source.name}/{line}'}")
    if library.escaped:
        print(f"[Mix] {library.escaped} lines of documents read {SEPARATOR}; each got a trailing space, so that it "
              "separates nothing")  # fmt: skip


def total(documents: Iterable[Document]) -> int:
    return sum(document.size for document in documents)


def subsample(
    documents: list[Document], target: float, generator: random.Random, own_first: bool = True
) -> list[Document]:
    """Documents in random order wherever they still fit, so that a few bytes are missing at most; own ones always."""
    chosen = [document for document in documents if document.own and own_first]
    others = [document for document in documents if not (document.own and own_first)]
    generator.shuffle(others)
    room = target - total(chosen)
    for document in others:
        if document.size <= room:
            chosen.append(document)
            room -= document.size
    return chosen


def cap_packages(code: list[Document], library: Library, generator: random.Random) -> list[Document]:
    """The code with no package above `LARGEST_SHARE` of it; what is over stays unused."""
    largest = max(LARGEST_SHARE * total(code), SHARE_MATTERS_FROM)
    packages: dict[str, list[Document]] = {}
    for document in code:
        packages.setdefault(document.source, []).append(document)
    kept: set[Document] = set()
    for documents in packages.values():
        fits = total(documents) <= largest
        kept.update(documents if fits else subsample(documents, largest, generator))
        for document in documents:
            if document not in kept:
                library.source_of(document).remove(f"unused: above {LARGEST_SHARE:.0%} of the code", document.size)
    return [document for document in code if document in kept]


def mix_documents(code: list[Document], books: list[Document], code_weight: float, generator: random.Random) -> Mix:
    """Choose what the mixed corpus holds so that bytes of code are `code_weight` times the bytes of books."""
    if not code or not books:
        missing = "books" if code else "code"
        return Mix(code, books, [f"there are no {missing}, so the mixed corpus has none of them and no ratio"])
    passes = total(code) / code_weight / total(books)
    notes = []
    if passes > 2 * MOST_PASSES:
        notes.append(f"the books are too few for all of the code: {MOST_PASSES} passes over them call for "
                     f"{MOST_PASSES / passes:.0%} of it. Add books, raise --code_weight (up to "
                     f"{code_weight * passes / MOST_PASSES:.0f}), or train on code_corpus.txt")  # fmt: skip
    if passes >= MOST_PASSES:
        books = books * MOST_PASSES
        code = subsample(code, code_weight * total(books), generator)
    else:
        whole = books * int(passes)
        books = whole + subsample(books, total(code) / code_weight - total(whole), generator, own_first=not whole)
    ratio = total(code) / max(total(books), 1)
    if abs(ratio / code_weight - 1) < 0.001:
        return Mix(code, books, notes)
    notes.append(f"code to books is {ratio:.2f} : 1 instead of {code_weight:g} : 1: your own files are always in, and "
                 "other documents only whole")  # fmt: skip
    return Mix(code, books, notes)


def _arrange(mix: Mix, code: list[Document], split: Split, seed: int) -> dict[str, list[Document]]:
    """What each corpus holds, in its order: shuffled for training, by package and book where it is held out."""
    mixed, shuffled_code = [*mix.code, *mix.books], list(code)
    random.Random(f"{seed} order of the mix").shuffle(mixed)
    random.Random(f"{seed} order of the code").shuffle(shuffled_code)
    return {
        "mixed_corpus": mixed,
        "code_corpus": shuffled_code,
        "heldout_code": split.of("code")[1],
        "heldout_books": split.of("books")[1],
    }


def _write(library: Library, corpora: dict[str, list[Document]], output_dir: Path) -> dict:
    """Write the corpora; they replace the old ones together, when all of them are complete."""
    needed, free = sum(map(total, corpora.values())), shutil.disk_usage(output_dir).free
    if needed > free:
        raise CorpusError(f"the disk is too full for the corpora: they need {needed:,} bytes and {free:,} are free in "
                          f"{output_dir}. Nothing was changed; free some space and try again")  # fmt: skip
    with contextlib.ExitStack() as stack:
        writers = {name: stack.enter_context(CorpusWriter(output_dir / f"{name}.txt")) for name in corpora}
        for name, documents in corpora.items():
            for document in tqdm(documents, desc=f"[Mix] writing {name}", unit="document", leave=False):
                writers[name].write(library.read(document))
    return {
        name: {"documents": writer.documents, "bytes": writer.bytes, "sha256": writer.sha256}
        for name, writer in writers.items()
    }


def _count_tokens(library: Library, split: Split, code: list[Document], count: CountTokens, seed: int) -> None:
    """Count or estimate the tokens of each source, from documents taken at random."""
    by_source: dict[tuple[str, str], list[Document]] = {}
    for document in [*code, *split.of("books")[0], *split.heldout]:
        by_source.setdefault((document.kind, document.source), []).append(document)
    for key, documents in tqdm(by_source.items(), desc="[Mix] counting tokens", unit="source", leave=False):
        random.Random(f"{seed} tokens").shuffle(documents)
        library.sources[key].tokens = count_source_tokens(documents, library.read, count)


def _manifest(library: Library, split: Split, mix: Mix, code: list[Document], **made: dict) -> dict:
    heldout = {
        f"heldout_{kind}": {
            "documents": [
                {"source": document.source, "path": document.path, "bytes": document.size}
                for document in split.of(kind)[1]
            ]
        }
        for kind in ("code", "books")
    }
    books = split.of("books")[0]
    numbers = {
        "code_bytes": total(mix.code),
        "book_bytes": total(mix.books),
        "ratio": total(mix.code) / total(mix.books) if mix.books else None,
        "passes_over_books": total(mix.books) / total(books) if books else None,
        "unused_code_documents": len(code) - len(mix.code),
        "unused_code_bytes": total(code) - total(mix.code),
        "unused_book_bytes": total(books) - total(set(mix.books)),
    }
    used: dict[tuple[str, str], list[Document]] = {key: [] for key in library.sources}
    for document in [*code, *books, *split.heldout]:
        used[document.kind, document.source].append(document)
    return {
        **made,
        "mix": numbers,
        "notes": [*split.notes, *mix.notes],
        "sources": [passport(source, used[key]) for key, source in library.sources.items() if source.files],
        **heldout,
    }


def _print_summary(manifest: dict, seconds: dict[str, float]) -> None:
    removed: dict[str, list[int]] = {}
    for source in manifest["sources"]:
        for reason, counted in source["removed"].items():
            so_far = removed.setdefault(reason, [0, 0])
            so_far[0] += counted["documents"]
            so_far[1] += counted["bytes"]
    for reason, (documents, size) in sorted(removed.items(), key=lambda item: -item[1][1]):
        print(f"[Mix] not used: {documents:7,} documents {size / 1e6:8.2f} MB  {reason}")
    for note in manifest["notes"]:
        print(f"[Mix] note: {note}")
    mix = manifest["mix"]
    if mix["ratio"]:
        print(
            f"[Mix] {mix['ratio']:.4f} bytes of code to one of books, {mix['passes_over_books']:.2f} passes over them"
        )
        print(f"[Mix] not in the mix: {mix['unused_code_documents']:,} documents of code ({mix['unused_code_bytes']:,} "
              f"bytes, in code_corpus.txt all the same) and {mix['unused_book_bytes']:,} bytes of books")  # fmt: skip
    for name, corpus in manifest["corpora"].items():
        print(f"[Mix] {name + '.txt':18} {corpus['documents']:7,} documents {corpus['bytes']:13,} bytes")
    print("[Mix] " + ", ".join(f"{stage} {passed:.0f} s" for stage, passed in seconds.items()))
