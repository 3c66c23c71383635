"""The README's commands, run as they stand there: in its order, in a copy of the repository, in short versions.

A command that is not in the table below is not in the README for long: the first test names it.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data.corpus import SEPARATOR
from evaluation.result_files import file_sha256
from tests.evaluation.conftest import python_source

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Typed by the user in the shell; nothing of ours to run.
SHELL = {"git", "cd", "source", "cp", "pip", "torchrun", "ollama", "llama-server", "mlx_lm.generate"}
SHORT_TRAINING = (
    "--config_path model/config/gpt_mini_config.json --batch_size 2 --block_size 32 --warmup_steps 1 --eval_interval 3 "
    "--log_interval 1 --max_steps 3 --precision float32 --compile off --device cpu"
).split()
ASKING = ["--device", "cpu"]
QUICKLY = ["--quick", *ASKING]
# What makes each command short; a command runs as it is with nothing added. None: tested elsewhere, as said.
COMMANDS: dict[str, list[str] | None] = {
    "python3 scripts/quickstart.py": None,  # tests/scripts/test_quickstart.py; it installs, collects and trains
    "python3 scripts/make_environment.py": ["--check"],
    "python scripts/status.py": [],
    "python pretraining/train_improved.py --preset nano": SHORT_TRAINING,
    "python pretraining/train_improved.py": SHORT_TRAINING,
    "python pretraining/train_improved.py --resume last --max_steps 5000": [*SHORT_TRAINING, "--max_steps", "5"],
    "python pretraining/train_improved.py --corpus_file data/processed/code_corpus.txt": SHORT_TRAINING,
    "python pretraining/train_improved.py --corpus_file data/processed/my_corpus.txt": SHORT_TRAINING,
    "python scripts/monitor_training.py": [],
    "python scripts/monitor_training.py --summary": [],
    "python scripts/monitor_training.py --plot": [],
    "python scripts/quick_gen_test.py": ["--max_new_tokens", "20", "--device", "cpu"],
    "python pretraining/generate.py": ["--max_new_tokens", "8", "--device", "cpu"],
    'python pretraining/generate.py --prompt "def fibonacci(n):" --temperature 0.5 --top_k 100 --top_p 0.8': [
        *("--max_new_tokens", "8", "--device", "cpu")
    ],
    "python scripts/create_mixed_corpus.py": ["--only_own", "--output_dir", "mixed"],
    "python scripts/create_mixed_corpus.py --code_weight 5": ["--only_own", "--output_dir", "mixed"],
    "python scripts/collect_raw_data.py": ["--help"],  # tests/data/test_collect.py; it needs a network
    "python scripts/compare_model_sizes.py": ["model/config/gpt_mini_config.json", "--batch_size", "1"],
    "python scripts/test_tokenizer_quality.py": [],
    "python scripts/full_evaluation.py --quick": ASKING,
    "python scripts/full_evaluation.py": ["--quick", "--seed", "1", *ASKING],
    "python evaluation/code_tests.py": QUICKLY,
    "python evaluation/language_modelling.py": QUICKLY,
    "python evaluation/line_completion.py": QUICKLY,
    "python evaluation/generation_quality.py": QUICKLY,
    "python evaluation/evaluate_checkpoints.py": ASKING,
    "python evaluation/benchmark.py": QUICKLY,
    "python scripts/compare_baseline.py": QUICKLY,
    "python evaluation/pytest_code_generation.py": QUICKLY,
    "python -m pytest evaluation/pytest_code_generation.py": ["-q"],
    "python evaluation/humaneval.py --num_samples 20": ["--num_samples", "1", "--max_new_tokens", "2", *ASKING],
    "python scripts/make_exercises.py --count 10000 --output data/processed/exercises.txt": ["--count", "20"],
    "python evaluation/sandbox/doctor.py": [],
    "python scripts/status.py --plan": SHORT_TRAINING,
    "python scripts/export_model.py": ["--format", "hf"],  # each of the rest in tests/scripts/test_export_model.py
    "python scripts/export_model.py --format gguf --dtype q8_0": ["--dtype", "f16"],  # its width has no blocks of 32
    "python evaluation/export_table.py": [],
    'python scripts/compare_recipes.py "nanogpt --preset nano --learning_rate 3e-3" nano --tokens 7e6 '
    "--corpus_file data/processed/code_corpus.txt": ["--help"],  # tests/scripts
    "python scripts/benchmark_speed.py --quick": ["--help"],  # tests/scripts/test_benchmark_speed.py
    "python evaluation/generation_speed.py": ["--help"],  # tests/evaluation/test_generation_speed.py
    "python tokenizer/verify_token.py": [],
    "python tokenizer/train_tokenizer_improved.py": ["--help"],  # tests/tokenizer; it would train a whole one
    "python3 scripts/run_tests.py": ["--help"],  # it runs this
}
ANSWER_NO = {  # 1 is an answer, too
    "python scripts/quick_gen_test.py",
    "python scripts/test_tokenizer_quality.py",
    "python -m pytest evaluation/pytest_code_generation.py",
    "python evaluation/sandbox/doctor.py",
}


def readme_commands() -> list[str]:
    """Every command of the README's shell blocks, in order, without comments and repetitions."""
    commands = []
    for block in re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            for part in line.split(" && "):
                command = " ".join(re.sub(r"(^|\s)#.*", "", part).split())
                if command and shlex.split(command)[0] not in SHELL:
                    commands.append(command.partition(" | ")[2] or command)
    return list(dict.fromkeys(commands))


