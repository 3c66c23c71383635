"""Packages are fetched as the user's pip would look for them, and only the very file that a list names is taken."""

import hashlib
import zipfile

import pytest

from data.corpus import CorpusError
from data.fetch import PipSettings, package_client, parse_pip_settings


def test_pip_settings_are_read_as_pip_prints_them():
    settings = parse_pip_settings(
        """:env:.default-timeout='180'
:env:.find-links='/somewhere/wheels'
global.cert='/etc/certificates.crt'
global.extra-index-url='file:///one/simple https://two.example/simple'
global.find-links='/elsewhere'
global.index-url='https://name:secret@mirror.example/simple'
global.trusted-host='\\nmirror.example\\nother.example'
list.format='columns'
"""
    )
    assert settings == PipSettings(
        index_url="https://name:secret@mirror.example/simple",
        extra_index_urls=["file:///one/simple", "https://two.example/simple"],
        find_links=["/somewhere/wheels"],  # the environment is stronger than a file
        trusted_hosts=["mirror.example", "other.example"],
        cert="/etc/certificates.crt",
    )


def test_settings_of_pip_download_are_stronger_than_global_ones_whatever_their_order():
    listing = "download.index-url='https://b.example'\nglobal.index-url='https://a.example'\nglobal.no-index='true'\n"
    settings = parse_pip_settings(listing)
    assert settings.index_url == "https://b.example" and settings.no_index


def test_no_settings_and_noise_mean_pips_defaults():
    assert parse_pip_settings("") == parse_pip_settings("WARNING: something odd = here\n") == PipSettings()


@pytest.fixture
def shelf(tmp_path):
    """A folder as `find-links` names it, with one wheel, and the entry of a pinned list for it."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    path = folder / "tiny_thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_thing/__init__.py", "x = 1\n")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return folder, {"name": "tiny-thing", "version": "1.0", "kind": "wheel", "sha256": sha256}


def settings_for(folder, **others):
    return PipSettings(find_links=[str(folder)], no_index=True, **others)


def test_a_pinned_file_is_found_in_the_users_own_folder(shelf, tmp_path):
    folder, pinned = shelf
    with package_client(settings_for(folder)) as client:
        path = client.fetch(pinned, tmp_path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == pinned["sha256"]


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"version": "1.1"}, {"kind": "sdist"}, {"name": "other"}])
def test_another_file_than_the_pinned_one_is_not_taken(shelf, tmp_path, change):
    folder, pinned = shelf
    with package_client(settings_for(folder)) as client, pytest.raises(CorpusError, match="none of the places"):
        client.fetch({**pinned, **change}, tmp_path)


def test_indexes_that_are_not_there_break_nothing(shelf, tmp_path):
    """A pip configuration often names mirrors that exist on some machines only."""
    folder, pinned = shelf
    absent = (tmp_path / "absent" / "simple").as_uri()
    with package_client(PipSettings(index_url=absent, find_links=[str(tmp_path / "no"), str(folder)])) as client:
        assert client.fetch(pinned, tmp_path).name == "tiny_thing-1.0-py3-none-any.whl"
        with pytest.raises(CorpusError, match="none of the places"):
            client.fetch({**pinned, "version": "2.0"}, tmp_path)


def test_a_network_that_does_not_answer_is_asked_once(shelf, tmp_path, monkeypatch):
    _, pinned = shelf
    monkeypatch.setenv("NO_PROXY", "*")
    with package_client(PipSettings(index_url="http://127.0.0.1:9/simple")) as client:
        with pytest.raises(CorpusError, match="no network"):
            client.fetch(pinned, tmp_path)
        client.session.close()  # a second attempt would fail differently
        with pytest.raises(CorpusError, match="no network"):
            client.fetch(pinned, tmp_path)
