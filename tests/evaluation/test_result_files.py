"""Results that can be traced and trusted: whole files, known versions, and the user's own never touched."""

import json

import pytest

from evaluation import result_files
from evaluation.figures import new_figure, save_figure
from evaluation.result_files import ResultError, describe, load_result, save_result


def test_a_result_comes_back_and_says_what_it_is_about(trained, tmp_path):
    path = save_result(tmp_path / "new" / "code_eval.json", {"about": describe(trained, seed=3), "score": 0.5})
    loaded = load_result(path)
    assert loaded["score"] == 0.5 and loaded["about"]["seed"] == 3
    assert loaded["about"]["checkpoint"]["step"] == 7
    assert loaded["about"]["checkpoint"]["sha256"] == result_files.file_sha256(trained.path)
    assert loaded["about"]["versions"]["torch"]


@pytest.mark.parametrize("name", ["baseline_v0.json", "benchmark_v0.png"])
def test_the_first_results_are_never_overwritten(tmp_path, name):
    (tmp_path / name).write_text("the user's")
    with pytest.raises(ResultError, match="never overwritten"):
        save_result(tmp_path / name, {})
    with pytest.raises(ResultError, match="never overwritten"):
        save_figure(new_figure()[0], tmp_path / name)
    assert (tmp_path / name).read_text() == "the user's"


def test_a_number_that_is_none_spoils_no_file(tmp_path):
    """NaN in JSON is read by Python and by nothing else."""
    path = save_result(tmp_path / "r.json", {"score": 0.25})
    with pytest.raises(ValueError, match="JSON compliant"):
        save_result(path, {"score": float("nan")})
    assert load_result(path)["score"] == 0.25


def test_missing_damaged_and_foreign_files_are_one_message_each(tmp_path):
    with pytest.raises(ResultError, match="there is no results file"):
        load_result(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"format": 1')
    with pytest.raises(ResultError, match="can not be read"):
        load_result(tmp_path / "half.json")
    (tmp_path / "old.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(ResultError, match="has format 99, this version reads 1"):
        load_result(tmp_path / "old.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ResultError, match="has format none"):
        load_result(tmp_path / "list.json")
