"""Training logs for tests of whatever shows a run: as the training writes them, of any length and in any state."""

import json
import math
import os
from pathlib import Path

from pretraining.settings import PRESETS


def loss_after(step: int) -> float:
    """A run that learns: 9 at first, then quickly and slowly down."""
    return 3 + 6 / (1 + step / 50)


def a_log(
    folder: Path,
    steps: int = 200,
    status: str = "finished",
    last_step: int | None = 1000,
    names: tuple[str, ...] = ("heldout_code", "heldout_books"),
) -> dict:
    """A log of a run that is `steps` steps far, with reports every 10 and validations every 50."""
    settings = PRESETS["default"] | {"log_interval": 10, "log_path": str(folder / "training_log.json")}
    train = [
        {
            "step": step,
            "loss": loss_after(step),
            "perplexity": math.exp(loss_after(step)),
            "learning_rate": 3e-3 * (1 - step / 1000),
            "tokens": step * 4096,
            "tokens_per_second": 2048.0,
            "seconds": 2.0 * step,
        }
        for step in range(10, steps + 1, 10)
    ]
    validation = []
    for step in range(0, steps + 1, 50):
        entry = {"step": step}
        for number, name in enumerate(names):
            loss = loss_after(step) + number
            entry[name] = {"loss": loss, "perplexity": math.exp(loss), "bits_per_byte": loss / 2.4}
        validation.append(entry)
    run = {
        "id": "0badcafe",
        "started": "20260101-120000",
        "preset": "nano",
        "config": "gpt_nano",
        "checkpoint_dir": str(folder),
        "process": os.getpid(),
        "device": "cpu",
        "parameters": 7_211_776,
        "tokens_per_step": 4096,
        "corpus_tokens": 44_000_000,
        "model": {"n_layers": 4, "dropout": 0.0},
        "tokenizer": "0badcafe",
        "last_step": last_step,
        "settings": settings,
    }
    return {"run": run, "train": train, "validation": validation, "status": status}


def write_log(log: dict) -> Path:
    """Put a log where its run writes it."""
    path = Path(log["run"]["settings"]["log_path"])
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(log))
    os.replace(temporary, path)
    return path
