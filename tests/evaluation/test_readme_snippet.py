"""The plotting snippet of the project's first README, word for word, on the results of today."""

import shutil

import matplotlib as mpl
import pytest

from evaluation.result_files import BASELINE, save_result

SNIPPET = r"""
# Quick script to compare your baseline vs new model
import json
import matplotlib.pyplot as plt

# Load your original baseline
with open('evaluation/results/baseline_v0.json') as f:
    baseline = json.load(f)

# Load new results (after training with improvements)
with open('evaluation/results/code_eval.json') as f:
    improved = json.load(f)

# Compare perplexity
print(f"Baseline perplexity: {baseline['perplexity']:.2f}")
print(f"Improved perplexity: {improved['code_perplexity']['average_perplexity']:.2f}")

# Plot comparison
fig, (ax1, ax2) = plt.subplots(1, 2, figsize=(12, 5))

# Perplexity comparison
ax1.bar(['Baseline\n(broken tokenizer)', 'Improved\n(fixed tokenizer)'], 
        [baseline['perplexity'], improved['code_perplexity']['average_perplexity']])
ax1.set_ylabel('Perplexity (lower is better)')
ax1.set_title('Perplexity Improvement')

# Test scores comparison
baseline_tests = [baseline['bracket_test'], baseline['repeat_test'], 
                  baseline['alphabet_test'], baseline['sentence_test']]
improved_tests = [improved['bracket_completion']['score'],
                  improved['keyword_completion']['score'],
                  improved['indentation_awareness']['score'],
                  improved['function_completion']['score']]

x = range(4)
ax2.bar([i-0.2 for i in x], baseline_tests, 0.4, label='Baseline', alpha=0.7)
ax2.bar([i+0.2 for i in x], improved_tests, 0.4, label='Improved', alpha=0.7)
ax2.set_ylabel('Pass Rate')
ax2.set_title('Test Scores Comparison')
ax2.set_xticks(x)
ax2.set_xticklabels(['Brackets', 'Keywords', 'Indentation', 'Functions'], rotation=45)
ax2.legend()
ax2.set_ylim([0, 1])

plt.tight_layout()
plt.savefig('evaluation/plots/before_after_comparison.png', dpi=200)
print("\nSaved comparison plot to: evaluation/plots/before_after_comparison.png")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository root as the snippet expects it."""
    for name in ("results", "plots"):
        (tmp_path / "evaluation" / name).mkdir(parents=True)
    shutil.copy(BASELINE, tmp_path / "evaluation" / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_snippet_runs_unchanged(folder, capsys):
    tests = ("bracket_completion", "keyword_completion", "indentation_awareness", "function_completion")
    scores = {name: {"score": 0.5, "n": 1000, "interval": [0.47, 0.53]} for name in tests}
    results = {"code_perplexity": {"average_perplexity": 42.4}, **scores}
    save_result(folder / "evaluation" / "results" / "code_eval.json", results)
    mpl.use("Agg")
    exec(compile(SNIPPET, "the first README", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert "Baseline perplexity: 247.96" in printed and "Improved perplexity: 42.40" in printed
    assert (folder / "evaluation" / "plots" / "before_after_comparison.png").stat().st_size > 10_000
    mpl.pyplot.close("all")
