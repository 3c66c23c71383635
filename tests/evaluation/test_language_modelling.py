"""Language modelling: what a slow reference gives, totals that are sums, and plain words where a part is missing."""

import lzma
import math
import re
from functools import partial

import numpy as np
import pytest

from evaluation import language_modelling
from evaluation.costs import token_costs
from evaluation.costs.token_costs import MODEL, NGRAM
from evaluation.held_out import HeldOutError, read_held_out
from evaluation.language_modelling import beginning, draw, main, measure, sample_books, table
from evaluation.question import Effort
from evaluation.result_files import load_result
from tests.evaluation.conftest import PACKAGES, hold_out, python_source
from tests.evaluation.test_scoring import slow_nats

FULL = Effort()


@pytest.fixture
def corpus(processed):
    """A training corpus beside the held-out sets, of the same kind of code."""
    path = processed / "mixed_corpus.txt"
    path.write_text("<|endoftext|>\n".join(python_source(seed) for seed in range(30)), encoding="utf-8")
    return path


def test_perplexity_and_bits_per_byte_are_those_of_a_slow_reference(trained, processed):
    documents = read_held_out("heldout_code")
    nats = [slow_nats(trained, document.text, trained.context_length) for document in documents]
    total, text_bytes = sum(map(np.sum, nats)), sum(document.bytes for document in documents)
    measured = measure(trained, FULL)["sets"]["heldout_code"]["all"]
    assert measured["perplexity"]["value"] == pytest.approx(math.exp(total / sum(map(len, nats))), rel=1e-4)
    assert measured["bits_per_byte"][MODEL]["value"] == pytest.approx(total / math.log(2) / text_bytes, rel=1e-4)
    assert (measured["bytes"], measured["tokens"]) == (text_bytes, sum(map(len, nats)))


def test_numbers_do_not_depend_on_the_batch(trained, processed, monkeypatch):
    usual = measure(trained, FULL)["sets"]
    monkeypatch.setattr(token_costs, "score_texts", partial(token_costs.score_texts, batch_tokens=40))
    for name, found in measure(trained, FULL)["sets"].items():
        for row, other in zip(found["sources"], usual[name]["sources"], strict=True):
            assert row["perplexity"]["value"] == pytest.approx(other["perplexity"]["value"], rel=1e-5)


def test_totals_are_the_sums_of_their_parts(trained, corpus):
    measured = measure(trained, FULL)
    code = measured["sets"]["heldout_code"]
    assert [row["name"] for row in code["sources"]] == sorted(PACKAGES)
    for key in ("documents", "bytes", "tokens"):
        assert sum(row[key] for row in code["sources"]) == code["all"][key]
    for scorer in (MODEL, NGRAM, "xz", "gzip"):
        bits = [row["bits_per_byte"][scorer]["value"] * row["bytes"] for row in [*code["sources"], code["all"]]]
        assert sum(bits[:-1]) == pytest.approx(bits[-1])
    model, ngram = (code["all"]["bits_per_byte"][scorer]["value"] for scorer in (MODEL, NGRAM))
    assert code["all"]["more_than_ngram"]["value"] == pytest.approx(model - ngram)
    classes = measured["token_classes"]["classes"].values()
    assert sum(found["share_of_bytes"] * (found[MODEL]["bits_per_byte"]["value"] or 0) for found in classes) == (
        pytest.approx(model)
    ), "all held-out files are Python, so the classes make up everything"


def test_a_package_is_one_stream_to_a_compressor(trained, processed):
    text = "".join(document.text for document in read_held_out("heldout_code") if document.source == "beta")
    (row,) = [row for row in measure(trained, FULL)["sets"]["heldout_code"]["sources"] if row["name"] == "beta"]
    packed = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)
    assert row["bits_per_byte"]["xz"]["value"] == 8 * len(packed) / len(text.encode())


