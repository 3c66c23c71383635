"""Which words are words: a list of those that the training texts use, and how text and identifiers fall into words.

    python evaluation/texts/words.py              # makes evaluation/texts/words.txt anew from the mixed corpus

The list is committed, so that a judgement is the same on every machine and in a fresh clone. Nothing of the held-out
sets is in it. It knows English and Python; other languages' words are unknown to it.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import argparse
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache

from data.corpus import CorpusError, read_documents

WORD_LIST = Path(__file__).resolve().parent / "words.txt"
MIXED_CORPUS = Path(__file__).resolve().parents[2] / "data" / "processed" / "mixed_corpus.txt"

# A word belongs to the list when so many documents use it. Most pairs of letters turn up somewhere as a name, which
# would make a word of any splinter: for these the bar is higher. One letter is never in the list.
LEAST_DOCUMENTS = 5
LEAST_DOCUMENTS_FOR_TWO_LETTERS = 250

LETTERS = re.compile(r"[^\W\d_]+")
PARTS_OF_A_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; `HTTPServer_name2` is three: http, server, name."""
    return [word for letters in LETTERS.findall(text) for word in parts(letters)]


def parts(letters: str) -> list[str]:
    """The words that a run of letters is made of: camelCase is two, any run beyond ASCII is one."""
    found = PARTS_OF_A_NAME.findall(letters) if letters.isascii() else [letters]
    return [word.lower() for word in found]


@cache
def known_words() -> frozenset[str]:
    """The committed list."""
    return frozenset(WORD_LIST.read_text(encoding="utf-8").split())


def common_words(documents: Iterable[str]) -> list[str]:
    """The words that enough different documents use, sorted. A document that comes again is not counted again."""
    counts: Counter[str] = Counter()
    seen: set[bytes] = set()
    for document in documents:
        digest = hashlib.sha256(document.encode()).digest()
        if digest not in seen:
            seen.add(digest)
            counts.update(set(words_of(document)))
    least = {1: sys.maxsize, 2: LEAST_DOCUMENTS_FOR_TWO_LETTERS}
    return sorted(word for word, count in counts.items() if count >= least.get(len(word), LEAST_DOCUMENTS))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Make the list of known words anew.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, default=MIXED_CORPUS, help="the texts whose words are known")
    parser.add_argument("--output", type=Path, default=WORD_LIST, help="the list to write")
    settings = parser.parse_args(arguments)
    try:
        words = common_words(read_documents(settings.corpus))
        temporary = settings.output.with_name(settings.output.name + ".tmp")
        temporary.write_text("\n".join(words) + "\n", encoding="utf-8", newline="\n")
        os.replace(temporary, settings.output)
    except (CorpusError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{settings.output}: {len(words):,} words, each in at least {LEAST_DOCUMENTS} documents")
    return 0


if __name__ == "__main__":
    sys.exit(main())
