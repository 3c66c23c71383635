"""The whole model: nothing leaks from the future, the cache changes nothing, gradients are right, sizes are as told."""

import copy
import math
from pathlib import Path

import pytest
import torch

from model.architecture.config import ConfigError, ModelConfig
from model.architecture.layers import KeyValueCache
from model.architecture.model import GPT, INITIAL_VALUES, initial_value

CONFIG_FOLDER = Path(__file__).parents[2] / "model" / "config"
TINY = ModelConfig(n_layers=2, n_heads=2, hidden_size=16, max_seq_len=24, vocab_size=29, ffn_hidden_size=24)


@pytest.fixture
def model() -> GPT:
    """A float64 model with every weight random: at its zero start a block does nothing, and would hide any fault."""
    model = GPT(TINY).double().eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return model


def random_tokens(batch: int, time: int, seed: int = 6) -> torch.Tensor:
    return torch.randint(TINY.vocab_size, (batch, time), generator=torch.Generator().manual_seed(seed))


def new_cache(batch: int, capacity: int = TINY.max_seq_len) -> KeyValueCache:
    return KeyValueCache(TINY, batch, capacity, dtype=torch.float64)


# Sizes and the start


@pytest.mark.parametrize(("name", "count"), [("gpt_tiny", 27_073_792), ("gpt_small", 45_758_464)])
def test_the_users_models_have_27_and_46_million_parameters(name, count):
    with torch.device("meta"):  # shapes without memory
        model = GPT(ModelConfig.load(CONFIG_FOLDER / f"{name}_config.json"))
    assert model.parameter_count() == count


