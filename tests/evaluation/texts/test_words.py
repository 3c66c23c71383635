"""The list of known words: what makes a word, and that the committed list is one."""

from data.corpus import CorpusWriter
from evaluation.texts import words


def test_identifiers_fall_into_the_words_they_are_made_of():
    assert words.words_of("HTTPServer_name2 = parseURL(größe, x)") == [
        "http",
        "server",
        "name",
        "parse",
        "url",
        "größe",
        "x",
    ]


def test_a_word_is_what_enough_different_documents_use():
    """Five documents, not five times: a package's own misspelling stays unknown however often it repeats it."""
    documents = [f"common words number {n}" for n in range(5)]
    documents[0] += " rare" * 9
    assert words.common_words(documents) == ["common", "number", "words"]
    assert words.common_words(documents[:4]) == []


def test_a_document_that_comes_again_is_counted_once():
    """The mix repeats its books up to four times; that makes no word more common."""
    assert words.common_words(["quoth the raven"] * 5) == []


def test_a_pair_of_letters_must_be_far_more_common_to_be_a_word():
    documents = [f"of {'zq' if n < 100 else ''} {n}" for n in range(words.LEAST_DOCUMENTS_FOR_TWO_LETTERS)]
    assert words.common_words(documents) == ["of"]


def test_the_committed_list_knows_english_and_python_and_no_splinters():
    known = words.known_words()
    assert {"once", "upon", "daughter", "there", "def", "isinstance", "tuple", "of", "is"} <= known
    assert not {"ce", "ti", "onc", "showgent", "x"} & known
    assert words.WORD_LIST.read_text(encoding="utf-8").split() == sorted(known), "sorted, each word once"


def test_the_list_is_made_from_a_corpus_and_a_missing_one_is_one_line(tmp_path, capsys):
    corpus, made = tmp_path / "corpus.txt", tmp_path / "words.txt"
    with CorpusWriter(corpus) as writer:
        for number in range(5):
            writer.write(f"alpha beta {'gamma' if number else ''} {number}\n")
    assert words.main(["--corpus", str(corpus), "--output", str(made)]) == 0
    assert made.read_text() == "alpha\nbeta\n"
    assert "2 words" in capsys.readouterr().out
    assert words.main(["--corpus", str(tmp_path / "absent.txt"), "--output", str(made)]) == 2
    assert "create_mixed_corpus.py" in capsys.readouterr().err
    assert made.read_text() == "alpha\nbeta\n", "the list that was there stays"
