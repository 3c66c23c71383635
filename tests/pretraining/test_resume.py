"""Which run goes on: never a different one under the same name, never two at once, and nothing is ever lost."""

import copy
import json
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from pretraining.checkpoint import CheckpointError, save_checkpoint
from pretraining.resume import archive_run, checkpoint_to_resume, differences, fits, timestamp_now

IDENTITY = {
    "model": {"n_layers": 6, "hidden_size": 512},
    "tokenizer": "abc",
    "corpus": "def",
    "recipe": {"max_steps": 100, "max_minutes": None, "learning_rate": 3e-3, "schedule": "cosine"},
}


def checkpoint(step: int = 40, total_steps: int | None = 100) -> dict:
    training = {"identity": copy.deepcopy(IDENTITY), "total_steps": total_steps, "preset": "nano"}
    return {"step": step, "training": training}


def identity(**changes) -> dict:
    """The identity of a run that is about to start, with changed settings in its recipe."""
    return IDENTITY | {"recipe": IDENTITY["recipe"] | changes}


def test_differences_are_found_at_any_depth_and_on_both_sides():
    there = {"a": 1, "b": {"c": 2, "d": 3, "only there": 0}}
    here = {"a": 1, "b": {"c": 2, "d": 4, "only here": None}, "e": {"f": 1}}
    assert differences(there, here) == {
        "b.d": (3, 4),
        "b.only there": (0, None),
        "e": (None, {"f": 1}),
    }
    assert differences(here, here) == {}


def test_auto_goes_on_with_the_same_unfinished_run_and_with_no_other():
    assert fits(checkpoint(), identity(), "auto")
    assert fits(checkpoint(total_steps=None), identity(), "auto"), "stopped before its length was measured"
    assert not fits(checkpoint(step=100), identity(), "auto"), "finished"
    for other in (identity(learning_rate=1e-3), identity(max_steps=200), IDENTITY | {"corpus": "new"}):
        assert not fits(checkpoint(), other, "auto")


@pytest.mark.parametrize("word", ["last", "some/last.pt"])
def test_who_insists_on_another_recipe_is_told_every_difference(word):
    """Half a run of one recipe and half of another is a run of none."""
    other = identity(learning_rate=1e-3, schedule="linear") | {"tokenizer": "xyz"}
    with pytest.raises(CheckpointError) as caught:
        fits(checkpoint(), other, word)
    message = str(caught.value)
    for line in (
        "tokenizer: abc there, xyz here",
        "recipe.learning_rate: 0.003 there, 0.001 here",
        "recipe.schedule: cosine there, linear here",
        "started with --preset nano",
        "--resume none",
    ):
        assert line in message
    assert "corpus" not in message and "max_steps" not in message


def test_a_run_may_be_lengthened_finished_or_not():
    assert fits(checkpoint(step=100), identity(max_steps=200), "last")
    assert fits(checkpoint(step=40), identity(max_steps=200), "last")
    assert fits(checkpoint(step=40), identity(max_minutes=5.0), "last")
    assert fits(checkpoint(step=40), identity(), "last")


def test_a_finished_run_is_not_run_again_but_says_how_to_lengthen_it():
    with pytest.raises(CheckpointError, match=r"has finished its 100 steps.*--resume last --max_steps 200"):
        fits(checkpoint(step=100), identity(), "last")


def test_which_file_each_word_means(tmp_path):
    save_checkpoint(checkpoint(), tmp_path / "last.pt")
    save_checkpoint(checkpoint(step=7), tmp_path / "other.pt")
    assert checkpoint_to_resume("none", tmp_path) is None
    assert checkpoint_to_resume("auto", tmp_path / "empty") is None
    for word, step in (("auto", 40), ("last", 40), (str(tmp_path / "other.pt"), 7)):
        assert checkpoint_to_resume(word, tmp_path)["step"] == step
    for word in ("last", str(tmp_path / "empty" / "missing.pt")):
        with pytest.raises(CheckpointError, match="there is no checkpoint"):
            checkpoint_to_resume(word, tmp_path / "empty")


