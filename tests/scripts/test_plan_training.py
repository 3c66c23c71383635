"""A plan is arithmetic on what was measured, and says where it knows nothing."""

import importlib
import json
import re
from dataclasses import replace

import pytest
import torch

from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining import dataset
from pretraining.checkpoint import save_checkpoint
from pretraining.settings import read_settings
from pretraining.watching.reference import Reference, learning
from tokenizer.bpe import Tokenizer

plan_training = importlib.import_module("scripts.plan_training")
MEASURED = {
    "tokens_per_second": 8192.0,
    "precision": "bfloat16",
    "timed_steps": 3,
    "compiled": True,
    "peak": 5_000_000_000,
}


def planned(*flags: str, parameters: int = 27_000_000, **model) -> dict:
    """What the log of a run with these flags would say of it."""
    model = {"dropout": 0.0} | model
    return {
        "settings": read_settings({}, list(flags)),
        "parameters": parameters,
        "model": model,
        "tokenizer": "0badcafe",
    }


REFERENCE = Reference(
    preset="default",
    parameters=27_000_000,
    corpus_tokens=44,
    tokenizer="0badcafe",
    settings=learning(planned()),
    seeds=3,
    tokens=[0, 10e6, 20e6],
    lowest=[9.0, 4.0, 3.0],
    highest=[9.0, 4.1, 3.1],
)


def told(*flags: str, reference: Reference | None = None, **run) -> str:
    return "\n".join(plan_training.plan(planned(*flags, **run), MEASURED, [reference] if reference else []))


def test_the_default_run_takes_its_tokens_at_the_measured_speed():
    lines = told()
    assert "2,500 steps, 20.48M tokens in 41 min 40 s" in lines
    assert "5.0 GB at most" in lines


def test_a_time_limit_decides_how_many_steps_there_are():
    assert "60 steps, 0.49M tokens in 1 min 0 s" in told("--max_minutes", "1")


def test_what_fits_into_other_times_is_given_as_flags_that_do_it():
    """8,192 tokens a second are a step a second: an hour has more steps than the preset."""
    lines = told().splitlines()
    assert next(line for line in lines if line.startswith("ten minutes")).endswith("--max_minutes 10")
    assert next(line for line in lines if line.startswith("an hour")).endswith("--max_minutes 60 --max_steps 3600")


def test_a_large_model_with_few_tokens_is_advised_against_and_a_small_one_is_not():
    assert "a smaller model learns more" in told("--max_minutes", "1")
    assert "a smaller model" not in told("--max_minutes", "1", parameters=7_000_000)
    assert "a smaller model" not in told()


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (1221, "perplexity 55 to 60 or a little less"),  # 10M tokens: between seeds, in the middle of their schedule
        (2500, "less than perplexity 22 after 20.00M tokens"),
    ],
)
def test_the_loss_to_expect_is_what_our_own_runs_had(steps, expected):
    lines = told("--max_steps", str(steps), reference=REFERENCE)
    assert expected in lines and "differs" not in lines


def test_a_run_as_long_as_ours_ends_where_ours_did():
    ours = replace(REFERENCE, tokens=[*REFERENCE.tokens[:-1], 2500 * 8192])
    assert "perplexity 20 to 22 (held-out code, our 3 runs of preset default)" in told(reference=ours)
    one = replace(ours, seeds=1, highest=ours.lowest)
    assert "perplexity 20 (held-out code, our run of preset default)" in told(reference=one)


@pytest.mark.parametrize(
    ("flags", "model", "different"),
    [
        (["--optimizer", "adamw", "--learning_rate", "1e-4"], {}, "learning_rate, optimizer"),
        (["--block_size", "256"], {}, "block_size"),
        ([], {"dropout": 0.1}, "dropout"),
    ],
)
def test_what_a_run_does_otherwise_than_ours_is_told_beside_the_loss_of_ours(flags, model, different):
    lines = told(*flags, reference=REFERENCE, **model)
    assert "3 runs of preset default" in lines and f"; yours differs in {different})" in lines


@pytest.mark.parametrize(
    ("flags", "reference", "reason"),
    [
        ([], None, "of this size"),
        ([], replace(REFERENCE, tokenizer="f00d"), "and tokenizer"),
        (["--corpus_file", "data/processed/code_corpus.txt"], REFERENCE, "learnt from mixed_corpus.txt"),
        (["--corpus_file", "my/mixed_corpus.txt"], REFERENCE, "learnt from mixed_corpus.txt"),
    ],
)
def test_nothing_is_promised_where_nothing_was_run(flags, reference, reason):
    line = next(line for line in told(*flags, reference=reference).splitlines() if line.startswith("to expect"))
    assert "not known" in line and reason in line and "perplexity" not in line


