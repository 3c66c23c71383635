"""From settings to a run that is ready for its first step: fresh, or going on exactly where it stopped."""

import math
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining.checkpoint import build_model, load_checkpoint
from pretraining.compilation import choose_compile, expected_seconds
from pretraining.dataset import open_tokenizer, open_training_data
from pretraining.device import DeviceError, choose_device, choose_precision, keep_freed_memory, self_check
from pretraining.processes import Processes
from pretraining.resume import ARCHIVED_LOG, archive_run, checkpoint_to_resume, find_log, fits, timestamp_now
from pretraining.run import Run
from pretraining.settings import PRESETS, SettingsError, recipe, tokens_per_step
from pretraining.training_log import TrainingLog
from tokenizer.bpe import Tokenizer


def open_run(settings: dict, processes: Processes, make_model: Callable[[ModelConfig], nn.Module] = GPT) -> Run:
    """Find out what to train on what, and whether it is new or goes on."""
    device, reason = _choose_device(settings, processes)
    resume = settings["resume"]
    checkpoint = checkpoint_to_resume(resume, Path(settings["checkpoint_dir"]))
    insisted = checkpoint if resume != "auto" or _began_from(checkpoint, settings["init_from"]) else None
    config, tokenizer, ancestor = processes.main_first(lambda: model_to_train(settings, insisted))
    data = processes.main_first(
        lambda: open_training_data(Path(settings["corpus_file"]), settings["block_size"], settings["seed"], tokenizer)
    )
    identity = {
        "model": config.to_dict(),
        "tokenizer": tokenizer.sha256,
        "corpus": data.corpus.corpus_sha256,
        "recipe": recipe(settings),
    }
    if checkpoint is not None and not fits(checkpoint, identity, resume):
        checkpoint = None
    decided = checkpoint["training"] if checkpoint else {}
    precision, precision_reason = processes.from_main(choose_precision(device, settings["precision"]))
    if decided:  # whatever was measured then holds now
        precision, precision_reason = getattr(torch, decided["precision"]), "as before"
    if device.type == "cpu":
        keep_freed_memory()
    print(f"[Device] {device}: {reason}")
    print(f"[Device] {str(precision).removeprefix('torch.')} products: {precision_reason}")
    same_device = bool(decided) and decided["device"] == device.type
    if same_device and device.type == "cpu" and torch.get_num_threads() != decided["threads"] <= os.cpu_count():
        print(f"[Device] {decided['threads']} threads, as before, so that every sum is the same")
        torch.set_num_threads(decided["threads"])
    torch.manual_seed(settings["seed"])
    model = make_model(config)
    if ancestor:
        model.load_state_dict(ancestor["model"])
    seconds = expected_seconds(settings, model, device, precision)
    compiled, compile_reason = choose_compile(device, settings["compile"], seconds)
    if same_device and settings["compile"] == "auto":
        compiled, compile_reason = decided["compiled"], "as before"
    print(f"[Device] torch.compile {'on' if compiled else 'off'}: {compile_reason}")
    run = Run(
        settings,
        model=model,
        tokenizer=tokenizer,
        data=data,
        processes=processes,
        device=device,
        precision=precision,
        compile_model=compiled,
        identity=identity,
        trained_on=texts_seen(identity["corpus"], ancestor or checkpoint),
    )
    _begin(run, checkpoint)
    if processes.rank:  # dropout is not to leave out the same in all processes
        torch.manual_seed(settings["seed"] + 1000 * run.step + processes.rank)
    return run


def _choose_device(settings: dict, processes: Processes) -> tuple[torch.device, str]:
    """The device of this process, checked where it needs checking."""
    if settings["batch_size"] % processes.count:
        raise SettingsError(
            f"batch_size {settings['batch_size']} does not divide by {processes.count} processes; "
            f"try --batch_size {math.ceil(settings['batch_size'] / processes.count) * processes.count}"
        )
    device, reason = choose_device(processes.device_name)
    return _check_mps(settings, reason) if device.type == "mps" else (device, reason)


