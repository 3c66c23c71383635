"""Settings: the strongest source wins, and whatever can not be run is said at once and in full."""

import pytest

from pretraining.settings import PRESETS, ROOT, SettingsError, read_settings, recipe, tokens_per_step
from pretraining.train_improved import CONFIG

PROBLEMS = "these settings can not be run"


def test_config_at_the_top_of_the_script_is_the_default_preset():
    """A value of CONFIG counts as edited when it differs from the preset: a stale copy would override the presets."""
    assert {"preset": "default", **PRESETS["default"]} == CONFIG


def test_presets_only_name_known_keys_and_each_of_them_can_run():
    for name, preset in PRESETS.items():
        assert preset.keys() <= PRESETS["default"].keys()
        assert read_settings(CONFIG, ["--preset", name])["preset"] == name


def test_a_flag_beats_an_edited_value_which_beats_the_preset():
    edited = CONFIG | {"preset": "nano", "batch_size": 7, "block_size": 100}
    settings = read_settings(edited, ["--batch_size", "9"])
    assert settings["batch_size"] == 9, "flag"
    assert settings["block_size"] == 100, "edited CONFIG"
    assert settings["max_minutes"] == 10.0, "preset"
    assert settings["weight_decay"] == 0.1, "default, where the preset says nothing"


def test_an_edit_holds_under_a_preset_given_as_a_flag():
    settings = read_settings(CONFIG | {"preset": "nano", "learning_rate": 5e-4}, ["--preset", "original"])
    assert (settings["learning_rate"], settings["optimizer"], settings["max_minutes"]) == (5e-4, "adamw", None)


def test_a_flag_can_say_what_the_default_says():
    """Compared with the default instead of seen on the command line, it would lose against the preset."""
    assert read_settings(CONFIG, ["--preset", "original", "--batch_size", "16"])["batch_size"] == 16


@pytest.mark.parametrize("spelling", ["--max_steps", "--max-steps"])
def test_flags_are_read_in_both_spellings(spelling):
    assert read_settings(CONFIG, [spelling, "40000"])["max_steps"] == 40_000


def test_every_key_is_a_flag_that_gives_the_type_of_its_default():
    """A number that arrives as text would fail only where it is used."""
    for key, default in PRESETS["default"].items():
        example = {"dropout": 0.25, "max_minutes": 2.5, "init_from": "best.pt"}.get(key, default)
        read = read_settings(CONFIG, [f"--{key}", str(example)])[key]
        assert type(read) is type(example) and read in (example, str(ROOT / str(example))), key


def test_default_and_original_spend_the_same_tokens():
    """Only then does comparing the two say something about the recipe."""
    for preset in ("default", "original"):
        settings = read_settings(CONFIG, ["--preset", preset])
        assert settings["max_steps"] * tokens_per_step(settings) == 20_480_000


def test_the_default_looks_and_saves_as_often_per_run_as_the_original():
    default, original = (read_settings(CONFIG, ["--preset", name]) for name in ("default", "original"))
    for interval in ("checkpoint_interval", "log_interval"):
        shares = [settings["max_steps"] / settings[interval] for settings in (default, original)]
        assert shares[0] >= shares[1]


def test_accumulated_batches_count_as_tokens_of_the_step():
    settings = read_settings(CONFIG, "--batch_size 4 --block_size 8 --gradient_accumulation 3".split())
    assert tokens_per_step(settings) == 96


def test_paths_are_taken_from_the_repository_root(monkeypatch, tmp_path):
    """Started from another folder, the same command trains on the same files."""
    monkeypatch.chdir(tmp_path)
    settings = read_settings(CONFIG, ["--log_path", str(tmp_path / "log.json")])
    assert settings["corpus_file"] == str(ROOT / "data" / "processed" / "mixed_corpus.txt")
    assert settings["log_path"] == str(tmp_path / "log.json")


