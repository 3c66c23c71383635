"""What a comparison of recipes rests on: the same terms for all, and honest reading of their logs."""

import pytest

from evaluation.training import recipes
from evaluation.training.recipe_figures import Row, picture, table
from evaluation.training.recipes import (
    Budget,
    Learned,
    Point,
    first_reaching,
    keep_as_reference,
    read_learned,
    run_command,
)
from pretraining.settings import SettingsError, read_settings
from pretraining.train_improved import CONFIG
from pretraining.watching.reference import read_references


def curve(*losses: float, tokens: float = 1e6, minutes: float = 1.0) -> list[Point]:
    """Validations at equal distances."""
    return [Point(n * tokens, n * minutes, loss, loss / 2) for n, loss in enumerate(losses)]


@pytest.mark.parametrize("recipe", ["nano", "default", "default --batch_size 32", "nanogpt", "nanogpt --preset nano"])
def test_equal_tokens_are_equal_whatever_the_size_of_a_step(recipe):
    command = run_command(recipe, Budget(tokens=4_096_000), 1, [])
    settings = read_settings(CONFIG, command[1:])
    assert settings["max_steps"] * settings["batch_size"] * settings["block_size"] == 4_096_000
    assert not settings["max_minutes"]


def test_equal_minutes_are_not_cut_short_by_a_number_of_steps():
    settings = read_settings(CONFIG, run_command("default", Budget(minutes=3), 1, [])[1:])
    assert (settings["max_minutes"], settings["max_steps"]) == (3.0, 1_000_000)


def test_the_peer_has_its_own_recipe_and_flags_that_all_share_come_last():
    command = run_command("nanogpt --learning_rate 2e-3", Budget(minutes=1), 5, ["--batch_size", "4"])
    settings = read_settings(CONFIG, command[1:])
    assert command[0] == "evaluation/training/nanogpt.py"
    assert (settings["optimizer"], settings["learning_rate"], settings["batch_size"]) == ("adamw", 2e-3, 4)
    assert settings["seed"] == 5


def test_different_recipes_budgets_and_seeds_never_share_a_folder():
    budgets = Budget(minutes=1), Budget(minutes=2), Budget(tokens=1e6)
    commands = [
        run_command(recipe, budget, seed, more)
        for recipe in ("nano", "nano --batch_size 8", "default")
        for budget in budgets
        for seed in (1, 2)
        for more in ([], ["--block_size", "128"])
    ]
    folders = {command[command.index("--checkpoint_dir") + 1] for command in commands}
    assert len(folders) == len(commands)


@pytest.mark.parametrize("recipe", ["", "nana", "--batch_size 3", "nano --bath_size 3", "nano --batch_size 0"])
def test_a_recipe_that_can_not_be_run_is_refused_before_anything_is_trained(recipe):
    with pytest.raises(SettingsError):
        run_command(recipe, Budget(minutes=1), 1, [])


def test_where_a_loss_was_reached_lies_between_validations():
    point = first_reaching(curve(8.0, 6.0, 4.0), 5.0)
    assert (point.tokens, point.minutes) == (1.5e6, 1.5)
    assert first_reaching(curve(8.0, 6.0, 4.0), 3.9) is None
    assert first_reaching(curve(8.0, 5.0, 6.0, 4.0), 5.0).tokens == 1e6  # the first time counts


def test_a_log_is_read_with_the_time_of_each_validation():
    log = {
        "run": {"parameters": 7, "tokens_per_step": 100, "corpus_tokens": 44},
        "train": [{"step": 10, "seconds": 60.0}, {"step": 20, "seconds": 120.0}],
        "validation": [
            {"step": step, "heldout_code": {"loss": loss, "bits_per_byte": loss / 2}, "heldout_books": {"loss": 1}}
            for step, loss in ((0, 9.0), (10, 8.0), (20, 7.0))
        ],
    }
    assert read_learned(log) == Learned(7, 44, [Point(0, 0, 9, 4.5), Point(1000, 1, 8, 4), Point(2000, 2, 7, 3.5)])


