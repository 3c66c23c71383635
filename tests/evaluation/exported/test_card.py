"""A card says what is known of a model, and nothing that is not."""

import json
from dataclasses import replace

import pytest

from evaluation.exported import card
from evaluation.exported.card import Subject, model_card
from evaluation.exported.check import Comparison
from evaluation.result_files import save_result
from tests.evaluation.exported.conftest import SETTINGS

SAME = Comparison("llama.cpp 1", 1e-4, texts=600, equal_texts=600, places=500, largest_difference=2e-5, continued=99)


@pytest.fixture
def subject(mini, mini_portable, tmp_path, monkeypatch) -> Subject:
    monkeypatch.setattr(card, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(card, "LOG", tmp_path / "log.json")
    monkeypatch.setattr(card.dataset, "PROCESSED", tmp_path)
    return Subject(mini, SETTINGS, "f00d" * 16, mini_portable, "gguf", "q8_0", tmp_path / "mini-Q8_0.gguf")


def test_it_says_how_to_run_it_and_what_it_can_not_do(subject):
    page = model_card(subject, SAME, None)
    assert "llama-server -m mini-Q8_0.gguf" in page and "PARAMETER num_ctx 96" in page
    assert "follows no instructions" in page and "grants no licence" not in page
    assert "600 of 600 texts" in page and "2.0e-05" in page
    assert page.startswith("---\nlibrary_name: llama.cpp\n")


def test_what_is_not_known_is_not_made_up(subject):
    page = model_card(subject, SAME, None)
    assert "Not measured: there are no results of this very checkpoint." in page
    assert "No manifest names its sources." in page
    assert "(h:mm:ss)" not in page


def test_the_corpus_is_told_by_licence_without_what_was_held_out(subject, processed):
    sources = [
        {"name": "alpha", "kind": "code", "licence": "MIT", "bytes_used": 9_000_000},
        {"name": "delta", "kind": "code", "licence": "MIT", "bytes_used": 2_000_000},
        {"name": "poems", "kind": "books", "licence": "public domain", "bytes_used": 1_500_000},
    ]
    manifest = json.loads((processed / "manifest.json").read_text(encoding="utf-8"))
    manifest |= {"sources": sources, "corpora": {"mixed_corpus": {"documents": 12, "bytes": 4_400_000}}}
    (processed / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    page = model_card(subject, SAME, None)
    assert "12 documents, 4.4 MB" in page
    assert "| MIT | 1 | 2.0 |" in page  # alpha is a package that was held out
    assert "| public domain | 1 | 1.5 |" in page
    assert "grants no licence" in page


@pytest.mark.parametrize(("sha256", "shown"), [("f00d" * 16, True), ("beef" * 16, False)])
def test_results_are_shown_if_they_are_of_this_checkpoint(subject, sha256, shown):
    measured = {"value": 38.25, "interval": [33.0, 44.0]}
    row = {"all": {"perplexity": measured, "bits_per_byte": {"model": {"value": 1.4873, "interval": None}}}}
    values = {"about": {"checkpoint": {"sha256": sha256}}, "sets": {"heldout_code": row}}
    save_result(card.RESULTS / "measured" / "nano" / "language_modelling.json", values)
    assert ("| heldout_code | 38.2 (33.0 to 44.0) | 1.487 |" in model_card(subject, SAME, None)) is shown


@pytest.mark.parametrize(("settings", "shown"), [(SETTINGS, True), (SETTINGS | {"batch_size": 9}, False)])
def test_the_time_is_told_if_the_log_is_of_this_run(subject, settings, shown):
    rows = [{"step": 7, "seconds": 75.0}, {"step": 9, "seconds": 99.0}]
    card.LOG.write_text(json.dumps({"run": {"settings": settings}, "train": rows}), encoding="utf-8")
    assert ("in 0:01:15 (h:mm:ss)" in model_card(subject, SAME, None)) is shown


def test_a_wrong_export_says_so_on_its_card(subject):
    page = model_card(subject, replace(SAME, differences=["token ids of the text 'x'"]), None)
    assert "**No. Do not use these files.**" in page and "* token ids of the text 'x'" in page


@pytest.mark.parametrize("kind", ["hf", "gguf", "mlx"])
def test_each_format_has_its_commands(subject, kind):
    expected = {"hf": "AutoModelForCausalLM", "gguf": "ollama create gpt_mini", "mlx": "mlx_lm.generate --model ."}
    assert expected[kind] in model_card(replace(subject, kind=kind), SAME, None)


def test_the_price_of_rounding_is_told(subject):
    cost = {"cost": {"value": 0.00123, "interval": [0.001, 0.002]}, "tokens": 5000}
    assert "costs +0.00123 bits per byte (+0.00100 to +0.00200)" in model_card(subject, SAME, cost)
    unsure = {"cost": {"value": 0.00123, "interval": None}, "tokens": 5000}
    assert "nan" not in model_card(subject, SAME, unsure)
