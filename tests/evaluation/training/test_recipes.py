"""What a comparison of recipes rests on: the same terms for all, and what was trained before taken only if the same."""

import pytest

from evaluation.training import recipes
from evaluation.training.recipes import Budget, learn, put_aside, refuse_different_texts, run_command
from pretraining.checkpoint import save_checkpoint
from pretraining.lock import FolderLock, LockError
from pretraining.settings import SettingsError, read_settings
from pretraining.train_improved import CONFIG
from pretraining.training_log import TrainingLog


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


@pytest.mark.parametrize(
    "flag, name",
    [
        ("--max_steps 9", "--max_steps"),
        ("--max-steps=9", "--max_steps"),
        ("--max_minutes 9", "--max_minutes"),
        ("--seed 9", "--seed"),
        ("--eval_interval 9", "--eval_interval"),
        ("--log-interval 9", "--log_interval"),
        ("--checkpoint_interval 9", "--checkpoint_interval"),
        ("--checkpoint_dir a", "--checkpoint_dir"),
        ("--log_path a", "--log_path"),
        ("--resume none", "--resume"),
    ],
)
def test_what_a_comparison_sets_itself_is_refused_in_a_recipe_and_behind_it(flag, name):
    """It would be overridden without a word."""
    for recipe, more in ((f"default {flag}", []), ("default", flag.split())):
        with pytest.raises(SettingsError, match=f"leave out {name}, which"):
            run_command(recipe, Budget(tokens=1e6), 1, more)


def test_a_warm_up_is_held_against_the_steps_of_the_budget_alone():
    command = run_command("default --warmup_steps 3000", Budget(tokens=100e6), 1, [])
    assert command[command.index("--max_steps") + 1] == "12207"


@pytest.mark.parametrize("amounts", [{}, {"tokens": 1e6, "minutes": 1.0}])
def test_a_budget_is_tokens_or_minutes(amounts):
    with pytest.raises(SettingsError, match="give one of them"):
        Budget(**amounts)


@pytest.mark.parametrize("name", ["tokens", "minutes"])
@pytest.mark.parametrize("amount", [0.0, -1.0, float("inf"), float("nan")])
def test_a_budget_ends_and_is_more_than_nothing(name, amount):
    """Zero minutes would be no limit at all."""
    with pytest.raises(SettingsError, match=f"--{name} is .* greater than 0"):
        Budget(**{name: amount})


@pytest.mark.parametrize("budget", [Budget(tokens=7e6), Budget(minutes=3)], ids=str)
@pytest.mark.parametrize("recipe", ["original", "nano"])
def test_every_validation_has_a_report_which_tells_its_time(recipe, budget):
    settings = read_settings(CONFIG, run_command(recipe, budget, 1, [])[1:])
    assert settings["eval_interval"] % settings["log_interval"] == 0


def test_validations_that_are_asked_for_in_minutes_have_reports_too():
    settings = read_settings(CONFIG, run_command("nano --eval_interval 25", Budget(minutes=3), 1, [])[1:])
    assert (settings["eval_interval"], settings["log_interval"]) == (25, 5)


@pytest.mark.parametrize(
    "flags, refused",
    [
        (["", " --corpus_file data/processed/code_corpus.txt"], False),  # both are looked at on heldout_code
        (["", " --corpus_file mine.txt"], True),
        ([" --corpus_file mine.txt", " --corpus_file yours.txt"], True),
        ([" --corpus_file mine.txt", " --corpus_file mine.txt --batch_size 8"], False),
    ],
)
def test_losses_on_different_texts_are_not_compared(flags, refused):
    named = [f"nano{flag}" for flag in flags]
    if not refused:
        refuse_different_texts(named, Budget(minutes=1), [])
        return
    with pytest.raises(SettingsError, match=r"different texts .*mine.txt"):
        refuse_different_texts(named, Budget(minutes=1), [])


RECIPE, BUDGET, SEED = "nano", Budget(tokens=1e6), 1


