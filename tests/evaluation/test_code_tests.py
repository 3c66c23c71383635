"""The tests of Python: no untrained model beats a guesser, an oracle gets everything, results keep their form."""

import json
import math
import random
from functools import partial

import numpy as np
import pytest

from evaluation import code_tests
from evaluation.code_questions import code_figures
from evaluation.code_questions.forced_choice import always_by_fact, draw_items
from evaluation.code_questions.identifier_recall import measure_recall
from evaluation.code_questions.minimal_pairs import draw_pairs, measure_pairs
from evaluation.code_questions.syntax_tests import measure_brackets, measure_indentation, measure_keywords
from evaluation.code_tests import QUESTION, collect, main
from evaluation.held_out import Document, HeldOutError
from evaluation.question import Effort
from evaluation.result_files import load_result
from evaluation.scoring import continuation_log_probabilities, indentation_log_probabilities, score_texts
from evaluation.untrained import untrained
from tests.evaluation.conftest import hold_out, python_source

# The plotting script of the project's first README, word for word.
README_SNIPPET = """\
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
ax1.bar(['Baseline\\n(broken tokenizer)', 'Improved\\n(fixed tokenizer)'], 
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
print("\\nSaved comparison plot to: evaluation/plots/before_after_comparison.png")
"""


def varied_source(seed: int) -> str:
    """Code with many names and shapes, so that no test hangs on a single token before its places."""
    dice = random.Random(seed)
    names = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(2, 5))) + "_" for _ in range(12)]

    def value(depth: int = 0) -> str:
        name, other = dice.sample(names, 2)
        simple = [name, f"{name}.{other}", f"{dice.randrange(99)}", f"'{other}'", f"{name} is not None"]
        inner = [] if depth > 1 else [value(depth + 1) for _ in range(2)]
        nested = inner and [
            f"({inner[0]})",
            f"[{', '.join(inner)}]",
            f"{{{inner[0]}: {inner[1]}}}",
            f"{name}({', '.join(inner)})",
        ]
        return dice.choice(simple + 2 * nested)

    def block(indentation: int) -> list[str]:
        lines = []
        for _ in range(dice.randint(1, 3)):
            head = dice.choice(
                [
                    f"if {value()}:",
                    f"for {dice.choice(names)} in {value()}:",
                    f"while {value()}:",
                    "with x as y:",
                    "try:",
                ]
            )
            line = dice.choice(
                [f"{dice.choice(names)} = {value()}", f"return {value()}", f"assert {value()}", "pass", head]
            )
            lines.append(" " * indentation + line)
            if line == head:
                lines += block(indentation + 4)
                lines += [" " * indentation + "finally:", *block(indentation + 4)] if head == "try:" else []
        return lines

    methods = [
        line for name in names[:6] for line in (f"    def {name}(self, {names[-1]}, {names[-2]}=None):", *block(8))
    ]
    functions = [line for name in names[:6] for line in (f"def {name}({names[-1]}, {names[-3]}):", *block(4), "")]
    return "\n".join([*functions, f"class {names[0]}:", *methods]) + "\n"


@pytest.fixture(scope="module")
def found() -> dict[str, list]:
    """Everything that can be asked about 36 files of three packages."""
    documents = [Document(f"package {n % 3}", f"m{n}.py", varied_source(n)) for n in range(36)]
    return collect(documents, seed=0)[0]


@pytest.fixture(scope="module")
def tests(found, tokenizer) -> dict:
    """For each test its items, its measuring function and the model's scoring function."""
    often = {kind: sum(item.kind == kind for item in found["keywords"]) for kind in {i.kind for i in found["keywords"]}}
    goes_on, whole_words = continuation_log_probabilities, partial(continuation_log_probabilities, whole_words=True)
    return {
        "brackets": (draw_items(found["brackets"], 80, 0), measure_brackets, goes_on),
        "keywords": (draw_items(found["keywords"], 12, 0), partial(measure_keywords, frequencies=often), whole_words),
        "indentation": (draw_items(found["indentation"], 50, 0), measure_indentation, indentation_log_probabilities),
        "pairs": (
            draw_pairs(found["pairs"], 48, 0),
            partial(measure_pairs, encode_batch=tokenizer.encode_batch),
            goes_on,
        ),
        "recall": (draw_items(found["recalls"], 50, 0), measure_recall, whole_words),
    }


