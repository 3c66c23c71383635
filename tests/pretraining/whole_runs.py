"""What tests of whole trainings share: the command line of a short run, one in a process of its own, its losses."""

import json
import os
import subprocess
import sys
from pathlib import Path

from pretraining.settings import ROOT

DRIVER = """
import sys
from pathlib import Path
from pretraining import dataset, train_improved
dataset.PROCESSED = Path(sys.argv[1])
sys.exit(train_improved.main(sys.argv[2:]))
"""


def flags(place: Path, name: str = "run", **changes) -> list[str]:
    """The command line of a short run in `place`/`name`."""
    settings = {
        "corpus_file": place / "corpus.txt",
        "config_path": place / "tiny_config.json",
        "checkpoint_dir": place / name,
        "log_path": place / f"{name}.json",
        "device": "cpu",
        "max_steps": 12,
        "batch_size": 4,
        "block_size": 32,
        "warmup_steps": 2,
        "eval_interval": 6,
        "checkpoint_interval": 4,
        "log_interval": 1,
    } | changes
    return [part for key, value in settings.items() for part in (f"--{key}", str(value))]


def start(place: Path, arguments: list[str], processes: int = 1) -> subprocess.Popen:
    """Start a training in a process of its own."""
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    driver = place / "driver.py"
    driver.write_text(DRIVER, encoding="utf-8")
    return subprocess.Popen(
        [*launcher, str(driver), str(place / "processed"), *arguments],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def losses(place: Path, name: str = "run") -> dict[int, float]:
    log = json.loads((place / f"{name}.json").read_text(encoding="utf-8"))
    return {entry["step"]: entry["loss"] for entry in log["train"]}


def modified(path: Path) -> int:
    """When a file was last replaced, in nanoseconds; 0 while there is none."""
    return path.stat().st_mtime_ns if path.is_file() else 0
