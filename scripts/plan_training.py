"""Times a few steps on this machine and says what the training that you have in mind will take, before you wait for it.

    python scripts/plan_training.py
    python scripts/plan_training.py --preset nano
    python scripts/plan_training.py --config_path model/config/gpt_small_config.json --batch_size 8

The flags are those of train_improved.py, and its CONFIG counts. The steps are compiled where the training would compile
them, which takes up to 40 seconds here and not again there. Nothing is trained or written. What loss to expect is told
from the committed reference runs, where there are some of that size and corpus, with what they did otherwise.
Exit code: 0 done, 2 these settings can not be run here.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch

from evaluation.machine import other_work
from evaluation.model_sizes import measure_training
from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining.compilation import choose_compile, expected_seconds
from pretraining.dataset import PROCESSED
from pretraining.device import choose_device, choose_precision
from pretraining.perplexity import perplexity
from pretraining.preparation import model_to_train
from pretraining.run import TrainingFailed
from pretraining.settings import read_settings, tokens_per_step
from pretraining.train_improved import CONFIG, EXPLAINED, memory_shortage
from pretraining.watching.monitor_screen import duration
from pretraining.watching.reference import Reference, differences, read_references, reference_for
from pretraining.watching.wording import size
from tokenizer.bpe import Tokenizer

BUDGETS = {"ten minutes": 10, "an hour": 60, "overnight": 540}  # minutes


def main(arguments: list[str] | None = None) -> int:
    """Measure and tell. Returns 0, or 2 with one line on stderr."""
    try:
        settings = read_settings(CONFIG, arguments, description=__doc__)
        # A tokenizer that is missing is made by the training, and not for a plan.
        config, tokenizer = model_to_train(settings, read_tokenizer=Tokenizer.load)[:2]
        device, reason = choose_device(settings["device"])
        if note := other_work():
            print(note)
        print(f"Timing a few steps of {tokens_per_step(settings):,} tokens on {device} ({reason})", flush=True)
        measured = measure(settings, config, device)
    except (*EXPLAINED, TrainingFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    run = {"settings": settings, "model": config.to_dict(), "tokenizer": tokenizer.sha256}
    run["parameters"] = measured["weights"] // 4
    print("\n" + "\n".join(plan(run, measured, read_references())))
    return 0


def measure(settings: dict, config: ModelConfig, device: torch.device) -> dict:
    """Speed and memory of steps as the training would take them. Raises TrainingFailed when memory runs out."""
    with torch.device("meta"):  # counted, never filled
        model = GPT(config)
    seconds = expected_seconds(settings, model, device, choose_precision(device, settings["precision"])[0])
    compiled, reason = choose_compile(device, settings["compile"], seconds)
    print(f"torch.compile {'on' if compiled else 'off'}: {reason}", flush=True)
    try:
        try:
            return measure_training(config, settings, device, compiled)
        except torch._dynamo.exc.TorchDynamoException:
            print("It does not work here, and the training would go on without it")
            return measure_training(config, settings, device)
    except RuntimeError as error:
        if shortage := memory_shortage(error, settings):
            raise shortage from None
        raise


def plan(run: dict, measured: dict, references: list[Reference]) -> list[str]:
    """What the run will take and give, and what would fit into other times.

    `run` holds settings, model, tokenizer and parameters as the run's log would.
    """
    settings, parameters = run["settings"], run["parameters"]
    speed, per_step = measured["tokens_per_second"], tokens_per_step(settings)
    tokens = settings["max_steps"] * per_step
    if settings["max_minutes"]:
        tokens = min(tokens, fitting_tokens(settings["max_minutes"], speed, per_step))
    large, source = parameters > 10e6, Path(settings["init_from"] or settings["config_path"])
    lines = [
        f"model        {source.name}, {parameters / 1e6:.1f}M parameters",
        f"speed        {speed:,.0f} tokens/s in {measured['precision']}{', compiled' if measured['compiled'] else ''}"
        f" (median of {measured['timed_steps']} steps)",
        f"memory       {size(measured['peak'])} at most"
        if measured["peak"]
        else "memory       not told by this system",
        f"this run     {tokens // per_step:,} steps, {tokens / 1e6:,.2f}M tokens in {duration(tokens / speed)}",
        f"             {tokens / parameters:.2f} tokens per parameter"
        + ("; with so few, a smaller model learns more: --preset nano" if tokens < parameters / 4 and large else ""),
        f"to expect    {expectation(tokens, run, references)}",
        "",
        "What fits into other times:",
    ]
    for name, minutes in BUDGETS.items():
        fitting = fitting_tokens(minutes, speed, per_step)
        steps = f" --max_steps {fitting // per_step}" if fitting // per_step > settings["max_steps"] else ""
        amount = f"{fitting / 1e6:,.2f}M tokens, {fitting / parameters:.2f} per parameter"
        lines.append(f"{name:<13}{amount:<42}--max_minutes {minutes}{steps}")
    return lines


def fitting_tokens(minutes: float, speed: float, per_step: int) -> int:
    """Tokens of the whole steps that fit into a time, validations and savings not counted."""
    return max(1, int(minutes * 60 * speed / per_step)) * per_step


def expectation(tokens: int, run: dict, references: list[Reference]) -> str:
    """The loss that our own runs of this size had after so many tokens, and in what this run differs from them."""
    reference = reference_for(run, references)
    if reference is None:
        return "not known: no reference run of this size and tokenizer is committed"
    if Path(run["settings"]["corpus_file"]) != PROCESSED / reference.settings["corpus_file"]:
        return f"not known: our runs of this size learnt from {reference.settings['corpus_file']}"
    different = ", ".join(differences(run, reference))
    told = f"held-out code, {reference.name}"
    yours = f"; yours differs in {different}" if different else ""
    if band := reference.band(tokens):
        low, high = (f"{perplexity(loss):.0f}" for loss in band)
        span = f"{low} to {high}" if low != high else low
        if tokens == reference.tokens[-1]:
            return f"perplexity {span} ({told}{yours})"
        return f"perplexity {span} or a little less ({told}, which went on from there{yours})"
    end = perplexity(reference.highest[-1])
    end = f"perplexity {end:.0f} after {reference.tokens[-1] / 1e6:.2f}M tokens ({told}{yours})"
    return f"less than {end}" if tokens > reference.tokens[-1] else f"more than {end}"


if __name__ == "__main__":
    sys.exit(main())