def test_settings_that_can_not_be_run_are_one_line(capsys):
    assert plan_training.main(["--batch_size", "0"]) == 2
    assert capsys.readouterr().err.startswith("error: these settings can not be run")


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--preset", "nano", "--block_size", "1024"], "longer than the model's max_seq_len 512"),
        (["--init_from", "absent.pt"], "there is no checkpoint"),
    ],
)
def test_what_the_training_would_refuse_is_not_planned(capsys, flags, reason):
    assert plan_training.main(flags) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and reason in lines[0]


def test_a_plan_does_not_make_the_tokenizer_that_is_missing(monkeypatch, capsys, tmp_path):
    """The training would, from corpora that take minutes to collect."""
    made = []
    monkeypatch.setattr(dataset, "DEFAULT_TOKENIZER", tmp_path / "absent.json")
    monkeypatch.setattr(dataset, "_run_script", made.append)
    assert plan_training.main(["--tokenizer_path", str(tmp_path / "absent.json")]) == 2
    assert "no tokenizer at" in capsys.readouterr().err and not made


@pytest.fixture
def asked(monkeypatch) -> list:
    """What was asked to be timed, each (config, settings, device, compiled); nothing is."""
    asked = []
    monkeypatch.setattr(
        plan_training, "measure_training", lambda *given: asked.append(given) or MEASURED | {"weights": 4}
    )
    return asked


def test_the_model_that_is_timed_is_the_one_that_would_be_trained(asked, tmp_path, capsys):
    config = ModelConfig(n_layers=1, n_heads=2, hidden_size=64, max_seq_len=128, dropout=0.2)
    values = {"model_config": config.to_dict(), "model": GPT(config).state_dict()}
    save_checkpoint(values | {"tokenizer": Tokenizer.load().to_json()}, tmp_path / "first.pt")
    (tmp_path / "wide.json").write_text(json.dumps(config.to_dict() | {"vocab_size": 9000}))
    for flags in (
        ["--preset", "original"],
        ["--dropout", "0.3", "--gradient_accumulation", "4"],
        ["--init_from", str(tmp_path / "first.pt"), "--block_size", "128"],
        ["--config_path", str(tmp_path / "wide.json"), "--block_size", "128"],
    ):
        assert plan_training.main([*flags, "--device", "cpu", "--compile", "off"]) == 0
    original, dropped, tuned, wide = (given[0] for given in asked)
    assert original.dropout == 0.1 and dropped.dropout == 0.3
    assert tuned == config
    assert wide.vocab_size == 8192, "the tokenizer's"
    assert asked[1][1]["gradient_accumulation"] == 4
    assert "first.pt, 0.0M parameters" in capsys.readouterr().out


def test_a_few_steps_are_really_timed(capsys):
    flags = ["--config_path", "model/config/gpt_nano_config.json", "--batch_size", "1", "--block_size", "16"]
    assert plan_training.main([*flags, "--device", "cpu", "--precision", "float32", "--compile", "off"]) == 0
    told = capsys.readouterr().out
    assert "7.2M parameters" in told and "torch.compile off: chosen" in told


@pytest.mark.parametrize(("preset", "parameters"), [("nano", 7_211_776), ("default", 27_073_792)])
def test_a_preset_is_held_against_the_committed_runs_of_it(monkeypatch, capsys, preset, parameters):
    monkeypatch.setattr(plan_training, "measure_training", lambda *given: MEASURED | {"weights": 4 * parameters})
    flags = ["--preset", preset, "--device", "cpu", "--compile", "off"]
    assert plan_training.main(flags) == plan_training.main([*flags, "--dropout", "0.2"]) == 0
    same, changed = (line for line in capsys.readouterr().out.splitlines() if line.startswith("to expect"))
    assert re.search(rf"runs? of preset {preset}[,)]", same) and "differs" not in same
    assert changed.endswith("yours differs in dropout)")


def test_the_steps_are_compiled_where_the_training_would_be(asked, capsys):
    for setting in ("on", "off"):
        assert plan_training.main(["--preset", "nano", "--compile", setting, "--device", "cpu"]) == 0
    assert [given[3] for given in asked] == [True, False]
    assert "in bfloat16, compiled (median" in capsys.readouterr().out


def test_where_compiling_fails_the_steps_are_timed_without_it_as_the_training_would_go_on(monkeypatch, capsys):
    def measure_training(config, settings, device, compiled=False):
        if compiled:
            raise torch._dynamo.exc.TorchDynamoException("no compiler")
        return MEASURED | {"weights": 4, "compiled": False}

    monkeypatch.setattr(plan_training, "measure_training", measure_training)
    assert plan_training.main(["--preset", "nano", "--compile", "on", "--device", "cpu"]) == 0
    told = capsys.readouterr().out
    assert "go on without it" in told and "in bfloat16 (median" in told
