"""mlx-lm, for Macs with Apple's processors, reads a folder; on Linux it computes on the CPU, as it is made to here."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx_lm.generate import generate_step
from mlx_lm.utils import load_model, load_tokenizer

from evaluation.exported.reader import TOLD, refused

LIMIT = 1e-4


class MlxReader:
    """A model and its tokenizer as mlx-lm opens them, computing in float32."""

    limit = LIMIT
    products = "f32"

    def __init__(self, folder: Path) -> None:
        self.program = f"mlx-lm {version('mlx-lm')} (mlx {version('mlx')})"
        mx.set_default_device(mx.cpu)
        try:
            self._model, _ = load_model(folder)
            self._tokenizer = load_tokenizer(folder)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise refused(self.program, folder, error) from None
        self._model.set_dtype(mx.float32)
        self.end_tokens = sorted(self._tokenizer.eos_token_ids)

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)

    def encode_prompt(self, text: str) -> list[int]:
        """As mlx_lm.generate does."""
        start = self._tokenizer.bos_token
        return self._tokenizer.encode(text, add_special_tokens=start is None or not text.startswith(start))

    def decode(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(tokens)

    def log_probabilities(self, tokens: Sequence[int], told: int = TOLD) -> np.ndarray:
        logits = np.array(self._model(mx.array([list(tokens)]))[0], dtype=np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))

    def continue_greedily(self, tokens: Sequence[int], count: int) -> list[int]:
        written = []
        for token, _ in generate_step(mx.array(list(tokens)), self._model, max_tokens=count):
            written.append(int(token))
            if written[-1] in self.end_tokens:
                break
        return written

    def close(self) -> None:
        self._model = self._tokenizer = None


def read(path: Path, dtype: str) -> MlxReader:
    """Open a folder. Raises RefusedError where mlx-lm refuses it."""
    return MlxReader(path)