class Trained:
    """A finished run, as training leaves it, and what is trained beside it."""

    def __init__(self, monkeypatch, folder) -> None:
        monkeypatch.setattr(recipes, "FOLDER", folder)
        self.identity = {"model": {"n_layers": 4}, "tokenizer": "t", "corpus": "c", "recipe": {}}
        monkeypatch.setattr(recipes, "_identity", lambda settings: self.identity)
        monkeypatch.setattr(recipes, "run_child", self.run_child)
        self.commands: list[tuple] = []
        self.leave("20260102-030405")

    def leave(self, started: str, status: str = "finished") -> None:
        settings = read_settings(CONFIG, run_command(RECIPE, BUDGET, SEED, [])[1:])
        folder = recipes.Path(settings["checkpoint_dir"])
        save_checkpoint({"training": {"identity": self.identity}}, folder / "last.pt")
        run = {"parameters": 1, "corpus_tokens": 1, "tokens_per_step": 1, "settings": settings, "started": started}
        run |= {"checkpoint_dir": str(folder), "config": "nano", "tokenizer": "t", "model": self.identity["model"]}
        log = TrainingLog(folder / "training_log.json", run)
        log.add("validation", {"step": 0, "heldout_code": {"loss": 9.0, "bits_per_byte": 4.0}})
        log.set_status(status)

    def run_child(self, *command: object) -> int:
        self.commands.append(command)
        self.leave("20270102-030405")
        return 0


@pytest.fixture
def trained(monkeypatch, tmp_path) -> Trained:
    return Trained(monkeypatch, tmp_path)


def test_what_was_trained_before_is_taken_and_its_date_told(trained, capsys):
    assert learn(RECIPE, BUDGET, SEED, []).started == "2026-01-02 03:04:05"
    assert not trained.commands
    assert "Taken from the run of 2026-01-02 03:04:05; --again trains anew" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change, named",
    [({"corpus": "d"}, "corpus"), ({"tokenizer": "u"}, "tokenizer"), ({"model": {"n_layers": 5}}, "model.n_layers")],
)
def test_a_run_on_other_data_or_of_another_model_is_not_taken_whatever_the_settings_say(trained, capsys, change, named):
    trained.identity = trained.identity | change
    assert learn(RECIPE, BUDGET, SEED, []).started == "2027-01-02 03:04:05"
    assert len(trained.commands) == 1
    assert f"The run of 2026-01-02 03:04:05 is another one: {named} differ" in capsys.readouterr().out


def test_a_run_on_another_device_is_not_taken(trained, monkeypatch):
    """Its minutes are others."""
    monkeypatch.setitem(recipes.CONFIG, "device", "mps")
    learn(RECIPE, BUDGET, SEED, [])
    assert trained.commands


def test_a_stopped_run_goes_on(trained):
    trained.leave("20260102-030405", "stopped")
    learn(RECIPE, BUDGET, SEED, [])
    settings = read_settings(CONFIG, [str(word) for word in trained.commands[0][2:]])
    assert settings["resume"] == "auto"


def test_what_is_put_aside_is_trained_anew_and_nothing_is_lost(trained, tmp_path):
    put_aside(RECIPE, BUDGET, SEED, [])
    put_aside(RECIPE, BUDGET, SEED + 1, [])  # was never trained
    learn(RECIPE, BUDGET, SEED, [])
    assert len(trained.commands) == 1
    assert len(list(tmp_path.glob("**/archive/20260102-030405-nano/*"))) == 2


def test_a_run_that_is_being_trained_is_not_put_aside(trained):
    settings = read_settings(CONFIG, run_command(RECIPE, BUDGET, SEED, [])[1:])
    lock = FolderLock(recipes.Path(settings["checkpoint_dir"]))
    try:
        with pytest.raises(LockError, match="already running"):
            put_aside(RECIPE, BUDGET, SEED, [])
    finally:
        lock.release()
