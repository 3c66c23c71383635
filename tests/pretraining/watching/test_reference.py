"""A run is held against our own: said to be fine only in the band, and told why it may not be."""

import json
from dataclasses import replace

import pytest

from model.architecture.config import ModelConfig
from pretraining.settings import PRESETS, ROOT, read_settings
from pretraining.train_improved import main
from pretraining.training_log import read_log
from pretraining.watching.reference import (
    HIGH_RATE,
    SUSPICIOUS,
    TOLERANCE,
    Reference,
    band_of,
    differences,
    judge,
    learning,
    read_references,
    reference_for,
)
from tests.pretraining.whole_runs import flags
from tokenizer.bpe import Tokenizer

RUN = {
    "parameters": 7_000_000,
    "tokens_per_step": 10,
    "last_step": 20,
    "corpus_tokens": 1_000_000,
    "tokenizer": "0badcafe",
    "model": {"n_heads": 4, "max_seq_len": 512, "dropout": 0.0},
    "settings": PRESETS["default"],
}
BAND = Reference(
    "nano", 7_000_000, 1_000_000, "0badcafe", learning(RUN), 3, [0, 100, 200], [9.0, 5.0, 4.0], [9.0, 5.2, 4.1]
)


def log(step: int, loss: float, settings: dict | None = None, model: dict | None = None, **run) -> dict:
    """The log of a run whose steps have 10 tokens, after its validation at `step`."""
    run = RUN | run | {"settings": RUN["settings"] | (settings or {}), "model": RUN["model"] | (model or {})}
    return {"run": run, "validation": [{"step": step, "heldout_code": {"loss": loss}}]}


def test_the_band_is_interpolated_and_ends_with_the_longest_run():
    assert BAND.band(150) == pytest.approx((4.5, 4.65))
    assert BAND.band(0) == (9.0, 9.0)
    assert BAND.band(200) == (4.0, 4.1)
    assert BAND.band(201) is None


def test_a_run_in_the_band_is_fine_with_room_for_another_length_of_schedule():
    runs = "our 3 runs of preset nano: 5.000 to 5.200 at this point"
    for loss, told in (
        (5.0, f"in the band of {runs}"),
        (5.2, f"in the band of {runs}"),
        (5.2 + TOLERANCE - 0.01, f"0.14 above {runs}: usual"),
        (5.0 - SUSPICIOUS + 0.01, f"0.59 better than {runs}"),
    ):
        assert judge(log(10, loss), [BAND]) == (True, [told])


def test_of_a_single_run_there_is_no_band_but_the_same_room():
    one = replace(BAND, seeds=1, highest=BAND.lowest)
    run = "our run of preset nano: 5.000 at this point"
    assert judge(log(10, 5.0 + TOLERANCE - 0.01), [one]) == (True, [f"0.14 above {run}: usual"])
    assert judge(log(10, 5.5), [one])[0] is False


def test_a_run_that_is_a_little_longer_is_held_against_the_end():
    """As a ten-minute run is on a machine that is a little faster than ours."""
    fine, lines = judge(log(21, 4.0), [BAND])
    assert fine and lines == ["in the band of our 3 runs of preset nano: 4.000 to 4.100 at the end"]


def test_a_run_that_had_learnt_before_is_held_against_none():
    """It begins far below the band, which says nothing of held-out text in its training text."""
    tuned = log(0, 3.2, settings={"init_from": "best.pt"})
    assert judge(log(0, 3.2), [BAND])[0] is False
    assert judge(tuned, [BAND]) is None and band_of(tuned, [BAND]) == []


