"""One training run: its model, optimizers, data and progress, and the few things that are done with them.

The story, when each of these is done, is the loop in train_improved.py.
"""

import contextlib
import math
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from model.architecture.model import GPT
from pretraining.checkpoint import CheckpointError, save_checkpoint
from pretraining.dataset import TrainingData
from pretraining.device import autocast, random_states, restore_random_states, synchronize
from pretraining.optimizer import Muon, build_optimizers, set_learning_rate
from pretraining.perplexity import perplexity
from pretraining.processes import Processes
from pretraining.schedule import learning_rate_factor
from pretraining.settings import SettingsError, tokens_per_step
from pretraining.training_log import TrainingLog
from pretraining.validation import validate
from tokenizer.bpe import Tokenizer

TIMED_STEPS = range(3, 13)  # the first steps are slower than the rest; after these the run's length is decided


class TrainingFailed(ValueError):
    """Training can not go on; the message says why and what to change. What was saved before is good."""


class Run:
    """A run in progress. `step` counts finished steps; `total_steps` is None until a time limit has been measured."""

    def __init__(
        self,
        settings: dict,
        *,
        model: GPT,
        tokenizer: Tokenizer,
        data: TrainingData,
        processes: Processes,
        device: torch.device,
        precision: torch.dtype,
        compile_model: bool,
        identity: dict,
        trained_on: list[str] | None,
    ) -> None:
        self.settings, self.tokenizer, self.data, self.processes = settings, tokenizer, data, processes
        self.device, self.precision = device, precision
        self.model = model.to(device).train()
        self.parameters = list(model.parameters())
        self.optimizers = build_optimizers(model, settings["optimizer"], settings["weight_decay"], precision)
        self.compiled = compile_model
        self.loss_of = torch.compile(model.loss) if compile_model else model.loss
        self.identity, self.trained_on = identity, trained_on
        self.log: TrainingLog | None = None
        self.step = 0
        self.time_limit: float | None = settings["max_minutes"]
        self.total_steps = None if self.time_limit else settings["max_steps"]
        self.best_loss = math.inf
        self.losses: dict[str, float] = {}
        self.loss_sum = torch.zeros((), device=device)  # since the last report; read only when reported or saved
        self.norm_sum = torch.zeros((), device=device)
        self.unreported_steps = 0
        self._earlier_seconds = 0.0
        self._started = self._interval_started = self._saved = time.monotonic()
        self._interval_step = 0  # the last one before the interval that speed is told of
        self._step_seconds: list[float] = []
        self._length_checked = (0, 0.0)  # step and seconds when the length was last held against the clock
        self.validation_seconds = 0.0

    # -- progress ---------------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Time spent training, over all sittings."""
        return self._earlier_seconds + time.monotonic() - self._started

    @property
    def last_step(self) -> int:
        """The step after which the run is done, as far as is known."""
        return self.total_steps or self.settings["max_steps"]

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.last_step

    @property
    def learning_rate(self) -> float:
        """The rate of the step that comes next."""
        warmup = self.settings["warmup_steps"]
        if self.time_limit:  # few steps may fit into the time: most of them are not for warming up
            warmup = min(warmup, max(1, self.last_step // 5))
        factor = learning_rate_factor(self.step, self.last_step, warmup, self.settings["schedule"])
        return self.settings["learning_rate"] * factor

    def due(self, interval: str) -> bool:
        """Whether the step just done is one of every `settings[interval]`, or the last."""
        return self.step % self.settings[interval] == 0 or self.finished

    # -- one step ---------------------------------------------------------------------------------------------------

    def take_step(self, stop: bool) -> bool:
        """One optimizer step on the next tokens; returns whether to stop, which all processes agree on."""
        started = time.monotonic()
        set_learning_rate(self.optimizers, self.learning_rate)
        accumulation, batch_size = self.settings["gradient_accumulation"], self.settings["batch_size"]
        share = batch_size // self.processes.count
        for part in range(accumulation):
            first = (self.step * accumulation + part) * batch_size + self.processes.rank * share
            inputs, targets = self._to_device(*self.data.windows.batch(first, share))
            self.loss_sum += self._learn(inputs, targets, accumulation)
        stop = self.processes.average_gradients(self.parameters, stop)
        # Without a limit the norm is still computed: it is how a step that went wrong is seen before it is saved.
        self.norm_sum += torch.nn.utils.clip_grad_norm_(self.parameters, self.settings["grad_clip"] or math.inf)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.unreported_steps += 1
        if len(self._step_seconds) < TIMED_STEPS.stop:
            synchronize(self.device)
            self._step_seconds.append(time.monotonic() - started)
        return stop

    def _learn(self, inputs: torch.Tensor, targets: torch.Tensor, parts: int) -> torch.Tensor:
        """Add the gradients of one of `parts` batches of a step to what is there; returns its share of the loss.

        Where compiling fails, which shows here, the run goes on without it.
        """
        try:
            with autocast(self.device, self.precision):
                loss = self.loss_of(inputs, targets) / parts
            loss.backward()
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = next(iter(str(error).strip(" :\n").splitlines()), type(error).__name__)
            print(
                f"[Device] torch.compile failed, so the run goes on without it: {reason}\n"
                "[Device] A compilation that was cut off may have left a broken file: remove it before the next run"
            )
            self.compiled, self.loss_of = False, self.model.loss
            return self._learn(inputs, targets, parts)
        return loss.detach()

    def _to_device(self, *tensors: torch.Tensor) -> list[torch.Tensor]:
        """Copy to the device, without waiting where that is safe (on MPS it corrupts data)."""
        if self.device.type == "cuda":
            return [tensor.pin_memory().to(self.device, non_blocking=True) for tensor in tensors]
        return [tensor.to(self.device) for tensor in tensors]

    def decide_length(self) -> bool:
        """Fit the number of steps to the time limit, if there is one; returns whether it was decided now.

        First after the timed steps, while the rate still warms up. Later only downwards, looked at after each tenth of
        the time, when the machine has become so slow (other work, heat) that the rest would take over a tenth longer
        than is left: the schedule then comes down sooner instead of being cut off.
        """
        first_time = self.total_steps is None
        ready = len(self._step_seconds) == TIMED_STEPS.stop if first_time else self.due("log_interval")
        if not self.time_limit or not ready or self.finished:
            return False
        most = self.settings["max_steps"] if first_time else self.total_steps
        fitting = self.processes.from_main(self._fitting_steps(first_time))
        if not first_time and fitting - self.step > (most - self.step) / 1.1:
            return False
        self.total_steps = min(fitting, most)
        return True

    def _fitting_steps(self, first_time: bool) -> int:
        """The last step that the time limit leaves room for, at the speed since this was last asked."""
        step, seconds = self._length_checked
        if first_time:
            seconds_per_step = self.seconds_per_step()
        elif self.seconds - seconds < self.time_limit * 60 / 10:
            return self.total_steps
        else:
            seconds_per_step = (self.seconds - seconds) / (self.step - step)
        self._length_checked = (self.step, self.seconds)
        left = self.time_limit * 60 - self.seconds - self.validation_seconds
        return self.step + max(1, int(left / seconds_per_step))

    def seconds_per_step(self) -> float:
        """The usual time of a step, its share of the validations included, from the timed steps."""
        timed = self._step_seconds[TIMED_STEPS.start : TIMED_STEPS.stop]
        return statistics.median(timed) + self.validation_seconds / self.settings["eval_interval"]

    # -- looking ----------------------------------------------------------------------------------------------------

    def check_finite(self) -> None:
        """Raise TrainingFailed if a loss or gradient since the last report, or on held-out text, was not finite."""
        if not math.isfinite((self.loss_sum + self.norm_sum).item() + sum(self.losses.values())):
            first, rate = self.step - max(1, self.unreported_steps) + 1, self.settings["learning_rate"]
            raise TrainingFailed(
                f"the loss stopped being a finite number between step {first} and step {self.step}. Likely causes: a "
                f"learning_rate that is too high (try --learning_rate {rate / 3:.1e}), too short a warm-up (try "
                f"--warmup_steps {max(100, 2 * self.settings['warmup_steps'])}), or a faulty device (try --device cpu)."
                " The checkpoints hold the last good state; nothing was saved after the failure"
            )

    def report(self) -> dict:
        """The mean loss since the last report, as a log entry; starts a new interval."""
        self.check_finite()
        loss = self.processes.average(self.loss_sum / self.unreported_steps).item()
        now = time.monotonic()
        per_step = tokens_per_step(self.settings)
        entry = {
            "step": self.step,
            "loss": loss,
            "perplexity": perplexity(loss),
            "learning_rate": self.optimizers[0].param_groups[0]["lr"],
            "tokens": self.step * per_step,
            "tokens_per_second": (self.step - self._interval_step) * per_step / (now - self._interval_started),
            "seconds": self.seconds,
        }
        self.loss_sum.zero_()
        self.norm_sum.zero_()
        self.unreported_steps, self._interval_started, self._interval_step = 0, now, self.step
        return entry

    @contextlib.contextmanager
    def _no_training(self) -> Iterator[None]:
        """Time for looking and saving, without which speed is told."""
        started = time.monotonic()
        yield
        self._interval_started += time.monotonic() - started

    def validate(self) -> tuple[dict, bool]:
        """Losses on all held-out texts as a log entry, and whether the first is the best so far."""
        started = time.monotonic()
        with self._no_training():
            texts = self.data.held_out
            results = {text.name: validate(self.model, text, self.device, self.precision) for text in texts}
        self.losses = {name: result["loss"] for name, result in results.items()}
        self.check_finite()  # before NaN gets into the log, which could not be written with it
        deciding = self.losses[self.data.held_out[0].name]
        better = self.step > 0 and deciding < self.best_loss
        self.best_loss = min(self.best_loss, deciding) if self.step > 0 else self.best_loss
        self.validation_seconds = time.monotonic() - started
        return {"step": self.step, **results}, better

    # -- files ------------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Where the checkpoints go."""
        return Path(self.settings["checkpoint_dir"])

    def _weights(self) -> dict:
        """What every checkpoint holds: all that is needed to use the model."""
        return {
            "model": {name: tensor.cpu() for name, tensor in self.model.state_dict().items()},
            "model_config": self.model.config.to_dict(),
            "tokenizer": self.tokenizer.to_json(),
            "context_length": self.settings["block_size"],
            "step": self.step,
            "losses": self.losses,
            "trained_on": self.trained_on,
            "settings": self.settings,
        }

    def save_weights(self, name: str) -> None:
        """Write the model for later use: `best.pt`, `step_000250.pt`."""
        self.check_finite()
        with self._no_training():
            save_checkpoint(self._weights(), self.folder / name)

    def save_last(self) -> None:
        """Write everything that going on exactly needs."""
        self.check_finite()
        training = {
            "identity": self.identity,
            "preset": self.settings["preset"],
            "id": self.log.content["run"]["id"],
            "started": self.log.content["run"]["started"],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "random_states": random_states(self.device),
            "total_steps": self.total_steps,
            "time_limit": self.time_limit,
            "best_loss": self.best_loss,
            "loss_sum": self.loss_sum.cpu(),
            "norm_sum": self.norm_sum.cpu(),
            "unreported_steps": self.unreported_steps,
            "seconds": self.seconds,
            "precision": str(self.precision).removeprefix("torch."),
            "compiled": self.compiled,
            "threads": torch.get_num_threads(),
            "device": self.device.type,
        }
        with self._no_training():
            self.log.write()  # first, so that the log is not behind the checkpoint; what is ahead is cut when resuming
            save_checkpoint(self._weights() | {"training": training}, self.folder / "last.pt")
        self._saved = time.monotonic()

    def minutes_since_saved(self) -> float:
        """Minutes of work that a power cut would take."""
        return (time.monotonic() - self._saved) / 60

    def restore(self, checkpoint: dict) -> None:
        """Take over the exact state of `checkpoint`; a changed length or time limit is decided anew.

        Raises SettingsError when the new one leaves nothing to do.
        """
        training = checkpoint["training"]
        self.model.load_state_dict(checkpoint["model"])
        for optimizer, state in zip(self.optimizers, training["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        restore_random_states(training["random_states"], self.device)
        self.step, self.losses = checkpoint["step"], checkpoint["losses"]
        earlier = training["identity"]["recipe"]
        if self.settings["max_minutes"] != earlier["max_minutes"]:
            self._check_limit(training["seconds"] / 60)
        elif self.settings["max_steps"] != earlier["max_steps"]:
            self.total_steps, self.time_limit = self.settings["max_steps"], None  # asked for by number, not by time
        else:
            self.total_steps, self.time_limit = training["total_steps"], training["time_limit"]
        self.best_loss = training["best_loss"]
        self.loss_sum.copy_(training["loss_sum"])
        self.norm_sum.copy_(training["norm_sum"])
        self.unreported_steps = training["unreported_steps"]
        self._earlier_seconds = training["seconds"]
        self._interval_step = self.step
        self._length_checked = (self.step, self.seconds)
        if self.total_steps is not None and self.step >= self.total_steps:
            raise SettingsError(
                f"this run has done {self.step:,} steps already; --max_steps {self.total_steps} does not lengthen it"
            )

    def _check_limit(self, minutes: float) -> None:
        """Raise SettingsError where a new time limit is no longer than the run has been trained."""
        if self.time_limit and self.time_limit <= minutes:
            raise SettingsError(
                f"this run has trained for {minutes:.1f} minutes already; --max_minutes {self.time_limit:g} counts "
                "from its beginning"
            )

    def disk_needed(self) -> int:
        """Bytes that the checkpoints of this run will take, and one more while a file is being replaced."""
        weights = 4 * self.model.parameter_count()
        states = sum(
            4 * parameter.numel() * (1 if isinstance(optimizer, Muon) else 2)  # momentum; AdamW has also squares
            for optimizer in self.optimizers
            for group in optimizer.param_groups
            for parameter in group["params"]
        )
        kept = math.ceil(self.last_step / self.settings["checkpoint_interval"])
        return weights * (kept + 1) + 2 * (weights + states)

    def check_disk(self, goes_on_here: bool) -> None:
        """Raise CheckpointError when the checkpoints that this run has yet to write will not fit on the disk."""
        written = sum(path.stat().st_size for path in self.folder.glob("*.pt")) if goes_on_here else 0
        needed, free = self.disk_needed() - written, shutil.disk_usage(self.folder).free
        if needed > free:
            raise CheckpointError(
                f"this run's checkpoints need {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free in {self.folder}."
                f" Free some space, or keep fewer: --checkpoint_interval {2 * self.settings['checkpoint_interval']}"
            )
