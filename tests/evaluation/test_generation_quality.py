"""Generation quality: made texts get the shares they must, real text is the reference, what is missing is said."""

import json
import random
from dataclasses import replace

import pytest

from data.corpus import CorpusWriter
from evaluation import generation_quality, writing
from evaluation.generation_quality import (
    SAMPLING,
    Written,
    distinct,
    judge_kind,
    measure,
    measure_overlap,
    really,
    share_of_sign,
    signs_of,
    write,
)
from evaluation.held_out import origin_of, read_held_out
from evaluation.question import Effort
from evaluation.result_files import file_sha256, load_result
from evaluation.texts.generation_view import draw, table
from evaluation.texts.openings import draw_openings, function_openings
from pretraining.generate import SETTINGS
from tests.evaluation.conftest import hold_out, python_source

FILES = [origin_of("package", f"{number}.py") for number in range(10)]
SENTENCE = "Once upon a time there was a small house by the river, and nobody lived in it. "


@pytest.fixture
def corpus(processed):
    """A training corpus beside the held-out sets."""
    with CorpusWriter(processed / "mixed_corpus.txt") as writer:
        for seed in range(5):
            writer.write(python_source(seed))
        writer.write(SENTENCE * 3)
    return processed


@pytest.fixture
def openings(processed):
    found = [opening for document in read_held_out("heldout_code") for opening in function_openings(document)]
    return draw_openings(found, 6)


def test_distinct_n_grams_are_counted_within_each_text():
    """By hand: "a b a b" has 2 words of 4 and 2 pairs of 3; "(x)" has 3 of 3 and 2 of 2."""
    assert distinct(["a b a b"], 1, FILES[:1])["value"] == 2 / 4
    assert distinct(["a b a b"], 2, FILES[:1])["value"] == 2 / 3
    assert distinct(["a b a b", "(x)"], 1, FILES[:2])["value"] == 5 / 7
    assert distinct(["a b a b", "a b a b"], 2, FILES[:2])["value"] == 2 / 3, "more texts of a kind change nothing"
    assert distinct(["a b c d e"], 4, FILES[:1]) == {"value": 1.0, "interval": None}
    assert distinct(["a b"], 4, FILES[:1])["value"] is None
    dice = random.Random(0)
    texts = [" ".join(dice.choices("abc", k=40)) for _ in range(10)]
    low, high = distinct(texts, 2, FILES)["interval"]
    assert low < distinct(texts, 2, FILES)["value"] < high


def judged(text, prompt="def area(radius):", is_code=True):
    return signs_of(Written(prompt, text, False), is_code)


def test_loops_broken_syntax_and_lost_names_lower_their_shares():
    good = judged("\n    square = radius * radius\n    return 3.14 * square\n")
    loop = judged("\n    radius = radius + 1" * 12)
    broken = judged("\n    return (radius]\n    return 1\n")
    astray = judged("\n    import os\n    return os.path\n")
    shares = {
        name: share_of_sign([good, loop, broken, astray], name, FILES[:4]) for name in ("repetition", "syntax", "names")
    }
    assert {name: share["score"] for name, share in shares.items()} == {
        "repetition": 0.75,
        "syntax": 0.75,
        "names": 0.75,
    }
    assert all(share["n"] == 4 and share["interval"][0] < 0.75 < share["interval"][1] for share in shares.values())


def test_a_text_of_hardly_a_word_has_no_good_sign():
    assert share_of_sign([judged("")], "syntax", FILES[:1]) == share_of_sign([judged("")], "text", FILES[:1])
    assert share_of_sign([judged("")], "words", FILES[:1])["score"] == 0


def test_prose_that_slips_into_code_is_noticed():
    prompt = "She opened the door and"
    texts = [" went out, from the old house of import.\nThe class was empty.\n", "\nimport os\n", "\n  def go(self):\n"]
    assert [judged(text, prompt, is_code=False)[-1].good for text in texts] == [True, False, False]


def test_the_model_writes_with_the_settings_of_generate_and_the_same_again(trained, openings):
    written = write(trained, openings, seed=3)
    assert [text.prompt for text in written] == [opening.prompt for opening in openings]
    assert written == write(trained, openings, seed=3) != write(trained, openings, seed=4)
    assert SAMPLING.max_new_tokens == SETTINGS["max_new_tokens"] and SAMPLING.top_k == SETTINGS["top_k"]
    assert len({text.text for text in written}) == len(written)


def test_real_text_is_as_long_as_the_model_may_write(trained, openings):
    for opening in openings:
        real = really(trained, opening)
        assert opening.following.startswith(real.text)
        assert len(trained.tokenizer.encode(real.text)) == SAMPLING.max_new_tokens


def test_a_text_that_ended_by_itself_is_known_and_equal_prompts_get_different_texts(trained, openings, monkeypatch):
    first, second = write(trained, [openings[0]] * 2, seed=0)
    assert first.text != second.text
    pieces = [(0, "short")] * 2 + [(1, "x")] * SAMPLING.max_new_tokens
    monkeypatch.setattr(writing, "generate_texts", lambda *_, **__: iter(pieces))
    assert [text.ended for text in write(trained, [openings[0]] * 2, seed=0)] == [True, False]


