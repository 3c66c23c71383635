"""One transformer block: attention over the past, then a feed-forward layer, each added to the residual stream.

Pre-norm RMSNorm (Zhang & Sennrich 2019), normalised queries and keys (Henry et al. 2020), rotary positions, SwiGLU
(Shazeer 2020), no biases: the shape of Qwen3, so that the weights run in transformers, llama.cpp and MLX unchanged.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.architecture import products
from model.architecture.config import ModelConfig
from model.architecture.rotary import apply_rotary


class RMSNorm(nn.RMSNorm):
    """Scale each vector to unit root-mean-square, then by a learned weight; computed in float32 under autocast."""

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class Linear(nn.Linear):
    """`x @ weight.T`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return products.multiply(x, self.weight) if products.serves(x, self.weight) else F.linear(x, self.weight)


class KeyValueCache:
    """Keys and values of all tokens read so far, so that each new token costs one token's work.

    Memory is taken once: `keys` and `values` are (n_layers, batch, heads, capacity, head_size). Rows may have
    different lengths; `lengths[row]` tokens of each row are valid, and a new token is written behind them. What lies
    beyond a row's length is never attended to, so shortening a length is how tokens are taken back.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int,
        capacity: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (config.n_layers, batch_size, config.n_heads, capacity, config.head_size)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.lengths = [0] * batch_size
        self.shared = 0  # so many first tokens are the same in all rows, which may then be read from one

    @property
    def capacity(self) -> int:
        """Most tokens that a row can hold."""
        return self.keys.shape[3]

    @property
    def uniform(self) -> bool:
        """Whether all rows hold equally many tokens, which allows plain slices instead of gathers."""
        return len(set(self.lengths)) <= 1

    def write(self, layer: int, keys: Tensor, values: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Store new `keys` and `values` (batch, heads, time, head_size) and return all that may be attended to.

        `positions` (batch, time) says where each token belongs. Lengths are not advanced here: every layer writes
        the same positions, and the model advances once at the end.
        """
        time = keys.shape[2]
        end = max(self.lengths) + time
        self.shared = min(self.shared, *self.lengths)
        past_keys, past_values = self.keys[layer], self.values[layer]
        if self.uniform:
            past_keys.narrow(2, end - time, time).copy_(keys)
            past_values.narrow(2, end - time, time).copy_(values)
        else:
            rows = torch.arange(keys.shape[0], device=keys.device)[:, None]
            past_keys[rows, :, positions] = keys.transpose(1, 2).to(past_keys.dtype)
            past_values[rows, :, positions] = values.transpose(1, 2).to(past_values.dtype)
        return past_keys.narrow(2, 0, end), past_values.narrow(2, 0, end)

    def select_rows(self, rows: list[int]) -> None:
        """Keep these rows, in this order: repeat one to share its prefill. Copies of this cache keep what they hold."""
        index = torch.tensor(rows, dtype=torch.long, device=self.keys.device)
        self.keys = self.keys.index_select(1, index)
        self.values = self.values.index_select(1, index)
        self.lengths = [self.lengths[row] for row in rows]
        if len(set(rows)) == 1:
            self.shared = self.lengths[0]

    def drop_rows(self, ended: list[int]) -> list[int]:
        """Take out rows, given in order; returns which row now stands at each place.

        The last rows fill the gaps, in the same memory: copying all that go on would cost as much as a token or two.
        """
        rows = list(range(len(self.lengths)))
        for place in reversed(ended):
            rows[place] = rows[-1]
            rows.pop()
        moved = [place for place, row in enumerate(rows) if place != row]
        sources = [rows[place] for place in moved]
        self.keys[:, moved], self.values[:, moved] = self.keys[:, sources], self.values[:, sources]
        self.keys, self.values = self.keys[:, : len(rows)], self.values[:, : len(rows)]
        self.lengths = [self.lengths[row] for row in rows]
        return rows


