"""Sizes of a model, read from the JSON files in `model/config/`.

A file with the five keys `n_layers`, `n_heads`, `hidden_size`, `max_seq_len` and `dropout` is complete;
the rest has defaults. Whatever is misspelt or does not divide is refused here, naming key and file, before
any memory is taken.
"""

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path


class ConfigError(ValueError):
    """A model's sizes are wrong; the message names the key, the file and what would be right."""


@dataclass(frozen=True)
class ModelConfig:
    """The sizes that define a model. Two models with equal configs have the same tensors."""

    n_layers: int
    n_heads: int
    hidden_size: int
    max_seq_len: int
    dropout: float = 0.0  # one pass over the data does not want more; 0.1 for many passes
    vocab_size: int = 8192
    ffn_hidden_size: int = 0  # 0: two and two thirds times hidden_size, down to a multiple of 64
    rope_theta: float = 10000.0
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        if self.ffn_hidden_size == 0:
            # SwiGLU has three matrices where GELU has two: 8/3 instead of 4 keeps the parameters equal (Shazeer 2020).
            object.__setattr__(self, "ffn_hidden_size", max(64, self.hidden_size * 8 // 3 // 64 * 64))

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.n_heads

    @classmethod
    def load(cls, path: str | Path) -> "ModelConfig":
        """Read a config file. Raises ConfigError for a missing file, broken JSON, unknown keys or impossible sizes."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            found = ", ".join(sorted(str(p) for p in Path(path).parent.glob("*.json"))) or "none"
            raise ConfigError(f"there is no model config {path}; configs in that folder: {found}") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not JSON: {error}") from None
        return cls.from_dict(values, source=str(path))

    @classmethod
    def from_dict(cls, values: object, source: str) -> "ModelConfig":
        """Build a config from plain values; `source` is the file named in errors."""
        if not isinstance(values, dict):
            raise ConfigError(f"{source} holds no JSON object")
        known = {field.name: field for field in fields(cls)}
        for key in values:
            if key not in known:
                raise ConfigError(f"{source}: unknown key {key!r}; known keys: {', '.join(known)}")
        for key in ("n_layers", "n_heads", "hidden_size", "max_seq_len"):
            if key not in values:
                raise ConfigError(f"{source}: the key {key!r} is missing")
        for key, value in values.items():
            _check_value(key, value, whole=known[key].type in (int, "int"), source=source)
        config = cls(**values)
        if config.hidden_size % config.n_heads:
            raise ConfigError(
                f"{source}: hidden_size {config.hidden_size} does not divide by n_heads {config.n_heads}; "
                f"try hidden_size {config.hidden_size // config.n_heads * config.n_heads or config.n_heads}"
            )
        if config.head_size % 2:
            raise ConfigError(
                f"{source}: hidden_size / n_heads is {config.head_size}; it must be even: rotary positions turn pairs"
            )
        return config

    def to_dict(self) -> dict:
        """Plain values, as a checkpoint stores them."""
        return asdict(self)


def _check_value(key: str, value: object, whole: bool, source: str) -> None:
    """Refuse values of the wrong kind or size; `whole` keys want integers."""
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise ConfigError(f"{source}: {key} is {value!r}; it must be a {'whole ' if whole else ''}number")
    if key == "dropout":
        if not 0 <= value < 1:
            raise ConfigError(f"{source}: dropout is {value}; it must be at least 0 and below 1")
    elif not (0 < value < math.inf or (value == 0 and key == "ffn_hidden_size")):  # NaN is refused, too
        raise ConfigError(f"{source}: {key} is {value}; it must be a finite number greater than 0")