def test_copies_are_found_and_real_text_is_measured_at_the_same_length(trained, corpus):
    copied, own = SENTENCE * 2, "zqx zqx"
    sets = [[Written("", text, False) for text in texts] for texts in ((copied, own), (own, copied))]
    about, (model, real) = measure_overlap(trained, sets)
    assert about["tokens"] > 1000
    assert model[0] == (copied, len(trained.tokenizer.encode(copied)))
    assert real[0][1] < 3
    assert real[1][1] == len(trained.tokenizer.encode(own)) < model[0][1], "cut to the length of the model's text"


def test_copies_are_looked_for_in_what_the_model_was_trained_on(trained, corpus):
    """As far as that lies in data/processed; else it is said that the copies are of another text, or may be."""
    with CorpusWriter(corpus / "code_corpus.txt") as writer:
        writer.write(python_source(9))
    manifest = json.loads((corpus / "manifest.json").read_text(encoding="utf-8"))
    for name in ("mixed_corpus", "code_corpus"):
        manifest["corpora"][name] = {"sha256": file_sha256(corpus / f"{name}.txt")}
    (corpus / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    mixed, code = (manifest["corpora"][name]["sha256"] for name in ("mixed_corpus", "code_corpus"))
    texts = [[Written("", "zqx", False)]] * 2
    for seen, name, known in (
        ([mixed, code], "code_corpus", True),
        ([mixed], "mixed_corpus", True),
        (["0" * 64], "mixed_corpus", False),
        (None, "mixed_corpus", None),
    ):
        about, _ = measure_overlap(replace(trained, trained_on=seen), texts)
        assert (about["name"], about["trained_on_it"]) == (f"{name}.tokens.bin", known)


def test_the_table_says_when_copies_are_of_a_text_that_the_model_was_not_trained_on(trained, corpus):
    values = measure(trained, Effort(quick=True))
    for known, told in ((None, "is not known"), (False, "was not trained on mixed_corpus as it is now"), (True, None)):
        values["corpus"]["trained_on_it"] = known
        said = [line for line in table(values) if "this model was" in line.lower()]
        assert (told in said[0]) if told else not said


def test_without_a_training_corpus_copying_is_left_out_and_said_so(trained, processed, tmp_path):
    values = json.loads(json.dumps(measure(trained, Effort(quick=True))))
    assert "there is no corpus file" in values["corpus"]["left_out"]
    assert values["code"]["overlap"] == values["books"]["overlap"] == {}
    assert "copies: left out." in table(values)
    assert not list(processed.glob("*.bin"))
    (picture,) = draw(values, tmp_path)
    assert picture.stat().st_size > 10_000


def test_held_out_code_without_a_function_is_one_line(trained, processed, capsys):
    hold_out(processed, "heldout_code", [("package", f"{n}.py", "x = 1\n") for n in range(12)])
    assert generation_quality.main(["--checkpoint", str(trained.path), "--device", "cpu", "--quick"]) == 2
    assert "among the functions of held-out code none can be a prompt" in capsys.readouterr().err


def test_an_oracle_that_writes_the_real_text_scores_what_real_text_scores(trained, corpus, openings):
    real = [really(trained, opening) for opening in openings]
    _, overlaps = measure_overlap(trained, [real, real])
    values = judge_kind(openings, real, real, overlaps, is_code=True)
    assert all(shares["model"] == shares["real"] for shares in values["signs"].values())
    assert all(found["model"] == found["real"] for found in values["distinct"].values())
    assert values["overlap"]["model"] == values["overlap"]["real"]
    assert values["signs"]["syntax"]["real"]["score"] == values["signs"]["names"]["real"]["score"] == 1
    assert values["signs"]["syntax"]["real"]["n"] == len(openings)


def test_the_question_is_answered_tabled_drawn_and_kept(trained, corpus, tmp_path, capsys):
    places = ["--results", str(tmp_path / "r"), "--plots", str(tmp_path / "p"), "--device", "cpu"]
    assert generation_quality.main(["--checkpoint", str(trained.path), "--quick", "--seed", "2", *places]) == 0
    values = load_result(tmp_path / "r" / "generation_quality.json")
    assert values["sampling"]["temperature"] == SETTINGS["temperature"]
    assert values["corpus"]["name"] == "mixed_corpus.tokens.bin"
    lines = table(values)
    assert max(map(len, lines)) <= 80 and "\n".join(lines) in capsys.readouterr().out
    assert (tmp_path / "p" / "generation_quality.png").stat().st_size > 10_000
    for kind in ("code", "books"):
        examples = values[kind]["examples"]
        assert set(examples) == {"best", "typical", "worst", "most_copied"}
        assert examples["best"][0]["good"] >= examples["typical"][0]["good"] >= examples["worst"][0]["good"]


def test_an_example_can_be_written_again_from_its_seed_and_number(trained, openings):
    """Up to rounding: what else is in the batch does not change a text."""
    written = write(trained, openings, seed=7)
    again = write(trained, openings[:1], seed=7)
    assert again[0].text == written[0].text
