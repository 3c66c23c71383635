"""What a log says about its run: read once, true, and never a traceback whatever the file holds."""

import copy
import json
import random

import pytest

from pretraining.lock import FolderLock
from pretraining.watching.run_facts import MOST_POINTS, Curve, LogError, preparing_process, read_facts
from tests.pretraining.watching.training_logs import a_log, loss_after, write_log


def test_the_facts_are_those_of_the_log(tmp_path):
    facts = read_facts(write_log(a_log(tmp_path, steps=200)))
    assert facts.title == ["gpt_nano", "7.2M parameters", "preset nano", "cpu"]
    assert [curve.name for curve in facts.held_out] == ["held-out code", "held-out books"]
    assert facts.held_out[1].latest == loss_after(200) + 1 and facts.training[-1] == (200, loss_after(200))
    assert facts.tokens == 200 * 4096 and facts.typical_speed == 2048.0
    assert facts.last_step == 200, "a finished run is as long as it was, whatever had been planned"
    assert read_facts(write_log(a_log(tmp_path, status="stopped"))).last_step == 1000


def test_a_run_that_has_only_begun_has_facts_as_well(tmp_path):
    log = a_log(tmp_path, steps=0, last_step=None)
    assert read_facts(write_log(log)).held_out[0].points == [(0, 9.0)]
    log["validation"] = []
    facts = read_facts(write_log(log))
    assert facts.held_out == [] and facts.training == [] and facts.typical_speed is None


@pytest.mark.parametrize(
    "losses, word",
    [
        ([9.0, 5.0], "falling"),
        ([3.80, 3.75, 3.72, 3.71], "falling"),
        ([3.71, 3.712, 3.708, 3.709], "flat"),  # less than a hundredth
        ([3.70, 3.76, 3.69, 3.73], "flat"),  # up and down: no move counts for more than one against it
        ([3.70, 3.72, 3.75, 3.80], "rising"),  # the model learns its training text by heart
        ([9.0, 3.5, 3.50, 3.501, 3.499], "flat"),  # what was long ago is no trend
    ],
)
def test_a_trend_is_said_only_where_there_is_one(losses, word):
    curve = Curve("heldout_code", [(50 * number, loss) for number, loss in enumerate(losses)], 1.5)
    assert curve.trend.word == word
    assert curve.trend.steps == 50 * (min(len(losses), 4) - 1)


def test_one_evaluation_is_no_trend():
    assert Curve("heldout_code", [(0, 9.0)], 3.8).trend is None


def test_the_best_is_the_lowest_loss_of_a_trained_model():
    """Fine-tuning can begin lower than it ends; best.pt is never the model before its first step."""
    assert Curve("heldout_own", [(0, 2.0), (50, 4.0), (100, 3.0), (150, 3.5)], 1.5).best == (100, 3.0)
    assert Curve("heldout_own", [(0, 2.0)], 1.5).best == (0, 2.0)


def test_a_very_long_run_is_thinned_and_keeps_its_end(tmp_path):
    log = a_log(tmp_path, steps=10 * (2 * MOST_POINTS + 1), last_step=10**6)
    facts = read_facts(write_log(log))
    assert len(facts.training) <= MOST_POINTS and facts.training[-1][0] == log["train"][-1]["step"]


def test_no_log_and_no_reading_are_one_error(tmp_path):
    with pytest.raises(LogError, match="there is no training log"):
        read_facts(tmp_path / "training_log.json")
    path = write_log(a_log(tmp_path))
    for content in ("", "{", "[]", '{"run": {}}', path.read_text()[:1000], "\x00\xff"):
        path.write_text(content)
        with pytest.raises(LogError, match=r"can not be read: it is damaged, half written, or not a training log"):
            read_facts(path)


def test_whatever_is_wrong_inside_a_log_is_one_error_or_facts(tmp_path):
    """Edited by hand, of an earlier version, cut and mended: whoever watches is told, and sees no traceback."""
    dice, whole = random.Random(5), a_log(tmp_path, steps=100, status="running")
    rubbish = [None, "text", -1, 0, 1e308, float("inf"), float("nan"), [], {}, True, "\x1b[2J"]

    def damage(node):
        places = list(node) if isinstance(node, dict) else list(range(len(node)))
        place = dice.choice(places)
        if isinstance(node[place], dict | list) and node[place] and dice.random() < 0.8:
            damage(node[place])
        elif dice.random() < 0.3:
            del node[place]
        else:
            node[place] = dice.choice(rubbish)

    errors = 0
    for _ in range(400):
        log = copy.deepcopy(whole)
        damage(log)
        path = tmp_path / "damaged.json"
        path.write_text(json.dumps(log))
        try:
            read_facts(path)
        except LogError as error:
            errors += 1
            assert str(error).startswith(str(path)) and "\x1b" not in str(error)
    assert 100 < errors < 400


def test_names_from_a_file_can_not_move_the_cursor(tmp_path):
    log = a_log(tmp_path, names=("heldout_\x1b[2Jcode",))
    log["run"]["config"] = "gpt\n\x07nano"
    facts = read_facts(write_log(log))
    assert facts.title[0] == "gptnano" and facts.held_out[0].name == "heldout_[2Jcode"


def test_a_training_that_is_getting_ready_is_known_by_its_lock(tmp_path):
    """It holds the lock for minutes (data, tokens) before its log appears; until then nothing seems to happen."""
    path = tmp_path / "training_log.json"
    assert preparing_process(path, None, tmp_path) is None
    held = FolderLock(tmp_path)
    log = a_log(tmp_path)
    holder = log["run"]["process"]
    assert preparing_process(path, None, tmp_path) == holder
    assert preparing_process(path, None, None) is None, "nobody knows where the log of an unknown place comes from"
    assert preparing_process(path, read_facts(write_log(log)), None) is None, "it is the log's own run"
    log["run"]["process"] = holder + 1
    facts = read_facts(write_log(log))
    assert preparing_process(path, facts, None) == holder
    assert preparing_process(tmp_path / "archive" / "training_log.json", facts, None) is None, "nobody's to write"
    held.release()
    assert preparing_process(path, facts, None) is None