def test_every_command_of_the_readme_is_known_and_every_known_one_is_in_the_readme():
    assert readme_commands(), "the blocks are marked as bash"
    assert set(readme_commands()) == set(COMMANDS)


def test_every_file_that_the_readme_names_is_there():
    """Links, pictures and paths in code marks; names with a star or a bracket are patterns."""
    linked = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    marked = re.findall(r"`((?:data|model|pretraining|tokenizer|evaluation|scripts|tests|logs)/[\w/.-]+)`", README)
    made = ("data/raw", "data/processed", "pretraining/checkpoints", "logs/")
    made += ("evaluation/results/report.md", "evaluation/plots/training_curve.png")
    named = [path for path in dict.fromkeys(linked + marked) if not path.startswith(made)]
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def prose(seed: int) -> str:
    """Sentences that are long enough to be begun and finished."""
    return "".join(
        f"In the town of {town} there lived {number + seed} old men, who looked at the sea every morning. "
        f"One day a ship came in from {town}, and nobody knew what it carried or why the captain did not speak.\n\n"
        for number, town in enumerate(("Toronto", "Lisbon", "Bergen", "Genoa", "Odessa"), start=2)
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A copy of the repository with a small corpus of its own, as if everything had been collected and mixed."""
    copy = tmp_path_factory.mktemp("readme") / "a copy"
    made = ("raw", "processed", "checkpoints", "logs", ".venv", ".git", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*made))
    processed = copy / "data" / "processed"
    for folder in (processed, copy / "data" / "raw" / "code", copy / "data" / "raw" / "books", copy / "logs"):
        folder.mkdir(parents=True)
    (copy / "data" / "raw" / "code" / "own.py").write_text(python_source(1), encoding="utf-8")
    manifest = {"sources": [], "settings": {}, "corpora": {}}
    sizes = {"n_layers": 1, "n_heads": 2, "hidden_size": 16, "max_seq_len": 64, "dropout": 0.0}
    (copy / "model" / "config" / "gpt_mini_config.json").write_text(json.dumps(sizes), encoding="utf-8")
    for name, seeds in (("mixed_corpus", range(30)), ("code_corpus", range(30)), ("my_corpus", range(40, 50))):
        texts = [python_source(seed) for seed in seeds]
        (processed / f"{name}.txt").write_text(f"{SEPARATOR}\n".join(texts), encoding="utf-8")
    held_out = {
        "heldout_code": [python_source(100 + n) for n in range(6)],
        "heldout_books": [prose(n) for n in range(6)],
    }
    for name, texts in held_out.items():
        (processed / f"{name}.txt").write_text(f"{SEPARATOR}\n".join(texts), encoding="utf-8")
        listed = [{"source": f"s{n % 3}", "path": f"{n}.py", "bytes": len(t.encode())} for n, t in enumerate(texts)]
        manifest[name] = {"documents": listed}
        manifest["corpora"][name] = {"documents": len(texts), "sha256": file_sha256(processed / f"{name}.txt")}
    (processed / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return copy


@pytest.mark.parametrize("command", [command for command in readme_commands() if COMMANDS.get(command) is not None])
def test_a_command_of_the_readme_works(place, command):
    """In the README's order: what a command needs was made by those before it."""
    words = [sys.executable, *shlex.split(command)[1:], *COMMANDS[command]]
    run = subprocess.run(
        words,
        cwd=place,
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode in ((0, 1) if command in ANSWER_NO else (0,)), run.stdout[-2000:] + run.stderr[-2000:]


def test_the_python_of_the_readme_works(place):
    """With the model that the commands above made."""
    (program,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    run = subprocess.run([sys.executable, "-c", program], cwd=place, capture_output=True, text=True, check=False)
    assert run.stdout.startswith("def fibonacci(n):"), run.stderr[-2000:]
