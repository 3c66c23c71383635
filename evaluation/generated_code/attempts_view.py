"""How completions of programs are shown, whatever was to be completed: as lines of a table and as bars."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

from evaluation.figures import OURS, bars_with_intervals
from evaluation.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNSANDBOXED = "--allow-unsandboxed"
LABEL = 20  # characters
MOST_VERDICTS = 10  # that are shown by name
PROMPT_LINES, COMPLETION_LINES = 5, 9  # of an example that are shown


def sandbox_lines(sandbox: Mapping, command: str) -> list[str]:
    """How programs were locked in; where they could not be, why nothing was run, and the next command to type."""
    if sandbox["level"]:
        return wrapped(f"Sandbox: {sandbox['level']}.")
    return [
        *wrapped(f"Nothing was run: {sandbox['reason']}"),
        "To run the programs all the same, in a machine to throw away:",
        f"    {command} {UNSANDBOXED}",
    ]


def wrapped(text: str) -> list[str]:
    """A text as lines of at most 80 characters."""
    return textwrap.wrap(text, 80, subsequent_indent="  ")


def share_line(name: str, found: Mapping) -> str:
    """A share with its interval."""
    low, high = found["interval"]
    return f"{name:{LABEL}}{found['score']:7.1%}   {low:.1%} to {high:.1%}"


def share_lines(values: Mapping) -> list[str]:
    """The ladder, pass@k, the likeliest attempt and the best constant guess, as far as they were measured."""
    lines = [f"{'':{LABEL}}{'share':>7}   95% interval"]
    lines += [share_line(name, found) for name, found in values["ladder"].items()]
    if "pass_at" in values:
        lines += ["", *(share_line(f"pass@{k}", found) for k, found in values["pass_at"].items())]
    if "likeliest" in values:
        lines.append(share_line(f"likeliest of {max(map(int, values['pass_at']))}", values["likeliest"]))
    if "constant_guess" in values:
        guess = values["constant_guess"]
        lines.append(share_line("constant guess", guess) + f"   (best of {guess['bodies']} bodies: {guess['guesser']})")
    return lines


def verdict_lines(verdicts: Mapping[str, int]) -> list[str]:
    """How often each verdict was given."""
    counts = list(verdicts.items())
    shown = [f"{name} {count:,}" for name, count in counts[:MOST_VERDICTS]]
    if rest := counts[MOST_VERDICTS:]:
        shown.append(f"{len(rest)} others {sum(count for _, count in rest):,}")
    return wrapped(f"Verdicts: {', '.join(shown)}.")


def example_lines(values: Mapping) -> list[str]:
    """The best and the worst program, cut to what can be looked at."""
    lines = []
    for title in ("best", "worst"):
        found = values[title]
        lines += ["", f"{title}, {found['problem']}: {found['verdict']} {found['detail']}".rstrip()[:80]]
        prompt, completion = found["prompt"].rstrip().splitlines(), found["completion"].rstrip().splitlines()
        shown = [*prompt[-PROMPT_LINES:], *(completion[:COMPLETION_LINES] or ["(nothing)"])]
        lines += [f"    {line}"[:80].rstrip() for line in shown]
    return lines


def draw_shares(axes: "Axes", shares: Mapping[str, Mapping], title: str, xlabel: str, color: str = OURS) -> None:
    """Shares as bars with their intervals."""
    found = list(shares.values())
    intervals = [Interval(*share["interval"]) for share in found]
    bars_with_intervals(axes, list(shares), [share["score"] for share in found], intervals, color=color, form="{:.1%}")
    axes.set_xlim(0, 1.2 * max((interval.high for interval in intervals), default=1.0))  # room for the numbers
    axes.set_title(title)
    axes.set_xlabel(xlabel)
