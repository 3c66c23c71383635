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
    corpus.write_text(corpus.read_text(encoding="utf-8") + "<|endoftext|>\none more\n", encoding="utf-8")
    with pytest.raises(HeldOutError, match="holds 13 documents, its manifest 12"):
        read_held_out("heldout_code")
    (processed / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(HeldOutError, match=r"no readable manifest.json"):
        read_held_out("heldout_code")
    corpus.write_text("", encoding="utf-8")
    with pytest.raises(HeldOutError, match="there is no held-out set"):
        read_held_out("heldout_code")


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
