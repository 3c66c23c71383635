"""Shows how well the tokenizer compresses, and rebuilds the broken one that wrote "O n ce u p on a t i me".

    python scripts/test_tokenizer_quality.py --tokenizer tokenizer/tokenizer_8k.json

Characters per token on held-out code and prose, source by source (about 3 to 4 is good: a longer token lets the model
see more text at once, with fewer guesses to make), the longest and the rarest tokens, and how many are never used.
Exit code: 0 fine, 1 clearly bad (fewer than 2.5 characters per token), 2 the tokenizer or a corpus cannot be read.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from data.corpus import CorpusError, read_pieces
from evaluation.benchmarking.broken_tokenizer import (
    FIRST_CORPUS_LINES,
    SIMILAR_CODE,
    broken_tokenizer,
    first_corpus,
    there_and_back,
)
from tokenizer.bpe import DEFAULT_TOKENIZER, SPECIAL_TOKENS, Tokenizer, TokenizerError
from tokenizer.verify_token import own_sources

# isort: split
import tokenizers  # below the tokenizer room, which says in one line where this package is missing
from tokenizers import decoders

PROCESSED = Path(__file__).resolve().parents[1] / "data" / "processed"
BAD_BELOW = 2.5  # characters per token; single bytes give 1, good vocabularies of 8,192 give 3 to 4

SENTENCE = "Once upon a time in Toronto, Chin"
FIRST_OUTPUT = "O n ce u p on a t i me in T or on to , C h in"  # what the project's first model wrote

EXPLANATION = """
Line 5 is {exactly} first model's output "{first}".

The setting that does the harm is `pre_tokenizer = Whitespace()` (line 4 differs from line 2 in it alone): it cuts words
apart and throws every space, newline and indent away before anything is learned. With no decoder set, `decode` puts a
space between all tokens instead (line 5); nobody knows any more where the real ones were. Leaving out the decoder alone
looks odd and loses nothing (line 3: Ġ is a space). More text makes longer pieces (line 6) and brings no space back.

