"""Proves that the tokenizer loses nothing: every text comes back unchanged, and no text can produce a special token.

    python tokenizer/verify_token.py --tokenizer tokenizer/tokenizer_8k.json

Prints what was tried and how often. How *well* it compresses is the question of `scripts/test_tokenizer_quality.py`.
Exit code: 0 all held, 1 something did not (with the shortest failing example), 2 the tokenizer cannot be loaded.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import random
from collections.abc import Callable

from tokenizer.bpe import DEFAULT_TOKENIZER, SPECIAL_TOKENS, Tokenizer, TokenizerError

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("data", "evaluation", "model", "pretraining", "scripts", "tests", "tokenizer")

CODE = (
    "def f(x):\n\treturn x\n",
    "if a:\r\n    b = 'c'\r\n\r\n\r\nelse:\r\n\tpass\r",
    "x = 1_000.5e-3 + 0xFF  # trailing spaces   \n\n\n\n    y = [[[(1,), {}], ...]]\n",
    'print(f"{name!r:>{width}}")\n"""doc \\"""string"""',
    "#!/usr/bin/env python3\n# -*- coding: utf-8 -*-\n\x0c\nclass Ünïcödé: π = 3.14159",
)
UNUSUAL = (
    "",
    "\ufeffbyte order mark",
    "NUL \x00 and controls \x01\x1b[0m\x7f\x85",
    "family 👨‍👩‍👧‍👦, flag 🇨🇦, thumb 👍🏽, last code point \U0010ffff",
    "e\u0301 is not \u00e9; \u1e9b\u0323; ﬁ ligature; Ångström K (no normalisation)",
    "العربية עברית हिन्दी ไทย 日本語 한국어 Ελληνικά Русский",
    "line\u2028paragraph\u2029next\u0085no-break\u00a0thin\u2009zero\u200bwidth",
    "it's we'll I'D they'Ve don’t",
)


def random_texts(count: int, seed: int) -> list[str]:
    """Texts of 1 to 64 characters from every part of Unicode, half of them mixed with ASCII and whitespace."""
    generator = random.Random(seed)
    everything = [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
    common = [*map(chr, range(128)), *" \t\n\r" * 8]
    pools = (everything, common + everything[:0x3000])
    return ["".join(generator.choices(pools[n % 2], k=generator.randint(1, 64))) for n in range(count)]


def whitespace_runs() -> list[str]:
    runs = [
        blank * length
        for blank in (" ", "\t", "\n", "\r\n", "\r", " \t", "\n    ", "\u3000")
        for length in range(1, 65)
    ]
    return [text for run in runs for text in (run, f"a{run}b", f"{run}:", f"9{run}")]


def own_sources(endings: tuple[str, ...] = (".py", ".json", ".txt", ".md")) -> list[str]:
    """The text files of this repository's rooms, without what was collected or made there."""
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.suffix in endings]
    made = (ROOT / "data" / "raw", ROOT / "data" / "processed", ROOT / "pretraining" / "checkpoints")
    kept = [path for path in paths if path.is_file() and not any(folder in path.parents for folder in made)]
    return [path.read_bytes().decode("utf-8", errors="replace") for path in sorted(kept)]


def texts_with_special_names() -> list[str]:
    around = ("{}", "{}{}", "a{}b", "print('{}')", "\n{}\n", " {} ", "<|{}|>", "{}" * 20)
    return [frame.replace("{}", name) for name in SPECIAL_TOKENS for frame in around]


def wrong_round_trips(tokenizer: Tokenizer, texts: list[str]) -> list[str]:
    """The texts that do not come back from `decode` or from their tokens' bytes, or that hold a special token."""
    return [
        text
        for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True)
        if tokenizer.decode(ids) != text
        or b"".join(map(tokenizer.token_bytes, ids)) != text.encode()
        or tokenizer.encode(text) != ids
        or any(token_id < len(SPECIAL_TOKENS) for token_id in ids)
    ]


def missing_bytes(tokenizer: Tokenizer) -> list[str]:
    """The byte values that are no token of their own: with all 256 there, anything can be written."""
    single = {tokenizer.token_bytes(token_id) for token_id in range(tokenizer.vocab_size)}
    return [f"byte {value}" for value in range(256) if bytes([value]) not in single]


def accepted_surrogates(tokenizer: Tokenizer, texts: list[str]) -> list[str]:
    """The texts with half a character in them that were encoded instead of refused."""

    def is_refused(encode: Callable[[], object]) -> bool:
        try:
            encode()
        except TokenizerError:
            return True
        return False

    return [
        text
        for text in texts
        if not (
            is_refused(lambda text=text: tokenizer.encode(text))
            and is_refused(lambda text=text: tokenizer.encode_batch(["good", text]))
        )
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Prove that the tokenizer loses nothing.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--tokenizer", type=Path, default=DEFAULT_TOKENIZER, help="the tokenizer file to check")
    settings = parser.parse_args(arguments)
    try:
        tokenizer = Tokenizer.load(settings.tokenizer)
    except TokenizerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{settings.tokenizer}: {tokenizer.vocab_size:,} tokens, sha256 {tokenizer.sha256[:16]}\n")

    all_failures: list[str] = []

    def report(what: str, count: str, failures: list[str]) -> None:
        print(f"{'FAIL' if failures else 'ok':4}  {what:58} {count:>32}", flush=True)
        all_failures.extend(failures)

    report("every byte value is a token of its own", "256 bytes", missing_bytes(tokenizer))
    groups = {
        "random Unicode comes back unchanged": random_texts(4000, seed=0),
        "runs of spaces, tabs, newlines, CRLF come back": whitespace_runs(),
        "awkward Python comes back (tabs, CRLF, form feed)": list(CODE),
        "emoji, scripts, controls, combining marks come back": list(UNUSUAL),
        "this repository's own files come back": own_sources(),
        "the names of special tokens are plain text": texts_with_special_names(),
    }
    for what, texts in groups.items():
        count = f"{len(texts):,} texts, {sum(map(len, texts)):,} characters"
        report(what, count, wrong_round_trips(tokenizer, texts))
    surrogates = ["\ud800", "a\udfff", "\ud83d\ude00", "\udc80" * 3, "x" * 1000 + "\udbff"]
    report(
        "lone surrogates are refused, never altered",
        f"{len(surrogates)} texts",
        accepted_surrogates(tokenizer, surrogates),
    )
    if all_failures:
        print(f"\n{len(all_failures)} failures; the shortest: {ascii(min(all_failures, key=len))[:300]}")
        return 1
    print("\nNothing is lost, and no text can produce a special token.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