def _check_mps(settings: dict, reason: str) -> tuple[torch.device, str]:
    """Use Apple's GPU only when it computes what the CPU computes."""
    wrong = self_check(torch.device("mps"), torch.bfloat16 if settings["precision"] == "bfloat16" else torch.float32)
    if not wrong:
        return torch.device("mps"), f"{reason}; it agrees with the CPU on attention, decoding, gradients and updates"
    if settings["device"] != "auto":
        raise DeviceError(
            f"the Apple GPU computes wrongly here: {'; '.join(wrong)}. Use --device cpu, or a newer PyTorch"
        )
    print(f"[Device] the Apple GPU computes wrongly here ({'; '.join(wrong)}), so the CPU is used instead")
    return torch.device("cpu"), "the Apple GPU failed its self-check"


def model_to_train(
    settings: dict, resumed: dict | None = None, *, read_tokenizer: Callable[[Path], Tokenizer] = open_tokenizer
) -> tuple[ModelConfig, Tokenizer, dict | None]:
    """Config, tokenizer, and the checkpoint whose weights are gone on from with a new run, if any.

    They are those of the `resumed` checkpoint, on which the user insists, else of the settings; `read_tokenizer` gives
    that of a new run. Raises SettingsError where block_size is longer than the model can read,
    ConfigError, CheckpointError or TokenizerError where a file can not be used.
    """
    if resumed and settings["init_from"]:  # those weights were read when it began, and may have been moved since
        config, ancestor = ModelConfig.from_dict(resumed["model_config"], source="last.pt"), None
        tokenizer = Tokenizer.from_json(resumed["tokenizer"])
    elif settings["init_from"]:
        ancestor = load_checkpoint(settings["init_from"])
        config = build_model(ancestor, Path(settings["init_from"])).config
        print(f"[Model] weights, size and tokenizer are those of {settings['init_from']}")
        tokenizer = Tokenizer.from_json(ancestor["tokenizer"])
    else:
        config, ancestor = ModelConfig.load(settings["config_path"]), None
        tokenizer = (
            Tokenizer.from_json(resumed["tokenizer"]) if resumed else read_tokenizer(Path(settings["tokenizer_path"]))
        )
    changed = {} if settings["dropout"] is None else {"dropout": settings["dropout"]}
    if ancestor is None and config.vocab_size != tokenizer.vocab_size:
        print(f"[Model] vocab_size is {tokenizer.vocab_size}, the tokenizer's, instead of {config.vocab_size}")
        changed["vocab_size"] = tokenizer.vocab_size
    config = ModelConfig.from_dict({**config.to_dict(), **changed}, source=settings["config_path"])
    if settings["block_size"] > config.max_seq_len:
        raise SettingsError(
            f"block_size {settings['block_size']} is longer than the model's max_seq_len {config.max_seq_len}; "
            f"try --block_size {config.max_seq_len}, or raise it in {settings['config_path']}"
        )
    return config, tokenizer, ancestor


def texts_seen(corpus: str, earlier: dict | None) -> list[str] | None:
    """The sha256 of every corpus that a model has been trained on: those of an `earlier` checkpoint, and this one.

    None where that checkpoint does not say, being of a time when none did.
    """
    if earlier is None:
        return [corpus]
    before = earlier.get("trained_on")
    return before and [*before, *([corpus] if corpus not in before else [])]


def _began_from(checkpoint: dict | None, init_from: str | None) -> bool:
    """Whether `checkpoint` is of an unfinished fine-tuning that began from `init_from`."""
    if checkpoint is None or init_from is None:
        return False
    training = checkpoint["training"]
    unfinished = training["total_steps"] is None or checkpoint["step"] < training["total_steps"]
    return unfinished and training["identity"]["recipe"]["init_from"] == init_from


