"""A run is held against our own: said to be fine only in the band, and told why it may not be."""

import json

import pytest

from pretraining.watching.reference import SUSPICIOUS, TOLERANCE, Reference, band_of, judge, read_references

SETTINGS = {"learning_rate": 3e-3, "batch_size": 16}
BAND = Reference("nano", 7_000_000, 1_000_000, SETTINGS, 3, [0, 100, 200], [9.0, 5.0, 4.0], [9.0, 5.2, 4.1])


def log(step: int, loss: float, parameters: int = 7_000_000, corpus: int = 1_000_000, **settings) -> dict:
    """The log of a run whose steps have 10 tokens, after its validation at `step`."""
    run = {"parameters": parameters, "tokens_per_step": 10, "corpus_tokens": corpus, "settings": SETTINGS | settings}
    return {"run": run, "validation": [{"step": step, "heldout_code": {"loss": loss}}]}


def test_the_band_is_interpolated_and_ends_with_the_longest_run():
    assert BAND.band(150) == pytest.approx((4.5, 4.65))
    assert BAND.band(0) == (9.0, 9.0)
    assert BAND.band(200) == (4.0, 4.1)
    assert BAND.band(201) is None


def test_a_run_in_the_band_is_fine_with_room_for_another_length_of_schedule():
    runs = "3 reference runs of preset nano: 5.000 to 5.200 at this point"
    for loss, told in (
        (5.0, f"in the band of {runs}"),
        (5.2, f"in the band of {runs}"),
        (5.2 + TOLERANCE - 0.01, f"0.14 above {runs}: usual"),
        (5.0 - SUSPICIOUS + 0.01, f"0.59 better than {runs}"),
    ):
        assert judge(log(10, loss), [BAND]) == (True, [told])


def test_a_run_that_is_a_little_longer_is_held_against_the_end():
    """As a ten-minute run is on a machine that is a little faster than ours."""
    fine, lines = judge(log(21, 4.0), [BAND])
    assert fine and lines == ["in the band of 3 reference runs of preset nano: 4.000 to 4.100 at their end"]


def test_a_run_above_the_band_names_what_was_changed():
    fine, lines = judge(log(10, 6.0, learning_rate=3e-2), [BAND])
    assert not fine
    assert lines[0].startswith("0.80 above")
    assert lines[1] == "likely cause: learning_rate is 0.03 (there 0.003)"


def test_another_corpus_is_named_too():
    assert "the corpus has 500,000 tokens" in judge(log(10, 6.0, corpus=500_000), [BAND])[1][1]


def test_a_run_above_the_band_with_nothing_changed_says_where_to_look():
    assert "--device cpu" in judge(log(10, 6.0), [BAND])[1][1]


def test_a_loss_too_good_to_be_true_is_not_praised():
    fine, lines = judge(log(10, 3.0), [BAND])
    assert not fine
    assert "held-out text in the training text" in lines[1]


def test_the_band_is_drawn_as_far_as_the_run_has_come():
    assert band_of(log(15, 5.0), [BAND]) == [[(0, 9.0), (10, 5.0)], [(0, 9.0), (10, 5.2)]]
    assert band_of(log(15, 5.0), []) == []


@pytest.mark.parametrize(
    "other",
    [log(10, 5.0, parameters=27), log(23, 4.0), {**log(10, 5.0), "validation": []}],
    ids=["another size", "longer than the reference", "no validation yet"],
)
def test_nothing_is_said_where_nothing_can_be_compared(other):
    assert judge(other, [BAND]) is None


def test_a_run_that_is_judged_by_an_own_text_is_not_held_against_ours():
    own = log(10, 5.0)
    own["validation"][0] = {"step": 10, "heldout_own": {"loss": 1.0}, **own["validation"][0]}
    own["validation"][0] = {key: own["validation"][0][key] for key in ("step", "heldout_own", "heldout_code")}
    assert judge(own, [BAND]) is None


def test_a_damaged_file_is_no_reference(tmp_path):
    path = tmp_path / "reference_runs.json"
    assert read_references(path) == []
    for text in ("", "[]", '{"references": [{"preset": "nano"}]}', "\xff"):
        path.write_text(text, encoding="utf-8")
        assert read_references(path) == []
    path.write_text(json.dumps({"references": [vars(BAND)]}), encoding="utf-8")
    assert read_references(path) == [BAND]
