"""The fast copies of a model against the model itself: the same scores, whatever is in the batch.

GraphedModel is for NVIDIA GPUs, which repeat a recorded step; its arithmetic is the same on the CPU, where nothing is
recorded. That a GPU repeats it rightly is tested where there is one.
"""

import copy
from unittest.mock import Mock

import pytest
import torch

from model.architecture.config import ConfigError, ModelConfig
from model.architecture.layers import KeyValueCache
from model.architecture.model import GPT
from pretraining import sampling
from pretraining.fast_model import FastModel
from pretraining.graphed_model import GraphedModel
from pretraining.sampling import SamplingError, SamplingSettings, generate_tokens, sample_generator

CONFIG = ModelConfig(n_layers=2, n_heads=4, hidden_size=64, max_seq_len=32, vocab_size=120, ffn_hidden_size=96)


@pytest.fixture(scope="module")
def model() -> GPT:
    """Every weight random, those of the norms too: a norm that is folded into the wrong matrix must show."""
    model = GPT(CONFIG).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


def read(model: GPT, lengths: list[int]) -> tuple[KeyValueCache, torch.Tensor]:
    """A cache whose rows hold so many tokens, and 3 more tokens for each row."""
    tokens = torch.randint(CONFIG.vocab_size, (len(lengths), 23), generator=torch.Generator().manual_seed(2))
    cache = KeyValueCache(CONFIG, len(lengths), 28, dtype=model.head.weight.dtype)
    model.hidden_states(tokens[:, :20], cache)
    cache.lengths = list(lengths)
    return cache, tokens[:, 20:]


def both_scores(model: GPT, lengths: list[int], make=FastModel, **more: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores after three more tokens: the fast ones, and the model's own."""
    fast = make(model, len(lengths), **more)
    (cache, tokens), (own_cache, _) = read(model, lengths), read(model, lengths)
    for column in tokens.T:
        found = fast.next_scores(column.tolist(), cache)
        expected = model(column[:, None], own_cache)[:, -1]
    assert cache.lengths == own_cache.lengths
    return found, expected


@pytest.mark.parametrize("make", [FastModel, GraphedModel])
@pytest.mark.parametrize("lengths", [[20], [7, 7, 7], [3, 20, 11]], ids=str)
@torch.inference_mode()
def test_the_scores_are_those_of_the_model(model, lengths, make):
    found, expected = both_scores(model, lengths, make)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    assert torch.equal(found.argmax(-1), expected.argmax(-1))


@torch.inference_mode()
def test_the_formulas_are_equal_and_not_only_close(model):
    found, expected = both_scores(copy.deepcopy(model).double(), [3, 20, 11])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("weights", "most"), [("bfloat16", 0.02), ("int8", 0.03)])
@pytest.mark.parametrize("lengths", [[20], [3, 20, 11]], ids=str)
@torch.inference_mode()
def test_rounded_weights_change_the_scores_by_a_rounding(model, weights, most, lengths):
    found, expected = both_scores(model, lengths, weights=weights)
    error = ((found - expected).norm() / expected.norm()).item()
    assert 1e-4 < error < most, "zero would mean that nothing was rounded"


@torch.inference_mode()
def test_what_all_rows_share_is_read_from_the_first(model):
    """What the other rows hold in its place must not matter: it is not fetched, which is the point."""
    fast = FastModel(model, 3)
    (cache, tokens), (expected_cache, _) = read(model, [20, 4, 9]), read(model, [20, 4, 9])
    for one in (cache, expected_cache):
        one.select_rows([0, 0, 0])
    assert cache.shared == 20
    cache.keys[:, 1:, :, :20], cache.values[:, 1:, :, :20] = torch.nan, torch.nan
    for column in tokens.T:
        found = fast.next_scores(column.tolist(), cache)
        expected = model(column[:, None], expected_cache)[:, -1]
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@torch.inference_mode()
def test_tokens_taken_back_are_no_longer_shared(model):
    cache, tokens = read(model, [20])
    cache.select_rows([0, 0])
    cache.lengths = [12, 15]
    model(tokens[[0, 0], :1], cache)
    assert cache.shared == 12


