"""The promise of the architecture: the same weights give the same logits in transformers' Qwen3.

Every program that runs Qwen3 (llama.cpp, Ollama, MLX) can then run these models.
"""

import pytest
import torch

from model.architecture.config import ModelConfig
from model.architecture.model import GPT

transformers = pytest.importorskip(
    "transformers", reason="the peer is not installed: pip install -r tests/requirements.txt"
)

CONFIG = ModelConfig(n_layers=3, n_heads=4, hidden_size=64, max_seq_len=48, vocab_size=101, rope_theta=5000.0)

NAMES = {  # ours: theirs
    "token_embedding": "model.embed_tokens",
    "blocks": "model.layers",
    "attention_norm": "input_layernorm",
    "attention": "self_attn",
    "query": "q_proj",
    "key": "k_proj",
    "value": "v_proj",
    "output": "o_proj",
    "query_norm": "q_norm",
    "key_norm": "k_norm",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward": "mlp",
    "gate": "gate_proj",
    "up": "up_proj",
    "down": "down_proj",
    "final_norm": "model.norm",
    "head": "lm_head",
}


def their_name(name: str) -> str:
    """`blocks.0.attention.query.weight` is their `model.layers.0.self_attn.q_proj.weight`."""
    return ".".join(NAMES.get(part, part) for part in name.split("."))


@pytest.fixture(scope="module")
def pair():
    """Our model with random weights, and theirs with the same."""
    ours = GPT(CONFIG).eval()
    generator = torch.Generator().manual_seed(50)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    theirs = transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=CONFIG.vocab_size,
            hidden_size=CONFIG.hidden_size,
            intermediate_size=CONFIG.ffn_hidden_size,
            num_hidden_layers=CONFIG.n_layers,
            num_attention_heads=CONFIG.n_heads,
            num_key_value_heads=CONFIG.n_heads,
            head_dim=CONFIG.head_size,  # their default is 128, whatever the hidden size
            hidden_act="silu",
            max_position_embeddings=CONFIG.max_seq_len,
            rms_norm_eps=CONFIG.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": CONFIG.rope_theta},
            tie_word_embeddings=False,
            attention_bias=False,
            use_sliding_window=False,
        )
    ).eval()
    # strict: a weight without a partner on either side is an error
    theirs.load_state_dict({their_name(name): weight for name, weight in ours.state_dict().items()}, strict=True)
    return ours.double(), theirs.double()


@torch.no_grad()
def test_the_same_weights_give_the_same_logits(pair):
    ours, theirs = pair
    tokens = torch.randint(CONFIG.vocab_size, (2, 48), generator=torch.Generator().manual_seed(51))
    expected = theirs(tokens).logits
    assert expected.std() > 0.1, "logits that are all alike would prove nothing"
    # 1e-4: both sides have float32 inside (rotary tables here, norms and tables there) though the weights are float64.
    torch.testing.assert_close(ours(tokens), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(ours(tokens).argmax(-1), expected.argmax(-1))


def test_both_write_the_same_text(pair):
    """Their generation loop and cache against plain argmax of ours."""
    ours, theirs = pair
    prompt = torch.tensor([[7, 3, 99, 12]])
    written = theirs.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=20, do_sample=False, eos_token_id=None
    )
    tokens = prompt
    with torch.no_grad():
        for _ in range(20):
            tokens = torch.cat((tokens, ours(tokens)[:, -1:].argmax(-1)), dim=1)
    assert written.tolist() == tokens.tolist()
