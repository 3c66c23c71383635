"""Checkpoints: no failing disk may cost the last good one, and no file that is read may run code."""

import errno
import os
import pickle
import random
import shutil
import sys
from pathlib import Path

import pytest
import torch

from model.architecture.config import ConfigError
from pretraining import checkpoint
from pretraining.checkpoint import (
    CheckpointError,
    best_checkpoint,
    build_model,
    load_checkpoint,
    load_trained_model,
    save_checkpoint,
)


@pytest.fixture
def values(model, tokenizer) -> dict:
    """What `best.pt` holds."""
    return {
        "model": model.state_dict(),
        "model_config": model.config.to_dict(),
        "tokenizer": tokenizer.to_json(),
        "context_length": 32,
        "step": 250,
        "losses": {"heldout_code": 3.5},
    }


@pytest.fixture
def saved(values, tmp_path) -> Path:
    save_checkpoint(values, tmp_path / "last.pt")
    return tmp_path / "last.pt"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_model_comes_back_as_it_was_saved(saved, model, tokenizer):
    """Weights, tokenizer and context from one file: nothing else has to be kept beside it."""
    trained = load_trained_model(saved)
    tokens = torch.arange(20)[None]
    assert torch.equal(trained.model(tokens), model.eval()(tokens)) and not trained.model.training
    assert trained.tokenizer.sha256 == tokenizer.sha256
    assert (trained.step, trained.losses, trained.context_length) == (250, {"heldout_code": 3.5}, 32)
    assert trained.path == saved


def test_torch_reads_it_without_trusting_it(saved, values):
    """Others read our files with the safe reader, which refuses everything but tensors and plain values."""
    read = torch.load(saved, weights_only=True)
    assert read.keys() == {"format", *values} and names(saved.parent) == ["last.pt"]


def test_what_is_replaced_is_the_whole_file(saved, values):
    save_checkpoint(values | {"step": 500}, saved)
    assert load_checkpoint(saved)["step"] == 500 and names(saved.parent) == ["last.pt"]


def fail_with(error: Exception):
    def failing(*arguments, **settings):
        raise error

    return failing


@pytest.mark.parametrize(
    "call, error",
    [
        ((os, "fsync"), OSError(errno.ENOSPC, "No space left on device")),
        ((torch, "save"), OSError(errno.ENOSPC, "No space left on device")),
        ((torch, "save"), OSError(errno.EDQUOT, "Disk quota exceeded")),
        ((torch, "save"), RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed")),
    ],
)
def test_a_full_disk_keeps_the_old_file_and_says_what_is_free(saved, values, monkeypatch, call, error):
    before = saved.read_bytes()
    monkeypatch.setattr(*call, fail_with(error))
    with pytest.raises(CheckpointError, match=r"the disk is full: .*last\.pt.*\([\d,]+ MB free\).*Free some space"):
        save_checkpoint(values | {"step": 500}, saved)
    assert saved.read_bytes() == before and names(saved.parent) == ["last.pt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is a thing of Linux")
def test_a_truly_full_device_is_recognised(saved, values):
    """What torch's writer raises there, and not what a test believes that it raises."""
    before = saved.read_bytes()
    saved.with_name("last.pt.tmp").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match="the disk is full"):
        save_checkpoint(values, saved)
    assert saved.read_bytes() == before and names(saved.parent) == ["last.pt"]


def test_a_forbidden_folder_is_not_called_a_full_disk(values, tmp_path, monkeypatch):
    """Whatever words its name holds."""
    folder = tmp_path / "typewriter"
    folder.mkdir()
    forbidden = PermissionError(errno.EACCES, "Permission denied", str(folder))
    monkeypatch.setattr(os, "replace", fail_with(forbidden))
    with pytest.raises(CheckpointError, match=r"Permission denied.*Give --checkpoint_dir a folder"):
        save_checkpoint(values, folder / "last.pt")
    assert names(folder) == []


@pytest.mark.parametrize("place", ["file/last.pt", "file/deeper/still/last.pt"])
def test_a_file_where_the_folder_should_be_is_one_message(values, tmp_path, place):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CheckpointError, match=r"last\.pt could not be written"):
        save_checkpoint(values, tmp_path / place)


