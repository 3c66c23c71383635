"""The picture of a run in characters, laid out for a screen of any size: facts above, curves below.

Pure functions of a run's facts, a size and the time. Where there is too little room, parts go in the order of their
importance. Lines are lists of styled spans; `painted` turns them into what a terminal shows.
"""

import datetime
import textwrap
from dataclasses import dataclass

from pretraining.perplexity import grade, perplexity
from pretraining.training_curve import perplexity_in_words, round_perplexities
from pretraining.watching.run_facts import Curve, RunFacts
from pretraining.watching.text_chart import (
    ASCII,
    UNICODE,
    Characters,
    Line,
    Series,
    Span,
    draw_chart,
    progress_bar,
    sparkline,
    text_of,
)

WIDEST, HIGHEST = 160, 50  # a picture beyond that is no clearer
SMALLEST_PLOT = 7  # lines, with the names of the axes
SMALLEST_BAR = 5  # columns
NARROW = 60  # columns; below that names are short
# Columns of the table with their alignment, and the order in which they go where there is no room.
COLUMNS = {
    "name": "<", "loss": ">", "perplexity": ">", "grade": "<", "bits/byte": ">", "best": "<", "trend": "<",
    "change": "<",
}  # fmt: skip
DROPPED_FIRST = ("change", "bits/byte", "best", "trend", "grade", "perplexity")
COLOURS = {
    "bold": "1", "dim": "2", "good": "32", "warn": "33", "bad": "31",
    "training": "2", "reference": "2", "heldout_code": "36", "heldout_books": "35", "heldout_own": "32",
}  # fmt: skip
STYLES = {
    "excellent": "good", "good": "good", "okay": "warn", "poor": "bad", "falling": "good", "rising": "bad",
    "running": "good", "finished": "good", "stopped": "warn", "interrupted": "bad", "failed": "bad",
}  # fmt: skip
NEXT = {
    "finished": "Next: python pretraining/generate.py",
    "stopped": "The same training command goes on from its last save.",
    "failed": "The terminal it ran in says why. The checkpoints hold the last good state.",
    "interrupted": "It ended without a word (killed?); the same command goes on from its last save.",
}


@dataclass(frozen=True)
class Look:
    """What to draw with; the marks tell curves apart without colour."""

    characters: Characters
    separator: str
    training_mark: str
    marks: str  # of the held-out texts


UNICODE_LOOK = Look(UNICODE, " · ", "⠒", "●◆▲■")
ASCII_LOOK = Look(ASCII, " | ", ".", "ox+*")


def draw_run(
    facts: RunFacts,
    width: int,
    height: int,
    look: Look = UNICODE_LOOK,
    *,
    now: float,
    written: float,
    notice: str = "",
    hint: str = "",
) -> list[Line]:
    """The whole picture in at most `height` lines of at most `width` columns.

    `now` and `written`, when the log was written last, are seconds since 1970. `notice` stands below the header and
    `hint` in the last line.
    """
    width, height = min(width, WIDEST), min(height, HIGHEST)
    done = facts.progress.state == "finished" and not notice
    notice = notice or NEXT.get(facts.progress.state, "")
    parts = [  # (importance, lines) from top to bottom; the lowest number is the last to go
        (1, [[(_join(facts.title, width, look), "bold")]]),
        (0, [_steps(facts, width, look)]),
        (3, [[(_join(_times(facts, now, written), width, look), "")]]),
        (4, [[(line, "" if done else "warn")] for line in textwrap.wrap(notice, max(1, width))]),
        (7, [[]]),
        (2, _table(facts, width, look)),
        (6, _rates(facts, width, look)),
        (6.5, _reference(facts, width)),
        (8, [[]]),
        (5, [[]] * SMALLEST_PLOT),  # room for the chart
        (9, [[(hint[:width], "dim")]] if hint else []),
    ]
    spare, kept = height, set()
    for importance, lines in sorted(parts):
        if len(lines) <= spare:
            spare -= len(lines)
            kept.add(importance)
    picture: list[Line] = []
    for importance, lines in parts:
        if importance in kept:
            picture += _chart(facts, width, SMALLEST_PLOT + spare, look) if importance == 5 else lines
    return picture


