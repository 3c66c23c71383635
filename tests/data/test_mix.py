"""The corpora as a whole: who is in, who is held out, in what proportion, and what bad input does to them."""

import collections
import errno
import json
import os
import random

import pytest

from data import corpus, mix, split
from data.corpus import CorpusError, read_documents
from data.mix import create_mixed_corpus

HELDOUT = {
    "code": [{"source": "second"}, {"source": "first"}],
    "books": [{"source": "novels", "document": "held.txt"}],
}


def module(seed, functions=20):
    """A plausible Python file, unlike that of any other seed."""
    generator = random.Random(str(seed))
    names = ["".join(generator.choices("abcdefghijklmnop", k=8)) for _ in range(functions)]
    bodies = [
        f"def {name}(value, {generator.choice(names)}=None):\n"
        f'    """Return {generator.choice(names)} of {generator.choice(names)}."""\n'
        f"    return value + {generator.choice(names)}\n"
        for name in names
    ]
    return "\n\n".join(bodies)


def prose(seed, words=800):
    generator = random.Random(f"prose {seed}")
    sentence = [f"w{generator.randrange(3000)}" for _ in range(words)]
    return "\n".join(" ".join(sentence[start : start + 10]) for start in range(0, words, 10)) + "\n"


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def collected(raw, kind, name, files):
    folder = raw / kind / "collected" / name
    for file, content in files.items():
        put(folder / file, content)
    put(folder / "source.json", json.dumps({"name": name, "version": "1.0", "licence": "MIT"}))


@pytest.fixture
def raw(tmp_path):
    """Four packages, two of them held out, and a source of books, one of them held out."""
    raw = tmp_path / "raw"
    for number, name in enumerate(("first", "second", "third", "fourth")):
        count = 60 if number > 1 else 3
        collected(raw, "code", name, {f"{name}/m{file}.py": module((name, file)) for file in range(count)})
    books = {f"book{number}.txt": prose(number) for number in range(4)}
    collected(raw, "books", "novels", {**books, "held.txt": prose("held")})
    return raw


@pytest.fixture
def make(raw, tmp_path):
    """Make the corpora of `raw` and return their documents by corpus, and the manifest."""
    put(tmp_path / "heldout.json", json.dumps(HELDOUT))

    def make(code_weight=3, output="out", **settings):
        output_dir = tmp_path / output
        manifest = create_mixed_corpus(code_weight, raw, output_dir, heldout_list=tmp_path / "heldout.json", **settings)
        assert json.loads((output_dir / "manifest.json").read_text()) == manifest
        names = ("mixed_corpus", "code_corpus", "heldout_code", "heldout_books")
        return {name: list(read_documents(output_dir / f"{name}.txt")) for name in names}, manifest

    return make


def size(documents):
    return sum(len(document.encode()) for document in documents)


def is_code(document):
    return "def " in document


def code_and_books(corpora):
    mixed = corpora["mixed_corpus"]
    return [text for text in mixed if is_code(text)], [text for text in mixed if not is_code(text)]


def source_in(manifest, name, kind="code"):
    return next(source for source in manifest["sources"] if (source["name"], source["kind"]) == (name, kind))


@pytest.mark.parametrize("code_weight", [1, 3, 5, 0.5])
def test_bytes_of_code_are_code_weight_times_the_bytes_of_books(make, code_weight):
    corpora, manifest = make(code_weight)
    code, books = code_and_books(corpora)
    largest = max(map(len, code + books))
    assert abs(size(code) - code_weight * size(books)) <= max(1, code_weight) * largest
    assert manifest["mix"]["code_bytes"] == size(code) and manifest["mix"]["book_bytes"] == size(books)


def test_books_repeat_at_most_four_times_code_never_and_the_rest_of_the_code_is_counted(make):
    corpora, manifest = make(1)
    code, books = code_and_books(corpora)
    assert set(collections.Counter(books).values()) == {4}
    assert set(collections.Counter(code).values()) == {1}
    unused = manifest["mix"]["unused_code_bytes"]
    assert unused == size(corpora["code_corpus"]) - size(code) > 0
    assert len(corpora["code_corpus"]) == 120  # all of it, whatever the mix holds


