"""Rotary position embedding: a token's place is told by turning its queries and keys (Su et al. 2021, RoFormer).

Pairs of features are turned by an angle proportional to the position. The product of a turned query and a turned
key depends only on how far apart the two tokens are. Feature i is paired with feature i + head_size / 2 ("rotate
half"), the layout that Hugging Face, llama.cpp (NeoX) and MLX use; no other works there without reordering weights.
"""

import torch
from torch import Tensor


def rotary_tables(head_size: int, max_seq_len: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines for every position: two float32 tensors (max_seq_len, head_size).

    Pair i turns by `position * theta ** (-2 i / head_size)` radians: the first pairs turn fast and tell neighbours
    apart, the last turn slowly and tell regions apart.
    """
    frequencies = theta ** (-torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)  # (head_size / 2)
    angles = torch.outer(torch.arange(max_seq_len, dtype=torch.float32), frequencies)  # (max_seq_len, head_size / 2)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn queries or keys `x` (batch, heads, time, head_size) by tables that broadcast against it."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin
