"""The texts that no model of this project has been trained on, document by document with the names of their sources."""

import json
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from data.corpus import read_documents
from evaluation.result_files import file_sha256
from pretraining import dataset
from pretraining.checkpoint import TrainedModel

MAKE_THEM = "Make them: python scripts/create_mixed_corpus.py"


class HeldOutError(ValueError):
    """A held-out set is missing or does not fit its manifest; the message says what to run."""


class Origin(NamedTuple):
    """Where something that is asked about is from, as intervals need it (statistics.py)."""

    work: str  # package, or book of a collection
    file: str  # or part of the book


def origin_of(source: str, path: str) -> Origin:
    """The origin of what stands in `path` of a source; the parts of a book are named `book.txt#1`, `book.txt#2`."""
    book, is_part, _ = path.partition("#")
    return Origin(f"{source}/{book}" if is_part else source, f"{source}/{path}")


@dataclass(frozen=True)
class Document:
    """One held-out file."""

    source: str  # package or collection of books
    path: str  # its name within the source
    text: str

    @property
    def origin(self) -> Origin:
        """The package or book it belongs to, and its own name."""
        return origin_of(self.source, self.path)

    @property
    def bytes(self) -> int:
        """Size in UTF-8."""
        return len(self.text.encode())


def read_held_out(name: str, folder: Path | None = None) -> list[Document]:
    """All documents of `heldout_code` or `heldout_books`, in the order of the file, named as the manifest names them.

    Raises HeldOutError where the set is missing, empty, or not the one that the manifest describes.
    """
    corpus = (folder or dataset.PROCESSED) / f"{name}.txt"
    if not corpus.is_file() or not corpus.stat().st_size:
        raise HeldOutError(f"there is no held-out set {corpus}. {MAKE_THEM}")
    manifest = read_manifest(corpus.parent)
    try:
        described, listed = manifest["corpora"][name]["sha256"], manifest[name]["documents"]
        names = [(entry["source"], entry["path"]) for entry in listed]
    except (KeyError, TypeError):
        raise HeldOutError(f"no readable manifest.json beside {corpus} names its documents. {MAKE_THEM}") from None
    texts = list(read_documents(corpus))
    if file_sha256(corpus) != described or len(texts) != len(names):
        raise HeldOutError(f"{corpus} is not the one that the manifest.json beside it describes. {MAKE_THEM}")
    return [Document(*name, text) for name, text in zip(names, texts, strict=True)]


def read_manifest(folder: Path) -> dict:
    """What the corpora of a folder are made of; empty where that can not be read."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def corpora_sha256() -> dict[str, str]:
    """The sha256 of each corpus and held-out set of data/processed: what an answer depends on besides the model."""
    corpora = read_manifest(dataset.PROCESSED).get("corpora", {})
    return {name: about["sha256"] for name, about in sorted(corpora.items())}


def corpus_of(trained: TrainedModel) -> Path:
    """The corpus in data/processed that a model was trained on last; the mixed one where that is not known or gone."""
    digests = corpora_sha256()
    last = trained.trained_on[-1] if trained.trained_on else None
    name = next((name for name in dataset.MADE_CORPORA if digests.get(Path(name).stem) == last), "mixed_corpus.txt")
    return dataset.PROCESSED / name


def why_doubtful(trained: TrainedModel) -> str | None:
    """Why a model may have seen what it is asked about; None where it learnt from the corpora of data/processed alone.

    These are made without what is held out. Of another file nobody knows what is in it.
    """
    made = {digest for name, digest in corpora_sha256().items() if name not in dataset.HELD_OUT_SETS}
    if trained.trained_on is None:
        return "its checkpoint does not say what it was trained on, so it may have seen what it is asked about."
    if not made.issuperset(trained.trained_on):
        return "it was trained on other text than that of data/processed, so it may have seen what it is asked about."
    return None


def sample_documents(documents: list[Document], total_bytes: int | None, seed: int = 0) -> list[Document]:
    """About `total_bytes` of documents (None: all), an equal part from each source as far as it reaches.

    Drawn at random file by file, so that no source's alphabet decides, and returned in the order given. A file larger
    than what its source has left is passed over; where all are, as files of one's own may be, the smallest is taken.
    """
    if total_bytes is None:
        return documents
    by_source: dict[str, list[int]] = defaultdict(list)
    for number, document in enumerate(documents):
        by_source[document.source].append(number)
    chosen, left, sources_left = [], total_bytes, len(by_source)
    for source in sorted(by_source, key=lambda name: sum(documents[number].bytes for number in by_source[name])):
        room = left // sources_left  # the smallest source first: what it leaves unused goes to the larger ones
        numbers = random.Random(f"{seed} {source}").sample(by_source[source], len(by_source[source]))
        for number in numbers:
            if documents[number].bytes <= room:
                room -= documents[number].bytes
                left -= documents[number].bytes
                chosen.append(number)
        sources_left -= 1
    return [documents[number] for number in sorted(chosen)] or [min(documents, key=lambda document: document.bytes)]
