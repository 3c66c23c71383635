"""Runs completions of programs in the sandbox and counts how far they come: the ladder, pass@k, what a guesser gets.

All intervals are over problems. The samples of one problem are much alike: counted as trials of their own they would
make every interval far too narrow.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from tqdm import tqdm

from evaluation.generated_code.attempts import CONSTANT_BODIES, LADDER, SEEN_WITHOUT_RUNNING, Attempt, constant_attempts
from evaluation.generated_code.reranking import likeliest
from evaluation.sandbox.pool import Limits, Sandbox, SandboxUnavailable
from evaluation.statistics import share_with_interval
from pretraining.checkpoint import TrainedModel


def measure_attempts(
    trained: TrainedModel,
    attempts: Sequence[Attempt],
    samples: int,
    *,
    cpu_seconds: int,
    rungs: Sequence[str] = LADDER,
    rerank: bool = False,
    allow_unsandboxed: bool = False,
) -> tuple[list[Attempt], dict]:
    """Run attempts, and constant ones beside them; returns them with their verdicts, and all counts.

    What only a run can tell is left out where nothing was run. Raises SandboxBroken.
    """
    constant = constant_attempts([attempt.problem for attempt in attempts[::samples]])
    judged, sandbox = judge([*attempts, *constant], cpu_seconds=cpu_seconds, allow_unsandboxed=allow_unsandboxed)
    attempts, constant = judged[: len(attempts)], judged[len(attempts) :]
    known = rungs if sandbox["level"] else [name for name in rungs if name in SEEN_WITHOUT_RUNNING]
    values = {"sandbox": sandbox, **summary(attempts, samples, known)}
    if sandbox["level"]:
        values |= {"pass_at": pass_shares(attempts, samples), "constant_guess": best_constant(constant)}
        if rerank:
            values["likeliest"] = share(likeliest(trained, attempts, samples), 1, lambda attempt: attempt.passes)
    return attempts, values


def judge(
    attempts: Sequence[Attempt], *, cpu_seconds: int, allow_unsandboxed: bool = False
) -> tuple[list[Attempt], dict]:
    """Run what defines its function; returns the attempts with their verdicts, and what is told of the sandbox.

    Where there is none, nothing is run, and the reason is told. Raises SandboxBroken.
    """
    waiting = [attempt for attempt in attempts if attempt.defines]
    try:
        with Sandbox(Limits(cpu_seconds), allow_unsandboxed=allow_unsandboxed) as sandbox:
            found = sandbox.judge(attempt.problem.job(attempt.completion) for attempt in waiting)
            shown = tqdm(found, "judging", len(waiting), unit=" programs", leave=False, disable=None)
            verdicts = iter(list(shown))
    except SandboxUnavailable as error:
        return list(attempts), {"level": None, "reason": str(error)}
    judged = [replace(attempt, verdict=next(verdicts)) if attempt.defines else attempt for attempt in attempts]
    return judged, sandbox.description


def pass_at_k(n: int, passed: int, k: int) -> float:
    """The unbiased estimate of the chance that one of k samples passes, from n of which some did (Chen et al. 2021)."""
    return 1.0 - math.comb(n - passed, k) / math.comb(n, k)


def share(attempts: Sequence[Attempt], samples: int, holds: Callable[[Attempt], bool]) -> dict:
    """The share of attempts of which something holds."""
    return share_with_interval(sum(map(holds, attempts)) / samples, len(attempts) // samples)


def pass_shares(attempts: Sequence[Attempt], samples: int) -> dict[str, dict]:
    """pass@k for k = 1, 10, 100 as far as the samples reach, and for all of them."""
    passed = [attempt.passes for attempt in attempts]
    counts = [sum(passed[first : first + samples]) for first in range(0, len(passed), samples)]
    sizes = sorted({k for k in (1, 10, 100) if k <= samples} | {samples})
    return {
        str(k): share_with_interval(sum(pass_at_k(samples, count, k) for count in counts), len(counts)) for k in sizes
    }


def best_constant(judged: Sequence[Attempt]) -> dict:
    """Which of CONSTANT_BODIES passes most often; `judged` are constant_attempts that were run."""
    kinds = len(CONSTANT_BODIES)
    scores = [sum(attempt.passes for attempt in judged[kind::kinds]) for kind in range(kinds)]
    best = max(range(kinds), key=scores.__getitem__)
    found = share_with_interval(scores[best], len(judged) // kinds)
    return found | {"guesser": CONSTANT_BODIES[best], "bodies": kinds}


def summary(attempts: Sequence[Attempt], samples: int, rungs: Sequence[str] = LADDER) -> dict:
    """These rungs of the ladder, all verdicts, the best and the worst attempt."""
    in_order = sorted(attempts, key=lambda attempt: attempt.rung)
    return {
        "ladder": {
            name: share(attempts, samples, lambda attempt, step=step: attempt.rung >= step)
            for step, name in enumerate(LADDER, start=1)
            if name in rungs
        },
        "verdicts": dict(Counter(attempt.outcome for attempt in attempts).most_common()),
        "best": _example(in_order[-1]),
        "worst": _example(in_order[0]),
    }


def _example(attempt: Attempt) -> dict:
    return {
        "problem": attempt.problem.id,
        "prompt": attempt.problem.prompt,
        "completion": attempt.completion,
        "verdict": attempt.outcome,
        "detail": attempt.verdict.detail if attempt.verdict else "",
    }
