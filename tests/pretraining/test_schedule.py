"""The learning rate over a run: a jump or a tail above zero costs loss that nobody would trace back to here."""

import math
from itertools import pairwise

import pytest

from pretraining.schedule import SCHEDULES, learning_rate_factor

FALLING = [schedule for schedule in SCHEDULES if schedule != "constant"]


def curve(schedule: str, total: int = 200, warmup: int = 20) -> list[float]:
    """The factor of every step, and behind the last step the place where the run has ended."""
    return [learning_rate_factor(step, total, warmup, schedule) for step in range(total + 1)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warm_up_rises_evenly_from_above_zero_to_the_full_rate(schedule):
    """A first step of rate zero would be a step thrown away."""
    assert curve(schedule)[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("total, warmup", [(200, 20), (200, 0), (200, 1), (7, 6), (1, 0)])
def test_the_factor_stays_between_zero_and_one_and_reaches_one(schedule, total, warmup):
    values = curve(schedule, total, warmup)
    assert all(0.0 <= value <= 1.0 for value in values)
    assert max(values[:total]) == 1.0


@pytest.mark.parametrize("schedule", FALLING)
def test_falling_shapes_never_rise_again_and_end_at_zero_where_the_run_ends(schedule):
    values = curve(schedule)
    assert all(later <= earlier for earlier, later in pairwise(values[20:]))
    assert values[-1] == pytest.approx(0.0, abs=1e-12)
    assert values[-2] < 0.02, "the last step is already small"


@pytest.mark.parametrize("schedule", FALLING)
def test_the_end_moves_with_the_length_of_the_run(schedule):
    """A schedule fitted to another length would leave a shortened run at a high rate."""
    assert learning_rate_factor(499, 500, 20, schedule) < 0.01
    assert learning_rate_factor(499, 1000, 20, schedule) > 0.4


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_step_jumps(schedule):
    """A jump upwards is what warm-up exists to prevent."""
    values = curve(schedule, total=2000, warmup=100)
    assert max(abs(a - b) for a, b in pairwise(values)) < 0.011


def test_the_shapes_are_those_that_their_names_say():
    middle = 20 + (200 - 20) // 2
    assert learning_rate_factor(middle, 200, 20, "cosine") == pytest.approx(0.5)
    assert learning_rate_factor(middle - 45, 200, 20, "cosine") == pytest.approx(0.5 + math.sqrt(0.5) / 2)
    assert learning_rate_factor(middle - 45, 200, 20, "linear") == pytest.approx(0.75)
    assert learning_rate_factor(middle, 200, 20, "warmup_stable_decay") == 1.0
    assert learning_rate_factor(middle + 45, 200, 20, "warmup_stable_decay") == pytest.approx(0.5)
    assert learning_rate_factor(199, 200, 20, "constant") == 1.0


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_steps_beyond_the_end_do_not_climb(schedule):
    """Cosine would come up again after its end."""
    assert learning_rate_factor(300, 200, 20, schedule) == (1.0 if schedule == "constant" else 0.0)


def test_an_unknown_shape_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'cosin'.*cosine, linear, warmup_stable_decay, constant"):
        learning_rate_factor(5, 10, 0, "cosin")