def test_a_truncated_file_is_refused_wherever_it_was_cut(saved):
    """As a copy that was interrupted leaves it."""
    content = saved.read_bytes()
    for share in (0, 0.001, 0.01, 0.3, 0.6, 0.99, 0.9999):
        saved.write_bytes(content[: int(share * len(content))])
        with pytest.raises(CheckpointError, match=r"last\.pt is damaged or not a checkpoint .*there are: last\.pt"):
            load_checkpoint(saved)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_no_bytes_at_all_get_past_with_another_error(tmp_path):
    """torch's reader answers nonsense with a dozen kinds of exception; the user gets one."""
    dice = random.Random(0)
    path = tmp_path / "model.pt"
    contents = [dice.randbytes(dice.randint(0, 200)) for _ in range(400)]
    contents += [b"hello\n" * 9, b'{"a": 1}', b"import os\n", b"PK\x03\x04" + bytes(99), pickle.dumps([1, {"a": 2}])]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


class Bomb:
    """An object that runs a command when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("writer", [torch.save, lambda bomb, path: path.write_bytes(pickle.dumps(bomb))])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_code_in_a_file_is_not_run(tmp_path, monkeypatch, writer):
    """Checkpoints are passed around; opening one must be as safe as opening a picture."""
    monkeypatch.chdir(tmp_path)
    writer({"format": 1, "model": Bomb()}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="is damaged or not a checkpoint") as caught:
        load_checkpoint(tmp_path / "model.pt")
    assert names(tmp_path) == ["model.pt"] and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [{"state_dict": {}}, {"format": 2}, [1, 2], torch.zeros(3)])
def test_files_of_other_programs_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="was not written by this project"):
        load_checkpoint(tmp_path / "model.pt")


def test_a_missing_file_is_answered_with_what_is_there(saved):
    with pytest.raises(CheckpointError, match=r"no checkpoint .*best\.pt.*there are: last\.pt"):
        load_checkpoint(saved.with_name("best.pt"))
    with pytest.raises(CheckpointError, match=r"python pretraining/train_improved\.py"):
        load_checkpoint(saved.parent / "nowhere" / "best.pt")


def test_the_best_checkpoint_is_best_then_last_then_the_latest_step_then_the_newest_archive(tmp_path):
    order = [
        "best.pt",
        "last.pt",
        "step_001000.pt",
        "step_000250.pt",
        "archive/20260302-000000-gpt_tiny/best.pt",
        "archive/20260302-000000-gpt_tiny/last.pt",
        "archive/20260301-000000-gpt_nano/best.pt",
    ]
    for name in order:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "archive" / "20260303-000000-empty").mkdir()
    for name in order:
        assert best_checkpoint(tmp_path) == tmp_path / name
        (tmp_path / name).unlink()
    shutil.rmtree(tmp_path / "archive")
    with pytest.raises(CheckpointError, match=r"no checkpoint in .*train_improved\.py --preset nano"):
        best_checkpoint(tmp_path)


def test_weights_that_do_not_fit_their_config_are_refused(values):
    wider = values["model_config"] | {"hidden_size": 32}
    with pytest.raises(CheckpointError, match=r"mine\.pt: its weights do not fit its config"):
        build_model(values | {"model_config": wider}, Path("mine.pt"))
    with pytest.raises(ConfigError, match=r"mine\.pt: unknown key"):
        build_model(values | {"model_config": wider | {"n_experts": 8}}, Path("mine.pt"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no files that only some may read")
def test_a_file_that_can_not_be_read_is_refused(saved, monkeypatch):
    monkeypatch.setattr(torch, "load", fail_with(PermissionError(errno.EACCES, "Permission denied", str(saved))))
    with pytest.raises(CheckpointError, match="Permission denied"):
        load_checkpoint(saved)


def test_the_usual_folder_is_beside_the_code():
    assert Path(checkpoint.__file__).with_name("checkpoints") == checkpoint.CHECKPOINT_DIR