def test_places_in_the_document_compare_the_same_long_documents(trained, processed):
    texts = [(document.source, document.path, document.text) for document in read_held_out("heldout_code")]
    texts[0] = ("alpha", "long.py", python_source(1, functions=60))
    hold_out(processed, "heldout_code", texts)
    (scored,) = token_costs.measure_costs(trained, None, read_held_out("heldout_code")[:1])
    assert len(scored.sizes) > 2048
    positions = measure(trained, FULL)["sets"]["heldout_code"]["positions"]
    assert {position["documents"] for position in positions} == {1}
    first = positions[0][MODEL]["value"]
    assert first == pytest.approx(scored.bits[MODEL][:16].sum() / scored.sizes[:16].sum(), rel=1e-5)


def test_without_a_corpus_the_ngram_is_left_out_and_that_is_said(trained, processed):
    measured = measure(trained, FULL)
    assert measured["ngram"] is None and "there is no corpus file" in measured["left_out"]["n-gram"]
    assert NGRAM not in measured["sets"]["heldout_code"]["all"]["bits_per_byte"]
    assert any(line.startswith("n-gram is left out") for line in table(measured))


def test_the_ngram_stands_beside_the_model(trained, corpus):
    measured = measure(trained, FULL)
    assert measured["ngram"]["counted_tokens"] > 1000
    assert set(measured["ngram"]["mean_weights"]) >= {"corpus, order 1", "cache, order 5"}
    row = measured["sets"]["heldout_code"]["all"]["bits_per_byte"]
    assert row[NGRAM]["value"] < row[MODEL]["value"], "counting beats random weights"


def test_one_missing_set_is_named_and_two_are_an_error(trained, processed, tmp_path, capsys):
    (processed / "heldout_books.txt").unlink()
    measured = measure(trained, FULL)
    assert list(measured["sets"]) == ["heldout_code"] and "heldout_books" in measured["left_out"]
    (processed / "heldout_code.txt").unlink()
    with pytest.raises(HeldOutError, match=r"heldout_code.*create_mixed_corpus.py"):
        measure(trained, FULL)
    assert main(["--checkpoint", str(trained.path), "--device", "cpu", "--results", str(tmp_path / "r")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_books_alone_are_measured_too(trained, processed):
    (processed / "heldout_code.txt").unlink()
    measured = measure(trained, FULL)
    assert list(measured["sets"]) == ["heldout_books"] and "token_classes" not in measured


def test_books_are_put_together_from_their_parts_and_only_begun_in_a_quick_look(processed):
    parts, everything = sample_books(FULL)
    assert [part.source for part in parts] == ["a book/book"] * 2 and everything == "everything"
    assert beginning("one\ntwo\nthree\n", 9) == "one\ntwo\n"
    assert beginning("one\n", 9) == "one\n" and beginning("one long line", 3) == "one"


def test_the_answer_is_kept_shown_and_drawn(trained, corpus, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(language_modelling, "QUICK_NGRAM_TOKENS", 3000)
    places = ["--results", str(tmp_path / "results"), "--plots", str(tmp_path / "plots")]
    assert main(["--checkpoint", str(trained.path), "--device", "cpu", "--quick", *places]) == 0
    values = load_result(tmp_path / "results" / "language_modelling.json")
    assert values["ngram"]["counted_tokens"] + values["ngram"]["tuning_tokens"] == 3000
    assert "tokenizers do not compare" in values["note"]
    lines = table(values)
    assert max(map(len, lines)) <= 80, max(lines, key=len)
    total = values["sets"]["heldout_code"]["all"]
    (shown,) = [line for line in lines if re.match(r"all +12 ", line)]
    assert shown.split()[2] == f"{total['perplexity']['value']:,.1f}" and shown.split()[3] == "poor"
    assert shown.split()[4] == f"{total['bits_per_byte'][MODEL]['value']:.2f}"
    printed = capsys.readouterr().out
    assert "language_modelling.png" in printed and "token_classes.png" in printed
    assert all(path.is_file() for path in draw(values, tmp_path / "plots"))
