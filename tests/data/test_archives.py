"""Archives come from strangers: nothing in one may reach outside its folder or fill the disk."""

import io
import tarfile
import zipfile

import pytest

from data import archives
from data.archives import read_members
from data.corpus import CorpusError


def everything(name):
    return True


def sdist(path, members):
    """Write a tar.gz of (name, content) files; a content that is a TarInfo goes in as it is."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def wheel(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_only_what_is_wanted_is_read_and_the_wrapping_folder_of_an_sdist_is_dropped(tmp_path):
    members = [("p-1.0/p/a.py", b"a = 1\n"), ("p-1.0/p/data.bin", b"\0")]
    path = sdist(tmp_path / "p-1.0.tar.gz", members)
    assert list(read_members(path, lambda name: name.endswith(".py"))) == [("p/a.py", b"a = 1\n")]
    path = wheel(tmp_path / "p-1.0-py3-none-any.whl", [("p/a.py", b"a = 1\n"), ("p/b.txt", b"")])
    assert list(read_members(path, lambda name: name.endswith(".py"))) == [("p/a.py", b"a = 1\n")]


@pytest.mark.parametrize("name", ["../evil.py", "p/../../evil.py", "/etc/evil.py", "p\\..\\..\\evil.py", "C:/evil.py"])
@pytest.mark.parametrize("make, suffix", [(sdist, ".tar.gz"), (wheel, ".whl")])
def test_a_name_that_leaves_the_folder_refuses_the_archive(tmp_path, make, suffix, name):
    path = make(tmp_path / f"bad{suffix}", [(name, b"evil = 1\n")])
    with pytest.raises(CorpusError, match="outside the folder"):
        list(read_members(path, everything))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_an_sdist_are_never_followed(tmp_path, kind):
    link = tarfile.TarInfo("p-1.0/p/link.py")
    link.type, link.linkname = kind, "/etc/passwd"
    path = sdist(tmp_path / "p-1.0.tar.gz", [("", link), ("p-1.0/p/a.py", b"a = 1\n")])
    assert [name for name, _ in read_members(path, everything)] == ["p/a.py"]


def test_a_link_in_a_wheel_is_not_taken_for_a_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "p.whl", "w") as archive:
        link = zipfile.ZipInfo("p/link.py")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert list(read_members(tmp_path / "p.whl", everything)) == []


@pytest.mark.parametrize("make, suffix", [(sdist, ".tar.gz"), (wheel, ".whl")])
def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch, make, suffix):
    monkeypatch.setattr(archives, "LARGEST_MEMBER", 1000)
    path = make(tmp_path / f"bomb{suffix}", [("p/zeros.py", b"0" * 1001)])
    with pytest.raises(CorpusError, match="larger than"):
        list(read_members(path, everything))
    monkeypatch.setattr(archives, "LARGEST_TOTAL", 1500)
    path = make(tmp_path / f"many{suffix}", [("p/a.py", b"0" * 900), ("p/b.py", b"0" * 900)])
    with pytest.raises(CorpusError, match="larger than"):
        list(read_members(path, everything))


@pytest.mark.parametrize("name", ["cut.whl", "cut.tar.gz"])
def test_a_damaged_archive_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"not an archive")
    with pytest.raises(CorpusError, match=f"{name} can not be unpacked"):
        list(read_members(tmp_path / name, everything))
