"""Hugging Face's transformers reads a folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import transformers

from evaluation.exported.reader import TOLD, refused

LIMIT = 2e-5


class TransformersReader:
    """A causal language model and its tokenizer, computing in float32."""

    limit = LIMIT
    products = "f32"

    def __init__(self, folder: Path) -> None:
        self.program = f"transformers {transformers.__version__}"
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        try:
            model, report = transformers.AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
            )
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise refused(self.program, folder, error) from None
        for complaint, names in report.items():  # it fills what it misses with random numbers, and only warns
            if names:
                raise refused(self.program, folder, f"{complaint.replace('_', ' ')}: {sorted(map(str, names))[:3]}")
        self._model = model.eval()
        ends = model.generation_config.eos_token_id
        self.end_tokens = ends if isinstance(ends, list) else [ends]

    def encode(self, text: str) -> list[int]:
        return self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    def encode_prompt(self, text: str) -> list[int]:
        return self._tokenizer(text)["input_ids"]

    def decode(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(tokens)

    @torch.inference_mode()
    def log_probabilities(self, tokens: Sequence[int], told: int = TOLD) -> np.ndarray:
        logits = self._model(torch.tensor([list(tokens)])).logits[0]
        return torch.log_softmax(logits.double(), dim=-1).numpy()

    @torch.inference_mode()
    def continue_greedily(self, tokens: Sequence[int], count: int) -> list[int]:
        read = torch.tensor([list(tokens)])
        written = self._model.generate(
            read, attention_mask=torch.ones_like(read), max_new_tokens=count, do_sample=False
        )
        return written[0, len(tokens) :].tolist()

    def close(self) -> None:
        self._model = self._tokenizer = None


def read(path: Path, dtype: str) -> TransformersReader:
    """Open a folder. Raises RefusedError where transformers refuses it, or misses a weight."""
    return TransformersReader(path)
