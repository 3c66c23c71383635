"""Steps that are all alike, as a GPU repeats them: on the CPU, where nothing is recorded, against the model itself.

That `torch.cuda.CUDAGraph` repeats what was recorded is tested where there is an NVIDIA GPU.
"""

import pytest
import torch

from model.architecture.config import ConfigError
from model.architecture.model import GPT
from pretraining import sampling
from pretraining.graphed_model import GraphedModel
from tests.pretraining.test_fast_model import CONFIG, model, read, written

assert model  # the fixture


@pytest.fixture
def graphed(monkeypatch) -> None:
    """Lets generate_tokens write with a GraphedModel."""
    monkeypatch.setattr(sampling, "FastModel", lambda model, rows, weights: GraphedModel(model, rows))


@pytest.mark.parametrize("lengths", [[20], [7, 7, 7], [3, 20, 11]], ids=str)
@torch.inference_mode()
def test_the_scores_are_those_of_the_model(model, lengths):
    same = GraphedModel(model, len(lengths))
    (cache, tokens), (own_cache, _) = read(model, lengths), read(model, lengths)
    for column in tokens.T:
        found = same.next_scores(column.tolist(), cache)
        expected = model(column[:, None], own_cache)[:, -1]
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    assert cache.lengths == own_cache.lengths


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


@torch.inference_mode()
def test_a_full_row_is_refused(model):
    cache, _ = read(model, [20, 20])
    cache.lengths = [20, 28]
    with pytest.raises(ConfigError, match="29 tokens do not fit"):
        GraphedModel(model, 2).next_scores([1, 1], cache)


@pytest.mark.parametrize("rows", [1, 6])
def test_the_same_texts_are_written_also_where_windows_slide(model, graphed, monkeypatch, rows):
    found = written(model, rows, "float32")
    monkeypatch.undo()
    assert found == written(model, rows, "float32")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_repeats_what_was_recorded(model):
    on_gpu = GPT(CONFIG).cuda().eval()
    on_gpu.load_state_dict(model.state_dict())
    assert written(on_gpu, 6, "float32") == written(model, 6, "float32")
