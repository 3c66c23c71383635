"""An independent reading of an export, for where its own program is not installed.

Everything comes out of the files: sizes, constants, tensors under the names that the formats give them, vocabulary and
merges. The computation is written out once more, in float64 and without a line of model/architecture.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from evaluation.exported.reader import PLAIN, TOLD, refused
from model.export.portable import HOW_TO_INSTALL, ExportError

LIMIT = 5e-4  # the angles of rotary positions are exact here, and rounded to float32 in all programs
# What llama.cpp does where a file names the pre-tokenizer "qwen2" (its src/llama-vocab.cpp).
QWEN2 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
HUGGING_FACE_NAMES = {
    "start": "model.embed_tokens",
    "end_norm": "model.norm",
    "head": "lm_head",
    "norm": "model.layers.{}.input_layernorm",
    "q": "model.layers.{}.self_attn.q_proj",
    "k": "model.layers.{}.self_attn.k_proj",
    "v": "model.layers.{}.self_attn.v_proj",
    "o": "model.layers.{}.self_attn.o_proj",
    "q_norm": "model.layers.{}.self_attn.q_norm",
    "k_norm": "model.layers.{}.self_attn.k_norm",
    "second_norm": "model.layers.{}.post_attention_layernorm",
    "gate": "model.layers.{}.mlp.gate_proj",
    "up": "model.layers.{}.mlp.up_proj",
    "down": "model.layers.{}.mlp.down_proj",
}
GGUF_NAMES = {
    "start": "token_embd",
    "end_norm": "output_norm",
    "head": "output",
    "norm": "blk.{}.attn_norm",
    "q": "blk.{}.attn_q",
    "k": "blk.{}.attn_k",
    "v": "blk.{}.attn_v",
    "o": "blk.{}.attn_output",
    "q_norm": "blk.{}.attn_q_norm",
    "k_norm": "blk.{}.attn_k_norm",
    "second_norm": "blk.{}.ffn_norm",
    "gate": "blk.{}.ffn_gate",
    "up": "blk.{}.ffn_up",
    "down": "blk.{}.ffn_down",
}


@dataclass(frozen=True)
class Contents:
    """What stands in the files of an export."""

    layers: int
    heads: int
    head_size: int
    epsilon: float
    theta: float
    tensors: dict[str, np.ndarray]  # float64
    names: dict[str, str]  # what is needed: what it is called in the files
    vocabulary: tokenizers.Tokenizer
    begins_with: list[int]  # token ids that the program puts before a prompt
    end: int


class PlainReader:
    """A Qwen3 model by the book."""

    limit = LIMIT
    products = "f32"

    def __init__(self, contents: Contents, reason: str) -> None:
        self.program = f"{PLAIN} ({reason})"
        self._contents = contents
        self.end_tokens = [contents.end]
        contents.vocabulary.encode_special_tokens = True

    def encode(self, text: str) -> list[int]:
        return self._contents.vocabulary.encode(text, add_special_tokens=False).ids

    def encode_prompt(self, text: str) -> list[int]:
        return self._contents.begins_with + self.encode(text)

    def decode(self, tokens: Sequence[int]) -> str:
        return self._contents.vocabulary.decode(list(tokens), skip_special_tokens=False)

    def log_probabilities(self, tokens: Sequence[int], told: int = TOLD) -> np.ndarray:
        found = self._contents
        stream = self._tensor("start")[list(tokens)]
        for layer in range(found.layers):
            stream = stream + self._attention(self._normed(stream, "norm", layer), layer)
            x = self._normed(stream, "second_norm", layer)
            gate = x @ self._tensor("gate", layer).T
            up = x @ self._tensor("up", layer).T
            stream = stream + (gate / (1 + np.exp(-gate)) * up) @ self._tensor("down", layer).T
        scores = self._normed(stream, "end_norm") @ self._tensor("head").T
        scores -= scores.max(axis=-1, keepdims=True)
        return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))

    def _tensor(self, what: str, layer: int | None = None) -> np.ndarray:
        return self._contents.tensors[self._contents.names[what].format(layer) + ".weight"]

    def _normed(self, x: np.ndarray, what: str, layer: int | None = None) -> np.ndarray:
        size = np.sqrt((x * x).mean(axis=-1, keepdims=True) + self._contents.epsilon)
        return x / size * self._tensor(what, layer)

    def _attention(self, x: np.ndarray, layer: int) -> np.ndarray:
        """Every token looks at itself and those before it: (tokens, hidden) to the same."""
        heads = (len(x), self._contents.heads, self._contents.head_size)
        q, k, v = ((x @ self._tensor(which, layer).T).reshape(heads).swapaxes(0, 1) for which in "qkv")
        q, k = self._turned(self._normed(q, "q_norm", layer)), self._turned(self._normed(k, "k_norm", layer))
        scores = q @ k.swapaxes(1, 2) / np.sqrt(heads[2])
        scores[:, np.triu(np.ones((len(x), len(x)), dtype=bool), 1)] = -np.inf
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (shares / shares.sum(axis=-1, keepdims=True)) @ v
        return mixed.swapaxes(0, 1).reshape(len(x), -1) @ self._tensor("o", layer).T

    def _turned(self, x: np.ndarray) -> np.ndarray:
        """Rotary positions of the NeoX kind: (heads, tokens, head_size) to the same."""
        half = x.shape[-1] // 2
        angles = np.outer(np.arange(x.shape[1]), self._contents.theta ** (-np.arange(half) / half))
        pairs = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angles)
        return np.concatenate((pairs.real, pairs.imag), axis=-1)

    def continue_greedily(self, tokens: Sequence[int], count: int) -> list[int]:
        text = list(tokens)
        while len(text) < len(tokens) + count:
            text.append(int(self.log_probabilities(text)[-1].argmax()))
            if text[-1] in self.end_tokens:
                break
        return text[len(tokens) :]

    def close(self) -> None:
        """Nothing is held open."""


def hugging_face_contents(folder: Path) -> Contents:
    """Out of a folder with config.json, model.safetensors and tokenizer.json."""
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise ExportError(f"reading {folder} takes the package safetensors: {HOW_TO_INSTALL}") from None
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tensors = {name: t.double().numpy() for name, t in load_file(folder / "model.safetensors").items()}
    if config["tie_word_embeddings"]:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    vocabulary = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    return Contents(
        config["num_hidden_layers"],
        config["num_attention_heads"],
        config["head_dim"],
        config["rms_norm_eps"],
        config["rope_parameters"]["rope_theta"],
        tensors,
        HUGGING_FACE_NAMES,
        vocabulary,
        vocabulary.encode("").ids,
        config["eos_token_id"],
    )


def gguf_contents(path: Path) -> Contents:
    """Out of a GGUF file."""
    try:
        import gguf
    except ImportError:
        raise ExportError(f"reading {path} takes the package gguf: {HOW_TO_INSTALL}") from None
    file = gguf.GGUFReader(path)
    values = {name: field.contents() for name, field in file.fields.items()}
    tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64) for t in file.tensors}
    tensors.setdefault("output.weight", tensors["token_embd.weight"])  # missing where it is tied
    end = values["tokenizer.ggml.eos_token_id"]
    first = [values["tokenizer.ggml.bos_token_id"]] if values["tokenizer.ggml.add_bos_token"] else []
    return Contents(
        values["qwen3.block_count"],
        values["qwen3.attention.head_count"],
        values["qwen3.attention.key_length"],
        values["qwen3.attention.layer_norm_rms_epsilon"],
        values["qwen3.rope.freq_base"],
        tensors,
        GGUF_NAMES,
        _gguf_vocabulary(values),
        first,
        end,
    )


def _gguf_vocabulary(values: dict) -> tokenizers.Tokenizer:
    """The tokenizer that llama.cpp makes of a file's lists."""
    if (found := (values["tokenizer.ggml.model"], values["tokenizer.ggml.pre"])) != ("gpt2", "qwen2"):
        raise ValueError(f"its tokenizer is {found}, not byte-level BPE cut as by Qwen2")
    names = values["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ")) for pair in values["tokenizer.ggml.merges"]]
    made = tokenizers.Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, merges))
    cut = pre_tokenizers.Split(tokenizers.Regex(QWEN2), behavior="isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(False, use_regex=False)])
    made.decoder = decoders.ByteLevel()
    control = 3
    special = [name for name, kind in zip(names, values["tokenizer.ggml.token_type"], strict=True) if kind == control]
    made.add_special_tokens(special)
    return made


CONTENTS: dict[str, Callable[[Path], Contents]] = {
    "hf": hugging_face_contents,
    "mlx": hugging_face_contents,
    "gguf": gguf_contents,
}


def read(kind: str, path: Path, reason: str) -> PlainReader:
    """Read the files of an export; `reason` says why its own program does not.

    Raises RefusedError where something is missing in them.
    """
    try:
        return PlainReader(CONTENTS[kind](path), reason)
    except (OSError, ValueError, KeyError, IndexError) as error:
        if isinstance(error, ExportError):
            raise
        raise refused(PLAIN, path, f"{type(error).__name__}: {error}") from None
