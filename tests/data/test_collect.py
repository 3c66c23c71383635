"""Collecting: what may be used, what it is made of, and that nothing half-done or unlicensed ends up in data/raw."""

import contextlib
import json
import re
from email.message import Message

import pytest

from data import collect
from data.collect import SOURCES, Report, canonical, collect_pinned, is_permissive, licence_of, required_distributions
from data.corpus import CorpusError
from tests.data.test_archives import sdist, wheel


def read_list(name):
    return json.loads((SOURCES / name).read_text("utf-8"))


@pytest.mark.parametrize("name", ["code_packages.json", "books.json"])
def test_every_pinned_source_names_one_file_and_a_licence(name):
    entries = read_list(name)
    assert len({entry["name"] for entry in entries}) == len(entries)
    for entry in entries:
        assert canonical(entry["name"]) == entry["name"]
        assert re.fullmatch(r"[0-9a-f]{64}", entry["sha256"]), entry["name"]
        assert entry["kind"] in ("wheel", "sdist") and entry["version"] and entry["licence"] and entry["why"]


def test_code_is_permissive_and_every_book_states_its_own_licence():
    for entry in read_list("code_packages.json"):
        assert is_permissive(entry["licence"]) and entry["take"], entry["name"]
    for entry in read_list("books.json"):
        for book in entry["books"]:
            assert book["licence"].startswith("public domain") and book["title"] and book["path"], entry["name"]


def test_what_is_held_out_can_be_collected():
    """A mistyped name would silently move a held-out package into training."""
    requirements = SOURCES.parents[1] / "requirements.txt"
    code = {entry["name"] for entry in read_list("code_packages.json")}
    code |= {canonical(distribution.metadata["Name"]) for distribution in required_distributions(requirements)}
    books = {entry["name"] for entry in read_list("books.json")} | {collect.TOPICS}
    heldout = read_list("heldout.json")
    assert {entry["source"] for entry in heldout["code"]} <= code
    assert {entry["source"] for entry in heldout["books"]} <= books
    from pydoc_data.topics import topics

    for entry in heldout["books"]:
        if entry["source"] == collect.TOPICS:
            assert entry["document"].removesuffix(".txt") in topics


@pytest.mark.parametrize(
    "licence",
    [
        "MIT",
        "MIT-CMU",
        "ISC",
        "PSF-2.0",
        "Apache 2.0 License",
        "Apache Software License",
        "Apache-2.0 OR BSD-2-Clause",
        "Apache-2.0 AND (Apache-2.0 WITH LLVM-exception)",
        "BSD License AND MIT License",
        "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0",
        "Python Software Foundation License",
    ],
)
def test_permissive_licences(licence):
    assert is_permissive(licence)


@pytest.mark.parametrize(
    "licence",
    [
        "",
        "not stated",
        "GPL-3.0-or-later",
        "LGPLv3",
        "GNU General Public License (GPL)",
        "MPL-2.0 AND MIT",
        "MIT OR GPL-2.0",
        "MIT plus conditions",
        "Proprietary, not MIT",
        "CC-BY-NC-4.0",
    ],
)
def test_licences_that_are_not_permissive_or_not_known(licence):
    assert not is_permissive(licence)


def metadata(**fields):
    message = Message()
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            message[name.replace("_", "-")] = one
    return message


