"""What a training came to, read from its log, and kept for later runs to be held against."""

import pytest

from evaluation.training.learned import Learned, Point, first_reaching, keep_as_reference, read_learned
from pretraining.settings import SettingsError, read_settings
from pretraining.train_improved import CONFIG
from pretraining.watching.reference import learning, read_references
from tests.evaluation.training.conftest import curve, learned


def test_where_a_loss_was_reached_lies_between_validations():
    point = first_reaching(curve(8.0, 6.0, 4.0), 5.0)
    assert (point.tokens, point.minutes) == (1.5e6, 1.5)
    assert first_reaching(curve(8.0, 6.0, 4.0), 3.9) is None
    assert first_reaching(curve(8.0, 5.0, 6.0, 4.0), 5.0).tokens == 1e6  # the first time counts


def test_a_log_is_read_with_its_date_its_text_and_the_time_of_each_validation():
    run = {"started": "20260102-030405", "parameters": 7, "tokens_per_step": 100, "corpus_tokens": 44}
    run |= {"tokenizer": "0a1b", "model": {"n_layers": 4}, "settings": read_settings(CONFIG, ["--preset", "nano"])}
    log = {
        "run": run,
        "train": [{"step": 10, "seconds": 60.0}, {"step": 20, "seconds": 120.0}],
        "validation": [
            {"step": step, "heldout_own": {"loss": loss, "bits_per_byte": loss / 2}, "heldout_books": {"loss": 1}}
            for step, loss in ((0, 9.0), (10, 8.0), (20, 7.0))
        ],
    }
    points = [Point(0, 0, 9, 4.5), Point(1000, 1, 8, 4), Point(2000, 2, 7, 3.5)]
    assert read_learned(log) == Learned("2026-01-02 03:04:05", 7, 44, "0a1b", learning(run), "heldout_own", points)


def test_what_is_kept_as_a_reference_is_the_band_between_the_seeds(tmp_path):
    path = tmp_path / "reference_runs.json"
    keep_as_reference("nano", [learned(9, 5, 4, parameters=7), learned(9, 4, 4.5, parameters=7)], path)
    keep_as_reference("default", [learned(9, 5, 4, parameters=27)], path)
    keep_as_reference("default", [learned(9, 5, 3, parameters=27)], path)  # takes the place of the one before
    nano, default = read_references(path)
    assert nano.tokens == [0, 1e6, 2e6]
    assert (nano.lowest, nano.highest) == ([9, 4, 4], [9, 5, 4.5])
    assert (nano.tokenizer, nano.settings) == ("0a1b", {"learning_rate": 3e-3})
    assert default.lowest == [9, 5, 3]


@pytest.mark.parametrize(
    "other, said",
    [
        (learned(9, 5, tokens=2e6), "--tokens"),
        (learned(9, 5, 4), "--tokens"),  # a validation more, as in runs of equal time
        (learned(9, 5, held_out="heldout_own"), "heldout_code decided"),
    ],
)
def test_runs_that_do_not_meet_make_no_reference(tmp_path, other, said):
    runs = [other, learned(9, 5, held_out=other.held_out)]
    with pytest.raises(SettingsError, match=said):
        keep_as_reference("nano", runs, tmp_path / "reference_runs.json")