def test_the_table_tells_who_was_as_good_as_the_first_and_after_how_much():
    slow, fast = Learned(10_000_000, 44, curve(9, 7, 6, 5)), Learned(20_000_000, 44, curve(9, 5, 4, 3))
    never = Learned(20_000_000, 44, curve(9, 8, 7, 6))
    lines = table([Row("slow", [slow]), Row("fast", [fast]), Row("never", [never])])
    assert lines[1].endswith("-")
    assert lines[2].endswith("33% of its tokens, 33% of its time")
    assert lines[3].endswith("not reached")


def test_several_seeds_are_shown_with_their_spread():
    row = Row("two", [Learned(1, 44, curve(9, 5)), Learned(1, 44, curve(9, 4))])
    assert "4.500 ± 0.500" in table([row])[1]


def test_the_picture_says_its_finding_in_the_title():
    slow, fast = Learned(1, 44, curve(9, 7, 6, 5)), Learned(1, 44, curve(9, 5, 4, 3))
    title = picture([Row("slow", [slow]), Row("fast", [fast])], "3M tokens").get_suptitle()
    assert title == "fast is best after 3M tokens and as good as slow with 33% of its tokens"
    assert picture([Row("fast", [fast]), Row("slow", [slow])], "x").get_suptitle() == "fast stays the best after x"


def test_what_was_trained_before_is_not_trained_again(monkeypatch, tmp_path):
    """An interrupted comparison of hours goes on; but a log of other settings is never taken for this one's."""
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    settings = read_settings(CONFIG, run_command("nano", Budget(minutes=1), 1, [])[1:])
    log = {
        "run": {"parameters": 1, "corpus_tokens": 1, "tokens_per_step": 1, "settings": settings},
        "train": [],
        "status": "finished",
    }
    log["validation"] = [{"step": 0, "heldout_code": {"loss": 9.0, "bits_per_byte": 4.0}}]
    trained = []
    monkeypatch.setattr(recipes, "read_log", lambda path: log)
    monkeypatch.setattr(recipes.subprocess, "run", lambda command, **more: trained.append(command) or Done())
    recipes.learn("nano", Budget(minutes=1), 1, [])
    assert not trained
    recipes.learn("nano", Budget(minutes=1), 1, [], again=True)
    assert trained.pop()[-2:] == ["--resume", "none"]
    log["run"]["settings"] = settings | {"learning_rate": 1.0}
    recipes.learn("nano", Budget(minutes=1), 1, [])
    assert trained


def test_what_is_kept_as_a_reference_is_the_band_between_the_seeds(tmp_path):
    path = tmp_path / "reference_runs.json"
    keep_as_reference("nano", [Learned(7, 44, curve(9, 5, 4)), Learned(7, 44, curve(9, 4, 4.5))], path)
    keep_as_reference("default", [Learned(27, 44, curve(9, 5, 4))], path)
    keep_as_reference("default", [Learned(27, 44, curve(9, 5, 3))], path)  # takes the place of the one before
    nano, default = read_references(path)
    assert nano.tokens == [0, 1e6, 2e6]
    assert (nano.lowest, nano.highest) == ([9, 4, 4], [9, 5, 4.5])
    assert nano.settings["learning_rate"] == read_settings(CONFIG, ["--preset", "nano"])["learning_rate"]
    assert default.lowest == [9, 5, 3]


def test_runs_of_equal_time_are_no_reference_since_their_validations_do_not_meet(tmp_path):
    runs = [Learned(7, 44, curve(9, 5)), Learned(7, 44, curve(9, 5, tokens=2e6))]
    with pytest.raises(SettingsError, match="--tokens"):
        keep_as_reference("nano", runs, tmp_path / "reference_runs.json")


class Done:
    """A process that ended well."""

    returncode = 0