Why that raises perplexity: no token says whether a word goes on or a new one begins, so that the model has to share out
its probability over both at every token; and the shorter the pieces, the less text its context holds.
"""
CONSEQUENCES = (
    ("to  get\there", "what stood between words is forgotten"),
    ("if x:\n    return y", "without indentation no Python runs"),
    ("naïve 日本", "what the text did not have is dropped"),
)


def in_batches(items: Iterable, size: int = 64) -> Iterator[list]:
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def held_out_texts(corpus: Path) -> Iterator[tuple[str, str]]:
    """(source, text) of the documents of a held-out set; the manifest beside it lists their sources in order."""
    manifest = corpus.with_name("manifest.json")
    listed = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else {}
    sources = [document["source"] for document in listed.get(corpus.stem, {}).get("documents", [])]
    number = -1
    for piece in read_pieces(corpus):
        number += piece.starts_document
        yield sources[number] if number < len(sources) else "not listed", piece.text


def held_out_sets(processed: Path) -> list[Path]:
    """The held-out sets that have text in them; says which one is left out because it has none."""
    found = [processed / name for name in ("heldout_code.txt", "heldout_books.txt") if (processed / name).exists()]
    empty = [path for path in found if not any(piece.text.strip() for piece in read_pieces(path))]
    for path in empty:
        print(f"\n{path.stem} is left out: it is empty, no text of that kind was held out")
    return [path for path in found if path not in empty]


def print_compression(title: str, tokenizer: Tokenizer, texts: Iterable[tuple[str, str]]) -> float:
    """A line for each source, the largest first, and one for all; returns the characters per token of all."""
    characters, sizes, tokens, seconds = Counter(), Counter(), Counter(), 0.0
    for batch in in_batches(texts):
        started = time.perf_counter()
        encoded = tokenizer.encode_batch([text for _, text in batch])
        seconds += time.perf_counter() - started
        for (source, text), ids in zip(batch, encoded, strict=True):
            for name in (source, "all"):
                characters[name] += len(text)
                sizes[name] += len(text.encode())
                tokens[name] += len(ids)
    print(f"\n{title} (encoded at {sizes['all'] / 1e6 / max(seconds, 1e-9):.1f} MB/s)\n")
    print(f"  {'source':24}{'characters':>12}{'tokens':>12}{'characters/token':>18}{'bytes/token':>13}")
    for name in sorted(characters, key=lambda name: (name == "all", -characters[name])):
        count = max(tokens[name], 1)
        ratios = f"{characters[name] / count:18.2f}{sizes[name] / count:13.2f}"
        print(f"  {name:24}{characters[name]:12,}{tokens[name]:12,}{ratios}")
    return characters["all"] / max(tokens["all"], 1)


def print_tokens(tokenizer: Tokenizer, texts: Iterable[str], sample: str, shown: int = 16) -> None:
    """The longest tokens of the vocabulary, the rarest ones in the sample, and the share that it never uses."""
    used: Counter[int] = Counter()
    for batch in in_batches(texts):
        for ids in tokenizer.encode_batch(batch):
            used.update(ids)
    regular = range(len(SPECIAL_TOKENS), tokenizer.vocab_size)
    longest = sorted(regular, key=lambda token_id: -len(tokenizer.token_bytes(token_id)))[:shown]
    rarest = sorted((token_id for token_id in regular if used[token_id]), key=used.get)[:shown]
    unused = sum(not used[token_id] for token_id in regular)

    def as_text(token_id: int) -> str:
        raw = tokenizer.token_bytes(token_id)
        is_run = len(raw) > 4 and len(set(raw)) == 1
        return f"{repr(raw[:1])[1:]}*{len(raw)}" if is_run else repr(raw)[1:]

    print("\nThe longest tokens:", *map(as_text, longest), sep="  ")
    print(f"\nIn {sample} ({used.total():,} tokens):")
    print("  the rarest:", *(f"{as_text(token_id)} {used[token_id]}x" for token_id in rarest), sep="  ")
    print(f"  never used: {unused:,} of {len(regular):,} tokens ({unused / len(regular):.1%})")


def sound_tokenizer(tokenizer: Tokenizer, decoder: decoders.Decoder | None) -> tokenizers.Tokenizer:
    """This project's tokenizer as the library sees it, with the decoder of one's choice."""
    sound = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    sound.decoder = decoder
    return sound


def print_broken_tokenizer(tokenizer: Tokenizer, large_text: str) -> None:
    """From this project's tokenizer to the broken one, on the sentence of the project's first README."""
    small_text = first_corpus()
    small = Tokenizer.train([small_text], 8192)
    few, many = f"{FIRST_CORPUS_LINES} lines", f"{len(large_text) / 1e6:.1f} MB"
    broken = broken_tokenizer(small_text, None)
    rows = [
        ("the corpus", "words as bytes", "ByteLevel", sound_tokenizer(tokenizer, decoders.ByteLevel())),
        (few, "words as bytes", "ByteLevel", sound_tokenizer(small, decoders.ByteLevel())),
        (few, "words as bytes", "none", sound_tokenizer(small, None)),
        (few, "Whitespace()", "ByteLevel", broken_tokenizer(small_text, decoders.ByteLevel())),
        (few, "Whitespace()", "none", broken),
        (many, "Whitespace()", "none", broken_tokenizer(large_text, None)),
    ]
    print(f"\nThe first, broken tokenizer, rebuilt: {SENTENCE!r} encoded and decoded by tokenizers")
    print(f"that learned from the corpus, from {few} of Python's own {SIMILAR_CODE.__name__}.py or from {many}:\n")
    print(f"     {'learned from':14}{'pre_tokenizer':16}{'decoder':11}{'vocabulary':>10}{'tokens':>8}  comes back as")
    for number, (learned_from, pre_tokenizer, decoder, used) in enumerate(rows, start=1):
        sizes = f"{used.get_vocab_size():10,}{len(used.encode(SENTENCE).ids):8}"
        settings = f"{learned_from:14}{pre_tokenizer:16}{decoder:11}"
        print(f"  {number}. {settings}{sizes}  {there_and_back(used, SENTENCE)!r}")
    exactly = "character for character the" if there_and_back(broken, SENTENCE) == FIRST_OUTPUT else "much like the"
    print(EXPLANATION.format(exactly=exactly, first=FIRST_OUTPUT))
    if broken.encode("on to").ids == broken.encode("onto").ids:
        print("  'on to' and 'onto' become the same tokens")
    for text, meaning in CONSEQUENCES:
        print(f"  {text!r:25} comes back as {there_and_back(broken, text)!r:24} {meaning}")


def report(tokenizer: Tokenizer, processed: Path) -> int:
    """Everything that the script prints; returns its exit code."""
    print(f"{tokenizer.vocab_size:,} tokens, sha256 {tokenizer.sha256[:16]}")
    found = held_out_sets(processed)
    ratios = {path.stem: print_compression(path.stem, tokenizer, held_out_texts(path)) for path in found}
    own = own_sources((".py",))
    if not found:
        print(f"\nNo held-out text in {processed} (it is made by: python scripts/create_mixed_corpus.py); instead:")
        files = [("this repository", text) for text in own]
        ratios = {"own files": print_compression("this repository's own Python files", tokenizer, files)}
    training = processed / "mixed_corpus.txt"
    if training.exists():
        sample, name = (
            [piece.text for piece in islice(read_pieces(training), 0, None, 8)],
            f"each 8th piece of {training.name}",
        )
    else:
        sample, name = own, "this repository's own Python files"
    print_tokens(tokenizer, sample, name)
    print_broken_tokenizer(tokenizer, "".join(sample)[:2_000_000])
    bad = [f"{name} {ratio:.2f}" for name, ratio in ratios.items() if ratio < BAD_BELOW]
    shown = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
    if bad:
        print(f"\nBad: {', '.join(bad)} characters per token, below {BAD_BELOW}. Retrain it on text of this kind:")
        print("  python tokenizer/train_tokenizer_improved.py")
        return 1
    print(f"\nGood: {shown} characters per token (3 to 4 is usual for 8,192 tokens).")
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Show how well the tokenizer compresses.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--tokenizer", type=Path, default=DEFAULT_TOKENIZER, help="the tokenizer file to look at")
    parser.add_argument("--processed", type=Path, default=PROCESSED, help="the folder of the corpora")
    settings = parser.parse_args(arguments)
    try:
        return report(Tokenizer.load(settings.tokenizer), settings.processed)
    except (TokenizerError, CorpusError, OSError, json.JSONDecodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
