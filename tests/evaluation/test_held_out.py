"""Held-out documents: named as the manifest names them, or refused; samples that favour no source."""

from collections import Counter

import pytest

from evaluation.held_out import Document, HeldOutError, read_held_out, sample_documents


def test_documents_come_with_their_names_in_the_order_of_the_file(processed):
    documents = read_held_out("heldout_code")
    assert [document.source for document in documents] == ["alpha"] * 4 + ["beta"] * 4 + ["gamma"] * 4
    assert documents[5].path == "beta/m1.py" and documents[5].text.startswith('"""A module."""')
    assert documents[5].bytes == len(documents[5].text.encode()) > len(documents[5].text)


def test_what_is_missing_or_does_not_fit_is_one_message_with_the_next_command(processed):
    with pytest.raises(HeldOutError, match=r"there is no held-out set .*create_mixed_corpus.py"):
        read_held_out("heldout_music")
    corpus = processed / "heldout_code.txt"
    (processed / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(HeldOutError, match=r"no readable manifest.json"):
        read_held_out("heldout_code")
    corpus.write_text("", encoding="utf-8")
    with pytest.raises(HeldOutError, match="there is no held-out set"):
        read_held_out("heldout_code")


def test_texts_that_the_manifest_does_not_describe_are_refused(processed):
    """As they are when mixing was stopped between the corpora and the manifest: as many texts, under others' names."""
    corpus = processed / "heldout_code.txt"
    first, *others = corpus.read_text(encoding="utf-8").split("<|endoftext|>\n")
    corpus.write_text("<|endoftext|>\n".join([*others, first]), encoding="utf-8")
    with pytest.raises(HeldOutError, match=r"is not the one that the manifest.json .*create_mixed_corpus.py"):
        read_held_out("heldout_code")


def test_the_parts_of_a_book_are_of_one_work_and_the_files_of_a_package():
    parts = [Document("a shelf", path, "").origin for path in ("alice.txt#1", "alice.txt#2", "ruth.txt#1")]
    assert len(set(parts)) == 3 and len({part.work for part in parts}) == 2
    assert Document("alpha", "m.py", "").origin.work == Document("alpha", "n.py", "").origin.work


def test_where_all_files_are_larger_than_the_sample_the_smallest_is_taken():
    documents = [Document("own", "large.py", "x = 1\n" * 2000), Document("own", "larger.py", "x = 1\n" * 3000)]
    assert sample_documents(documents, 5_000) == documents[:1]


def test_a_sample_takes_equally_from_all_sources_and_repeats():
    documents = [
        Document(source, f"{n}", "x" * 100) for source, count in (("a", 500), ("b", 50), ("c", 3)) for n in range(count)
    ]
    chosen = sample_documents(documents, 8_000)
    counts = Counter(document.source for document in chosen)
    assert counts == {"c": 3, "b": 38, "a": 39}, "what the small source leaves goes to the others"
    assert chosen == sample_documents(documents, 8_000)
    assert chosen != sample_documents(documents, 8_000, seed=1)
    assert [documents.index(document) for document in chosen] == sorted(
        documents.index(document) for document in chosen
    )
    assert sample_documents(documents, None) == documents