def causal_attention(q: Tensor, k: Tensor, v: Tensor, dropout: float = 0.0) -> Tensor:
    """Attention to a token itself and those before it, the way that is fastest: all (batch, heads, time, head_size)."""
    if v.is_cpu and v.dtype == torch.bfloat16:
        return attention_in_parts(q.to(v.dtype), k.to(v.dtype), v, dropout)
    return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=q.shape[2] > 1)


def attention_in_parts(q: Tensor, k: Tensor, v: Tensor, dropout: float = 0.0) -> Tensor:
    """The same by plain matrix products.

    Queries go in four parts, each against the keys up to its end, which spares three eighths of the work. In bfloat16
    on a CPU this takes half the time of PyTorch's own kernel, a third when compiled, and more memory.
    """
    B, H, T, D = q.shape
    q, k, v = (q * D**-0.5).flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
    mixed, end = [], 0
    for part in q.split(math.ceil(T / 4), dim=1):
        start, end = end, end + part.shape[1]
        future = torch.full((end - start, end), -math.inf, dtype=q.dtype, device=q.device).triu(start + 1)
        weights = torch.baddbmm(future, part, k[:, :end].mT).softmax(dim=-1, dtype=v.dtype)  # (B * H, part, end)
        mixed.append(F.dropout(weights, dropout) @ v[:, :end])
    return torch.cat(mixed, dim=1).unflatten(0, (B, H))


class Attention(nn.Module):
    """Causal multi-head attention with normalised, rotated queries and keys."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.n_heads = config.n_heads
        self.head_size = config.head_size
        self.dropout = config.dropout
        self.query = Linear(config.hidden_size, config.hidden_size)
        self.key = Linear(config.hidden_size, config.hidden_size)
        self.value = Linear(config.hidden_size, config.hidden_size)
        self.output = Linear(config.hidden_size, config.hidden_size)
        self.query_norm = RMSNorm(config.head_size, eps=config.norm_eps)
        self.key_norm = RMSNorm(config.head_size, eps=config.norm_eps)

    def forward(
        self,
        x: Tensor,
        rotation: tuple[Tensor, Tensor],
        cache: KeyValueCache | None = None,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Mix information between tokens: `x` (batch, time, hidden) to the same shape.

        `mask` (batch, 1, time, keys), true where attention is allowed, is for cached rows; without it attention is
        causal when several tokens are read and unrestricted when one is (it may see all of the cache).
        """
        B, T, C = x.shape
        q = self.query_norm(self.query(x).view(B, T, self.n_heads, self.head_size)).transpose(1, 2)  # (B, H, T, D)
        k = self.key_norm(self.key(x).view(B, T, self.n_heads, self.head_size)).transpose(1, 2)
        v = self.value(x).view(B, T, self.n_heads, self.head_size).transpose(1, 2)
        q, k = apply_rotary(q, *rotation), apply_rotary(k, *rotation)
        dropout = self.dropout if self.training else 0.0
        if cache is None:
            mixed = causal_attention(q, k, v, dropout)
        else:
            k, v = cache.write(self.layer, k, v, positions)  # (B, H, S, D), S tokens so far
            mixed = F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=mask is None and T > 1
            )
        return self.output(mixed.transpose(1, 2).reshape(B, T, C))


class FeedForward(nn.Module):
    """SwiGLU: `down(silu(gate(x)) * up(x))`, the gate deciding feature by feature what passes."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate = Linear(config.hidden_size, config.ffn_hidden_size)
        self.up = Linear(config.hidden_size, config.ffn_hidden_size)
        self.down = Linear(config.ffn_hidden_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """Work on each token by itself: (batch, time, hidden) to the same shape."""
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    """Attention and feed-forward, each reading a normalised copy of the stream and adding its answer to it."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.hidden_size, eps=config.norm_eps)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = RMSNorm(config.hidden_size, eps=config.norm_eps)
        self.feed_forward = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        rotation: tuple[Tensor, Tensor],
        cache: KeyValueCache | None = None,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Pass the residual stream `x` (batch, time, hidden) through one block."""
        x = x + self.dropout(self.attention(self.attention_norm(x), rotation, cache, positions, mask))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
