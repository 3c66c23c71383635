"""What is asked of a program that reads an export, and which program can answer on this machine."""

import importlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from model.export.portable import HOW_TO_INSTALL, ExportError

UNTOLD = math.inf  # stands where a program does not tell a token's log-probability, which is never above 0
TOLD = 512  # most probable tokens whose log-probability every program tells

READERS = {  # format: what has to be importable, the module here whose function `read` opens an export with it
    "hf": ("transformers", "transformers_reader"),
    "gguf": ("xllamacpp", "llama_cpp_reader"),
    "mlx": ("mlx_lm", "mlx_reader"),
}
PLAIN = "an independent reading of the file"


class RefusedError(ExportError):
    """A program that is there does not take an export, or fails on it."""


class Reader(Protocol):
    """An export, opened by another program that computes in float32 on the CPU, wherever it can."""

    program: str  # with its version
    limit: (
        float  # difference in log-probability up to which it computes the same as ours, unless rounding alone is more
    )
    end_tokens: list[int]  # behind which it writes no more
    products: str  # dtype to which it rounds what it multiplies weights with

    def encode(self, text: str) -> list[int]:
        """Token ids of a text in which the names of special tokens are plain characters."""

    def encode_prompt(self, text: str) -> list[int]:
        """Token ids that the program really reads when it is given a prompt."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids."""

    def log_probabilities(self, tokens: Sequence[int], told: int = TOLD) -> np.ndarray:
        """Of each possible next token behind each of `tokens`: (tokens, vocab) in nats.

        UNTOLD stands for all but the `told` most probable and the one that really comes next, if the program tells no
        more.
        """

    def continue_greedily(self, tokens: Sequence[int], count: int) -> list[int]:
        """The next `count` tokens, each the most probable; fewer where `<|endoftext|>` comes, which is the last."""

    def close(self) -> None:
        """Free what was opened."""


def open_reader(kind: str, path: Path, dtype: str) -> Reader:
    """Open an export (a folder, or a GGUF file) with its own program, or plainly where that is not installed.

    Raises RefusedError where the program does not take the export.
    """
    package, module = READERS[kind]
    try:
        importlib.import_module(package)
    except ImportError as error:
        from evaluation.exported import plain_reader

        missing = f"{package} is not installed: {HOW_TO_INSTALL}"
        reason = missing if isinstance(error, ModuleNotFoundError) else f"{package} does not work here: {error}"
        return plain_reader.read(kind, path, reason)
    return importlib.import_module(f"evaluation.exported.{module}").read(path, dtype)


def refused(program: str, what: object, error: object) -> RefusedError:
    """The error of a program that does not take an export, in one line."""
    return RefusedError(f"{program} can not read {what}: {' '.join(str(error).split())[:300] or type(error).__name__}")
