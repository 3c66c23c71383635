"""The same model, arranged for writing: one new token in each row.

Reading many tokens at once is arithmetic, which `GPT` does well. Writing one token after the other is something else:
every weight is fetched from memory for a few multiplications, and small operations cost more than what they compute.
So here matrices that read the same input are one, norms are folded into the matrices behind them, and each product
uses the routine of PyTorch that was found fastest for its size. Fewer bytes per weight are fewer bytes to fetch:
bfloat16 and int8 round the weights, which costs a little loss (evaluation/generation_speed.py measures both).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from model.architecture.config import ConfigError
from model.architecture.layers import KeyValueCache
from model.architecture.model import GPT, cached_positions

WEIGHTS = ("float32", "bfloat16", "int8")


class FastModel:
    """A model's weights, partly copied, that add one token to each row of a cache and score the next.

    Make a new one when the model has learned more: what is copied stays as it was. `rows` says how many rows
    are to be written side by side, to choose by; it works with any other number, too.
    """

    @torch.no_grad()
    def __init__(self, model: GPT, rows: int, weights: str = "float32") -> None:
        def product(weight: Tensor) -> Callable[[Tensor], Tensor]:
            return _product(weight, rows, weights)

        C, D = model.config.hidden_size, model.config.head_size
        self.config = model.config
        self.embedding = model.token_embedding.weight
        self.layers, turning = [], []
        for block in model.blocks:
            attention, feed_forward = block.attention, block.feed_forward
            query_key_value = torch.cat((attention.query.weight, attention.key.weight, attention.value.weight))
            query_key_value *= block.attention_norm.weight * math.sqrt(C)
            gate_up = torch.cat((feed_forward.gate.weight, feed_forward.up.weight))
            gate_up *= block.feed_forward_norm.weight * math.sqrt(C)
            matrices = (query_key_value, attention.output.weight, gate_up, feed_forward.down.weight)
            self.layers.append([product(weight) for weight in matrices])
            # Of the query's sqrt(D) nothing is left: attention divides its scores by as much.
            turning.append(torch.stack((attention.query_norm.weight, attention.key_norm.weight * math.sqrt(D))))
        self.head = product(model.head.weight * (model.final_norm.weight * math.sqrt(C)))
        # Norm weights folded into the rotary tables: (position, layers, cosine and sine, query and key, 1, 1, D).
        turning = torch.stack(turning)[:, :, None, None]
        cos, sin = (table[:, None, None, None, None] for table in (model.rotary_cos, model.rotary_sin))
        sin = torch.cat((-sin[..., : D // 2], sin[..., D // 2 :]), dim=-1)
        self.rotation = torch.stack((turning * cos, turning.roll(D // 2, -1) * sin), dim=2)
        self.smallest = [turning.new_tensor(math.sqrt(size * model.config.norm_eps)) for size in (C, D)]

    def next_scores(self, tokens: list[int], cache: KeyValueCache) -> Tensor:
        """Add one token to each row of the cache; returns the scores (rows, vocab) of what may come next.

        The same as `model(tokens, cache)[:, -1]` but for rounding. Raises ConfigError when a row is full.
        """
        end = max(cache.lengths) + 1
        if end > min(cache.capacity, self.config.max_seq_len):
            raise ConfigError(f"{end} tokens do not fit into a cache for {cache.capacity}")
        positions, mask = cached_positions(cache, 1, self.embedding.device)  # (B, 1) and (B, 1, 1, S) or None

        def look_back(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys, values = cache.write(layer, key, value, positions)  # (B, H, S, D)
            return attend(query, keys, values, mask, shared=cache.shared if len(tokens) > 1 else 0)

        scores = self.scores(torch.tensor(tokens, device=self.embedding.device), positions.flatten(), look_back)
        cache.lengths = [length + 1 for length in cache.lengths]
        return scores

    def scores(self, tokens: Tensor, positions: Tensor, look_back: Callable[..., Tensor]) -> Tensor:
        """Scores (B, vocab) of what may come behind `tokens` (B) at `positions` (B).

        `look_back(layer, query, key, value)`, all (B, H, 1, D), keeps key and value and returns what the query finds
        among those that were kept, (B, H D).
        """
        B, H, D = len(tokens), self.config.n_heads, self.config.head_size
        smallest, smallest_head = self.smallest
        x = self.embedding[tokens]  # (B, C)
        rotations = self.rotation.index_select(0, positions).unbind(1)
        for layer, (query_key_value, output, gate_up, down) in enumerate(self.layers):
            heads = query_key_value(_unit(x, smallest)).to(x.dtype).view(B, 3, H, 1, D)
            query_key, (cos, sin) = _unit(heads[:, :2], smallest_head), rotations[layer].unbind(1)
            query, key = torch.addcmul(query_key * cos, query_key.roll(D // 2, -1), sin).unbind(1)  # (B, H, 1, D)
            x = x + output(look_back(layer, query, key, heads[:, 2]))
            gate, up = gate_up(_unit(x, smallest)).chunk(2, -1)
            x = x + down(F.silu(gate) * up)
        return self.head(_unit(x, smallest)).to(x.dtype)


def attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, shared: int = 0) -> Tensor:
    """Attention of one query in each row, (B, H, 1, D) over (B, H, S, D) to (B, H D); scores are not scaled here.

    What the first `shared` keys and values hold is the same for all rows, so it is fetched from memory once.
    """
    B, H, _, D = query.shape
    own_keys, own_values = keys[:, :, shared:].flatten(0, 1), values[:, :, shared:].flatten(0, 1)
    scores = torch.bmm(query.reshape(B * H, 1, D), own_keys.mT).view(B, H, 1, -1)
    if shared:
        scores_of_shared = query[:, :, 0].transpose(0, 1) @ keys[0, :, :shared].mT  # (H, B, shared)
        scores = torch.cat((scores_of_shared.transpose(0, 1)[:, :, None], scores), dim=-1)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    shares = scores.softmax(-1)
    mixed = torch.bmm(shares[..., shared:].reshape(B * H, 1, -1), own_values).view(B, H, D)
    if shared:
        mixed = mixed + (shares[:, :, 0, :shared].transpose(0, 1) @ values[0, :, :shared]).transpose(0, 1)
    return mixed.view(B, H * D)


def _unit(x: Tensor, smallest: Tensor) -> Tensor:
    """`x / sqrt(sum(x ** 2) + smallest ** 2)`: RMSNorm without its weight and a factor, which are in the matrices."""
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).hypot(smallest)


def _product(weight: Tensor, rows: int, weights: str) -> Callable[[Tensor], Tensor]:
    """The function `x -> x @ weight.T` for some `rows` of x, with the weight rounded as `weights` says.

    All matrices of the 27M model take, in ms with two threads of a Zen 5: one row F.linear 5.9, bmm 2.1, packed 2.6,
    bfloat16 packed 1.4, int8 0.7; 64 rows F.linear 24.8, packed 8.3, bfloat16 packed 4.3, int8 11.5.
    """
    if weights == "int8":
        scales = (weight.abs().amax(1, keepdim=True) / 127).clamp_min(1e-30).bfloat16()  # one for each output
        rounded = (weight / scales).round().clamp(-127, 127).to(torch.int8)
        return lambda x: torch._weight_int8pack_mm(x.bfloat16(), rounded, scales[:, 0])
    if weights == "float32" and rows == 1 and weight.device.type == "cpu" and torch.backends.mkl.is_available():
        # MKL is slow where one matrix meets one vector, so it is given the matrix as a batch of eight.
        parts = weight.view(math.gcd(len(weight), 8), -1, weight.shape[1])
        return lambda x: torch.bmm(parts, x.mT.expand(len(parts), -1, -1)).view(1, -1) if len(x) == 1 else x @ weight.mT
    if weights == "bfloat16":
        weight = weight.bfloat16()
    has_routine = weight.device.type == "cpu" and torch.backends.mkldnn.is_available()
    if weight.dtype == torch.bfloat16:  # old processors have none, and reordering a weight for it would be an error
        has_routine = has_routine and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if weight.dtype == torch.float64 or not has_routine:
        return lambda x: F.linear(x.to(weight.dtype), weight)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 64)  # any number of rows can be multiplied
    run = torch.ops.mkldnn._linear_pointwise
    return lambda x: run(x.to(weight.dtype), packed, None, "none", [], "")
