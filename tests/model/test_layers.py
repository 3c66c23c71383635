"""The layers against slow and obvious references, and the cache against what it promises."""

import math

import pytest
import torch
from torch.nn import functional as F

from model.architecture import layers
from model.architecture.config import ModelConfig
from model.architecture.layers import Attention, Block, FeedForward, KeyValueCache, Linear, RMSNorm, attention_in_parts
from model.architecture.rotary import rotary_tables

CONFIG = ModelConfig(n_layers=2, n_heads=3, hidden_size=12, max_seq_len=16, vocab_size=11, ffn_hidden_size=20)


def randomised(layer: torch.nn.Module) -> torch.nn.Module:
    """The layer in float64 with every weight random: zeros and ones would hide a weight that is left out."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layer.double().eval()


def random_input(batch: int = 2, time: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randn(batch, time, CONFIG.hidden_size, generator=generator, dtype=torch.float64)


def rotation(time: int) -> tuple[torch.Tensor, torch.Tensor]:
    cos, sin = rotary_tables(CONFIG.head_size, time, CONFIG.rope_theta)
    return cos.double(), sin.double()


def reference_norm(vector: list[float], weight: list[float], eps: float = CONFIG.norm_eps) -> list[float]:
    scale = math.sqrt(sum(value * value for value in vector) / len(vector) + eps)
    return [value / scale * w for value, w in zip(vector, weight, strict=True)]


def reference_turn(vector: list[float], position: int) -> list[float]:
    half = len(vector) // 2
    turned = [0.0] * len(vector)
    for pair in range(half):
        angle = position * CONFIG.rope_theta ** (-2 * pair / len(vector))
        a, b = vector[pair], vector[pair + half]
        turned[pair] = a * math.cos(angle) - b * math.sin(angle)
        turned[pair + half] = b * math.cos(angle) + a * math.sin(angle)
    return turned


def reference_attention(layer: Attention, x: torch.Tensor) -> torch.Tensor:
    """Attention of one text (time, hidden), written with loops over heads, queries and keys."""
    size = CONFIG.head_size
    mixed = torch.zeros_like(x)
    query_weight, key_weight = layer.query_norm.weight.tolist(), layer.key_norm.weight.tolist()
    for head in range(CONFIG.n_heads):
        part = slice(head * size, (head + 1) * size)
        queries, keys, values = (
            [(linear.weight[part] @ token).tolist() for token in x] for linear in (layer.query, layer.key, layer.value)
        )
        queries = [reference_turn(reference_norm(q, query_weight), position) for position, q in enumerate(queries)]
        keys = [reference_turn(reference_norm(k, key_weight), position) for position, k in enumerate(keys)]
        for now in range(len(x)):
            scores = [sum(map(float.__mul__, queries[now], keys[t])) / math.sqrt(size) for t in range(now + 1)]
            shares = [math.exp(score - max(scores)) for score in scores]
            for t, share in enumerate(shares):
                mixed[now, part] += share / sum(shares) * torch.tensor(values[t], dtype=torch.float64)
    return mixed @ layer.output.weight.T


def test_norm_is_the_formula_with_eps_inside_the_root():
    norm = randomised(RMSNorm(12, eps=CONFIG.norm_eps))
    for scale in (1.0, 1e-4):  # at 1e-4 the squares are below eps, so a forgotten eps shows
        x = random_input() * scale
        expected = torch.tensor([[reference_norm(v, norm.weight.tolist()) for v in text] for text in x.tolist()])
        torch.testing.assert_close(norm(x), expected.double(), rtol=1e-6, atol=0)


@torch.no_grad()
def test_attention_equals_attention_written_with_loops():
    layer, x = randomised(Attention(CONFIG, layer=0)), random_input()
    expected = torch.stack([reference_attention(layer, text) for text in x])
    # 1e-5: the rotary tables are float32, the reference's angles are not.
    torch.testing.assert_close(layer(x, rotation(x.shape[1])), expected, rtol=1e-5, atol=1e-5)


def queries_keys_values(time: int, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(6)
    return [torch.randn(2, 3, time, 8, generator=generator, dtype=dtype).requires_grad_() for _ in range(4)]


@pytest.mark.parametrize("time", [1, 2, 3, 4, 5, 9, 64])
def test_attention_in_parts_is_attention_with_the_same_gradients(time):
    """Whatever is left over when the queries are cut in four."""
    q, k, v, weight = queries_keys_values(time)
    results = []
    for mixed in (attention_in_parts(q, k, v), F.scaled_dot_product_attention(q, k, v, is_causal=True)):
        results.append((mixed, *torch.autograd.grad((mixed * weight).sum(), (q, k, v))))
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected)


def test_attention_in_parts_drops_out_what_it_is_told_and_no_more():
    q, k, v, _ = queries_keys_values(16)
    ones = torch.ones_like(v)  # each output is then the sum of the weights that were left, doubled
    assert torch.equal(attention_in_parts(q, k, v), attention_in_parts(q, k, v, dropout=0.0))
    torch.manual_seed(0)
    sums = attention_in_parts(q, k, ones, dropout=0.5)[..., 0].flatten()
    assert sums.std() > 0.1 and abs(sums.mean() - 1) < 0.3


def test_attention_in_bfloat16_is_as_near_to_the_truth_as_pytorchs_own(monkeypatch):
    """On a CPU it goes another way, which must cost nothing but rounding, and see no future."""
    layer = randomised(Attention(CONFIG, layer=0)).float()
    x = random_input(4, 11).float()
    turn = tuple(table.float() for table in rotation(11))
    truth = layer(x, turn)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = layer(x, turn)
        changed = x.clone()
        changed[:, 7] += 1
        assert torch.equal(layer(changed, turn)[:, :7], ours[:, :7])
        monkeypatch.setattr(
            layers, "attention_in_parts", lambda q, k, v, _: F.scaled_dot_product_attention(q, k, v, is_causal=True)
        )
        theirs = layer(x, turn)
    assert not torch.equal(ours, theirs), "it did not go another way"
    assert (ours - truth).norm() < 1.5 * (theirs - truth).norm()


@torch.no_grad()
def test_feed_forward_is_swiglu():
    layer, x = randomised(FeedForward(CONFIG)), random_input()
    gate, up = x @ layer.gate.weight.T, x @ layer.up.weight.T
    expected = (gate / (1 + torch.exp(-gate)) * up) @ layer.down.weight.T
    torch.testing.assert_close(layer(x), expected)


@torch.no_grad()
def test_block_adds_each_answer_to_what_it_read():
    block, x = randomised(Block(CONFIG, layer=0)), random_input()
    turn = rotation(x.shape[1])
    middle = x + block.attention(block.attention_norm(x), turn)
    torch.testing.assert_close(block(x, turn), middle + block.feed_forward(block.feed_forward_norm(middle)))


def test_dropout_acts_in_training_and_rests_in_evaluation():
    config = ModelConfig(n_layers=1, n_heads=3, hidden_size=12, max_seq_len=16, dropout=0.5)
    block, x = randomised(Block(config, layer=0)), random_input()
    turn = rotation(x.shape[1])
    assert torch.equal(block(x, turn), block(x, turn))
    block.train()
    assert not torch.equal(block(x, turn), block(x, turn))


def filled_cache(batch: int) -> KeyValueCache:
    """A cache in which every row holds its own number, so that a mixed-up row is seen."""
    cache = KeyValueCache(CONFIG, batch, capacity=4)
    for row in range(batch):
        cache.keys[:, row], cache.values[:, row] = row, -row
    cache.lengths = list(range(1, batch + 1))
    return cache


@pytest.mark.parametrize("rows", [[2, 0], [1, 1, 1], [0, 1, 2], []])
def test_select_rows_keeps_these_rows_in_this_order(rows):
    cache = filled_cache(3)
    cache.select_rows(rows)
    assert cache.lengths == [row + 1 for row in rows]
    assert cache.keys[0, :, 0, 0, 0].tolist() == rows
    assert cache.values[-1, :, -1, -1, -1].tolist() == [-row for row in rows]


def test_repeated_rows_are_copies_not_views():
    """Two samples of one prompt go different ways: what one writes must not reach the other."""
    cache = filled_cache(1)
    cache.select_rows([0, 0])
    cache.keys[:, 0] = 7
    assert not (cache.keys[:, 1] == 7).any()


def test_a_layer_multiplies_as_pytorch_does_in_every_precision():
    layer, x = Linear(12, 7), torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(layer(x), torch.nn.functional.linear(x, layer.weight))
    torch.testing.assert_close(layer.double()(x.double()), x.double() @ layer.weight.mT)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer.float()(x).dtype == torch.bfloat16