def news(facts: RunFacts, now: float, written: float, evaluated: bool) -> str:
    """What is new, in one line, for an output that can not be drawn on; with the last evaluation if that is new."""
    progress, parts = facts.progress, []
    if facts.training:
        parts.append(f"training loss {_loss(facts.training[-1][1])}, {facts.speeds[-1]:,.0f} tokens/s")
    for curve in facts.held_out if evaluated else ():
        value = perplexity(curve.latest)
        parts.append(
            f"{curve.name} loss {_loss(curve.latest)}, perplexity {perplexity_in_words(value)} ({grade(value)}), "
            f"{curve.bits_per_byte:.3f} bits/byte"
        )
    step = f"{progress.state}: step {progress.step:,}" + (f" of {facts.last_step:,}" if facts.last_step else "")
    return " | ".join([step, *parts, *_times(facts, now, written)[:2]])


def painted(lines: list[Line], colour: bool) -> list[str]:
    """Lines as text, with the terminal's codes for the styles if `colour`."""
    if not colour:
        return [text_of(line).rstrip() for line in lines]
    return [
        "".join(f"\x1b[{COLOURS[style]}m{text}\x1b[0m" if style in COLOURS else text for text, style in line)
        for line in lines
    ]


def duration(seconds: float) -> str:
    """A time span as people say it: 45 s, 4 min 31 s, 3 h 12 min, 2 d 5 h."""
    whole = round(seconds)
    for unit, size, smaller, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size:,} {unit} {whole % size // part} {smaller}"
    return f"{whole} s"


# -- the parts ---------------------------------------------------------------------------------------------------------


def _steps(facts: RunFacts, width: int, look: Look) -> Line:
    """State, step, and a bar as long as there is room for."""
    progress, last_step = facts.progress, facts.last_step
    line = [(progress.state, STYLES[progress.state])]
    if not last_step:
        limit = facts.log["run"]["settings"].get("max_minutes")
        rest = f" (measuring how many fit into {limit:g} min)" if limit and progress.state == "running" else ""
        return _cropped([*line, (f"  step {progress.step:,}{rest}", "")], width)
    share = f"{min(1.0, progress.step / last_step):>4.0%}"
    line.append((f"  step {progress.step:,} of {last_step:,}", ""))
    room = width - len(text_of(line)) - len(share) - 3
    if room < SMALLEST_BAR:
        return _cropped([(f"{progress.step:,}/{last_step:,} {share.strip()} ", ""), *line[:1]], width)
    return [*line, ("  ", ""), *progress_bar(progress.step / last_step, room, look.characters), (f" {share}", "")]


def _times(facts: RunFacts, now: float, written: float) -> list[str]:
    """The times, the most important first."""
    progress = facts.progress
    if progress.state != "running":
        return [f"{duration(progress.seconds)} of training", f"ended {_clock(written, now)}", _tokens(facts)]
    age = max(0.0, now - written)
    parts = [f"{duration(progress.seconds + age)} spent", _tokens(facts), f"last news {duration(age)} ago"]
    if progress.seconds_left is None:
        return parts
    end = max(now, written + progress.seconds_left)
    return [f"{duration(end - now)} left", f"ends {_clock(end, now)}", *parts]


def _tokens(facts: RunFacts) -> str:
    return f"{facts.tokens / 1e6:,.2f}M tokens" if facts.tokens >= 1e5 else f"{facts.tokens:,} tokens"


def _clock(moment: float, now: float) -> str:
    """A time of day, with the day where it is another one."""
    there, here = datetime.datetime.fromtimestamp(moment), datetime.datetime.fromtimestamp(now)
    if there.date() == here.date():
        return f"{there:%H:%M}"
    return f"{there:%a %H:%M}" if abs(moment - now) < 6 * 86_400 else f"{there:%Y-%m-%d %H:%M}"


def _table(facts: RunFacts, width: int, look: Look) -> list[Line]:
    """Where each curve stands, one a line; it is the legend of the chart too."""
    short = width < NARROW
    rows = [_headings(short)]
    rows += [_cells(curve, mark, short) for curve, mark in zip(facts.held_out, look.marks * 9, strict=False)]
    if facts.training:
        loss, name = facts.training[-1][1], "train" if short else "training text"
        cells = {"name": (f"{look.training_mark} {name}", "training"), "loss": (_loss(loss), "")}
        rows.append(cells | {"perplexity": (perplexity_in_words(perplexity(loss)), "")})
    if len(rows) == 1:
        return []
    widths = {name: max(len(row[name][0]) for row in rows if name in row) for name in COLUMNS}
    gap = 1 if short else 2
    shown = [name for name in COLUMNS if any(name in row for row in rows[1:])]
    for name in DROPPED_FIRST:
        if name in shown and sum(widths[name] + gap for name in shown) - gap > width:
            shown.remove(name)
    lines = []
    for row in rows:
        line: Line = []
        for name in shown:
            text, style = row.get(name, ("", ""))
            line += [(" " * gap if line else "", ""), (f"{text:{COLUMNS[name]}{widths[name]}}", style)]
        lines.append(_cropped(line, width))
    return lines


def _headings(short: bool) -> dict[str, Span]:
    names = {"name": "", "grade": "", "perplexity": "ppl" if short else "perplexity", "change": ""}
    return {name: (names.get(name, name), "dim") for name in COLUMNS}


def _cells(curve: Curve, mark: str, short: bool) -> dict[str, Span]:
    """What the table says about a held-out text."""
    value, (best_step, best_loss), trend = perplexity(curve.latest), curve.best, curve.trend
    cells = {
        "name": (f"{mark} {curve.name.replace('held-out ', '') if short else curve.name}", curve.key),
        "loss": (_loss(curve.latest), "bold"),
        "perplexity": (perplexity_in_words(value), "bold"),
        "grade": (grade(value), STYLES[grade(value)]),
        "bits/byte": (f"{curve.bits_per_byte:.3f}", ""),
        "best": (f"{_loss(best_loss)} at {best_step:,.0f}", ""),
    }
    if trend:
        cells["trend"] = (trend.word, STYLES.get(trend.word, ""))
        cells["change"] = (f"{trend.change:+.3f} in {trend.steps:,} steps", "")
    return cells


def _rates(facts: RunFacts, width: int, look: Look) -> list[Line]:
    """Learning rate with its course, and speed: side by side where there is room."""
    if not facts.learning_rates:
        return []
    course = sparkline(facts.learning_rates, min(20, width // 4), look.characters)
    rate = [("learning rate ", "dim"), (f"{facts.learning_rates[-1]:.1e} ", ""), (course, "dim")]
    speed = [(f"{facts.speeds[-1]:,.0f} tokens/s", ""), (f", typically {facts.typical_speed:,.0f}", "dim")]
    if len(text_of(rate + speed)) + 3 <= width:
        return [[*rate, ("   ", ""), *speed]]
    return [_cropped(rate, width), _cropped(speed, width)]


def _reference(facts: RunFacts, width: int) -> list[Line]:
    """How the run stands beside our own of its size."""
    if not facts.verdict:
        return []
    fine, told = facts.verdict
    return [[(line, "dim" if fine else "warn")] for text in told for line in textwrap.wrap(text, max(1, width))]


def _chart(facts: RunFacts, width: int, height: int, look: Look) -> list[Line]:
    """The curves, below the names of their axes."""
    series = [Series(facts.training, look.training_mark, "training", line_only=len(facts.training) > 1)]
    curves = [
        Series(curve.points, mark, curve.key) for curve, mark in zip(facts.held_out, look.marks * 9, strict=False)
    ]
    series += reversed(curves)  # the one that decides on top
    began = max((one.points[0][1] for one in series if one.points), default=0.0)
    band = [Series(points, look.training_mark, "reference", line_only=True) for points in facts.band]
    lines = draw_chart(band + series, width, height - 1, look.characters, x_name="step", right_ticks=round_perplexities)
    if not lines:
        return [[("The first losses will be here soon."[:width], "dim")]] if not facts.training else []
    left, right = f"loss (nats per token), at first {_loss(began)}", "perplexity"
    if len(left + right) >= width:
        left = "loss"
    return [[(f"{left}{right:>{max(0, width - len(left))}}"[:width], "dim")], *lines]


# -- words and numbers -------------------------------------------------------------------------------------------------


def _loss(loss: float) -> str:
    return f"{loss:.3f}" if abs(loss) < 1_000 else f"{loss:.1e}"


def _join(parts: list[str], width: int, look: Look) -> str:
    """As many of the parts as there is room for, from the first."""
    line = parts[0]
    for part in parts[1:]:
        if len(line + look.separator + part) > width:
            break
        line += look.separator + part
    return line[:width]


def _cropped(line: Line, width: int) -> Line:
    """A line that ends where the screen does."""
    kept = []
    for text, style in line:
        kept.append((text[:width], style))
        width -= len(kept[-1][0])
    return kept
