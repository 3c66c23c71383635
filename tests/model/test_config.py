"""A wrong size must be refused before any memory is taken, in a line that names the key and the file."""

import json
from pathlib import Path

import pytest

from model.architecture.config import ConfigError, ModelConfig

FIVE_KEYS = {"n_layers": 2, "n_heads": 4, "hidden_size": 64, "max_seq_len": 32, "dropout": 0.1}
SHIPPED = sorted((Path(__file__).parents[2] / "model" / "config").glob("*.json"))


def write_config(folder: Path, changes: dict) -> Path:
    path = folder / "mine.json"
    path.write_text(json.dumps(FIVE_KEYS | changes), encoding="utf-8")
    return path


def test_the_users_five_keys_are_a_complete_file(tmp_path):
    config = ModelConfig.load(write_config(tmp_path, {}))
    assert (config.n_layers, config.n_heads, config.hidden_size, config.max_seq_len) == (2, 4, 64, 32)
    assert config.dropout == 0.1
    assert (config.vocab_size, config.rope_theta, config.norm_eps) == (8192, 10000.0, 1e-6)
    assert config.ffn_hidden_size == 128  # 64 * 8 / 3 = 170, down to a multiple of 64
    assert config.head_size == 16


def test_sizes_that_are_given_are_not_replaced_by_defaults(tmp_path):
    config = ModelConfig.load(write_config(tmp_path, {"ffn_hidden_size": 100, "vocab_size": 50, "rope_theta": 500}))
    assert (config.ffn_hidden_size, config.vocab_size, config.rope_theta) == (100, 50, 500)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_config_loads_and_survives_a_checkpoint(path):
    config = ModelConfig.load(path)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict())), source="checkpoint") == config


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hiden_size": 64}, ["'hiden_size'", "hidden_size"]),  # the known keys are listed
        ({"n_heads": 5}, ["hidden_size 64", "n_heads 5", "60"]),  # with a size that would do
        ({"n_heads": 64}, ["even"]),
        ({"n_layers": 0}, ["n_layers", "0"]),
        ({"n_layers": -2}, ["n_layers", "-2"]),
        ({"n_layers": 2.5}, ["n_layers", "2.5", "whole"]),
        ({"n_layers": "6"}, ["n_layers", "'6'"]),
        ({"n_layers": True}, ["n_layers", "True"]),
        ({"max_seq_len": None}, ["max_seq_len", "None"]),
        ({"dropout": 1.0}, ["dropout", "1.0"]),
        ({"dropout": -0.1}, ["dropout", "-0.1"]),
        ({"norm_eps": float("nan")}, ["norm_eps", "nan"]),
        ({"rope_theta": float("inf")}, ["rope_theta", "inf"]),
        ({"ffn_hidden_size": -64}, ["ffn_hidden_size", "-64"]),
    ],
)
def test_a_wrong_value_is_refused_naming_key_and_file(tmp_path, changes, words):
    path = write_config(tmp_path, changes)
    with pytest.raises(ConfigError) as error:
        ModelConfig.load(path)
    for word in [str(path), *words]:
        assert word in str(error.value)


@pytest.mark.parametrize("key", ["n_layers", "n_heads", "hidden_size", "max_seq_len"])
def test_a_missing_size_is_named(key):
    values = {name: value for name, value in FIVE_KEYS.items() if name != key}
    with pytest.raises(ConfigError, match=rf"somewhere\.json: the key '{key}' is missing"):
        ModelConfig.from_dict(values, source="somewhere.json")


def test_a_mistyped_path_lists_the_configs_beside_it(tmp_path):
    write_config(tmp_path, {})
    with pytest.raises(ConfigError) as error:
        ModelConfig.load(tmp_path / "mien.json")
    assert "mien.json" in str(error.value)
    assert str(tmp_path / "mine.json") in str(error.value)


@pytest.mark.parametrize("content", [b"{'n_layers': 6}", b"", b"\xff\xfe\x00", b"[1, 2]"])
def test_a_file_that_is_no_json_object_is_named(tmp_path, content):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"broken\.json"):
        ModelConfig.load(path)
