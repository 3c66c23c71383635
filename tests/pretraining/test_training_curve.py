"""The picture of a run can be drawn at any moment of it."""

import math

import pytest

from pretraining.training_curve import (
    _curves,
    _finding,
    draw_training_curve,
    perplexity_in_words,
    round_perplexities,
    whole_intervals,
)

RUN = {
    "tokens_per_step": 4096,
    "parameters": 27_100_000,
    "config": "gpt_tiny",
    "preset": "default",
    "settings": {"log_interval": 10},
}


def log(reports: int, checks: int, names: tuple[str, ...] = ("heldout_code", "heldout_books")) -> dict:
    """A run that learns; validated `checks` times."""
    train = [{"step": 10 * n, "loss": 3 + 6 / (1 + n)} for n in range(1, reports + 1)]
    validation = []
    for n in range(checks):
        loss = 3 + 6 / (1 + n)
        result = {"loss": loss, "perplexity": math.exp(loss), "bits_per_byte": loss / 2}
        validation.append({"step": 50 * n} | dict.fromkeys(names, result))
    return {"run": RUN, "train": train, "validation": validation, "status": "running"}


@pytest.mark.parametrize("reports, checks", [(0, 0), (0, 1), (1, 0), (1, 1), (200, 40)])
@pytest.mark.filterwarnings("error")
def test_a_log_of_any_length_can_be_drawn(tmp_path, reports, checks):
    """monitor_training.py asks for it as soon as a run has begun."""
    path = draw_training_curve(log(reports, checks), tmp_path / "plots" / "curve.png")
    assert path == tmp_path / "plots" / "curve.png"
    assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5_000


@pytest.mark.parametrize("loss", [1e6, 1e300, math.inf, math.nan])
@pytest.mark.filterwarnings("error")
def test_an_enormous_loss_does_not_stop_it(tmp_path, loss):
    content = log(5, 2)
    content["train"][2]["loss"] = loss
    content["validation"][1]["heldout_code"] = {"loss": loss, "perplexity": math.exp(700), "bits_per_byte": loss}
    assert draw_training_curve(content, tmp_path / "curve.png").is_file()


def test_a_set_that_was_added_later_is_drawn_from_there(tmp_path):
    content = log(5, 3)
    del content["validation"][0]["heldout_books"]
    assert draw_training_curve(content, tmp_path / "curve.png").is_file()
    assert [len(points) for points, _ in _curves(content)] == [5, 3, 2]


def test_the_title_says_what_was_found():
    assert _finding(log(5, 3)) == (
        "27.1M parameters (gpt_tiny, preset default): perplexity on held-out code from 8,103 to 148.4"
    )
    assert _finding(log(5, 1)).endswith("perplexity 8,103 on held-out code"), "one validation shows no change"
    assert "your held-out text" in _finding(log(5, 3, names=("heldout_own", "heldout_code")))
    assert _finding(log(5, 0)).endswith("training has only begun")


def test_the_last_report_of_a_run_is_no_spike_made_of_one_step():
    """961 steps are reported every 10 and at the end: the loss of a single batch jumps by more than a run gains."""
    content = log(3, 0)
    content["train"].append({"step": 31, "loss": 100.0})
    *before, (step, loss) = whole_intervals(content)
    assert before == [(entry["step"], entry["loss"]) for entry in content["train"][:2]]
    assert step == 31 and loss == pytest.approx((content["train"][2]["loss"] * 10 + 100.0) / 11)
    content["train"][-1]["step"] = 40
    assert whole_intervals(content)[-1] == (40, 100.0), "a whole interval counts for itself"
    assert whole_intervals(log(1, 0)) == [(10, 6.0)] and whole_intervals(log(0, 0)) == []


def test_the_scale_of_perplexities_is_round_and_at_the_right_losses():
    ticks = round_perplexities(3.0, 6.0)
    assert [label for _, label in ticks] == ["50", "100", "200"]
    assert all(math.exp(loss) == pytest.approx(float(label)) for loss, label in ticks)
    assert [label for _, label in round_perplexities(3.0, 3.5)] == ["30"], "few where the range is small, none made up"
    assert [perplexity_in_words(value) for value in (9.96, 8696.3, 1e304)] == ["10.0", "8,696", "> 1,000,000"]


def test_drawing_leaves_no_figure_open(tmp_path):
    """A monitor that draws every minute would fill the memory."""
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    draw_training_curve(log(3, 2), tmp_path / "curve.png")
    assert pyplot.get_fignums() == before
