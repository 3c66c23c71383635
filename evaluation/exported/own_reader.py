"""Our own model, asked the same questions as the programs that read its exports."""

from collections.abc import Sequence

import numpy as np
import torch

from evaluation.exported.reader import TOLD
from pretraining.checkpoint import TrainedModel
from pretraining.sampling import SamplingSettings, generate_tokens, sample_generator


class OwnReader:
    """A checkpoint, computing in float32 on the CPU."""

    program = "ours"
    limit = 0.0
    products = "f32"

    def __init__(self, trained: TrainedModel) -> None:
        self._model, self._tokenizer = trained.model, trained.tokenizer
        self._context_length = trained.context_length
        self.end_tokens = [trained.tokenizer.end_of_text_id]

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text)

    def encode_prompt(self, text: str) -> list[int]:
        """As generation does."""
        return [self._tokenizer.end_of_text_id, *self._tokenizer.encode(text)]

    def decode(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(tokens)

    @torch.inference_mode()
    def log_probabilities(self, tokens: Sequence[int], told: int = TOLD) -> np.ndarray:
        logits = self._model(torch.tensor([list(tokens)]))[0]
        return torch.log_softmax(logits.double(), dim=-1).numpy()

    def continue_greedily(self, tokens: Sequence[int], count: int) -> list[int]:
        if tokens[0] != self._tokenizer.end_of_text_id:
            raise ValueError(f"generation reads every prompt behind <|endoftext|>, this one begins with {tokens[0]}")
        written = generate_tokens(
            self._model,
            [list(tokens[1:])],
            generators=[sample_generator(0)],
            settings=SamplingSettings(max_new_tokens=count, temperature=0),
            end_of_text_id=self._tokenizer.end_of_text_id,
            context_length=self._context_length,
        )
        return [token for _, token in written]

    def close(self) -> None:
        """Nothing is held open."""