def test_where_code_is_short_all_of_it_is_in_and_books_repeat_in_part(make):
    corpora, _ = make(10)
    code, books = code_and_books(corpora)
    assert sorted(code) == sorted(corpora["code_corpus"])
    assert size(books) == pytest.approx(size(code) / 10, rel=0.5)
    assert max(collections.Counter(books).values()) - min(collections.Counter(books).values()) <= 1


def test_held_out_packages_and_books_are_in_their_own_corpora_alone_and_in_the_lists_order(make, tmp_path):
    corpora, manifest = make()
    training = set(corpora["mixed_corpus"]) | set(corpora["code_corpus"])
    expected = [module((name, file)) for name in ("second", "first") for file in range(3)]
    assert corpora["heldout_code"] == expected and corpora["heldout_books"] == [prose("held")]
    assert training.isdisjoint(expected) and prose("held") not in training
    listed = manifest["heldout_code"]["documents"]
    assert [(entry["source"], entry["path"]) for entry in listed[:4]] == [
        ("second", "second/m0.py"), ("second", "second/m1.py"), ("second", "second/m2.py"), ("first", "first/m0.py"),
    ]  # fmt: skip
    assert [entry["bytes"] for entry in listed] == [len(document.encode()) for document in corpora["heldout_code"]]
    assert manifest["heldout_books"]["documents"][0]["path"] == "held.txt#1"


def test_training_documents_much_like_held_out_ones_go(make, raw):
    copy = module(("first", 0)).replace("value", "argument", 5)
    collected(
        raw, "code", "fifth", {"fifth/copy.py": "# vendored, a little changed\n" + copy, "fifth/own.py": module(5)}
    )
    corpora, manifest = make()
    assert not [document for document in corpora["code_corpus"] if "a little changed" in document]
    assert module(5) in corpora["code_corpus"]
    assert source_in(manifest, "fifth")["removed"]["repeats a held-out document"]["documents"] == 1
    assert len(corpora["heldout_code"]) == 6


def test_duplicates_in_training_go_exact_and_near(make, raw):
    original = module(("fourth", 0), 20)
    near = original.replace("value", "argument", 3)
    collected(raw, "code", "zzz", {"zzz/same.py": original.replace("\n", "\r\n"), "zzz/near.py": near})
    corpora, manifest = make()
    assert corpora["code_corpus"].count(original) == 1 and near not in corpora["code_corpus"]
    assert {reason: counted["documents"] for reason, counted in source_in(manifest, "zzz")["removed"].items()} == {
        "exact duplicate": 1,
        "near duplicate": 1,
    }


def test_the_seed_decides_the_order_and_nothing_else_does(make):
    first, manifest = make(seed=1, output="a")
    again, _ = make(seed=1, output="b")
    other, _ = make(seed=2, output="c")
    assert first == again
    assert first["mixed_corpus"] != other["mixed_corpus"]
    assert sorted(first["code_corpus"]) == sorted(other["code_corpus"])
    assert first["code_corpus"] != sorted(first["code_corpus"])
    kinds = [is_code(document) for document in first["mixed_corpus"]]
    assert kinds not in (sorted(kinds), sorted(kinds, reverse=True)), "code and books are not mingled"
    assert first["heldout_code"] == other["heldout_code"]
    assert manifest["settings"] == {"code_weight": 3, "only_own": False, "seed": 1}


def test_own_files_are_always_in_and_not_judged(make, raw, capsys):
    own = {
        "tiny.py": "x = 1\n",
        "does/not/parse.py": "print 'python two'\n",
        "tests/test_mine.py": "assert True  # a test\n",
        "generated.py": "# do not edit\n" + "y" * 2000 + "\n",
        "twin_a.py": "same = 1\n",
        "twin_b.py": "same = 1\n",
        "latin.py": "# coding: latin-1\nname = 'Zoë'\n".encode("latin-1"),
    }
    for name, content in own.items():
        put(raw / "code" / name, content)
    put(raw / "books" / "Mine.TXT", "A short book of mine.\n")
    corpora, manifest = make(1)
    for name, content in own.items():
        text = content.decode("latin-1") if isinstance(content, bytes) else content
        assert text in corpora["mixed_corpus"] and text in corpora["code_corpus"], name
    assert corpora["code_corpus"].count("same = 1\n") == 2
    assert "A short book of mine.\n" in corpora["mixed_corpus"]
    assert source_in(manifest, "own")["removed"] == {} and source_in(manifest, "own")["documents_used"] == 7
    assert manifest["mix"]["unused_code_bytes"] > 0, "the test needs a mix that leaves code out"


