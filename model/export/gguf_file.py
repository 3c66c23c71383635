"""One file with everything in it, for llama.cpp and what is built on it (Ollama, LM Studio), and Ollama's Modelfile.

Written as architecture `qwen3` with the pre-tokenizer `qwen2`: llama.cpp knows our split pattern under this name, and
Ollama uses it for this architecture whatever the file says.
"""

from pathlib import Path

from model.export.names import gguf_name
from model.export.portable import HOW_TO_INSTALL, ExportError, PortableModel, put_in_place

ARCHITECTURE = "qwen3"
QUANTIZED_TOGETHER = 32  # weights of one row that share a scale in q8_0


def write_gguf(path: Path, model: PortableModel, dtype: str) -> Path:
    """Write the file and return its path; matrices are stored as `dtype`, the norms' short vectors as f32.

    Raises ExportError where the package gguf is missing, or rows can not be cut into blocks for q8_0.
    """
    try:
        import gguf
    except ImportError:
        raise ExportError(f"writing GGUF takes the package gguf: {HOW_TO_INSTALL}") from None
    widths = {model.config.hidden_size, model.config.ffn_hidden_size}
    if dtype == "q8_0" and any(width % QUANTIZED_TOGETHER for width in widths):
        raise ExportError(f"q8_0 takes widths that divide by {QUANTIZED_TOGETHER}, not {sorted(widths)}; use f16")

    def write(file: Path) -> None:
        writer = gguf.GGUFWriter(file, ARCHITECTURE)
        _describe(writer, model, dtype)
        kind = gguf.GGMLQuantizationType[dtype.upper()]
        for name, weight in model.weights.items():
            stored = kind if weight.ndim > 1 else gguf.GGMLQuantizationType.F32
            values = gguf.quants.quantize(weight.numpy(), stored)
            writer.add_tensor(gguf_name(name), values, raw_dtype=stored)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    put_in_place(path, write)
    return path


def _describe(writer, model: PortableModel, dtype: str) -> None:
    """Sizes, constants and the whole tokenizer, in a gguf.GGUFWriter."""
    import gguf

    sizes = model.config
    writer.add_name(model.name)
    writer.add_file_type(gguf.LlamaFileType[f"{'ALL' if dtype == 'f32' else 'MOSTLY'}_{dtype.upper()}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(model.context_length)
    writer.add_vocab_size(sizes.vocab_size)
    writer.add_embedding_length(sizes.hidden_size)
    writer.add_block_count(sizes.n_layers)
    writer.add_feed_forward_length(sizes.ffn_hidden_size)
    writer.add_head_count(sizes.n_heads)
    writer.add_head_count_kv(sizes.n_heads)
    writer.add_key_length(sizes.head_size)
    writer.add_value_length(sizes.head_size)
    writer.add_rope_dimension_count(sizes.head_size)
    writer.add_rope_freq_base(sizes.rope_theta)
    writer.add_layer_norm_rms_eps(sizes.norm_eps)
    special = model.special_ids
    kinds = [gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL for i in range(sizes.vocab_size)]
    writer.add_tokenizer_model("gpt2")  # byte-level BPE
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(model.vocabulary)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in model.merges])
    writer.add_bos_token_id(model.end_of_text_id)
    writer.add_eos_token_id(model.end_of_text_id)
    writer.add_pad_token_id(model.end_of_text_id)
    writer.add_add_bos_token(True)  # every document and every prompt is read behind <|endoftext|>
    writer.add_add_eos_token(False)


def modelfile(model: PortableModel, file_name: str) -> str:
    """The recipe for `ollama create`: the prompt goes to the model as it is, and it writes as it does here."""
    sampling = "".join(f"PARAMETER {name} {value:g}\n" for name, value in model.sampling.items())
    return (
        f"FROM ./{file_name}\n"
        'TEMPLATE "{{ .Prompt }}"\n'
        f"PARAMETER num_ctx {model.context_length}\n"
        f"{sampling}"
        "PARAMETER repeat_penalty 1\n"
        f"PARAMETER num_predict {model.context_length // 2}\n"
    )
