"""Write small functions with their docstrings as a corpus to train on, each run in the sandbox before it is kept.

python scripts/make_exercises.py --count 10000 --output data/processed/exercises.txt
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse

from data.corpus import CorpusError
from evaluation.sandbox.pool import Limits, Sandbox, SandboxBroken, SandboxUnavailable
from evaluation.tasks.templates import TaskError
from evaluation.tasks.training_exercises import write_exercises

OUTPUT = Path(__file__).resolve().parents[1] / "data" / "processed" / "exercises.txt"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="how many exercises (default: 10000)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="corpus (default: data/processed/exercises.txt)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same file (default: 0)")
    parser.add_argument("--allow-unsandboxed", action="store_true", help="where this machine can not lock programs in")
    chosen = parser.parse_args(arguments)
    if chosen.count < 1:
        parser.error("--count must be at least 1")
    try:
        with Sandbox(Limits(cpu_seconds=1), allow_unsandboxed=chosen.allow_unsandboxed) as sandbox:
            report = write_exercises(chosen.output, chosen.count, chosen.seed, sandbox)
    except (CorpusError, OSError, SandboxBroken, SandboxUnavailable, TaskError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped: {chosen.output} is as it was", file=sys.stderr)
        return 2
    for family, count in sorted(report.families.items()):
        print(f"{family:16}{count:8,}")
    print(f"{report.repeated:,} drawn twice and {report.like_held_out:,} that compute the same as a held-out task "
          "were left out")  # fmt: skip
    print(f"[Exercises] {chosen.count:,} in {chosen.output}; to train on them: "
          f"python pretraining/train_improved.py --corpus_file {chosen.output}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