def test_the_users_copy_of_a_collected_file_stays_and_the_collected_one_goes(make, raw):
    put(raw / "code" / "mine.py", module(("third", 0)))
    corpora, manifest = make()
    assert corpora["code_corpus"].count(module(("third", 0))) == 1
    assert source_in(manifest, "own")["documents_used"] == 1
    assert source_in(manifest, "third")["documents_used"] == 59


def test_the_users_copy_of_a_held_out_file_ends_its_being_held_out(make, raw, capsys):
    put(raw / "code" / "mine.py", module(("first", 1)))
    corpora, _ = make()
    assert module(("first", 1)) in corpora["code_corpus"]
    assert module(("first", 1)) not in corpora["heldout_code"] and len(corpora["heldout_code"]) == 5
    assert "no longer held out" in capsys.readouterr().out


def test_only_own_takes_nothing_else_and_holds_out_the_last_documents(make, raw):
    for number in range(40):
        put(raw / "code" / f"m{number:02}.py", module(number))
        put(raw / "books" / f"b{number:02}.txt", prose(number))
    corpora, manifest = make(only_own=True)
    assert corpora["heldout_code"] == [module(38), module(39)]
    assert corpora["heldout_books"] == [prose(38), prose(39)]
    assert sorted(corpora["code_corpus"]) == sorted(module(number) for number in range(38))
    assert {source["name"] for source in manifest["sources"]} == {"own"}


def test_of_many_own_documents_no_more_are_held_out_than_a_measurement_needs(make, raw, monkeypatch):
    monkeypatch.setattr(split, "MOST_HELDOUT", 1)
    for number in range(40):
        put(raw / "code" / f"m{number:02}.py", module(number))
    corpora, _ = make(only_own=True)
    assert corpora["heldout_code"] == [module(39)] and len(corpora["code_corpus"]) == 39


def test_own_files_that_repeat_each_other_are_in_training_rather_than_held_out(make, raw, capsys):
    for number in range(40):
        put(raw / "code" / f"m{number:02}.py", module(number))
    put(raw / "code" / "m40.py", module(0))
    corpora, manifest = make(only_own=True)
    assert corpora["heldout_code"] == [module(39)]
    assert corpora["code_corpus"].count(module(0)) == 2
    assert "no longer held out" in capsys.readouterr().out and source_in(manifest, "own")["removed"] == {}


def test_a_single_own_file_is_held_out_by_its_last_lines(make, raw):
    text = module(1)
    put(raw / "code" / "mine.py", text)
    corpora, _ = make(only_own=True)
    assert corpora["code_corpus"][0] + corpora["heldout_code"][0] == text
    assert len(corpora["heldout_code"][0].splitlines()) == round(0.05 * len(text.splitlines()))
    assert corpora["mixed_corpus"] == corpora["code_corpus"] and corpora["heldout_books"] == []


def test_only_own_without_own_files_says_where_to_put_them(make):
    with pytest.raises(CorpusError, match=r"no Python file of yours in .*code"):
        make(only_own=True)


def test_no_package_outweighs_the_others_and_own_files_are_not_capped(make, raw, monkeypatch):
    monkeypatch.setattr(mix, "SHARE_MATTERS_FROM", 1)
    put(raw / "code" / "mine.py", "".join(module(("mine", number)) for number in range(40)))
    _, manifest = make()
    share = 0.1 * (source_in(manifest, "own")["bytes_used"] + 120 * len(module(("third", 0))))
    for name in ("third", "fourth"):
        source = source_in(manifest, name)
        assert 0.8 * share < source["bytes_used"] < 1.1 * share
        assert source["removed"]["unused: above 10% of the code"]["documents"] == 60 - source["documents_used"]
    assert source_in(manifest, "own")["bytes_used"] > 2 * share


