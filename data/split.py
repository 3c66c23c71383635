"""Which documents are held out, and which leave training because they repeat another one.

The order matters: named packages and books are held out first, then duplicates go within the rest, then whatever in
training nearly repeats a held-out document. The user's own files never go: where one of them nearly repeats a
held-out document, it is the held-out one that goes.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy

from data.deduplicate import near_duplicates, pairs_alike
from data.documents import Document, Library

HELDOUT_SHARE = 0.05  # of the documents, or of the lines of a single one, where nothing that is named is there
# Documents, of which a measurement needs no more; each is compared with all of training, so that a share would make the
# time of a mix grow with the square of its size.
MOST_HELDOUT = 500


@dataclass
class Split:
    """Documents by what they are for; `notes` says what happened that a user should know."""

    training: list[Document]
    heldout: list[Document]
    notes: list[str]

    def of(self, kind: str) -> tuple[list[Document], list[Document]]:
        """Training and held-out documents of one kind."""
        return tuple([document for document in part if document.kind == kind] for part in (self.training, self.heldout))


def split_documents(library: Library, named: Path) -> Split:
    """Hold out, deduplicate, decontaminate; the account of every source says what left."""
    order = _heldout_order(named)
    places = {document: _place(document, order) for document in library.documents}
    heldout = sorted((document for document in library.documents if places[document] is not None), key=places.get)
    split = Split([document for document in library.documents if places[document] is None], heldout, [])
    for kind in ("code", "books"):
        if not split.of(kind)[1]:
            _hold_out_the_last(split, kind, library)
    for kind in ("code", "books"):
        training, heldout = split.of(kind)
        heldout = _without_duplicates(heldout, library)
        training = _without_duplicates(training, library)
        training, heldout = _decontaminated(training, heldout, library, split.notes)
        split.training = [document for document in split.training if document.kind != kind] + training
        split.heldout = [document for document in split.heldout if document.kind != kind] + heldout
    return split


def _heldout_order(named: Path) -> dict[tuple[str, str, str | None], int]:
    content = json.loads(named.read_text("utf-8"))
    entries = [(kind, entry["source"], entry.get("document")) for kind in ("code", "books") for entry in content[kind]]
    return {entry: number for number, entry in enumerate(entries)}


def _place(document: Document, order: dict) -> int | None:
    """The held-out entry that a document belongs to, if any; a book's chapters are named book#1, book#2."""
    whole = order.get((document.kind, document.source, None))
    return order.get((document.kind, document.source, document.path.partition("#")[0]), whole)


def _hold_out_the_last(split: Split, kind: str, library: Library) -> None:
    """Hold out the last documents of a kind, collected ones if there are any, or the last lines of a single one."""
    training, _ = split.of(kind)
    candidates = [document for document in training if not document.own] or training
    if not candidates:
        return
    if len(training) > 1:
        chosen = candidates[-min(MOST_HELDOUT, max(1, round(HELDOUT_SHARE * len(candidates)))) :]
        split.notes.append(f"heldout_{kind}: none of the named sources is there, so the last {len(chosen)} of "
                           f"{len(candidates)} documents are held out")  # fmt: skip
        split.heldout += chosen
        split.training = [document for document in split.training if document not in set(chosen)]
        return
    (only,) = candidates
    lines = library.read(only).splitlines(keepends=True)
    if len(lines) == 1:
        split.notes.append(f"heldout_{kind} is empty: {only.path} is a single line, and all there is")
        return
    cut = len(lines) - max(1, round(HELDOUT_SHARE * len(lines)))
    source = library.source_of(only)
    first, last = (library.add(source, f"{only.path}:{name}", "".join(part))
                   for name, part in (("first lines", lines[:cut]), ("last lines", lines[cut:])))  # fmt: skip
    split.training[split.training.index(only)] = first
    split.heldout.append(last)
    split.notes.append(
        f"heldout_{kind}: {only.path} is all there is, so its last {len(lines) - cut} lines are held out"
    )


def _signatures(documents: list[Document]) -> numpy.ndarray:
    return numpy.array([document.signature for document in documents])


def _without_duplicates(documents: list[Document], library: Library) -> list[Document]:
    """The documents without those that repeat an earlier one exactly or nearly; own files stay whatever they repeat."""
    seen: set[bytes] = set()
    different = []
    for document in documents:
        if document.digest in seen and not document.own:
            library.source_of(document).remove("exact duplicate", document.size)
        else:
            seen.add(document.digest)
            different.append(document)
    repeats = near_duplicates(_signatures(different), numpy.array([document.own for document in different], dtype=bool))
    for number in repeats:
        library.source_of(different[number]).remove("near duplicate", different[number].size)
    return [document for number, document in enumerate(different) if number not in repeats]


def _decontaminated(
    training: list[Document], heldout: list[Document], library: Library, notes: list[str]
) -> tuple[list[Document], list[Document]]:
    """Both sets without what is alike across them."""
    if not training or not heldout:
        return training, heldout
    pairs = [
        (heldout[one], training[other])
        for one, other in pairs_alike(
            _signatures(heldout), _signatures(training),
            lambda one: library.read(heldout[one]), lambda other: library.read(training[other]),
        )
    ]  # fmt: skip
    seen_by_own = {held for held, seen in pairs if seen.own}
    if len(seen_by_own) == len(heldout):
        notes.append(f"heldout_{heldout[0].kind}: all of it is much like your own files, which stay in training, so "
                     "its loss says little about text that the model has not seen")  # fmt: skip
        seen_by_own = set()
    no_longer = [document for document in heldout if document in seen_by_own]
    if no_longer:
        names = [f"{document.source}/{document.path}" for document in no_longer[:3]]
        others = f" and {len(no_longer) - 3} more" if len(no_longer) > 3 else ""
        notes.append(
            f"no longer held out, since files of yours in training are much like it: {', '.join(names)}{others}"
        )
    repeating = {seen for held, seen in pairs if not seen.own and held not in seen_by_own}
    for document in repeating:
        library.source_of(document).remove("repeats a held-out document", document.size)
    for document in no_longer:
        if not document.own:
            library.source_of(document).remove("held out, but your own files repeat it", document.size)
    own_again = [document for document in no_longer if document.own]
    return (
        [document for document in training if document not in repeating] + own_again,
        [document for document in heldout if document not in seen_by_own],
    )
