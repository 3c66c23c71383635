"""What training reads: batches of token windows in an order fixed by the seed, and the texts that are held out.

The order is a function of seed and step alone. Nothing is consumed, so resuming needs no more than the step's number:
`TrainingWindows.batch(first, count)` returns the same windows whenever it is asked.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.corpus import CorpusError
from pretraining.settings import ROOT
from pretraining.token_files import TokenFile, tokenize_corpus
from tokenizer.bpe import DEFAULT_TOKENIZER, Tokenizer

PROCESSED = ROOT / "data" / "processed"
MADE_CORPORA = ("mixed_corpus.txt", "code_corpus.txt")  # by scripts/create_mixed_corpus.py, with the held-out sets
HELD_OUT_SETS = ("heldout_code", "heldout_books")
SPANS, SPAN_TOKENS = 32, 1024  # the fixed part of a held-out set that validation reads
IGNORED = -100  # a target that cross entropy leaves out


class TrainingWindows:
    """The training tokens cut into windows of `block_size`, each epoch anew and in a new order.

    An epoch's windows do not overlap and leave out less than one window of the corpus; where they are cut shifts from
    epoch to epoch, so that the same tokens meet in new company.
    """

    def __init__(self, tokens: np.ndarray, block_size: int, seed: int) -> None:
        if len(tokens) <= block_size:
            raise CorpusError(
                f"the corpus has {len(tokens):,} tokens, which do not fill one window of block_size {block_size}. "
                f"Add text, or try --block_size {max(1, len(tokens) // 2)}"
            )
        self.tokens, self.block_size, self.seed = tokens, block_size, seed
        self.windows_per_epoch = (len(tokens) - 1) // block_size
        self._epoch, self._starts = -1, np.empty(0, dtype=np.int64)

    def batch(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Windows `first` to `first + count` since the start of training: inputs and targets (count, block_size)."""
        starts = np.array([self._start(window) for window in range(first, first + count)])
        rows = self.tokens[starts[:, None] + np.arange(self.block_size + 1)].astype(np.int64)
        rows = torch.from_numpy(rows)
        return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()

    def _start(self, window: int) -> int:
        """The token at which a window begins."""
        epoch, place = divmod(window, self.windows_per_epoch)
        if epoch != self._epoch:
            generator = np.random.default_rng((self.seed, epoch))
            shift = generator.integers(len(self.tokens) - self.windows_per_epoch * self.block_size)
            self._starts = shift + self.block_size * generator.permutation(self.windows_per_epoch)
            self._epoch = epoch
        return int(self._starts[place])


@dataclass(frozen=True)
class HeldOutText:
    """A fixed sample of a text that training never sees, as windows of the context that the model is trained at."""

    name: str
    inputs: Tensor  # (windows, block_size)
    targets: Tensor  # (windows, block_size), IGNORED beyond a span's end
    text_bytes: int  # UTF-8 bytes that the targets stand for

    @classmethod
    def sample(cls, name: str, tokens: np.ndarray, block_size: int, tokenizer: Tokenizer) -> "HeldOutText":
        """Cut SPANS evenly spaced spans of SPAN_TOKENS into windows: the same text whatever the block size.

        Each window starts without memory of the one before, as in training.
        """
        spans = min(SPANS, max(1, (len(tokens) - 1) // SPAN_TOKENS))
        length = min(SPAN_TOKENS, len(tokens) - 1)
        inputs, targets = [], []
        for start in np.linspace(0, len(tokens) - 1 - length, spans).astype(int):
            for left in range(start, start + length, block_size):
                right = min(left + block_size, start + length)
                padding = (0, block_size - (right - left))
                inputs.append(np.pad(tokens[left:right].astype(np.int64), padding))
                targets.append(np.pad(tokens[left + 1 : right + 1].astype(np.int64), padding, constant_values=IGNORED))
        targets = np.stack(targets)
        sizes = np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)])
        text_bytes = int(sizes[targets[targets != IGNORED]].sum())
        return cls(name, torch.from_numpy(np.stack(inputs)), torch.from_numpy(targets), text_bytes)


@dataclass(frozen=True)
class TrainingData:
    """Everything that a run reads."""

    corpus: TokenFile
    windows: TrainingWindows
    held_out: list[HeldOutText]  # the first one decides which checkpoint is best


def open_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a new run; the project's own is trained when its file is not there."""
    if path == DEFAULT_TOKENIZER and not path.is_file():
        print(f"[Tokenizer] {path.name} is missing: training it on the corpus")
        make_corpora()
        _run_script("tokenizer/train_tokenizer_improved.py")
    return Tokenizer.load(path)


def make_corpora() -> None:
    """Make corpora and held-out sets where one of them is missing, as the user would."""
    missing = [name for name in (*MADE_CORPORA, *(f"{name}.txt" for name in HELD_OUT_SETS)) if not _made(name)]
    if missing:
        print(f"[Dataset] {', '.join(missing)} missing in data/processed: making the corpora")
        _run_script("scripts/create_mixed_corpus.py")


def _made(name: str) -> bool:
    return (PROCESSED / name).is_file()


def _run_script(script: str) -> None:
    """Run one of the project's scripts in a process of its own, so that the user's edits of it hold."""
    if subprocess.run([sys.executable, str(ROOT / script)], check=False).returncode:
        raise CorpusError(f"{script} did not succeed (see above). When that is mended, run this command again")


def open_training_data(corpus: Path, block_size: int, seed: int, tokenizer: Tokenizer) -> TrainingData:
    """Tokens to train on and held-out texts to validate on; what can be made and is missing is made.

    A corpus that create_mixed_corpus.py wrote is validated on the packages and books that it held out. The last 5%
    of any other file are kept from training, and decide; the held-out sets are shown beside them where they exist.
    """
    own = corpus.parent != PROCESSED or corpus.name not in MADE_CORPORA
    if not own:
        make_corpora()
    elif not corpus.is_file():
        found = ", ".join(sorted(path.name for path in PROCESSED.glob("*.txt"))) or "none yet"
        raise CorpusError(f"there is no corpus file {corpus}. Check the name; data/processed holds: {found}")
    token_file = tokenize_corpus(corpus, tokenizer)
    tokens = token_file.open()
    held_out = []
    if own:
        if token_file.tokens - token_file.tail_token < 2:
            raise CorpusError(f"{corpus} is too short, or one single line: its last 5% can not be held out. Add text")
        print("[Dataset] This corpus is your own: its last 5% are kept from training, to validate on")
        held_out.append(HeldOutText.sample("heldout_own", tokens[token_file.tail_token :], block_size, tokenizer))
        tokens = tokens[: token_file.tail_token]
    for name in HELD_OUT_SETS:
        path = PROCESSED / f"{name}.txt"
        if path.is_file() and path.stat().st_size:
            text = tokenize_corpus(path, tokenizer).open()
            held_out.append(HeldOutText.sample(name, text, block_size, tokenizer))
    if not held_out:
        raise CorpusError("nothing is held out to validate on. Make it: python scripts/create_mixed_corpus.py")
    return TrainingData(token_file, TrainingWindows(tokens, block_size, seed), held_out)
