"""The passport of the data: what every source is, what each filter took from it, and what became of the rest."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE = 1_000_000  # bytes of a source that are tokenized to estimate its tokens


@dataclass
class Source:
    """One package, or one origin of books, and what was counted about it."""

    kind: str
    about: dict
    files: int = 0
    bytes: int = 0
    removed: dict[str, dict[str, int]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    tokens: dict | None = None

    @property
    def name(self) -> str:
        return self.about["name"]

    def remove(self, reason: str, size: int) -> None:
        """Count a file or document that is not used, under the reason for it."""
        counted = self.removed.setdefault(reason, {"documents": 0, "bytes": 0})
        counted["documents"] += 1
        counted["bytes"] += size


def passport(source: Source, documents: list) -> dict:
    """A source as the manifest shows it, with the documents of it that the corpora hold.

    `sha256` is of the documents' own digests in order: two runs with the same one used the same text.
    """
    digest = hashlib.sha256(b"".join(document.digest for document in documents)).hexdigest()
    about = {"archive_sha256" if key == "sha256" else key: value for key, value in source.about.items()}
    tokens = {"tokens": source.tokens} if source.tokens else {}
    return {
        **about, "kind": source.kind, "files": source.files, "bytes": source.bytes,
        "documents_used": len(documents), "bytes_used": sum(document.size for document in documents), **tokens,
        "sha256": digest, "removed": source.removed, "left_out": source.left_out,
    }  # fmt: skip


def count_source_tokens(
    documents: list, read: Callable[[object], str], count_tokens: Callable[[list[str]], Iterable[int]]
) -> dict:
    """The tokens of some documents: counted where they are few, else estimated from the first `SAMPLE` bytes."""
    sample, size = [], 0
    for document in documents:
        if sample and size + document.size > SAMPLE:
            break
        sample.append(read(document))
        size += document.size
    whole, counted = sum(document.size for document in documents), sum(count_tokens(sample))
    return {"number": round(counted * whole / max(size, 1)), "counted_on_bytes": size, "estimated": size < whole}


def write_manifest(path: Path, content: dict) -> None:
    """Write the manifest as JSON in one move."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
