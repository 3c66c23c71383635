"""The texts that no model of this project has been trained on, document by document with the names of their sources."""

import json
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from data.corpus import read_documents
from pretraining import dataset

MAKE_THEM = "Make them: python scripts/create_mixed_corpus.py"


class HeldOutError(ValueError):
    """A held-out set is missing or does not fit its manifest; the message says what to run."""


@dataclass(frozen=True)
class Document:
    """One held-out file."""

    source: str  # package or book
    path: str  # its name within the source
    text: str

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
    try:
        manifest = json.loads(corpus.with_name("manifest.json").read_text(encoding="utf-8"))
        listed = manifest[name]["documents"]
    except (OSError, ValueError, KeyError, TypeError):
        raise HeldOutError(f"no readable manifest.json beside {corpus} names its documents. {MAKE_THEM}") from None
    texts = list(read_documents(corpus))
    if len(texts) != len(listed):
        raise HeldOutError(f"{corpus} holds {len(texts)} documents, its manifest {len(listed)}. {MAKE_THEM}")
    return [Document(entry["source"], entry["path"], text) for entry, text in zip(listed, texts, strict=True)]


def sample_documents(documents: list[Document], total_bytes: int | None, seed: int = 0) -> list[Document]:
    """About `total_bytes` of documents (None: all), an equal part from each source as far as it reaches.

    Drawn at random file by file, so that no source's alphabet decides, and returned in the order given. A file larger
    than what its source has left is passed over.
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
    return [documents[number] for number in sorted(chosen)]
