"""The band of losses that our own runs of a preset moved in: whether a run of yours goes as it should, and if not, why.

`reference_runs.json` holds them, one entry for each preset that was run with several seeds; scripts/compare_recipes.py
--keep_as_reference writes it. Standard library alone.
"""

import json
import math
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

REFERENCES = Path(__file__).with_name("reference_runs.json")
DECIDING = "heldout_code"  # the text that the reference runs were looked at on
# Nats per token beyond what the seeds span. Within a run, the length that the schedule was made for matters that much.
TOLERANCE = 0.15
BEYOND = 1.1  # times the tokens of the reference runs, up to which a run is held against their end
SUSPICIOUS = 0.6  # nats per token below the band: no recipe is that much better at equal tokens
# What of the settings changes how much is learnt from a token.
LEARNING = (
    "batch_size block_size gradient_accumulation learning_rate optimizer schedule warmup_steps weight_decay grad_clip "
    "dropout init_from"
).split()


@dataclass(frozen=True)
class Reference:
    """Runs of one preset with different seeds: their lowest and highest loss after each number of tokens."""

    preset: str
    parameters: int
    corpus_tokens: int
    settings: dict  # those of LEARNING
    seeds: int
    tokens: list[float]
    lowest: list[float]  # nats per token on held-out code
    highest: list[float]

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


def reference_for(parameters: int, references: list[Reference]) -> Reference | None:
    """The reference of a model of this size."""
    return next((reference for reference in references if reference.parameters == parameters), None)


def compared_with(log: dict, references: list[Reference]) -> Reference | None:
    """The reference that the run of this log can be held against: of its size, and looked at on the same text."""
    checked = log["validation"]
    if not checked or next(key for key in checked[-1] if key != "step") != DECIDING:
        return None
    return reference_for(log["run"]["parameters"], references)


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

    None where there is nothing to compare: no reference of this size, another text that decides, no validation yet.
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
    when = "their end" if ended else "this point"
    runs = f"{reference.seeds} reference runs of preset {reference.preset}: {low:.3f} to {high:.3f} at {when}"
    if loss > high + TOLERANCE:
        return False, [f"{loss - high:.2f} above the {runs}", *causes(run, reference)]
    if loss < low - SUSPICIOUS:
        return False, [
            f"{low - loss:.2f} below the {runs}",
            "is held-out text in the training text, or another corpus?",
        ]
    if loss < low:
        return True, [f"{low - loss:.2f} better than {runs}"]
    if loss > high:
        return True, [f"{loss - high:.2f} above {runs}: usual"]
    return True, [f"in the band of {runs}"]


def causes(run: dict, reference: Reference) -> list[str]:
    """Why a run may learn less than its reference, the likeliest first: what was changed, or what else there is."""
    settings = run["settings"]
    changed = [
        f"{key} is {settings.get(key)} (there {reference.settings.get(key)})"
        for key in LEARNING
        if settings.get(key) != reference.settings.get(key)
    ]
    corpus_tokens = run.get("corpus_tokens", reference.corpus_tokens)  # which logs of earlier versions do not tell
    if abs(corpus_tokens - reference.corpus_tokens) > 0.02 * reference.corpus_tokens:
        changed.append(f"the corpus has {corpus_tokens:,} tokens (there {reference.corpus_tokens:,})")
    if changed:
        return [f"likely cause: {cause}" for cause in changed[:3]]
    return ["nothing differs in the recipe: is the corpus what it was? does --device cpu give the same losses?"]
