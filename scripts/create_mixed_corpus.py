"""Make the training corpora from data/raw: clean it, hold some out, drop duplicates, mix code with books.

python scripts/create_mixed_corpus.py --code_weight 5
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import subprocess

from data import mix
from data.corpus import CorpusError
from data.documents import collected_sources

ROOT = Path(__file__).resolve().parents[1]


def parse(arguments: list[str] | None, code_weight: float) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--code_weight", "--code-weight", type=float, default=code_weight,
                        help="bytes of code for each byte of books in mixed_corpus.txt")  # fmt: skip
    parser.add_argument("--only_own", "--only-own", action="store_true", help="use your own files in data/raw alone")
    parser.add_argument("--seed", type=int, default=0, help="decides the order of documents and what is left unused")
    parser.add_argument("--raw_dir", type=Path, default=ROOT / "data" / "raw", help="folder with code/ and books/")
    parser.add_argument("--output_dir", type=Path, default=ROOT / "data" / "processed", help="folder for the corpora")
    return parser.parse_args(arguments)


def collect(raw_dir: Path) -> None:
    print(f"[Mix] nothing was collected in {raw_dir} yet: running scripts/collect_raw_data.py", flush=True)
    command = [sys.executable, str(ROOT / "scripts" / "collect_raw_data.py"), "--raw_dir", str(raw_dir)]
    if subprocess.run(command, check=False).returncode != 0:
        raise CorpusError("the collection failed, see above")


def token_counter() -> mix.CountTokens | None:
    """Counts with the repository's tokenizer, if there is one yet."""
    if not (ROOT / "tokenizer" / "tokenizer_8k.json").exists():
        print("[Mix] no tokenizer yet, so the manifest counts bytes alone")
        return None
    from tokenizer.bpe import Tokenizer

    tokenizer = Tokenizer.load()
    return lambda texts: map(len, tokenizer.encode_batch(texts))


def run(options: argparse.Namespace) -> int:
    try:
        if not options.only_own and not collected_sources(options.raw_dir):
            collect(options.raw_dir)
        mix.create_mixed_corpus(
            options.code_weight, options.raw_dir, options.output_dir,
            only_own=options.only_own, seed=options.seed, count_tokens=token_counter(),
        )  # fmt: skip
    except (CorpusError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: the corpora that were there are unchanged", file=sys.stderr)
        return 2
    return 0


def main(arguments: list[str] | None = None) -> int:
    def create_mixed_corpus(code_weight: float) -> int:
        return run(parse(arguments, code_weight))

    # Edit the number to change the mix: 3 means three bytes of code to one of books. --code_weight is stronger.
    return create_mixed_corpus(code_weight=3)


if __name__ == "__main__":
    sys.exit(main())
