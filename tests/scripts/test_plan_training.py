"""A plan is arithmetic on what was measured, and says where it knows nothing."""

import importlib

import pytest
import torch

from pretraining.settings import read_settings
from pretraining.watching.reference import Reference

plan_training = importlib.import_module("scripts.plan_training")
MEASURED = {
    "tokens_per_second": 8192.0,
    "precision": "bfloat16",
    "timed_steps": 3,
    "compiled": True,
    "peak": 5_000_000_000,
}
REFERENCE = Reference("default", 27_000_000, 44, {}, 3, [0, 10e6, 20e6], [9.0, 4.0, 3.0], [9.0, 4.1, 3.1])


def told(*flags: str, reference: Reference | None = None, parameters: int = 27_000_000) -> str:
    settings = read_settings({}, list(flags))
    return "\n".join(plan_training.plan(settings, MEASURED | {"parameters": parameters}, reference))


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
    assert expected in told("--max_steps", str(steps), reference=REFERENCE)


def test_nothing_is_promised_where_nothing_was_run():
    assert "not known" in told()


def test_settings_that_can_not_be_run_are_one_line(capsys):
    assert plan_training.main(["--batch_size", "0"]) == 2
    assert capsys.readouterr().err.startswith("error: these settings can not be run")


def test_a_few_steps_are_really_timed(capsys):
    flags = ["--config_path", "model/config/gpt_nano_config.json", "--batch_size", "1", "--block_size", "16"]
    assert plan_training.main([*flags, "--device", "cpu", "--precision", "float32", "--compile", "off"]) == 0
    told = capsys.readouterr().out
    assert "7.2M parameters" in told and "torch.compile off: chosen" in told


def test_the_steps_are_compiled_where_the_training_would_be(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        plan_training, "measure_training", lambda *given: asked.append(given) or MEASURED | {"weights": 4}
    )
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
