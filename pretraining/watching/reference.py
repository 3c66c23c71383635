"""The band of losses that our own runs of a preset moved in: whether a run of yours goes as it should, and if not, why.

`reference_runs.json` holds them, one entry for each size of model, which `scripts/compare_recipes.py
--keep_as_reference` writes. Standard library alone.
"""

import json
import math
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

REFERENCES = Path(__file__).with_name("reference_runs.json")
DECIDING = "heldout_code"  # the text that the reference runs were looked at on
# Nats per token beyond what the seeds span (0.035 in three runs of nano). A schedule made for a little more or less
# matters that much.
TOLERANCE = 0.15
BEYOND = 1.1  # times the tokens of the reference runs, up to which a run is held against their end
HIGH_RATE = 0.5  # nats per token, a generous guess: what a rate may cost that comes down later than the reference's
SUSPICIOUS = 0.6  # nats per token below the band: no recipe is that much better at equal tokens
# What of the settings changes how much is learnt from a token, beside what `learning` adds to it.
LEARNING = "block_size learning_rate optimizer schedule warmup_steps weight_decay grad_clip".split()


@dataclass(frozen=True)
class Reference:
    """Runs of one preset with different seeds, or a single one: lowest and highest loss after each number of tokens."""

    preset: str
    parameters: int
    corpus_tokens: int
    tokenizer: str  # its sha256: losses per token compare with no other's
    settings: dict  # as `learning` tells them
    seeds: int
    tokens: list[float]
    lowest: list[float]  # nats per token on held-out code
    highest: list[float]

    @property
    def name(self) -> str:
        """How it is called where a run is held against it."""
        return f"our {f'{self.seeds} runs' if self.seeds > 1 else 'run'} of preset {self.preset}"

    def band(self, tokens: float) -> tuple[float, float] | None:
        """Lowest and highest loss after so many tokens, on a straight line between; None beyond the last."""
        if not self.tokens[0] <= tokens <= self.tokens[-1]:
            return None
        right = max(1, bisect_left(self.tokens, tokens))
        start, end = self.tokens[right - 1], self.tokens[right]
        share = (tokens - start) / (end - start)
        return tuple(
            curve[right - 1] + share * (curve[right] - curve[right - 1]) for curve in (self.lowest, self.highest)
        )


def read_references(path: Path = REFERENCES) -> list[Reference]:
    """All references; none where the file is missing or can not be read, since nothing depends on them."""
    try:
        return [Reference(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))["references"]]
    except (OSError, ValueError, TypeError, LookupError):
        return []


def learning(run: dict) -> dict:
    """What decides how much a run learns from a token, by name, from the "run" of its log."""
    settings = run["settings"]
    model = {key: value for key, value in run["model"].items() if key != "max_seq_len"}  # block_size is what it reads
    return {
        **{key: settings[key] for key in LEARNING},
        "windows_per_step": settings["batch_size"] * settings["gradient_accumulation"],
        "corpus_file": Path(settings["corpus_file"]).name,
        **model,
    }


def differences(run: dict, reference: Reference) -> dict[str, tuple[object, object]]:
    """The names of `learning` in which a run differs from the reference: (here, there)."""
    there = reference.settings
    return {key: (value, there.get(key)) for key, value in learning(run).items() if value != there.get(key)}


def reference_for(run: dict, references: list[Reference]) -> Reference | None:
    """The reference of a model of this size that reads the same tokens; none for one that had learnt before."""
    if run["settings"].get("init_from"):
        return None
    wanted = run["parameters"], run.get("tokenizer")
    return next((one for one in references if (one.parameters, one.tokenizer) == wanted), None)


def compared_with(log: dict, references: list[Reference]) -> Reference | None:
    """The reference that the run of this log can be held against, looked at on the same text; None without one."""
    checked = log["validation"]
    if not checked or next((key for key in checked[-1] if key != "step"), None) != DECIDING:
        return None
    return reference_for(log["run"], references)


def band_of(log: dict, references: list[Reference]) -> list[list[tuple[int, float]]]:
    """The band as two curves of (step, loss), as far as the run of this log has come; none without a reference."""
    reference = compared_with(log, references)
    if reference is None:
        return []
    per_step, last = log["run"]["tokens_per_step"], log["validation"][-1]["step"]
    steps = [round(tokens / per_step) for tokens in reference.tokens]
    curves = [list(zip(steps, losses, strict=True)) for losses in (reference.lowest, reference.highest)]
    return [[point for point in curve if point[0] <= last] for curve in curves]


def judge(log: dict, references: list[Reference]) -> tuple[bool, list[str]] | None:
    """Whether the run of this log moves in the band of its reference, and lines that say so or name likely causes.

    None where there is nothing to compare: no reference of this size and tokenizer, another text that decides, no
    validation yet.
    """
    reference = compared_with(log, references)
    if reference is None:
        return None
    run, latest = log["run"], log["validation"][-1]
    tokens, loss = latest["step"] * run["tokens_per_step"], latest[DECIDING]["loss"]
    last = reference.tokens[-1]
    ended = last < tokens <= BEYOND * last
    band = reference.band(last if ended else tokens)
    if band is None or not math.isfinite(loss):
        return None
    low, high = band
    when = "the end" if ended else "this point"
    span = f"{low:.3f} to {high:.3f}" if low < high else f"{low:.3f}"
    runs = f"{reference.name}: {span} at {when}"
    if loss > high:
        return judge_above(loss - high, runs, run, reference)
    if loss < low - SUSPICIOUS:
        return False, [
            f"{low - loss:.2f} below {runs}",
            "is held-out text in the training text, or another corpus?",
        ]
    if loss < low:
        return True, [f"{low - loss:.2f} better than {runs}"]
    return True, [f"in the band of {runs}"]


def judge_above(excess: float, runs: str, run: dict, reference: Reference) -> tuple[bool, list[str]]:
    """The same for a run that is `excess` nats per token above the band of these `runs`."""
    if excess <= TOLERANCE:
        return True, [f"{excess:.2f} above {runs}: usual"]
    above, planned, last = f"{excess:.2f} above {runs}", planned_tokens(run), reference.tokens[-1]
    if excess <= HIGH_RATE and planned > BEYOND * last:
        longer = f"{planned / 1e6:,.2f}M tokens, theirs had {last / 1e6:,.2f}M"
        return True, [above, f"usual in a longer run ({longer}): its learning rate comes down later"]
    return False, [above, *causes(run, reference)]


def planned_tokens(run: dict) -> int:
    """How many tokens the whole run is to see; 0 as long as a time limit has not been turned into steps."""
    return (run["last_step"] or 0) * run["tokens_per_step"]


def causes(run: dict, reference: Reference) -> list[str]:
    """Why a run may learn less than its reference, the likeliest first: what was changed, or what else there is."""
    changed = [f"{key} is {here} (there {there})" for key, (here, there) in differences(run, reference).items()]
    corpus_tokens = run["corpus_tokens"]
    if abs(corpus_tokens - reference.corpus_tokens) > 0.02 * reference.corpus_tokens:
        changed.append(f"the corpus has {corpus_tokens:,} tokens (there {reference.corpus_tokens:,})")
    if changed:
        return [f"likely cause: {cause}" for cause in changed[:3]]
    return ["nothing differs in the recipe: is the corpus what it was? does --device cpu give the same losses?"]
