"""How the learning rate changes over a run: up during warm-up, then down along a chosen shape.

Only factors between 0 and 1 live here. The peak is the user's `learning_rate`; each group of parameters has its own
fixed ratio to it in optimizer.py.
"""

import math

SCHEDULES = ("cosine", "linear", "warmup_stable_decay", "constant")
STABLE_SHARE = 0.5  # of the steps after warm-up, before warmup_stable_decay starts to fall


def learning_rate_factor(step: int, total_steps: int, warmup_steps: int, schedule: str) -> float:
    """Share of the peak rate for `step` (0 is the first) of `total_steps`.

    All shapes but `constant` reach zero where the run ends, so they must know its real length: a schedule made for a
    longer run leaves the model with steps that are too large at the end.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)  # 0 after warm-up, 1 at the end
    if schedule == "constant":
        return 1.0
    if schedule == "linear":
        return max(0.0, 1.0 - progress)
    if schedule == "warmup_stable_decay":
        return max(0.0, min(1.0, (1.0 - progress) / (1.0 - STABLE_SHARE)))
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
    raise ValueError(f"unknown schedule {schedule!r}; choose one of {', '.join(SCHEDULES)}")
