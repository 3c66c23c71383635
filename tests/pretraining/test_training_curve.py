"""The picture of a run can be drawn at any moment of it."""

import math

import pytest

from pretraining.training_curve import _finding, draw_training_curve

RUN = {"tokens_per_step": 4096, "parameters": 27_100_000, "config": "gpt_tiny", "preset": "default"}


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


def test_an_enormous_loss_does_not_stop_it(tmp_path):
    content = log(5, 2)
    content["train"][2]["loss"] = 1e6
    assert draw_training_curve(content, tmp_path / "curve.png").is_file()


def test_a_set_that_was_added_later_is_drawn_from_there(tmp_path):
    content = log(5, 3)
    del content["validation"][0]["heldout_books"]
    assert draw_training_curve(content, tmp_path / "curve.png").is_file()


def test_the_title_says_what_was_found():
    assert _finding(log(5, 3)) == (
        "27.1M parameters (gpt_tiny, preset default): perplexity on held-out code from 8,103 to 148.4"
    )
    assert "held-out part of your text" in _finding(log(5, 3, names=("heldout_own", "heldout_code")))
    assert _finding(log(5, 0)).endswith("training has only begun")


def test_drawing_leaves_no_figure_open(tmp_path):
    """A monitor that draws every minute would fill the memory."""
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    draw_training_curve(log(3, 2), tmp_path / "curve.png")
    assert pyplot.get_fignums() == before