def test_the_licence_is_the_expression_else_the_classifiers_else_the_field():
    classifiers = [
        "Topic :: Software",
        "License :: OSI Approved :: MIT License",
        "License :: OSI Approved :: BSD License",
    ]
    assert licence_of(metadata(License_Expression="ISC", License="GPL", Classifier=classifiers)) == "ISC"
    assert (
        licence_of(metadata(License="a long text\nof many lines", Classifier=classifiers))
        == "MIT License AND BSD License"
    )
    assert licence_of(metadata(License="Apache-2.0")) == "Apache-2.0"
    assert licence_of(metadata()) == "not stated"


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """A folder of installed distributions: app needs helper (heavy: only as an extra); nobody needs lone."""
    folder = tmp_path / "installed"
    folder.mkdir()

    def install(name, requires=(), licence="MIT", files=("__init__.py",)):
        (folder / name).mkdir()
        for file in files:
            (folder / name / file).write_text(f"name = {name!r}\n")
        about = folder / f"{name}-1.0.dist-info"
        about.mkdir()
        lines = [f"Name: {name}", "Version: 1.0", f"License-Expression: {licence}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (about / "METADATA").write_text("Metadata-Version: 2.4\n" + "\n".join(lines) + "\n")
        records = [f"{name}/{file},," for file in files] + [f"../../bin/{name}.py,,"]
        (about / "RECORD").write_text("\n".join(records) + "\n")

    install("app", ['helper>=1; python_version > "3"', 'heavy; extra == "all"', "missing"])
    install("helper", ["App"])
    install("heavy")
    install("lone")
    install("copyleft", licence="GPL-3.0-only")
    monkeypatch.syspath_prepend(folder)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# a comment\n\napp>=1.0  # why\ncopyleft\n")
    return folder, requirements


def test_what_requirements_pull_in_is_followed_but_not_extras(installation):
    _, requirements = installation
    assert [found.metadata["Name"] for found in required_distributions(requirements)] == ["app", "copyleft", "helper"]


def test_the_installation_is_collected_once_and_what_is_left_out_has_a_reason(installation, tmp_path):
    _, requirements = installation
    report = Report()
    collect.collect_installed(tmp_path / "raw", requirements, report)
    code = tmp_path / "raw" / "code" / "collected"
    assert sorted(path.name for path in code.iterdir()) == ["app", "helper", collect.STANDARD_LIBRARY]
    assert (code / "app" / "app" / "__init__.py").read_text() == "name = 'app'\n"
    assert not list(code.rglob("app.py")), "a file outside the packages' folder was taken"
    assert json.loads((code / "helper" / "source.json").read_text())["licence"] == "MIT"
    assert (code / collect.STANDARD_LIBRARY / "json" / "decoder.py").exists()
    assert not (code / collect.STANDARD_LIBRARY / "site-packages").exists()
    assert (tmp_path / "raw" / "books" / "collected" / collect.TOPICS / "compound.txt").exists()
    assert len(report.left_out) == 1 and "copyleft" in report.left_out[0] and "GPL-3.0-only" in report.left_out[0]

    again = Report()
    collect.collect_installed(tmp_path / "raw", requirements, again)
    assert again.collected == [] and len(again.present) == 4


def test_a_link_that_leaves_the_package_is_not_copied(installation, tmp_path):
    folder, requirements = installation
    secret = tmp_path / "secret.py"
    secret.write_text("password = 1\n")
    (folder / "app" / "__init__.py").unlink()
    (folder / "app" / "__init__.py").symlink_to(secret)
    collect.collect_installed(tmp_path / "raw", requirements, Report())
    assert not (tmp_path / "raw" / "code" / "collected" / "app" / "app").exists()


class FakeClient:
    """Hands out archives from a dictionary, and fails for the rest as the network would."""

    def __init__(self, archives):
        self.archives = archives

    def fetch(self, pinned, folder):
        if pinned["name"] not in self.archives:
            raise CorpusError("no network? ConnectError")
        return self.archives[pinned["name"]]


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """Lists with one package and two sources of books, and a place to hand their archives to."""
    sources = tmp_path / "sources"
    sources.mkdir()
    sha256 = "0" * 64
    common = {"version": "1", "kind": "sdist", "sha256": sha256, "why": "for the test"}
    (sources / "code_packages.json").write_text(
        json.dumps([{"name": "tool", "licence": "MIT", "take": ["tool/"], **common}])
    )
    novel = {"path": "texts/novel.txt", "title": "A Novel", "licence": "public domain", "begins_with": "Chapter 1"}
    verses = {"path": "web/verses.py", "title": "Verses", "licence": "public domain", "reader": "bible"}
    books = [{"name": "novels", "licence": "public domain", "books": [novel], **common},
             {"name": "verses", "licence": "public domain", "books": [verses], **common}]  # fmt: skip
    (sources / "books.json").write_text(json.dumps(books))
    archives = {}
    client = FakeClient(archives)
    monkeypatch.setattr(collect, "package_client", lambda settings: contextlib.nullcontext(client))
    monkeypatch.setattr(collect, "read_pip_settings", lambda: None)
    return sources, archives


def test_without_a_network_everything_that_is_missing_is_one_line(pinned, tmp_path):
    sources, _ = pinned
    report = Report()
    collect_pinned(tmp_path / "raw", sources, report)
    assert report.left_out == ["tool 1, novels 1, verses 1: no network? ConnectError"]
    assert not list((tmp_path / "raw").rglob("*"))


VERSES = '''raise SystemExit("this must never run")
bible = Bible(
    Version.ONE,
    """In the beginning. God`s   light. And then?""",
    {1001001: 0, 1001002: 18, 1002001: 33},
    {1001001: 17, 1001002: 32, 1002001: 42},
    {Book.FIRST: {1: 2, 2: 1}},
    {Book.FIRST: "1 First"},
    True,
)
'''


def test_pinned_sources_are_unpacked_as_their_list_says(pinned, tmp_path):
    sources, archives = pinned
    members = [("tool-1/tool/a.py", b"a = 1\n"), ("tool-1/setup.py", b"raise SystemExit\n"), ("tool-1/tool/b.c", b"")]
    archives["tool"] = sdist(tmp_path / "tool-1.tar.gz", members)
    archives["novels"] = sdist(tmp_path / "n.tar.gz", [("n-1/texts/novel.txt", b"A licence.\nChapter 1\nIt was.\n")])
    archives["verses"] = wheel(tmp_path / "v.whl", [("web/verses.py", VERSES.encode())])
    report = Report()
    collect_pinned(tmp_path / "raw", sources, report)
    assert report.left_out == []
    code, books = tmp_path / "raw" / "code" / "collected", tmp_path / "raw" / "books" / "collected"
    assert [path.name for path in code.rglob("*.py")] == ["a.py"]
    assert (books / "novels" / "novel.txt").read_text() == "Chapter 1\nIt was.\n"
    expected = "1 First\n\nChapter 1\n\nIn the beginning. God's light.\n\nChapter 2\n\nAnd then?\n"
    assert (books / "verses" / "1_first.txt").read_text() == expected
    again = Report()
    archives.clear()  # nothing is fetched a second time
    collect_pinned(tmp_path / "raw", sources, again)
    assert again.present == ["tool", "novels", "verses"] and again.left_out == []
    changed = (sources / "books.json").read_text().replace("A Novel", "The Novel")
    (sources / "books.json").write_text(changed)
    edited = Report()
    collect_pinned(tmp_path / "raw", sources, edited)
    assert edited.present == ["tool", "verses"], "an edited list is collected anew"


def test_an_archive_that_is_refused_halfway_leaves_nothing(pinned, tmp_path):
    sources, archives = pinned
    archives["tool"] = sdist(tmp_path / "t.tar.gz", [("tool-1/tool/a.py", b"a = 1\n"), ("tool-1/../../evil.py", b"")])
    archives["novels"] = sdist(tmp_path / "n.tar.gz", [("n-1/texts/novel.txt", b"Another edition\n")])
    report = Report()
    collect_pinned(tmp_path / "raw", sources, report)
    assert any("tool 1" in line and "outside the folder" in line for line in report.left_out)
    assert any("novels 1" in line and "'Chapter 1'" in line for line in report.left_out)
    assert not [path for path in (tmp_path / "raw").rglob("*") if path.is_file()]
