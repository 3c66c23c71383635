"""A small model whose every constant matters, as a checkpoint, and its export in every format."""

import pytest
import torch

from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from model.export.portable import PortableModel
from pretraining.checkpoint import TrainedModel, save_checkpoint
from scripts.export_model import portable

SETTINGS = {
    "config_path": "model/config/gpt_mini_config.json",
    "corpus_file": "data/processed/mixed_corpus.txt",
    "batch_size": 2,
    "block_size": 64,
    "gradient_accumulation": 1,
    "optimizer": "muon",
}


@pytest.fixture(scope="session")
def mini(tokenizer, tmp_path_factory) -> TrainedModel:
    """Two layers of two heads; embeddings so small that the norms' eps is felt, norms that are not ones."""
    config = ModelConfig(2, 2, 64, 128, vocab_size=tokenizer.vocab_size, rope_theta=5000.0)
    model, generator = GPT(config), torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            scale = 0.01 if "embedding" in name else 0.3 if name == "head.weight" else 0.15
            weight.copy_(1 + 0.3 * noise if weight.ndim == 1 else scale * noise)
    path = tmp_path_factory.mktemp("mini") / "best.pt"
    values = {"model": model.state_dict(), "model_config": config.to_dict(), "tokenizer": tokenizer.to_json()}
    save_checkpoint(values | {"context_length": 96, "step": 7, "losses": {}, "settings": SETTINGS}, path)
    return TrainedModel(model.eval(), tokenizer, path, 7, {}, 96)


@pytest.fixture(scope="session")
def mini_portable(mini) -> PortableModel:
    return portable(mini, SETTINGS)
