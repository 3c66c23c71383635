"""What is written, read with the formats' own packages: every tensor in its place, every constant written out."""

import json

import numpy as np
import pytest
import torch

from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from model.export.gguf_file import modelfile, write_gguf
from model.export.hugging_face import write_hugging_face
from model.export.names import gguf_name, hugging_face_name
from model.export.portable import ExportError, PortableModel, put_in_place
from tokenizer.bpe import Tokenizer

safetensors = pytest.importorskip("safetensors.torch", reason="pip install -r tests/requirements.txt")
gguf = pytest.importorskip("gguf", reason="pip install -r tests/requirements.txt")


@pytest.fixture(scope="module")
def model() -> PortableModel:
    tokenizer = Tokenizer.train(["def f(x):\n    return x\n" * 9], vocab_size=270)
    config = ModelConfig(2, 2, 32, 128, vocab_size=tokenizer.vocab_size, rope_theta=7000.0, norm_eps=2e-6)
    weights = {name: torch.randn(weight.shape) for name, weight in GPT(config).state_dict().items()}
    drawing = {"temperature": 0.8, "top_k": 40, "top_p": 0.9}
    return PortableModel("mini", config, weights, tokenizer.to_json(), tokenizer.end_of_text_id, 64, drawing)


def test_every_tensor_of_the_architecture_has_a_name_of_its_own(model):
    for translate in (hugging_face_name, gguf_name):
        assert len({translate(name) for name in model.weights}) == len(model.weights)


@pytest.mark.parametrize("name", ["blocks.0.attention.gate.weight", "value_embedding.weight"])
def test_a_tensor_that_other_programs_do_not_know_is_refused(name):
    """A changed architecture must not be exported without it, to run and be wrong."""
    with pytest.raises(ExportError, match=f"no other program has a place for the tensor {name}"):
        gguf_name(name)


def test_the_folder_has_the_weights_and_every_constant(model, tmp_path):
    read = safetensors.load_file(write_hugging_face(tmp_path, model, "f32"))
    assert {name: tuple(t.shape) for name, t in read.items() if "norm" in name or "head" in name}
    for name, weight in model.weights.items():
        assert torch.equal(read.pop(hugging_face_name(name)), weight)
    assert not read
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    expected = {"rope_theta": 7000.0, "rms_norm_eps": 2e-6, "head_dim": 16, "max_position_embeddings": 64}
    assert expected.items() <= config.items()
    assert config["tie_word_embeddings"] is False  # MLX takes it for true where some configs say nothing
    assert config["rope_parameters"]["rope_theta"] == 7000.0
    assert json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))["model_max_length"] == 64


@pytest.mark.parametrize(("dtype", "error"), [("f16", 2**-11), ("bf16", 2**-8)])
def test_weights_are_stored_in_the_dtype_asked_for(model, tmp_path, dtype, error):
    read = safetensors.load_file(write_hugging_face(tmp_path, model, dtype))
    assert {str(t.dtype) for t in read.values()} == {{"f16": "torch.float16", "bf16": "torch.bfloat16"}[dtype]}
    for name, weight in model.weights.items():
        torch.testing.assert_close(read[hugging_face_name(name)].float(), weight, rtol=error, atol=1e-6)


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "q8_0"])
def test_the_gguf_file_has_everything(model, tmp_path, dtype):
    file = gguf.GGUFReader(write_gguf(tmp_path / "mini.gguf", model, dtype))
    tensors = {tensor.name: tensor for tensor in file.tensors}
    for name, weight in model.weights.items():
        tensor = tensors.pop(gguf_name(name))
        assert tensor.tensor_type.name == ("F32" if weight.ndim == 1 else dtype.upper())
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        step = {"f32": 0, "f16": 2**-9, "bf16": 2**-6, "q8_0": 4 / 127}[dtype]  # of numbers up to about 4
        np.testing.assert_allclose(values, weight.numpy(), rtol=0, atol=step)
    assert not tensors
    values = {name: field.contents() for name, field in file.fields.items()}
    assert values["qwen3.rope.freq_base"] == 7000.0
    assert values["qwen3.attention.layer_norm_rms_epsilon"] == np.float32(2e-6)
    assert values["qwen3.context_length"] == 64
    assert values["tokenizer.ggml.add_bos_token"] is True
    assert values["tokenizer.ggml.token_type"][:5] == [3, 3, 3, 3, 1]
    assert values["tokenizer.ggml.tokens"] == model.vocabulary


def test_widths_that_have_no_blocks_of_32_are_refused_in_q8_0(model, tmp_path):
    config = ModelConfig(1, 2, 20, 64, vocab_size=model.config.vocab_size)
    narrow = PortableModel("narrow", config, GPT(config).state_dict(), model.tokenizer_json, 0, 64, {})
    with pytest.raises(ExportError, match="divide by 32"):
        write_gguf(tmp_path / "narrow.gguf", narrow, "q8_0")
    assert not list(tmp_path.iterdir())


def test_a_folder_of_q8_0_is_refused(model, tmp_path):
    with pytest.raises(ExportError, match="q8_0 is a format of GGUF"):
        write_hugging_face(tmp_path, model, "q8_0")


def test_a_missing_package_is_one_clear_line(model, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(ExportError, match=r"pip install -r evaluation/requirements-export\.txt"):
        write_gguf(tmp_path / "mini.gguf", model, "f32")


def test_what_could_not_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("old")

    def fail(file):
        file.write_text("half of the n")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        put_in_place(path, fail)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_ollama_is_told_how_the_model_writes_here(model):
    recipe = modelfile(model, "mini.gguf").splitlines()
    assert recipe[0] == "FROM ./mini.gguf"
    assert 'TEMPLATE "{{ .Prompt }}"' in recipe  # raw text, no chat
    assert "PARAMETER num_ctx 64" in recipe  # its own default is longer than anything that the model has seen
    assert "PARAMETER repeat_penalty 1" in recipe
    assert "PARAMETER temperature 0.8" in recipe