def test_every_file_that_can_not_be_used_is_one_line_and_the_rest_is_used(make, raw, tmp_path, capsys):
    outside = tmp_path / "outside"
    put(outside / "secret.py", "secret = 1\n")
    put(raw / "code" / "binary.py", b"\x7fELF\0\0")
    put(raw / "code" / "latin.py", "name = 'Zoë'\n".encode("latin-1"))
    put(raw / "code" / "nul.py", b"x = 1\0\n")
    put(raw / "code" / "empty.py", b"")
    put(raw / "code" / "good.py", "good = 1\n")
    (raw / "code" / "empty_folder").mkdir()
    (raw / "code" / "linked_folder").symlink_to(outside)
    (raw / "code" / "linked.py").symlink_to(outside / "secret.py")
    (raw / "code" / "dangling.py").symlink_to(raw / "code" / "nowhere.py")
    put(raw / "books" / "latin.txt", "A naïve book.\n".encode("latin-1"))
    corpora, _ = make()
    lines = [line for line in capsys.readouterr().out.splitlines() if "left out: " in line]
    for name in (
        "binary.py",
        "latin.py",
        "nul.py",
        "empty.py",
        "linked_folder",
        "linked.py",
        "dangling.py",
        "latin.txt",
    ):
        assert sum(f"/{name} " in line for line in lines) == 1, (name, lines)
    assert len(lines) == 8
    assert "good = 1\n" in corpora["code_corpus"] and "secret = 1\n" not in corpora["code_corpus"]


def test_a_document_can_not_smuggle_in_a_separator(make, raw, capsys):
    put(raw / "code" / "mine.py", f"text = '''\n{corpus.SEPARATOR}\n'''\n")
    corpora, manifest = make()
    assert f"text = '''\n{corpus.SEPARATOR} \n'''\n" in corpora["code_corpus"]
    assert len(corpora["code_corpus"]) == manifest["corpora"]["code_corpus"]["documents"] == 121
    assert "1 lines of documents read" in capsys.readouterr().out


@pytest.mark.parametrize("moment", ["before", "while reading", "while writing"])
def test_a_full_disk_leaves_the_old_corpora_and_no_litter(make, raw, tmp_path, monkeypatch, moment):
    make()
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def no_space(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    put(raw / "code" / "new.py", "new = 1\n")
    if moment == "before":
        monkeypatch.setattr(mix.shutil, "disk_usage", lambda folder: collections.namedtuple("Usage", "free")(1000))
    elif moment == "while reading":
        monkeypatch.setattr("data.documents.Library._write", no_space)
    else:
        monkeypatch.setattr(corpus.os, "fsync", no_space)
    with pytest.raises(CorpusError, match=r"disk is (too )?full.* free"):
        make()
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_code_weight_has_to_be_a_positive_number(make):
    for code_weight in (0, -1, float("nan"), float("inf")):
        with pytest.raises(CorpusError, match="code_weight"):
            make(code_weight)


def test_tokens_are_counted_or_said_to_be_estimated(make, monkeypatch):
    _, manifest = make(count_tokens=lambda texts: [len(text) for text in texts])
    third = source_in(manifest, "third")
    assert third["tokens"] == {
        "number": third["bytes_used"],
        "counted_on_bytes": third["bytes_used"],
        "estimated": False,
    }
    monkeypatch.setattr("data.manifest.SAMPLE", 10_000)
    _, manifest = make(count_tokens=lambda texts: [len(text) for text in texts])
    tokens = source_in(manifest, "third")["tokens"]
    assert tokens["estimated"] and tokens["counted_on_bytes"] <= 10_000
    assert tokens["number"] == third["bytes_used"]


def test_the_manifest_accounts_for_every_byte_of_a_source(make, raw):
    collected(raw, "code", "fifth", {"fifth/a.py": module(1), "fifth/tests/test_a.py": module(2), "fifth/b.py": "x\n"})
    _, manifest = make()
    for source in manifest["sources"]:
        removed = sum(counted["bytes"] for counted in source["removed"].values())
        assert source["bytes_used"] + removed == source["bytes"], source["name"]
        assert len(source["sha256"]) == 64 and source["licence"]
    assert source_in(manifest, "fifth")["version"] == "1.0"