def test_a_validation_on_nothing_is_no_reason_to_fail():
    assert judge({"run": RUN, "validation": [{"step": 3}]}, [BAND]) is None


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"settings": {"learning_rate": 3e-2}}, "learning_rate is 0.03 (there 0.003)"),
        ({"settings": {"schedule": "constant"}}, "schedule is constant (there linear)"),
        ({"settings": {"gradient_accumulation": 4}}, "windows_per_step is 64 (there 16)"),
        ({"settings": {"corpus_file": "code_corpus.txt"}}, "corpus_file is code_corpus.txt (there mixed_corpus.txt)"),
        ({"model": {"dropout": 0.1}}, "dropout is 0.1 (there 0.0)"),
        ({"corpus_tokens": 500_000}, "the corpus has 500,000 tokens (there 1,000,000)"),
    ],
)
def test_a_run_above_the_band_names_what_was_changed(changed, cause):
    """Dropout is told by the model's config: the setting is None where it was edited there."""
    fine, lines = judge(log(10, 6.0, **changed), [BAND])
    assert not fine
    assert lines[0] == "0.80 above our 3 runs of preset nano: 5.000 to 5.200 at this point"
    assert len(lines) == 2 and lines[1].startswith(f"likely cause: {cause}")


@pytest.mark.parametrize(
    "same",
    [
        {},
        {"settings": {"batch_size": 4, "gradient_accumulation": 4}},
        {"settings": {"corpus_file": str(ROOT / PRESETS["default"]["corpus_file"])}},
        {"model": {"max_seq_len": 1024}},
    ],
    ids=["the same run", "the same step in less memory", "the corpus by its whole path", "room for a longer text"],
)
def test_a_run_above_the_band_with_nothing_changed_says_where_to_look(same):
    assert "--device cpu" in judge(log(10, 6.0, **same), [BAND])[1][1]


@pytest.mark.parametrize("step", [10, 21])
def test_a_longer_run_may_stand_above_the_band_until_its_rate_comes_down(step):
    high = BAND.highest[1 if step == 10 else 2]
    fine, lines = judge(log(step, high + 0.3, last_step=30, settings={"learning_rate": 1e-3}), [BAND])
    assert fine
    assert lines[0].startswith("0.30 above our 3 runs") and lines[1].startswith("usual in a longer run")
    assert not judge(log(step, high + HIGH_RATE + 0.1, last_step=30), [BAND])[0], "not by any amount"


@pytest.mark.parametrize("last_step", [20, 22, None], ids=["as long", "a little longer", "not known yet"])
def test_a_run_that_is_not_longer_has_no_such_excuse(last_step):
    assert not judge(log(10, 5.5, last_step=last_step), [BAND])[0]


def test_a_loss_too_good_to_be_true_is_not_praised():
    fine, lines = judge(log(10, 3.0), [BAND])
    assert not fine
    assert "held-out text in the training text" in lines[1]


def test_the_band_is_drawn_as_far_as_the_run_has_come():
    assert band_of(log(15, 5.0), [BAND]) == [[(0, 9.0), (10, 5.0)], [(0, 9.0), (10, 5.2)]]
    assert band_of(log(15, 5.0), []) == []


@pytest.mark.parametrize(
    "other",
    [
        log(10, 5.0, parameters=27),
        log(10, 5.0, tokenizer="f00d"),
        log(23, 4.0),
        {**log(10, 5.0), "validation": []},
    ],
    ids=["another size", "another tokenizer", "longer than the reference", "no validation yet"],
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


def test_the_log_of_a_training_tells_what_a_reference_asks_for(place):
    """Size, tokenizer, and the dropout that stands in the model's config while the setting is None."""
    assert main(flags(place, max_steps=3, eval_interval=3)) == 0
    run = read_log(place / "run.json")["run"]
    there = Reference("own", run["parameters"], 0, Tokenizer.load().sha256, learning(RUN), 1, [0], [9.0], [9.0])
    assert reference_for(run, [there]) is there
    assert differences(run, there)["dropout"] == (0.1, 0.0)


def test_the_committed_references_are_of_their_presets():
    """A setting that none of them knows would be named as the cause of everything."""
    for reference in read_references():
        settings = read_settings({}, ["--preset", reference.preset])
        config = ModelConfig.load(settings["config_path"])
        assert reference.settings == learning({"settings": settings, "model": config.to_dict()})
        assert reference.tokenizer == Tokenizer.load(settings["tokenizer_path"]).sha256
    assert read_references()