def test_a_damaged_file_stops_who_insists_and_is_put_aside_for_who_does_not(tmp_path, capsys):
    (tmp_path / "last.pt").write_bytes(b"half a file")
    assert checkpoint_to_resume("auto", tmp_path) is None
    assert "is damaged" in (said := capsys.readouterr().out) and "a fresh run starts" in said
    with pytest.raises(CheckpointError, match="is damaged"):
        checkpoint_to_resume("last", tmp_path)


def test_a_file_that_can_not_be_read_is_not_taken_for_damaged(tmp_path, monkeypatch):
    """A run would begin anew although all of it is there, such as after a training with other rights."""
    (tmp_path / "last.pt").write_bytes(b"whole")
    monkeypatch.setattr(torch, "load", Mock(side_effect=PermissionError(13, "Permission denied")))
    with pytest.raises(CheckpointError, match="Permission denied"):
        checkpoint_to_resume("auto", tmp_path)


def test_weights_alone_can_not_be_resumed_but_started_from(tmp_path):
    """Without the optimizer's state the run would go on, and differently."""
    save_checkpoint({"step": 40}, tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match=r"holds weights only.*--init_from .*best\.pt"):
        checkpoint_to_resume(str(tmp_path / "best.pt"), tmp_path)


# -- the archive -------------------------------------------------------------------------------------------------------


def finished_run(folder: Path, log_path: Path, owner: Path | None = None) -> dict[str, bytes]:
    """Files of a run in `folder` whose log says that it belongs to `owner`; returns their contents."""
    contents = {name: name.encode() for name in ("last.pt", "best.pt", "step_000010.pt")}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    run = {"checkpoint_dir": str(owner or folder), "started": "20260101-120000", "config": "gpt_tiny"}
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log_path.write_text(json.dumps({"run": run, "train": [], "validation": []}), encoding="utf-8")
    return contents | {"training_log.json": log_path.read_bytes()}


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_run_moves_to_the_archive_whole_with_its_log(tmp_path):
    folder, log_path = tmp_path / "checkpoints", tmp_path / "logs" / "training_log.json"
    files = finished_run(folder, log_path)
    target = archive_run(folder, log_path)
    assert target == folder / "archive" / "20260101-120000-gpt_tiny"
    assert contents_of(target) == files
    assert contents_of(folder) == {} and not log_path.exists()


def test_runs_of_the_same_second_do_not_meet(tmp_path):
    folder, log_path = tmp_path / "checkpoints", tmp_path / "log.json"
    targets = []
    for _ in range(3):
        files = finished_run(folder, log_path)
        targets.append(archive_run(folder, log_path))
    assert [target.name for target in targets] == [f"20260101-120000-gpt_tiny{end}" for end in ("", "-2", "-3")]
    assert all(contents_of(target) == files for target in targets)


def test_the_log_of_a_run_in_another_folder_is_kept_and_not_taken_for_ours(tmp_path):
    """Two folders with one log path: the fresh run is about to write over what the other has told."""
    folder, log_path = tmp_path / "checkpoints", tmp_path / "training_log.json"
    files = finished_run(folder, log_path, owner=tmp_path / "elsewhere")
    target = archive_run(folder, log_path)
    assert target.name.endswith("-unknown")
    log = files.pop("training_log.json")
    assert contents_of(target) == files | {"other_training_log.json": log} and not log_path.exists()


def test_a_file_that_is_no_log_is_kept_too(tmp_path):
    (tmp_path / "notes.txt").write_text("do not lose me")
    target = archive_run(tmp_path / "checkpoints", tmp_path / "notes.txt")
    assert contents_of(target) == {"other_notes.txt": b"do not lose me"}


def test_where_nothing_was_nothing_is_made(tmp_path):
    assert archive_run(tmp_path, tmp_path / "log.json") is None and list(tmp_path.iterdir()) == []


def test_an_archive_that_can_not_be_written_is_one_message_and_nothing_moves(tmp_path):
    files = finished_run(tmp_path, tmp_path / "training_log.json")
    (tmp_path / "archive").write_text("a file in the way")
    with pytest.raises(CheckpointError, match="the earlier run could not be moved"):
        archive_run(tmp_path, tmp_path / "training_log.json")
    assert contents_of(tmp_path) == files | {"archive": b"a file in the way"}


def test_the_names_of_archived_runs_sort_by_their_start():
    assert timestamp_now() > "20260101-000000" and len(timestamp_now()) == 15
