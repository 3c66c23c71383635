"""What a model costs: counts that add up, and a peak that is the process's own."""

import json
from pathlib import Path

import pytest
import torch

from evaluation import model_sizes
from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining.settings import PRESETS

ROOT = Path(model_sizes.__file__).resolve().parents[1]
TINY = {"n_layers": 2, "n_heads": 2, "hidden_size": 64, "max_seq_len": 64, "dropout": 0.0}
CPU = torch.device("cpu")


@pytest.fixture
def config_path(tmp_path):
    path = tmp_path / "tiny_config.json"
    path.write_text(json.dumps(TINY))
    return path


@pytest.mark.parametrize("name", ["gpt_nano", "gpt_tiny", "gpt_small"])
def test_the_parts_of_every_config_add_up_to_the_model(name):
    with torch.device("meta"):
        model = GPT(ModelConfig.load(ROOT / f"model/config/{name}_config.json"))
    parts = model_sizes.parameters_by_part(model)
    assert sum(parts.values()) == model.parameter_count()
    assert parts["embedding"] == parts["head"] == 8192 * model.config.hidden_size
    assert parts["attention"] == 4 * model.config.n_layers * model.config.hidden_size**2
    assert parts["feed-forward"] == 3 * model.config.n_layers * model.config.hidden_size * model.config.ffn_hidden_size


def test_a_parameter_of_no_part_is_an_error_and_not_left_out():
    model = GPT(ModelConfig(**TINY))
    model.bias = torch.nn.Parameter(torch.zeros(3))
    with pytest.raises(KeyError, match="bias"):
        model_sizes.parameters_by_part(model)


def test_a_config_is_measured_with_the_recipe_that_trains_it():
    name, recipe = model_sizes.recipe_for(Path("anywhere/gpt_nano_config.json"))
    assert (name, recipe["block_size"], recipe["optimizer"]) == ("nano", 256, "muon")
    assert model_sizes.recipe_for(Path("gpt_small_config.json")) == ("default", PRESETS["default"])


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_training_memory_is_counted_from_the_real_tensors(optimizer):
    config = ModelConfig(**TINY, vocab_size=512)
    model = GPT(config)
    recipe = PRESETS["default"] | {"batch_size": 2, "block_size": 64, "optimizer": optimizer}
    measured = model_sizes.measure_training(config, recipe, CPU)
    assert measured["weights"] == measured["gradients"] == 4 * model.parameter_count()
    parts = model_sizes.parameters_by_part(model)
    matrices = parts["attention"] + parts["feed-forward"]
    averages = 8 * (model.parameter_count() - matrices) + (4 if optimizer == "muon" else 8) * matrices
    step_counters = 4 * len(list(model.parameters()))
    assert averages < measured["optimizer"] <= averages + step_counters
    assert measured["tokens_per_second"] > 0 and measured["timed_steps"] >= 1
    assert measured["peak"] >= measured["before"]


def test_the_tokens_of_a_step_are_those_of_all_its_batches(monkeypatch):
    """A step of four batches takes four times as long as one of one, and has four times its tokens."""
    monkeypatch.setattr(model_sizes, "synchronize", lambda device: None)
    clock = SteppedClock()
    monkeypatch.setattr(model_sizes, "time", clock)
    monkeypatch.setattr(model_sizes, "TimedStep", lambda case, device, parts: clock.step(case, parts))
    for parts in (1, 4):
        settings = PRESETS["default"] | {"batch_size": 2, "block_size": 8, "gradient_accumulation": parts}
        assert model_sizes.measure_training(ModelConfig(**TINY), settings, CPU)["tokens_per_second"] == 2 * 8


class SteppedClock:
    """A clock that goes on by a second for each batch of a step, and by nothing else."""

    def __init__(self) -> None:
        self.now, self.model, self.optimizers = 0.0, GPT(ModelConfig(**TINY)), []

    def perf_counter(self) -> float:
        return self.now

    def step(self, case, parts: int) -> "SteppedClock":
        self.parts = parts
        return self

    def take(self) -> None:
        self.now += self.parts


def test_a_config_that_reads_less_than_its_recipe_gives_is_measured_on_less(capsys, config_path):
    assert model_sizes.main(["training", str(config_path), "--batch_size", "1", "--device", "cpu"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert (measured["batch_size"], measured["block_size"]) == (1, 64)


def test_generation_memory_holds_the_keys_and_values_of_the_whole_context():
    measured = model_sizes.measure_generation(ModelConfig(**TINY, vocab_size=512), CPU)
    assert measured["cache"] == 2 * 4 * 2 * 64 * 64  # keys and values, 4 bytes, layers, tokens, width
    assert measured["weights"] == 4 * GPT(ModelConfig(**TINY, vocab_size=512)).parameter_count()
    assert measured["tokens_per_second"] > 0


def test_what_cannot_be_measured_is_one_line(capsys, tmp_path, config_path):
    assert model_sizes.main(["training", str(tmp_path / "absent.json")]) == 2
    assert model_sizes.main(["generation", str(config_path), "--device", "tpu"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2 and "there is no model config" in errors[0] and "'tpu'" in errors[1]
