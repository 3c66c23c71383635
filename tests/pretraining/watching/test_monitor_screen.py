"""The picture of a run on a screen: it fits, says what matters most where there is little room, and is true."""

import datetime
import itertools
import math
import os
import re

import pytest

from pretraining.lock import FolderLock
from pretraining.watching import run_facts
from pretraining.watching.monitor_screen import ASCII_LOOK, UNICODE_LOOK, draw_run, duration, news, painted
from pretraining.watching.reference import Reference
from pretraining.watching.run_facts import read_facts
from pretraining.watching.text_chart import text_of
from tests.pretraining.watching.training_logs import a_log, write_log

NOON = datetime.datetime(2026, 1, 5, 12, 0).timestamp()
HINT = "Ctrl-C leaves"


@pytest.fixture
def facts_of(tmp_path):
    """The facts of a log; its run counts as running where it says so."""
    lock = FolderLock(tmp_path)
    yield lambda **settings: read_facts(write_log(a_log(tmp_path, **settings)))
    lock.release()


def screen(facts, width=80, height=24, look=UNICODE_LOOK, now=NOON + 5, **settings) -> list[str]:
    lines = draw_run(facts, width, height, look, now=now, written=NOON, **settings)
    return [text_of(line) for line in lines]


def test_it_fits_into_every_terminal(facts_of):
    """A line too long wraps, a line too many scrolls: either destroys a screen that is redrawn in place."""
    runs = [
        facts_of(),
        facts_of(status="running", names=("heldout_own", "heldout_code", "heldout_books")),
        facts_of(steps=0, status="running", last_step=None),
    ]
    sizes = itertools.product((1, 2, 5, 9, 20, 33, 40, 50, 59, 60, 72, 80, 100, 120, 200, 400), range(1, 70))
    for facts, (width, height) in itertools.product(runs, sizes):
        for look in (UNICODE_LOOK, ASCII_LOOK):
            lines = screen(facts, width, height, look, hint=HINT, notice="something to know " * (width % 7))
            assert len(lines) <= height and all(len(line) <= width for line in lines), (width, height, lines)
            assert look is UNICODE_LOOK or all(line.isascii() for line in lines)


def test_everything_is_on_a_usual_screen(facts_of):
    text = "\n".join(screen(facts_of(status="running"), hint=HINT))
    for part in (
        "gpt_nano · 7.2M parameters · preset nano · cpu",
        "running  step 200 of 1,000  ━",
        "20%",
        "26 min 35 s left · ends 12:26 · 6 min 45 s spent",  # 800 steps of 2 s, 5 s after the log was written
        "● held-out code   4.200        66.7  good      1.750  4.200 at 200  falling",
        "◆ held-out books  5.200       181.3  okay",
        "⠒ training text   4.200        66.7",
        "learning rate 2.4e-03 ",
        "2,048 tokens/s, typically 2,048",
        "loss (nats per token), at first 10.000",
        "perplexity\n",
        "step\n",
        HINT,
    ):
        assert part in text, text
    assert len(screen(facts_of(status="running"), hint=HINT)) == 24, "the chart takes all the room that is left"
    assert "falling  -0.600 in 150 steps" not in text and "-1.800 in 150 steps" in "\n".join(
        screen(facts_of(), width=120)
    )


def test_what_matters_most_stays_longest(facts_of):
    facts = facts_of(status="running")
    shown = {height: "\n".join(screen(facts, 40, height, hint=HINT)) for height in (1, 2, 6, 14, 24)}
    assert shown[1].startswith("running  step 200 of 1,000")
    assert "gpt_nano" in shown[2]
    assert "66.7 good" in shown[6] and "perplexity" not in shown[6]
    assert "perplexity" in shown[14] and "tokens/s" not in shown[14], "the chart goes before the learning rate"
    assert HINT in shown[24] and "tokens/s" in shown[24]
    assert "falling" in shown[24] and "bits/byte" not in shown[24]
    assert "bits/byte" in "\n".join(screen(facts, 80, 24))


def test_the_clock_runs_on_between_two_news(facts_of):
    facts = facts_of(status="running")
    assert "26 min 40 s left · ends 12:26 · 6 min 40 s spent" in screen(facts, now=NOON)[2]
    assert "25 min 40 s left · ends 12:26 · 7 min 40 s spent" in screen(facts, now=NOON + 60)[2]
    assert "last news 1 min 0 s ago" in screen(facts, 120, now=NOON + 60)[2]
    late = screen(facts, now=NOON + 3600)[2]
    assert late.startswith("0 s left · ends 13:00"), "never a time that has passed"
    assert "6 min 40 s spent" in screen(facts, now=NOON - 50)[2], "nor does a clock that was set back undo any work"


def test_an_end_on_another_day_says_which(facts_of):
    facts = facts_of(status="running", last_step=100_000)
    assert "2 d 7 h left · ends Wed 19:26" in screen(facts)[2]