def test_all_problems_are_listed_at_once():
    """One at a time, a user would start four times."""
    flags = "--batch_size 0 --learning_rate -1 --dropout -0.5 --max_minutes nan --seed -1".split()
    with pytest.raises(SettingsError, match=PROBLEMS) as caught:
        read_settings(CONFIG | {"optimizer": "sgd"}, flags)
    message = str(caught.value)
    for part in (
        "batch_size is 0; it must be greater than 0",
        "learning_rate is -1.0; it must be greater than 0",
        "dropout is -0.5; it must be 0 or more",
        "max_minutes is nan",
        "seed is -1; it must be 0 or more",
        "optimizer is 'sgd'; choose one of muon, adamw",
    ):
        assert part in message
    assert message.count("\n") == 6


@pytest.mark.parametrize(
    "key, value",
    [
        ("max_steps", 2400.0),
        ("max_steps", "2500"),
        ("max_steps", None),
        ("batch_size", True),
        ("learning_rate", "3e-3"),
        ("learning_rate", None),
        ("learning_rate", float("inf")),
        ("dropout", True),
        ("grad_clip", False),
        ("corpus_file", None),
        ("checkpoint_dir", 3),
        ("resume", None),
        ("device", 0),
        ("init_from", 5),
        ("compile", True),
    ],
)
def test_a_value_of_the_wrong_type_in_config_is_named(key, value):
    with pytest.raises(SettingsError, match=f"{PROBLEMS}:\n  {key} is {value!r}"):
        read_settings(CONFIG | {key: value}, [])


def test_zero_is_allowed_where_it_means_none():
    flags = "--warmup_steps 0 --weight_decay 0 --grad_clip 0 --dropout 0 --seed 0".split()
    assert read_settings(CONFIG, flags)["dropout"] == 0.0


def test_numbers_that_do_not_go_together_are_refused_with_a_proposal():
    with pytest.raises(SettingsError, match="warmup_steps 50 leaves nothing of max_steps 20; try --warmup_steps 2"):
        read_settings(CONFIG, ["--max_steps", "20"])
    with pytest.raises(SettingsError, match=r"dropout is 1\.0; it must be below 1"):
        read_settings(CONFIG, ["--dropout", "1"])


def test_a_misspelt_key_is_refused_with_the_nearest_known_one():
    with pytest.raises(SettingsError, match="unknown key 'learning_rat'; did you mean 'learning_rate'"):
        read_settings(CONFIG | {"learning_rat": 1e-3}, [])
    with pytest.raises(SettingsError, match="unknown key 'qqq'; known keys: preset, corpus_file"):
        read_settings(CONFIG | {"qqq": 1}, [])


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match="no preset 'fast'; choose one of default, original, nano"):
        read_settings(CONFIG, ["--preset", "fast"])


@pytest.mark.parametrize(
    "flags", [["--max_steps", "many"], ["--optimizer", "sgd"], ["--no_such_thing"], ["--max_step", "5"], ["--log", "x"]]
)
def test_a_flag_that_is_wrong_is_one_message_and_never_taken_for_another(flags):
    with pytest.raises(SettingsError, match=flags[0]):
        read_settings(CONFIG, flags)


def test_the_help_shows_every_key_with_its_value_in_each_preset(capsys):
    with pytest.raises(SystemExit):
        read_settings(CONFIG, ["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "(default 2500, original 20000, nano 5000)" in shown
    assert all(f"--{key}" in shown for key in PRESETS["default"])


def test_the_recipe_is_what_changes_the_result_and_nothing_else():
    """A run goes on only when recipes are equal: places and intervals must not keep it from that."""
    here = read_settings(CONFIG, [])
    elsewhere = read_settings(CONFIG, "--checkpoint_dir x --log_path y --eval_interval 7 --device cpu".split())
    assert recipe(here) == recipe(elsewhere)
    for flag in ("--seed 2", "--batch_size 8", "--schedule cosine", "--grad_clip 0.5", "--dropout 0.1"):
        assert recipe(here) != recipe(read_settings(CONFIG, flag.split()))
