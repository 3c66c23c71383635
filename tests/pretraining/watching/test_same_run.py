"""The flags that start a run again: the same settings come out, whatever was edited or moved since."""

import pytest

from pretraining.settings import ROOT, SettingsError, read_settings
from pretraining.watching.same_run import flags_of_run

EDITED = {"preset": "nano", "learning_rate": 0.002}


@pytest.mark.parametrize("config", [{}, EDITED], ids=["as it came", "edited"])
@pytest.mark.parametrize(
    "flags",
    [
        "",
        "--preset nano",
        "--preset original --seed 7",
        "--preset nano --max_minutes 2.5 --learning_rate 1e-3 --device cpu",
        "--max_steps 400 --dropout 0.1 --corpus_file data/processed/my_corpus_2.0",
        "--init_from pretraining/checkpoints/best.pt --checkpoint_dir runs/second --log_path runs/second.json",
    ],
)
def test_the_flags_give_the_settings_of_the_run_again(config, flags):
    """One setting more or less is another run, and the half-done one would be archived."""
    settings = read_settings(config, flags.split())
    again = flags_of_run(settings, config, saved=True)
    assert read_settings(config, again) == settings
    assert len(again) <= len(flags.split()) or config, "no more than was typed"


def test_an_edit_of_config_since_then_is_taken_back_by_a_flag():
    settings = read_settings({}, ["--preset", "nano"])
    assert read_settings(EDITED, flags_of_run(settings, EDITED, saved=True)) == settings


def test_numbers_are_typed_exactly():
    """A rate that is rounded on the way is another run."""
    rate = 0.1 + 0.2
    settings = read_settings({}, ["--learning_rate", repr(rate)])
    assert read_settings({}, flags_of_run(settings, {}, saved=True))["learning_rate"] == rate


def test_what_it_was_told_to_resume_from_is_told_again_only_where_it_is_needed():
    """`--resume none` again would throw away what was done; an archived run is copied at its first save."""
    for resume, saved, expected in [
        ("auto", True, []),
        ("none", True, []),
        ("last", True, ["--resume", "last"]),
        ("old/last.pt", True, []),
        ("old/last.pt", False, ["--resume", "old/last.pt"]),
    ]:
        assert flags_of_run(read_settings({}, ["--resume", resume]), {}, saved) == expected


def test_a_repository_that_was_moved_needs_no_flags_for_its_own_paths():
    settings = read_settings({}, ["--preset", "nano"])
    moved = {
        key: value.replace(str(ROOT), "/somewhere/else") if isinstance(value, str) else value
        for key, value in settings.items()
    }
    assert flags_of_run(moved, {}, saved=True) == ["--preset", "nano"]
    moved["corpus_file"] = "/somewhere/else/my_corpus.txt"
    assert flags_of_run(moved, {}, saved=True) == ["--preset", "nano", "--corpus_file", "/somewhere/else/my_corpus.txt"]


def test_settings_of_another_version_are_left_out_and_a_broken_config_is_named():
    settings = read_settings({}, [])
    assert flags_of_run(settings | {"from_the_future": 3}, {}, saved=True) == []
    with pytest.raises(SettingsError, match="no preset 'huge'"):
        flags_of_run(settings | {"preset": "huge"}, {}, saved=True)
    with pytest.raises(SettingsError, match="batch_size"):
        flags_of_run(settings, {"batch_size": -1}, saved=True)
