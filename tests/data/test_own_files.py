"""The user's own files are counted as the mix counts them, so that a page that says "not seen yet" is right."""

import json
import os

import pytest

from data import documents, mix
from data.own_files import SUFFIXES, own_files, unseen_kinds


@pytest.fixture
def mixed(tmp_path):
    """A folder of own files with everything that is awkward in it, and the account that a real mix gives of it."""
    raw = tmp_path / "raw"
    for name, text in {
        "code/a.py": "x = 1\n",
        "code/deep/collected/B.PY": "y = 2\n",
        "code/empty.py": "",
        "code/notes.txt": "not code\n",
        "code/collected/click/c.py": "z = 3\n",
        "books/one.txt": "Once upon a time. " * 40,
        "outside/secret.py": "s = 4\n",
    }.items():
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_text(text)
    (raw / "code/inside.py").symlink_to(raw / "code/a.py")
    (raw / "code/leads_out.py").symlink_to(raw / "outside/secret.py")
    (raw / "code/leads_nowhere.py").symlink_to(raw / "code/gone.py")
    (raw / "code/folder").symlink_to(raw / "code/deep")
    mix.create_mixed_corpus(3, raw, tmp_path / "out", only_own=True)
    manifest = tmp_path / "out/manifest.json"
    return raw, json.loads(manifest.read_text()), manifest.stat().st_mtime


def test_a_mix_that_was_just_made_has_seen_everything(mixed):
    raw, manifest, mixed_at = mixed
    assert unseen_kinds(raw, manifest, mixed_at) == []
    assert len(own_files(raw, "code")) == 4, "a, B, the empty one, and the link inside"
    assert SUFFIXES == documents.SUFFIXES


@pytest.mark.parametrize("change", ["added", "removed", "longer", "same size", "book"])
def test_every_change_since_then_is_noticed(mixed, change):
    raw, manifest, mixed_at = mixed
    if change == "added":  # with `cp -p`, which keeps an old date
        (raw / "code/new.py").write_text("n = 5\n")
        os.utime(raw / "code/new.py", (0, 0))
    elif change == "removed":
        (raw / "code/a.py").rename(raw / "outside/a.py")
        (raw / "code/inside.py").unlink()
    elif change == "longer":
        (raw / "code/a.py").write_text("x = 1111\n")
        os.utime(raw / "code/a.py", (0, 0))
    elif change == "same size":
        (raw / "code/a.py").write_text("x = 2\n")
        os.utime(raw / "code/a.py", (mixed_at + 5, mixed_at + 5))
    else:
        (raw / "books/two.txt").write_text("The end.\n")
    assert unseen_kinds(raw, manifest, mixed_at) == (["books"] if change == "book" else ["code"])


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert own_files(tmp_path, "books") == []
    assert unseen_kinds(tmp_path, {"sources": []}, 0.0) == []
