"""The first evaluation: version 0 is the user's for ever, each run is the next version, and they are compared."""

import json
import shutil

import matplotlib as mpl
import numpy as np
import pytest

from evaluation import benchmark
from evaluation.benchmark import draw, main, measure, next_version, read_baseline
from evaluation.benchmarking.benchmark_picture import picture
from evaluation.figures import DPI, PLOTS
from evaluation.question import Effort, answer
from evaluation.result_files import BASELINE, ResultError, load_result, save_result
from evaluation.untrained import untrained

TEST_NAMES = ("bracket_test", "repeat_test", "alphabet_test", "sentence_test")


@pytest.fixture
def places(trained, processed, tmp_path):
    return ["--checkpoint", str(trained.path), "--device", "cpu", "--results", str(tmp_path), "--plots", str(tmp_path)]


def blurred(image):
    """Means of squares of 20 pixels: what is to be seen, whatever version of matplotlib set the letters."""
    height, width = (size // 20 * 20 for size in image.shape[:2])
    return image[:height, :width, :3].reshape(height // 20, 20, width // 20, 20, 3).mean(axis=(1, 3))


def test_version_0_holds_what_the_first_readme_published():
    values = json.loads(BASELINE.read_text(encoding="utf-8"))
    assert values["perplexity"] == 247.96
    assert [values[name] for name in TEST_NAMES] == [0, 0, 0, 0]
    assert values["sample"] == "In the c it y of T or on to , b in ent i re system..."
    assert "README" in values["source"] and values["measured_here"] is False


def test_the_committed_picture_of_version_0_is_drawn_from_it(tmp_path):
    figure = picture(read_baseline())
    written = " ".join(part.get_text() for part in figure.findobj(mpl.text.Text))
    assert "247.96" in written and "0 of 4" in written and read_baseline()["sample"] in written
    assert "published in the first README" in written and "Not measured by this repository" in written
    figure.savefig(tmp_path / "again.png", dpi=DPI)
    images = [mpl.image.imread(path) for path in (tmp_path / "again.png", PLOTS / "benchmark_v0.png")]
    first, second = map(blurred, images)
    assert first.shape == second.shape
    assert np.abs(first - second).mean() < 0.008, "a perplexity of 38.6 or a test of 50% differ by 0.013 and more"


def test_no_route_overwrites_version_0(trained, places, tmp_path):
    """Not the writers, not the drawing, not a question of that name, not a run in a folder that holds it."""
    for path in (BASELINE, PLOTS / "benchmark_v0.png"):
        shutil.copy(path, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*v0*")}
    with pytest.raises(ResultError, match="never overwritten"):
        draw(read_baseline(), tmp_path)
    with pytest.raises(ResultError, match="never overwritten"):
        save_result(tmp_path / "baseline_v0.json", {})
    asked = next_version(tmp_path, tmp_path)
    as_version_0 = asked.__class__("baseline_v0", asked.asks, asked.measure, asked.table, asked.draw)
    with pytest.raises(ResultError, match="never overwritten"):
        answer(as_version_0, trained, Effort(quick=True), tmp_path)
    assert main([*places, "--quick"]) == 0
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert (tmp_path / "benchmark_v1.json").is_file() and (tmp_path / "benchmark_v1.png").is_file()


def test_each_run_is_the_next_version_and_compared_with_the_newest_earlier_one(places, tmp_path, capsys):
    assert main([*places, "--quick"]) == 0
    first = (tmp_path / "benchmark_v1.json").read_bytes()
    (tmp_path / "benchmark_v7.png").write_bytes(b"of a result that somebody deleted")
    assert main([*places, "--quick"]) == 0
    assert (tmp_path / "benchmark_v1.json").read_bytes() == first
    assert (tmp_path / "benchmark_v7.png").read_bytes() == b"of a result that somebody deleted"
    values = load_result(tmp_path / "benchmark_v8.json")
    assert [row["version"] for row in values["compared_with"]] == [0, 1]
    printed = capsys.readouterr().out
    assert "v0       v1       v8" in printed
    assert [row["version"] for row in next_version(tmp_path, tmp_path).measure.keywords["earlier"]] == [0, 8]
    assert "247.96" in printed and "do not compare" in printed and "unknown" in printed


def test_a_version_has_the_keys_of_version_0(trained, processed):
    """So that whatever reads the one reads the other, the user's own script included."""
    values = measure(trained, Effort(quick=True), version=1, earlier=[read_baseline()])
    assert {"perplexity", "prompt", "sample", *TEST_NAMES} <= values.keys()
    assert all(0 <= values[name] <= 1 for name in TEST_NAMES)
    assert values["loss"]["held_out_set"] == "heldout_code" and values["loss"]["n"] > 1000
    assert values["loss"]["average_perplexity"] == values["perplexity"]
    assert values["loss"]["interval"] is None, "three packages are too few to say how far others lie"
    assert all(
        {"score", "n", "interval", "best_constant_guess", "asks"} <= test.keys() for test in values["tests"].values()
    )
    assert max(map(len, benchmark.table(values))) <= 80
    values["loss"]["interval"] = [7812.3, 8523.4]
    assert max(map(len, benchmark.table(values))) <= 80


def test_text_that_looks_like_a_formula_is_drawn_as_it_is(trained, processed, tmp_path):
    """matplotlib takes what stands between dollars for a formula, and fails at most of them."""
    values = measure(trained, Effort(quick=True), version=1, earlier=[read_baseline()])
    assert draw(values | {"sample": "cost $ \\frac{ \x03 $ and ^_{"}, tmp_path)[0].is_file()


def test_equal_efforts_measure_the_same(trained, processed):
    again = [measure(trained, Effort(quick=True, seed=3), version=1, earlier=[]) for _ in range(2)]
    assert again[0] == again[1]


def test_untrained_models_pass_no_more_than_a_guess(trained, processed):
    """Random weights know nothing; a test that they pass would praise any model."""
    for seed in range(5):
        values = measure(untrained(trained, seed), Effort(quick=True), version=1, earlier=[])
        assert values["perplexity"] == pytest.approx(trained.tokenizer.vocab_size, rel=0.1)
        for name, test in values["tests"].items():
            assert test["score"] <= test["best_constant_guess"], (name, seed)


def test_other_text_and_other_tokenizers_are_pointed_out(trained, processed):
    earlier = measure(trained, Effort(quick=True), version=1, earlier=[]) | {
        "text_sha256": "0",
        "tokenizer_sha256": "0",
    }
    values = measure(trained, Effort(quick=True), version=2, earlier=[read_baseline(), earlier])
    notes = "\n".join(benchmark.table(values))
    assert "v1 read another sample of text" in notes and "v1 had another tokenizer" in notes


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "there is no"), ("{", "does not hold the first results"), ('{"perplexity": 247.96}', "bracket_test")],
)
def test_missing_or_foreign_first_results_are_one_line(tmp_path, content, message):
    path = tmp_path / "baseline_v0.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ResultError, match=message) as raised:
        read_baseline(path)
    assert "git checkout" in str(raised.value) and "\n" not in str(raised.value)


def test_a_baseline_file_of_five_numbers_is_enough(tmp_path, trained, processed):
    """The user's own first file, where they still have it, knows nothing of prompts and sources."""
    path = tmp_path / "baseline_v0.json"
    path.write_text(json.dumps({"perplexity": 247.96, **dict.fromkeys(TEST_NAMES, 0)}))
    baseline = read_baseline(path)
    assert picture(baseline) and baseline["prompt"] == "In the city of Toronto,"
    assert draw(measure(trained, Effort(quick=True), version=1, earlier=[baseline]), tmp_path)


def test_a_damaged_earlier_version_is_one_line_and_exit_code_2(places, tmp_path, capsys):
    (tmp_path / "benchmark_v1.json").write_text("half")
    assert main(places) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1 and "benchmark_v1.json can not be read" in errors[0]
    assert not (tmp_path / "benchmark_v2.json").exists()