NAMES = ("brackets", "keywords", "indentation", "pairs", "recall")


@pytest.mark.parametrize("name", NAMES)
def test_no_untrained_model_beats_the_best_guesser_beyond_luck(tests, name, trained):
    """Else a score would measure the test's own tokens, lengths or order, and not what was learned."""
    items, measure, score = tests[name]
    for seed in range(4):
        got = measure(items, partial(score, untrained(trained, seed)))
        luck = 3.3 * math.sqrt(got["score"] * (1 - got["score"]) / got["n"])  # 1 in 1000 has more
        assert got["score"] - luck <= got["best_constant_guess"], f"seed {seed}"


@pytest.mark.parametrize("name", NAMES)
def test_an_oracle_that_peeks_gets_everything_right(tests, name):
    """Else some item would have no answer, or another's."""
    items, measure, _ = tests[name]
    assert len(items) > 150
    assert measure(items, peeking({(item.prompt, item.choices): item.answer for item in items}))["score"] == 1.0


def peeking(answers):
    """A model's stand-in that knows which choice to take."""
    return lambda prompts, choices: [np.arange(len(c)) == answers[p, c] for p, c in zip(prompts, choices, strict=True)]


def guesser(taken):
    """A model's stand-in that takes the same choice everywhere."""
    return lambda prompts, choices: [np.array([way == taken for way in ways], dtype=float) for ways in choices]


def test_each_split_has_all_items_in_order(tests):
    items, measure, _ = tests["brackets"]
    found = measure(items, guesser(")"))
    assert list(found["by_bracket"]) == [")", "]", "}"] and list(found["by_depth"]) == ["1", "2"]
    assert list(found["by_distance"]) == ["1-9", "10-29", "30-99", "100+"][: len(found["by_distance"])]
    for split in ("by_bracket", "by_depth", "by_distance"):
        assert sum(part["n"] for part in found[split].values()) == len(items) == found["n"]
    items, measure, _ = tests["indentation"]
    found = measure(items, guesser(""))
    assert sum(part["n"] for part in found["by_gap"].values()) == len(items)
    assert found["by_step"]["same"]["score"] == found["by_step"]["deeper"]["score"] == 0.0, "at the left margin"


def test_guessers_score_what_their_column_says(tests):
    items, measure, _ = tests["brackets"]
    for bracket in ")]}":
        assert (
            measure(items, guesser(bracket))["score"]
            == pytest.approx(1 / 3)
            == measure(items, guesser(bracket))["best_constant_guess"]
        )
    items, measure, _ = tests["keywords"]
    for weights in (None, measure.keywords["frequencies"]):
        guess = always_by_fact(items, "place", weights)
        got = measure(items, peeking({(item.prompt, item.choices): guess(item) for item in items}))
        got = got["as_often_as_in_code"] if weights else got
        assert got["score"] == pytest.approx(got["best_constant_guess"]) and got["score"] < 0.6
    items, measure, _ = tests["indentation"]
    deepest = measure(items, lambda prompts, choices: [np.arange(len(ways)) for ways in choices])
    assert deepest["guesser"] == "the deepest allowed"
    assert deepest["score"] == deepest["best_constant_guess"] == pytest.approx(0.4), "right where nothing ends"
    assert {step: part["score"] for step, part in deepest["by_step"].items()} == deepest["guess_by_step"]


def test_a_share_of_files_that_are_not_python_is_left_out_and_none_at_all_is_an_error():
    broken = Document("package", "broken.py", "def f(:\n")
    found, files = collect([broken, Document("package", "m.py", python_source(1))], seed=0)
    assert files == 1 and found["brackets"]
    with pytest.raises(HeldOutError, match=r"none of 1 files of heldout_code is Python .*create_mixed_corpus"):
        collect([broken], seed=0)


