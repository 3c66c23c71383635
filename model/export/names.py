"""What other programs call our tensors. The shapes are the same everywhere: nothing is transposed or reordered."""

from model.export.portable import ExportError

# ours, without `blocks.0.` and `.weight`: (Hugging Face's, without `model.layers.0.`; GGUF's, without `blk.0.`)
OF_A_BLOCK = {
    "attention_norm": ("input_layernorm", "attn_norm"),
    "attention.query": ("self_attn.q_proj", "attn_q"),
    "attention.key": ("self_attn.k_proj", "attn_k"),
    "attention.value": ("self_attn.v_proj", "attn_v"),
    "attention.output": ("self_attn.o_proj", "attn_output"),
    "attention.query_norm": ("self_attn.q_norm", "attn_q_norm"),
    "attention.key_norm": ("self_attn.k_norm", "attn_k_norm"),
    "feed_forward_norm": ("post_attention_layernorm", "ffn_norm"),
    "feed_forward.gate": ("mlp.gate_proj", "ffn_gate"),
    "feed_forward.up": ("mlp.up_proj", "ffn_up"),
    "feed_forward.down": ("mlp.down_proj", "ffn_down"),
}
OF_THE_WHOLE = {
    "token_embedding": ("model.embed_tokens", "token_embd"),
    "final_norm": ("model.norm", "output_norm"),
    "head": ("lm_head", "output"),
}


def hugging_face_name(name: str) -> str:
    """`blocks.0.attention.query.weight` is `model.layers.0.self_attn.q_proj.weight`."""
    return _translated(name, program=0, block="model.layers")


def gguf_name(name: str) -> str:
    """`blocks.0.attention.query.weight` is `blk.0.attn_q.weight`."""
    return _translated(name, program=1, block="blk")


def _translated(name: str, program: int, block: str) -> str:
    """Raises ExportError for a tensor that the other programs have no place for."""
    place = name.removesuffix(".weight")
    try:
        if place.startswith("blocks."):
            _, number, place = place.split(".", 2)
            return f"{block}.{number}.{OF_A_BLOCK[place][program]}.weight"
        return f"{OF_THE_WHOLE[place][program]}.weight"
    except KeyError:
        raise ExportError(
            f"no other program has a place for the tensor {name}: a model with it runs only here (the names are in "
            "model/export/names.py)"
        ) from None
