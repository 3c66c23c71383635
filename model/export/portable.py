"""All that another program must know of a model, and how its files are put in place.

Knows tensors and text only; what they are compared with afterwards is the concern of evaluation/exported.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from model.architecture.config import ModelConfig

DTYPES = ("f32", "f16", "bf16", "q8_0")  # q8_0: 8 bits a weight and a scale for every 32, in GGUF files only
HOW_TO_INSTALL = "python -m pip install -r evaluation/requirements-export.txt"


class ExportError(ValueError):
    """A model can not be written or read in another program's format; the message says why, and what to do."""


@dataclass(frozen=True)
class PortableModel:
    """A model with its vocabulary and the habits that it was trained to."""

    name: str
    config: ModelConfig
    weights: dict[str, Tensor]  # float32, under the names of model/architecture
    tokenizer_json: str  # a byte-level BPE with Qwen2's split pattern, as tokenizer/bpe.py writes it
    end_of_text_id: int  # stands before every document and every prompt, and ends a text
    context_length: int  # tokens it was trained to see at once; at most max_seq_len of the config
    sampling: dict[str, float]  # temperature, top_k and top_p that its texts are drawn with here

    @property
    def vocabulary(self) -> list[str]:
        """The names of all tokens in the order of their ids, as the tokenizer file writes them."""
        ids = json.loads(self.tokenizer_json)["model"]["vocab"]
        return sorted(ids, key=ids.__getitem__)

    @property
    def merges(self) -> list[list[str]]:
        """The pairs of token names that are joined, the first learnt first."""
        return json.loads(self.tokenizer_json)["model"]["merges"]

    @property
    def special_ids(self) -> set[int]:
        """Ids of the tokens that no text can produce."""
        return {token["id"] for token in json.loads(self.tokenizer_json)["added_tokens"]}


def put_in_place(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, and move it there once it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def put_json(path: Path, values: dict) -> None:
    """Write `values` as JSON in one move."""
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    put_in_place(path, lambda file: file.write_text(text, encoding="utf-8"))