def test_a_command_measures_keeps_shows_and_draws_and_the_readme_script_runs_on_it(
    trained, processed, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "evaluation"
    places = ["--results", str(folder / "results"), "--plots", str(folder / "plots")]
    assert main(["--checkpoint", str(trained.path), "--device", "cpu", "--quick", *places]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in printed if "/" not in line) <= 80
    assert "a program that always writes `return <first argument>` passes 100%" in " ".join(" ".join(printed).split())
    kept = load_result(folder / "results" / "code_eval.json")
    for test in code_tests.ROWS:
        assert 0 <= kept[test]["interval"][0] <= kept[test]["score"] <= kept[test]["interval"][1] <= 1, test
        assert kept[test]["n"] > 0 and 0 <= kept[test]["best_constant_guess"] <= 1
        low, high = kept[test]["more_than_guess"]["interval"]
        gain = kept[test]["score"] - kept[test]["best_constant_guess"]
        assert kept[test]["more_than_guess"]["score"] == pytest.approx(gain) and low <= gain <= high
    assert kept["held_out"]["sources"] == ["alpha", "beta", "gamma"] and kept["held_out"]["files"] == 12
    assert {path.name for path in (folder / "plots").iterdir()} == {"code_tests.png", "code_details.png"}
    baseline = {"perplexity": 247.96, "bracket_test": 0, "repeat_test": 0, "alphabet_test": 0, "sentence_test": 0}
    (folder / "results" / "baseline_v0.json").write_text(json.dumps(baseline))
    monkeypatch.chdir(tmp_path)
    exec(compile(README_SNIPPET, "README.md", "exec"), {})
    assert (folder / "plots" / "before_after_comparison.png").stat().st_size > 10_000
    assert f"Improved perplexity: {kept['code_perplexity']['average_perplexity']:.2f}" in capsys.readouterr().out


def test_code_that_offers_nothing_to_ask_gives_scores_of_nothing_and_not_an_error(trained, processed, tmp_path):
    """As a single small file of one's own does."""
    hold_out(processed, "heldout_code", [("own", "x.py", "x = 1\n")])
    values = QUESTION.measure(trained, Effort())
    for test in code_tests.ROWS:
        assert (values[test]["n"], values[test]["interval"]) == (0, [0.0, 1.0]), test
    assert values["code_perplexity"]["n"] > 0 and values["code_perplexity"]["interval"] is None
    assert QUESTION.table(values) and len(QUESTION.draw(values, tmp_path)) == 2


def test_the_picture_counts_what_is_better_than_the_guess_item_by_item(trained, processed, tmp_path, monkeypatch):
    """An interval that lies above the guess is not enough: the guess is a score on the same items."""
    titles = []
    monkeypatch.setattr(
        code_figures, "save_figure", lambda figure, path: titles.append(figure.axes[0].get_title("left"))
    )
    values = QUESTION.measure(trained, Effort(quick=True))
    for number, name in enumerate(code_figures.TESTS):
        low = 0.05 if number < 2 else -0.05
        values[name] |= {"score": 0.9, "interval": [0.8, 0.95], "best_constant_guess": 0.5}
        values[name]["more_than_guess"] = {"score": 0.4, "interval": [low, 0.6]}
    code_figures.draw_scores(values, tmp_path / "code_tests.png")
    assert titles == ["Unseen code: clearly better than guessing in 2 of 6 tests"]


def test_equal_efforts_ask_the_same(trained, processed):
    first, again, other = (QUESTION.measure(trained, Effort(quick=True, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert (
        first["bracket_completion"] != other["bracket_completion"] or first["minimal_pairs"] != other["minimal_pairs"]
    )


def test_perplexity_is_that_of_all_tokens_together(trained, processed):
    documents = [Document("a", "1", "x = 1\n"), Document("b", "2", python_source(3))]
    found = code_tests.measure_perplexity(trained, documents)
    nats = [text.nats for text in score_texts(trained, [document.text for document in documents])]
    assert found["average_perplexity"] == pytest.approx(np.exp(np.concatenate(nats).mean()))
    assert found["n"] == sum(map(len, nats)) and found["bytes"] == sum(document.bytes for document in documents)
    assert found["bits_per_byte"] == pytest.approx(np.concatenate(nats).sum() / np.log(2) / found["bytes"])
