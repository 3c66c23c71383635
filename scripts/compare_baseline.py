"""Compares the model with the first one and with itself untrained, in a table and one picture.

    python scripts/compare_baseline.py

The first model is evaluation/results/baseline_v0.json, as the first README published it. The present one's scores are
read from evaluation/results/code_eval.json; where that is missing, of another checkpoint or of other settings (such as
--quick) they are measured first.
The picture is evaluation/plots/before_after_comparison.png.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from evaluation import code_tests
from evaluation.benchmarking.before_after import comparison
from evaluation.question import ask


def main(arguments: list[str] | None = None) -> int:
    """Compare and draw. Returns 0, or 2 with one line on stderr."""
    return ask(lambda results, plots: comparison(results, code_tests.QUESTION), __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
