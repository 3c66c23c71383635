"""The folder that `AutoModelForCausalLM.from_pretrained` and mlx-lm read: a model of the Qwen3 shape.

Every value is written out, also where it is some program's default: the defaults differ. transformers takes `head_dim`
for 128 whatever the hidden size and reads theta from `rope_parameters`; MLX reads it from the top level.
"""

import json
from pathlib import Path

import torch

from model.architecture.config import ModelConfig
from model.export.names import hugging_face_name
from model.export.portable import HOW_TO_INSTALL, ExportError, PortableModel, put_in_place, put_json

TORCH_DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
WEIGHTS = "model.safetensors"  # mlx-lm looks for model*.safetensors


def write_hugging_face(folder: Path, model: PortableModel, dtype: str) -> Path:
    """Write weights, config and tokenizer into `folder`; returns the file with the weights.

    Raises ExportError where safetensors is missing, or the dtype is not one of TORCH_DTYPES.
    """
    if dtype not in TORCH_DTYPES:
        raise ExportError(f"{dtype} is a format of GGUF files; this one takes {', '.join(TORCH_DTYPES)}")
    try:
        from safetensors.torch import save_file
    except ImportError:
        raise ExportError(f"writing {WEIGHTS} takes the package safetensors: {HOW_TO_INSTALL}") from None
    stored = TORCH_DTYPES[dtype]
    tensors = {hugging_face_name(name): weight.to(stored).contiguous() for name, weight in model.weights.items()}
    put_in_place(folder / WEIGHTS, lambda file: save_file(tensors, file, metadata={"format": "pt"}))
    put_json(folder / "config.json", model_config(model, str(stored).removeprefix("torch.")))
    put_json(folder / "generation_config.json", {**special_ids(model), "do_sample": True, **model.sampling})
    put_json(folder / "tokenizer.json", tokenizer(model))
    put_json(folder / "tokenizer_config.json", tokenizer_config(model))
    return folder / WEIGHTS


def model_config(model: PortableModel, dtype: str) -> dict:
    """What config.json holds."""
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        **qwen3_shape(model.config, model.context_length),
        **special_ids(model),
        "dtype": dtype,
        "torch_dtype": dtype,  # what transformers 4 calls it
    }


def qwen3_shape(sizes: ModelConfig, context_length: int) -> dict:
    """Sizes and constants, under the names of transformers' Qwen3Config."""
    return {
        "vocab_size": sizes.vocab_size,
        "hidden_size": sizes.hidden_size,
        "intermediate_size": sizes.ffn_hidden_size,
        "num_hidden_layers": sizes.n_layers,
        "num_attention_heads": sizes.n_heads,
        "num_key_value_heads": sizes.n_heads,
        "head_dim": sizes.head_size,
        "hidden_act": "silu",
        "max_position_embeddings": context_length,
        "rms_norm_eps": sizes.norm_eps,
        "rope_theta": sizes.rope_theta,
        "rope_scaling": None,
        "rope_parameters": {"rope_type": "default", "rope_theta": sizes.rope_theta},
        "tie_word_embeddings": False,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "use_sliding_window": False,
    }


def special_ids(model: PortableModel) -> dict[str, int]:
    """One token begins a text, ends it and fills up a batch."""
    return dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), model.end_of_text_id)


def tokenizer(model: PortableModel) -> dict:
    """Our tokenizer file, and the rule that every text is read behind `<|endoftext|>`, as in training."""
    name = model.vocabulary[model.end_of_text_id]
    start = {"SpecialToken": {"id": name, "type_id": 0}}
    first, second = ({"Sequence": {"id": which, "type_id": number}} for number, which in enumerate("AB"))
    rule = {
        "type": "TemplateProcessing",
        "single": [start, first],
        "pair": [start, first, second],
        "special_tokens": {name: {"id": name, "ids": [model.end_of_text_id], "tokens": [name]}},
    }
    return json.loads(model.tokenizer_json) | {"post_processor": rule}


def tokenizer_config(model: PortableModel) -> dict:
    """How transformers wraps the tokenizer file: as it is."""
    name = model.vocabulary[model.end_of_text_id]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": name,
        "eos_token": name,
        "pad_token": name,
        "model_max_length": model.context_length,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,  # it would delete spaces before .,?!
    }
