"""The whole model: embed tokens, pass them through the blocks, predict the next token at every place.

Read this file first, then layers.py, then rotary.py. Training, sampling and files are elsewhere: this room knows
tensors only.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.architecture.config import ConfigError, ModelConfig
from model.architecture.layers import Block, KeyValueCache, Linear, RMSNorm
from model.architecture.rotary import rotary_tables

# How every tensor starts: the end of its name, and the standard deviation of the normal distribution it is drawn
# from, or the constant it is filled with. The two projections that write to the residual stream start at zero, so
# that each block is at first the identity and the loss starts at ln(vocab_size).
INITIAL_VALUES = {
    "token_embedding.weight": ("normal", 0.02),
    "attention.query.weight": ("normal", 0.02),
    "attention.key.weight": ("normal", 0.02),
    "attention.value.weight": ("normal", 0.02),
    "attention.output.weight": ("constant", 0.0),
    "feed_forward.gate.weight": ("normal", 0.02),
    "feed_forward.up.weight": ("normal", 0.02),
    "feed_forward.down.weight": ("constant", 0.0),
    "norm.weight": ("constant", 1.0),
    "head.weight": ("normal", 0.02),
}


class GPT(nn.Module):
    """A decoder-only transformer language model with an output head of its own (untied from the embedding)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.final_norm = RMSNorm(config.hidden_size, eps=config.norm_eps)
        self.head = Linear(config.hidden_size, config.vocab_size)
        cos, sin = rotary_tables(config.head_size, config.max_seq_len, config.rope_theta)
        self.register_buffer("rotary_cos", cos, persistent=False)
        self.register_buffer("rotary_sin", sin, persistent=False)
        self.init_weights()

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator | None = None) -> None:
        """Fill every parameter as INITIAL_VALUES says; an uncovered parameter is an error, never left to chance."""
        for name, parameter in self.named_parameters():
            kind, value = initial_value(name)
            if kind == "normal":
                nn.init.normal_(parameter, std=value, generator=generator)
            else:
                nn.init.constant_(parameter, value)

    def parameter_count(self) -> int:
        """Number of trained numbers, embedding and head included."""
        return sum(parameter.numel() for parameter in self.parameters())

    def hidden_states(self, tokens: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """What the model has made of each token, before the head: (batch, time) to (batch, time, hidden).

        With a cache, `tokens` continue what the cache holds, row by row, and are added to it.
        Raises ConfigError when the text would grow beyond `max_seq_len` or the cache.
        """
        T = tokens.shape[1]
        start = max(cache.lengths) if cache is not None else 0
        limit = min(cache.capacity, self.config.max_seq_len) if cache is not None else self.config.max_seq_len
        if start + T > limit:
            raise ConfigError(f"{start + T} tokens do not fit: the model reads at most {limit} at once (max_seq_len)")
        x = self.dropout(self.token_embedding(tokens))  # (B, T, C)
        if cache is None:
            rotation = (self.rotary_cos[:T], self.rotary_sin[:T])  # (T, D)
            for block in self.blocks:
                x = block(x, rotation)
            return self.final_norm(x)
        positions, mask = cached_positions(cache, T, tokens.device)
        rotation = (self.rotary_cos[positions][:, None], self.rotary_sin[positions][:, None])  # (B, 1, T, D)
        for block in self.blocks:
            x = block(x, rotation, cache, positions, mask)
        cache.lengths = [length + T for length in cache.lengths]
        return self.final_norm(x)

    def forward(self, tokens: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Scores of every possible next token: (batch, time) token ids to (batch, time, vocab) logits."""
        return self.head(self.hidden_states(tokens, cache))

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy in nats per token: `targets` (batch, time) are the tokens that come next."""
        logits = self(tokens)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def initial_value(name: str) -> tuple[str, float]:
    """The entry of INITIAL_VALUES for a parameter's name. Raises KeyError when none or several fit."""
    entries = [entry for ending, entry in INITIAL_VALUES.items() if name.endswith(ending)]
    if len(entries) != 1:
        raise KeyError(f"{len(entries)} entries of INITIAL_VALUES cover the parameter {name}")
    return entries[0]


def cached_positions(cache: KeyValueCache, T: int, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Places (batch, time) of T new tokens in each row, and the mask (batch, 1, time, keys) of what each may attend to.

    No mask is needed for one token behind rows of equal length (it may see everything) nor for the first tokens of
    an empty cache (plain causal attention, which has a faster kernel).
    """
    lengths = torch.tensor(cache.lengths, device=device)
    positions = lengths[:, None] + torch.arange(T, device=device)  # (B, T)
    if cache.uniform and (T == 1 or cache.lengths[0] == 0):
        return positions, None
    keys = torch.arange(max(cache.lengths) + T, device=device)
    return positions, (keys <= positions[:, :, None])[:, None]