@pytest.mark.parametrize("make", [FastModel, GraphedModel])
@torch.inference_mode()
def test_a_full_row_is_refused_before_it_would_be_written_over_another(model, make):
    cache, _ = read(model, [20, 20])
    cache.lengths = [20, 28]
    with pytest.raises(ConfigError, match="29 tokens do not fit"):
        make(model, 2).next_scores([1, 1], cache)
    assert cache.lengths == [20, 28]


@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
def test_the_model_itself_is_left_as_it_was(model, weights):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    FastModel(model, 1, weights)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@torch.inference_mode()
def test_a_processor_without_a_routine_for_bfloat16_writes_all_the_same(model, monkeypatch):
    (cache, tokens), (same, _) = read(model, [9]), read(model, [9])
    expected = FastModel(model, 1, "bfloat16").next_scores(tokens[:, 0].tolist(), cache)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", Mock(side_effect=RuntimeError("no avx512")))
    found = FastModel(model, 1, "bfloat16").next_scores(tokens[:, 0].tolist(), same)
    assert (found - expected).abs().max() < 0.02 * expected.abs().max()


def written(model: GPT, rows: int, weights: str) -> list[list[int]]:
    texts = [[] for _ in range(rows)]
    for row, token in generate_tokens(
        model,
        [[5, 6, 7]] * rows,
        generators=[sample_generator(3, row) for row in range(rows)],
        settings=SamplingSettings(20, temperature=1.0, top_k=0, top_p=1),
        end_of_text_id=0,
        context_length=16,
        weights=weights,
    ):
        texts[row].append(token)
    return texts


def test_a_sample_is_the_same_alone_and_among_others(model):
    """Different routines multiply one row and many; their rounding must stay too small to change what is drawn."""
    assert written(model, 1, "float32") == written(model, 6, "float32")[:1]


def test_unknown_weights_are_refused(model):
    with pytest.raises(SamplingError, match="int4 weights are not possible"):
        written(model, 1, "int4")


# -- recorded steps ----------------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_rows_may_leave_and_steps_are_made_anew_only_when_half_are_gone(model, monkeypatch):
    made = []
    record = GraphedModel._record
    monkeypatch.setattr(
        GraphedModel, "_record", lambda self, cache: made.append(len(cache.lengths)) or record(self, cache)
    )
    lengths = [3, 20, 11, 5, 9]
    same = GraphedModel(model, len(lengths))
    (cache, tokens), (own_cache, _) = read(model, lengths), read(model, lengths)
    rows = list(range(5))
    for column, ended in zip(tokens.T, ([1], [0, 2], []), strict=True):
        found = same.next_scores(column[rows].tolist(), cache)
        expected = model(column[rows][:, None], own_cache)[:, -1]
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
        own_cache.drop_rows(ended)
        rows = [rows[place] for place in cache.drop_rows(ended)]
    assert rows == [3, 4] and made == [5, 2]


@torch.inference_mode()
def test_every_step_uses_the_same_memory(model):
    """What is recorded knows addresses, not names."""
    same = GraphedModel(model, 2)
    cache, tokens = read(model, [4, 9])
    places = []
    for column in tokens.T:
        same.next_scores(column.tolist(), cache)
        places.append((same.tokens.data_ptr(), same.positions.data_ptr(), same.keys.data_ptr(), cache.keys.data_ptr()))
    assert len(set(places)) == 1 and places[0][2] == places[0][3]


@pytest.mark.parametrize("rows", [1, 6])
def test_recorded_steps_write_the_same_texts_also_where_windows_slide(model, monkeypatch, rows):
    expected = written(model, rows, "float32")
    monkeypatch.setattr(sampling, "FastModel", lambda model, rows, weights: GraphedModel(model, rows))
    assert written(model, rows, "float32") == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_repeats_what_was_recorded(model):
    on_gpu = GPT(CONFIG).cuda().eval()
    on_gpu.load_state_dict(model.state_dict())
    assert written(on_gpu, 6, "float32") == written(model, 6, "float32")