def _begin(run: Run, checkpoint: dict | None) -> None:
    """Open the log and take over the state of `checkpoint`, or make room for a fresh run."""
    settings, log_path = run.settings, Path(run.settings["log_path"])
    information = {
        "id": checkpoint["training"]["id"] if checkpoint else secrets.token_hex(4),
        "started": checkpoint["training"]["started"] if checkpoint else timestamp_now(),
        "preset": settings["preset"],
        "config": Path(settings["config_path"]).stem.removesuffix("_config"),
        "checkpoint_dir": settings["checkpoint_dir"],
        "process": os.getpid(),
        "device": str(run.device),
        "parameters": run.model.parameter_count(),
        "tokens_per_step": tokens_per_step(settings),
        "corpus_tokens": len(run.data.windows.tokens),
        "model": run.identity["model"],
        "tokenizer": run.identity["tokenizer"],
        "settings": settings,
    }
    resumed_from = run.folder / "last.pt" if settings["resume"] in ("auto", "last") else Path(settings["resume"])
    earlier = find_log(information["id"], log_path, resumed_from.with_name(ARCHIVED_LOG)) if checkpoint else None
    goes_on_here = checkpoint is not None and resumed_from.resolve() == (run.folder / "last.pt").resolve()
    # All that may be refused comes before anything is moved.
    if checkpoint is not None:
        run.restore(checkpoint)
    run.check_disk(goes_on_here)
    if run.processes.is_main:
        log_goes_on = goes_on_here and find_log(information["id"], log_path) is not None
        if archived := archive_run(run.folder, log_path, checkpoints=not goes_on_here, log=not log_goes_on):
            go_on = f" (to go on with it: --resume {archived}/last.pt)" if (archived / "last.pt").is_file() else ""
            print(f"[Resume] What was there before is kept in {archived}{go_on}")
    information["last_step"] = run.total_steps  # None: a time limit has yet to be turned into steps
    run.log = TrainingLog(log_path if run.processes.is_main else None, information)
    if checkpoint is None:
        return
    print(f"[Resume] Going on after step {run.step:,}")
    if earlier:
        run.log.continue_from(earlier, run.step)
    else:
        print(f"[Resume] Its log is not in {log_path}, so the log begins here")
    if checkpoint["training"]["device"] != run.device.type:
        print(f"[Resume] It ran on {checkpoint['training']['device']} before; from here the numbers differ by rounding")


def introduce(run: Run) -> None:
    """Say what is going to happen, before the first step."""
    settings, windows = run.settings, run.data.windows
    per_step, steps = tokens_per_step(settings), run.total_steps
    if settings["preset"] != "default":
        chosen = ", ".join(f"{key} {settings[key]}" for key in PRESETS[settings["preset"]])
        print(f"[Training] preset {settings['preset']}: {chosen}")
    print(f"[Model] {run.model.parameter_count():,} parameters ({Path(settings['config_path']).name})")
    print(
        f"[Dataset] {len(windows.tokens):,} training tokens; held out: {', '.join(t.name for t in run.data.held_out)}"
    )
    if steps is None:
        print(f"[Training] at most {settings['max_minutes']:g} minutes, in steps of {per_step:,} tokens")
    else:
        passes = steps * per_step / len(windows.tokens)
        print(f"[Training] {steps:,} steps of {per_step:,} tokens: {steps * per_step / 1e6:,.2f}M, {passes:.2f} passes")
        if settings["preset"] == "default" and steps * per_step == 20_000 * 1024:
            print(f"[Training] {steps:,} steps of {per_step:,} tokens = the original 20,000 of 1,024")
    print(f"[Training] {settings['optimizer']}, {settings['schedule']} schedule, seed {settings['seed']}")
    print(f"[Training] checkpoints in {run.folder} will take up to {run.disk_needed() / 1e9:.2f} GB")
