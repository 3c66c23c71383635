"""Train a model: from a corpus of Python and prose to checkpoints, a log and a loss curve.

    python pretraining/train_improved.py                      # the 27M model, the default recipe
    python pretraining/train_improved.py --preset nano        # ten minutes on a laptop
    torchrun --nproc_per_node 2 pretraining/train_improved.py # several GPUs or processes

Edit CONFIG, or give any of its keys as a flag (`--max_steps 40000`). Ctrl-C saves and stops; the same command goes
on where it stopped. What is missing (corpus, tokenizer, tokens) is made first.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

# A value that you change here counts whatever the preset; what you leave as it is comes from the preset.
CONFIG = {
    "preset": "default",  # "default", "nano" (ten minutes on a laptop) or "original" (the first recipe, for comparison)
    # What to train, on what
    "corpus_file": "data/processed/mixed_corpus.txt",  # code_corpus.txt for code alone, or a text file of your own
    "config_path": "model/config/gpt_tiny_config.json",  # gpt_small_config.json: better, about twice as slow
    # How long
    "max_steps": 2500,  # 2,500 steps of 16 x 512 tokens = the 20,000 steps of 8 x 128 of the original recipe
    "max_minutes": None,  # or a time: the number of steps is then fitted to this machine's speed; 0: no limit
    "batch_size": 16,  # windows per step; halve it when memory runs out and double gradient_accumulation
    "block_size": 512,  # tokens the model sees at once; less is faster, but it forgets sooner
    "gradient_accumulation": 1,  # batches per step: the same step as a larger batch, in less memory
    # How fast it learns
    "learning_rate": 3e-3,  # one rate for all; a third of it if the loss jumps, forgiving within a factor of three
    "optimizer": "muon",  # "adamw" for the classic one; then try learning_rate 1e-3
    "schedule": "linear",  # or "cosine", "warmup_stable_decay", "constant"; all but the last end at zero
    "warmup_steps": 50,  # steps until the full rate is reached; more if the loss jumps at the start
    "weight_decay": 0.1,  # pulls matrices towards zero; more (0.3) when going over the data many times
    "grad_clip": 1.0,  # longest gradient; lower if the loss has spikes, 0 for no limit
    "dropout": None,  # None: as the model's config says; 0.1 when validation loss rises while training loss falls
    # How often to look and to save
    "eval_interval": 50,  # steps between validations
    "checkpoint_interval": 250,  # steps between checkpoints that are kept
    "log_interval": 10,  # steps between printed losses
    # Where and by what means
    "seed": 1337,  # another seed gives another order of the data and another start
    "device": "auto",  # the fastest that computes right here; or "cpu", "cuda", "mps"
    "precision": "auto",  # what is faster here, "float32" or "bfloat16"
    "compile": "auto",  # torch.compile: where the run is long enough to win back the minute that it takes; "on", "off"
    "tokenizer_path": "tokenizer/tokenizer_8k.json",  # with another one a run starts anew
    "checkpoint_dir": "pretraining/checkpoints",  # where the run is saved; another folder for a run beside it
    "log_path": "logs/training_log.json",  # every number of the run; monitor_training.py reads it
    "resume": "auto",  # go on with an unfinished run of these settings; "none", "last" or a path to insist
    "init_from": None,  # a checkpoint whose weights to start from (fine-tuning)
}

import contextlib
import datetime
import io
import os
import signal
from collections.abc import Callable

from torch import nn
from tqdm import tqdm

from data.corpus import CorpusError
from model.architecture.config import ConfigError, ModelConfig
from model.architecture.model import GPT
from pretraining.checkpoint import CheckpointError
from pretraining.device import DeviceError
from pretraining.lock import FolderLock, LockError, LogLock
from pretraining.perplexity import shown
from pretraining.preparation import introduce, open_run
from pretraining.processes import Processes
from pretraining.run import TIMED_STEPS, Run, TrainingFailed
from pretraining.settings import PRESETS, ROOT, SettingsError, read_settings
from pretraining.training_curve import TRAINING_CURVE, draw_training_curve
from tokenizer.bpe import TokenizerError

MINUTES_BETWEEN_SAVES = 10
EXPLAINED = (SettingsError, ConfigError, CorpusError, TokenizerError, CheckpointError, DeviceError, LockError)


def main(arguments: list[str] | None = None, make_model: Callable[[ModelConfig], nn.Module] = GPT) -> int:
    """Run a training; returns the exit code: 0 done, 1 training failed, 2 it could not start, 128 + n stopped.

    Another model than ours can be trained the same way, for comparison: evaluation/training/nanogpt.py does.
    """
    processes, settings = None, {}
    try:
        settings = read_settings(CONFIG, arguments, description=__doc__)
        processes = Processes(settings["device"])
        with contextlib.nullcontext() if processes.is_main else contextlib.redirect_stdout(io.StringIO()):
            return train(settings, processes, make_model)
    except EXPLAINED as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}. What was saved is untouched; {how_to_go_on(settings)}", file=sys.stderr)
        return 2
    except TrainingFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nStopped at once. What was saved is untouched; {how_to_go_on(settings)}", file=sys.stderr)
        return 130
    finally:
        if processes:
            processes.close()


def train(settings: dict, processes: Processes, make_model: Callable[[ModelConfig], nn.Module]) -> int:
    """Prepare a run, take its steps, and leave checkpoints, a log and a curve behind."""
    locks = []
    try:
        if processes.is_main:
            locks.append(FolderLock(Path(settings["checkpoint_dir"])))
            locks.append(LogLock(Path(settings["log_path"])))
        run = open_run(settings, processes, make_model)
        introduce(run)
        stop_signal = train_watchfully(run)
        run.log.set_status("finished" if stop_signal is None else "stopped")
    finally:
        for lock in locks:
            lock.release()  # after the last word in the log, or else a watcher would find a run that nobody runs
    if processes.is_main:
        say_goodbye(run, stopped=stop_signal is not None)
    return 0 if stop_signal is None else 128 + stop_signal


def train_watchfully(run: Run) -> int | None:
    """Take all steps; returns the signal that stopped them early, or None. Whatever else ends them is logged."""
    try:
        with StopRequest(at_once=run.processes.count == 1) as request:
            stopped = take_all_steps(run, request)
    except BaseException as error:
        with contextlib.suppress(OSError):  # where the disk is full, the log can not say so
            run.log.set_status("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
        if shortage := memory_shortage(error, run.settings):
            raise shortage from error
        raise
    return (request.signal or signal.SIGTERM) if stopped else None  # another process may have been asked


def take_all_steps(run: Run, request: "StopRequest") -> bool:
    """The training loop. Returns whether it was stopped before its end; either way the last state is saved."""
    main_process, first_step, stop = run.processes.is_main, run.step, False
    alone = run.processes.count == 1
    if main_process and run.step == 0:
        record_validation(run)
    with progress_bar(run) as bar:
        while not run.finished and not stop:
            stop = run.take_step(stop=request.signal is not None)
            bar.update()
            if run.due("log_interval"):
                record_loss(run, bar)
            if main_process and run.due("eval_interval") and record_validation(run):
                run.save_weights("best.pt")
            if main_process and run.due("checkpoint_interval"):
                run.save_weights(f"step_{run.step:06d}.pt")
            if decided := run.decide_length():
                bar.total = run.total_steps
                run.log.describe(last_step=run.total_steps)
            if main_process and (decided or run.step == first_step + TIMED_STEPS.stop):
                tell_expected_end(run)
            stop = stop or (alone and request.signal is not None)  # asked during this step, and nobody has to agree
            # Last, when all that belongs to this step is in the log; what was measured must survive whatever comes.
            overdue = run.minutes_since_saved() > MINUTES_BETWEEN_SAVES
            if main_process and (run.due("checkpoint_interval") or decided or stop or overdue):
                run.save_last()
    return stop and not run.finished


# -- while it runs -----------------------------------------------------------------------------------------------------


class StopRequest:
    """Ctrl-C and SIGTERM ask for a stop after the step in progress; of several processes, after the one that follows.

    A second Ctrl-C does not wait, where `at_once` allows it: torchrun passes on what its processes got already.
    """

    def __init__(self, at_once: bool) -> None:
        self.signal: int | None = None
        self.at_once = at_once

    def __enter__(self) -> "StopRequest":
        self._earlier = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _ask(self, number: int, frame: object) -> None:
        if self.signal is None:  # not by print, which may be what was interrupted
            os.write(2, b"\nStopping after this step; the state will be saved\n")
        self.signal = number
        if self.at_once and number == signal.SIGINT:
            signal.signal(number, self._earlier[number])

    def __exit__(self, *details: object) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)


def progress_bar(run: Run) -> tqdm:
    """Steps done, speed and time left, drawn where there is a terminal."""
    return tqdm(
        initial=run.step,
        total=run.total_steps,
        unit="step",
        dynamic_ncols=True,
        disable=not (run.processes.is_main and sys.stderr.isatty()),
    )


def record_loss(run: Run, bar: tqdm) -> None:
    """Print and log the mean loss since the last time."""
    entry = run.report()
    run.log.add("train", entry)
    speed = f"{entry['tokens_per_second']:,.0f} tokens/s"
    bar.set_postfix_str(speed)
    if run.processes.is_main:
        tqdm.write(
            f"Step {entry['step']}: loss = {entry['loss']:.3f}, ppl = {shown(entry['perplexity'])}, "
            f"lr = {entry['learning_rate']:.1e}" + (f", {speed}" if bar.disable else "")
        )


def record_validation(run: Run) -> bool:
    """Print and log how well held-out text is predicted; returns whether it is the best so far."""
    entry, better = run.validate()
    run.log.add("validation", entry)
    parts = [
        f"{name} loss = {result['loss']:.3f}, ppl = {shown(result['perplexity'])}, "
        f"{result['bits_per_byte']:.3f} bits/byte"
        for name, result in entry.items()
        if name != "step"
    ]
    tqdm.write(f"Step {run.step}: " + " | ".join(parts) + (" (best)" if better else ""))
    warn_if_diverged(run)
    return better


def warn_if_diverged(run: Run) -> None:
    """Say so when held-out text is predicted worse than before the first step: such a run seldom comes back."""
    name = run.data.held_out[0].name
    first, last = (run.log.content["validation"][place].get(name, {}).get("loss", 0.0) for place in (0, -1))
    if last > first + 0.5:
        tqdm.write(
            f"[Training] The loss on {name} is {last:.3g} and was {first:.3g} at the start: this run has diverged. "
            f"Stop it and try --learning_rate {run.settings['learning_rate'] / 3:.1e} --resume none"
        )


def tell_expected_end(run: Run) -> None:
    """Say when the run should be done, at the speed seen so far."""
    steps = run.last_step - run.step
    left = datetime.timedelta(seconds=round(steps * run.seconds_per_step()))
    tqdm.write(f"[Training] {steps:,} more steps, expected end: {datetime.datetime.now() + left:%a %H:%M} (in {left})")


def memory_shortage(error: BaseException, settings: dict) -> TrainingFailed | None:
    """If `error` means that memory ran out: what to tell the user, naming the setting to change."""
    signs = ("out of memory", "can't allocate memory", "not enough memory")
    if not isinstance(error, RuntimeError) or not any(sign in str(error).lower() for sign in signs):
        return None
    batch_size, block_size = settings["batch_size"], settings["block_size"]
    if batch_size == 1:
        advice = f"Try --block_size {block_size // 2}, or a smaller model: --preset nano"
    else:
        parts = next(number for number in range(2, batch_size + 1) if batch_size % number == 0)
        advice = (
            f"The same steps in less memory: --batch_size {batch_size // parts} "
            f"--gradient_accumulation {settings['gradient_accumulation'] * parts}"
        )
    return TrainingFailed(
        f"memory ran out with batch_size {batch_size} and block_size {block_size}. {advice}. "
        "Saved checkpoints are untouched"
    )


def how_to_go_on(settings: dict) -> str:
    """The command that goes on with what these settings began; `--resume none` or a path would begin again."""
    if settings.get("resume", "auto") in ("auto", "last"):
        return "the same command goes on from there"
    return f"to go on from there, give --resume auto instead of --resume {settings['resume']}"


# -- after the last step -----------------------------------------------------------------------------------------------


def say_goodbye(run: Run, stopped: bool) -> None:
    """Draw the curve and name the next command."""
    log_path = Path(run.settings["log_path"])
    is_usual = log_path == ROOT / PRESETS["default"]["log_path"]
    curve = draw_training_curve(run.log.content, TRAINING_CURVE if is_usual else log_path.with_suffix(".png"))
    if stopped:
        print(f"[Training] Stopped after step {run.step:,}; {how_to_go_on(run.settings)}")
        return
    minutes = run.seconds / 60
    print(f"[Training] Done: {run.step:,} steps in {minutes:,.1f} minutes. Loss curve: {curve}")
    print("[Training] Let it write: python pretraining/generate.py")


if __name__ == "__main__":
    sys.exit(main())