@pytest.mark.parametrize("path", sorted(CONFIG_FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_the_table_of_initial_values_covers_every_parameter_exactly_once(path):
    """A parameter in no row would keep PyTorch's own start; one in two rows has no single truth."""
    with torch.device("meta"):
        names = [name for name, _ in GPT(ModelConfig.load(path)).named_parameters()]
    for name in names:
        assert sum(name.endswith(ending) for ending in INITIAL_VALUES) == 1, name
    for ending in INITIAL_VALUES:
        assert any(name.endswith(ending) for name in names), f"{ending} starts nothing"


def test_a_parameter_that_the_table_does_not_cover_is_an_error():
    with pytest.raises(KeyError, match="new_layer"):
        initial_value("blocks.0.new_layer.bias")


def test_parameters_start_as_the_table_says():
    torch.manual_seed(7)
    for name, parameter in GPT(ModelConfig(2, 4, 64, 16, vocab_size=512)).named_parameters():
        kind, value = initial_value(name)
        if kind == "constant":
            assert (parameter == value).all(), name
        else:
            assert parameter.std().item() == pytest.approx(value, rel=0.1), name
            assert abs(parameter.mean().item()) < value / 10, name


def test_an_untrained_model_knows_nothing():
    """The first loss is that of a fair guess, ln(vocab_size): more would mean a start that must be unlearned."""
    torch.manual_seed(8)
    loss = GPT(TINY).loss(random_tokens(4, 24), random_tokens(4, 24, seed=9))
    assert loss.item() == pytest.approx(math.log(TINY.vocab_size), abs=0.05)


@torch.no_grad()
def test_every_block_starts_as_the_identity():
    """Depth must cost nothing at the start: each block learns from zero what to add."""
    model, x = GPT(TINY), torch.randn(1, 5, TINY.hidden_size)
    for block in model.blocks:
        assert torch.equal(block(x, (model.rotary_cos[:5], model.rotary_sin[:5])), x)


# What a token may see


@pytest.mark.parametrize("changed", [0, 1, 7, 23])
@torch.no_grad()
def test_a_changed_token_changes_everything_after_it_and_nothing_before(model, changed):
    tokens = random_tokens(2, 24)
    others = tokens.clone()
    others[:, changed] = (others[:, changed] + 1) % TINY.vocab_size
    before, after = model(tokens), model(others)
    assert torch.equal(before[:, :changed], after[:, :changed]), "bit for bit: the future has no way in"
    assert (before[:, changed:] != after[:, changed:]).any(dim=-1).all()


@torch.no_grad()
def test_a_text_is_read_the_same_alone_and_in_a_batch(model):
    tokens = random_tokens(3, 10)
    together = model(tokens)
    for row in range(3):
        torch.testing.assert_close(model(tokens[row : row + 1])[0], together[row])


@torch.no_grad()
def test_the_order_of_the_past_matters(model):
    """Without positions, attention sees a bag of tokens, and swapping two past tokens would change nothing."""
    tokens = random_tokens(1, 8)
    swapped = tokens[:, [1, 0, 2, 3, 4, 5, 6, 7]]
    assert (model(tokens)[0, -1] - model(swapped)[0, -1]).abs().max() > 1e-3


# The cache: whatever way the tokens go in, the logits are those of reading the text at once


@pytest.mark.parametrize("chunks", [[1] * 12, [12], [5, 1, 1, 5], [1, 11], [3, 4, 5]], ids=str)
@torch.no_grad()
def test_reading_in_pieces_gives_the_logits_of_reading_at_once(model, chunks):
    tokens = random_tokens(2, 12)
    cache = new_cache(2)
    pieces = torch.cat([model(piece, cache) for piece in tokens.split(chunks, dim=1)], dim=1)
    torch.testing.assert_close(pieces, model(tokens))
    assert cache.lengths == [12, 12]


def read_padded(model: GPT, texts: list[torch.Tensor]) -> KeyValueCache:
    """Read texts of different lengths as one padded batch, then take the padding back by shortening the rows."""
    cache = new_cache(len(texts))
    model(torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=3), cache)
    cache.lengths = [len(text) for text in texts]
    return cache


@pytest.mark.parametrize("time", [1, 3])
@torch.no_grad()
def test_rows_of_different_lengths_do_not_disturb_each_other(model, time):
    texts = [random_tokens(1, length, seed=length)[0] for length in (2, 9, 5)]
    cache = read_padded(model, texts)
    for step in range(3):
        new = random_tokens(3, time, seed=20 + step)
        texts = [torch.cat((text, tokens)) for text, tokens in zip(texts, new, strict=True)]
        logits = model(new, cache)
        for row, text in enumerate(texts):
            torch.testing.assert_close(logits[row], model(text[None])[0, -time:])
    assert cache.lengths == [len(text) for text in texts]


@torch.no_grad()
def test_selected_rows_go_on_where_they_were(model):
    texts = [random_tokens(1, length, seed=length)[0] for length in (4, 4, 7)]
    cache = read_padded(model, texts)
    rows = [2, 0, 0]  # one finished, one continued twice
    cache.select_rows(rows)
    new = random_tokens(3, 2, seed=30)
    logits = model(new, cache)
    for place, row in enumerate(rows):
        torch.testing.assert_close(logits[place], model(torch.cat((texts[row], new[place]))[None])[0, -2:])


@pytest.mark.parametrize("ended", [[0], [1], [3], [0, 1], [0, 3], [1, 2], [0, 2, 3]], ids=str)
@torch.no_grad()
def test_rows_that_are_dropped_leave_the_others_as_they_were(model, ended):
    texts = [random_tokens(1, length, seed=length)[0] for length in (4, 9, 7, 2)]
    cache = read_padded(model, texts)
    rows = cache.drop_rows(ended)
    assert sorted(rows) == [row for row in range(4) if row not in ended]
    new = random_tokens(len(rows), 2, seed=30)
    logits = model(new, cache)
    for place, row in enumerate(rows):
        torch.testing.assert_close(logits[place], model(torch.cat((texts[row], new[place]))[None])[0, -2:])


@torch.no_grad()
def test_selecting_rows_leaves_a_copy_of_the_cache_as_it_was(model):
    """Scoring reads several ways to go on behind one row, and then behind the next."""
    cache = read_padded(model, [random_tokens(1, length, seed=length)[0] for length in (4, 9, 7)])
    before = cache.keys.clone()
    copied = copy.copy(cache)
    copied.select_rows([2, 0])
    model(random_tokens(2, 2), copied)
    assert torch.equal(cache.keys, before)


@torch.no_grad()
def test_tokens_taken_back_leave_no_trace(model):
    """Shortening a row is enough: what lies beyond its length is not attended to, and is written over."""
    tokens, others = random_tokens(2, 10), random_tokens(2, 4, seed=31)
    cache = new_cache(2)
    model(tokens, cache)
    cache.lengths = [6, 3]
    logits = model(others, cache)
    for row, length in enumerate((6, 3)):
        text = torch.cat((tokens[row, :length], others[row]))
        torch.testing.assert_close(logits[row], model(text[None])[0, -4:])


@torch.no_grad()
def test_text_beyond_what_the_model_can_read_is_refused_with_the_numbers(model):
    with pytest.raises(ConfigError, match=r"25 tokens do not fit.*24"):
        model(random_tokens(1, 25))
    cache = new_cache(1, capacity=8)
    model(random_tokens(1, 8), cache)
    with pytest.raises(ConfigError, match=r"9 tokens do not fit.*8"):
        model(random_tokens(1, 1), cache)
    assert cache.lengths == [8], "a refused token must not be counted"


# Learning


@torch.no_grad()
def test_loss_is_the_mean_surprise_in_nats(model):
    tokens, targets = random_tokens(2, 5), random_tokens(2, 5, seed=40)
    shares = torch.softmax(model(tokens), dim=-1)
    surprises = [-math.log(shares[b, t, targets[b, t]]) for b in range(2) for t in range(5)]
    assert model.loss(tokens, targets).item() == pytest.approx(sum(surprises) / 10, rel=1e-5)


def test_gradients_are_those_of_finite_differences(model):
    tokens, targets = random_tokens(2, 6), random_tokens(2, 6, seed=41)

    def loss() -> torch.Tensor:
        # Not model.loss: it rounds to float32, in which differences of a millionth drown.
        return torch.nn.functional.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())

    loss().backward()
    generator = torch.Generator().manual_seed(42)
    step = 1e-5
    for name, parameter in model.named_parameters():
        for index in torch.randint(parameter.numel(), (4,), generator=generator).tolist():
            entry = parameter.data.view(-1)[index : index + 1]
            with torch.no_grad():
                entry += step
                above = loss()
                entry -= 2 * step
                below = loss()
                entry += step
            slope = ((above - below) / (2 * step)).item()
            assert parameter.grad.view(-1)[index].item() == pytest.approx(slope, rel=1e-5, abs=1e-9), name


def test_a_tiny_model_learns_a_text_by_heart():
    """The parts together can learn: after some steps the loss on one sentence is near zero."""
    torch.manual_seed(43)
    model, tokens = GPT(TINY), random_tokens(1, 20)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(100):
        loss = model.loss(tokens[:, :-1], tokens[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