def test_a_run_that_is_over_says_how_and_what_to_do(facts_of):
    for status, advice in (
        ("finished", "Next: python pretraining/generate.py"),
        ("stopped", "The same training command goes on"),
        ("failed", "The terminal it ran in says why"),
    ):
        lines = screen(facts_of(status=status), now=NOON + 7200)
        assert lines[1].startswith(f"{status}  step 200") and lines[3].startswith(advice)
        assert lines[2] == "6 min 40 s of training · ended 12:00 · 0.82M tokens", "and its clock stands still"


def test_a_killed_run_is_not_called_running(tmp_path):
    """After kill -9 the log says "running" for ever; the lock knows better."""
    lines = screen(read_facts(write_log(a_log(tmp_path, status="running"))))
    assert lines[1].startswith("interrupted  step 200 of 1,000") and "killed?" in lines[3]
    assert "left" not in lines[2]


def test_before_the_length_is_known_it_does_not_make_one_up(facts_of, tmp_path):
    log = a_log(tmp_path, steps=10, status="running", last_step=None)
    log["run"]["settings"]["max_minutes"] = 10.0
    lines = screen(read_facts(write_log(log)))
    assert lines[1] == "running  step 10 (measuring how many fit into 10 min)"
    assert screen(read_facts(write_log(log | {"status": "stopped"})))[1] == "stopped  step 10"


def test_a_notice_takes_the_place_of_advice(facts_of):
    assert screen(facts_of(), notice="A training is getting ready")[3] == "A training is getting ready"


def test_a_run_without_a_loss_yet_says_so(facts_of, tmp_path):
    log = a_log(tmp_path, steps=0, status="running")
    log["validation"] = []
    assert "The first losses will be here soon." in screen(read_facts(write_log(log)))


@pytest.mark.parametrize("loss", [800.0, 1e20, float("inf"), float("nan")])
def test_a_loss_that_exploded_is_shown_as_it_is(facts_of, tmp_path, loss):
    log = a_log(tmp_path, status="failed")
    log["train"][-1]["loss"] = loss
    log["validation"][-1]["heldout_code"] |= {"loss": loss, "perplexity": 1e304, "bits_per_byte": loss}
    lines = screen(read_facts(write_log(log)))
    assert "poor" in lines[6] and all(len(line) <= 80 for line in lines)
    assert ("nan" if math.isnan(loss) else "> 1,000,000") in lines[6]


@pytest.mark.parametrize(("low", "told"), [(4.15, "in the band of our 3 runs"), (3.0, "above our 3 runs")])
def test_a_run_is_shown_over_the_band_of_our_own_runs(facts_of, tmp_path, monkeypatch, low, told):
    """Who has never trained a model can not know whether 4.2 is good after 200 steps; our own runs do."""
    monkeypatch.setattr(run_facts, "read_references", list)
    before = screen(facts_of())
    run, tokens = a_log(tmp_path)["run"], [0, 100 * 4096, 200 * 4096]
    curves = [9.0, 5.5, low], [9.0, 5.6, low + 0.1]
    reference = Reference("nano", run["parameters"], 0, run["tokenizer"], {}, 3, tokens, *curves)
    monkeypatch.setattr(run_facts, "read_references", lambda: [reference])
    shown = screen(facts_of())
    assert any(told in line for line in shown)
    assert not any("reference" in line for line in before)
    assert shown[-8:] != before[-8:]  # the band is in the chart


def test_colour_is_added_to_the_text_and_changes_none_of_it(facts_of):
    lines = draw_run(facts_of(), 80, 24, now=NOON, written=NOON)
    plain, coloured = painted(lines, colour=False), painted(lines, colour=True)
    assert not any("\x1b" in line for line in plain)
    assert any("\x1b[36m" in line for line in coloured)
    assert [re.sub(r"\x1b\[\d+m", "", line).rstrip() for line in coloured] == plain


def test_news_are_one_line(facts_of):
    facts = facts_of(status="running")
    assert news(facts, NOON, NOON, evaluated=False) == (
        "running: step 200 of 1,000 | training loss 4.200, 2,048 tokens/s | 26 min 40 s left | ends 12:26"
    )
    line = news(facts, NOON, NOON, evaluated=True)
    assert "| held-out code loss 4.200, perplexity 66.7 (good), 1.750 bits/byte | held-out books loss 5.200" in line
    assert "\n" not in line


def test_durations_as_people_say_them():
    spans = {0: "0 s", 59.4: "59 s", 59.6: "1 min 0 s", 271: "4 min 31 s", 11_520: "3 h 12 min", 190_800: "2 d 5 h"}
    assert {seconds: duration(seconds) for seconds in spans} == spans


def test_the_process_of_the_fixture_is_this_one(facts_of):
    """Otherwise no run of these tests would count as running, and they would test something else."""
    assert facts_of(status="running").process == os.getpid()
    assert facts_of(status="running").progress.state == "running"
