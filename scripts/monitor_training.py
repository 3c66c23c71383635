"""Watch a training: its loss curves, how good the model is by now, how fast it learns and how long it still takes.

    python scripts/monitor_training.py             # live, until the run ends or you press Ctrl-C (or q)
    python scripts/monitor_training.py --summary   # the same picture once
    python scripts/monitor_training.py --plot      # as an image: evaluation/plots/training_curve.png

It only reads the training's log, so it can come and go without disturbing the training. Started before the training,
it waits for it: whoever opens a second terminal first should not have to come back. Where no terminal can be drawn on
(a file, a pipe, TERM=dumb) it prints a line for each news, and waits for nothing that has not been started.

Standard library alone, but for --plot.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

if sys.version_info < (3, 11):  # noqa: UP036 - the line is for those who run an older one
    sys.stderr.write(f"error: Python 3.11 or newer is needed and this is {sys.version.split()[0]}\n")
    sys.exit(2)

import argparse
import dataclasses
import os
import shutil
import signal
import textwrap
import time

from pretraining.settings import PRESETS, ROOT
from pretraining.training_curve import TRAINING_CURVE, draw_training_curve
from pretraining.watching.monitor_screen import ASCII_LOOK, UNICODE_LOOK, Look, draw_run, duration, news, painted
from pretraining.watching.progress import read_progress
from pretraining.watching.run_facts import LogError, RunFacts, preparing_process, read_facts
from pretraining.watching.terminal_screen import LiveScreen
from pretraining.watching.text_chart import Line

USUAL_LOG = ROOT / PRESETS["default"]["log_path"]
USUAL_CHECKPOINTS = ROOT / PRESETS["default"]["checkpoint_dir"]
TICK = 0.2  # seconds between looks at the screen's size; the log is looked at once a second
SHARE_OF_TIME = 0.02  # that reading the log may take: a very long one is read less often
SECONDS_TO_BE_SURE = 3.0  # a training that ends lets go of its lock a moment before its log says so
START = "python pretraining/train_improved.py --preset nano"
HINT = "Ctrl-C leaves; the training goes on."


class Watched:
    """A run that is being watched: `facts` of its log, or None and the `problem` with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: RunFacts | None = None
        self.problem = ""
        self.written = 0.0  # when the log was, in seconds since 1970
        self.preparing: int | None = None  # the process of a training that will write the log
        self.news = 0  # counts the readings
        self._date: tuple | None = None
        self._not_before = 0.0
        self._was_running = False
        self._last_seen_running = 0.0

    def look(self) -> None:
        """Bring everything up to date; the log is read only if it has changed."""
        try:
            found = self.path.stat()
            date = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            found, date = None, None
        started = time.monotonic()
        if (date != self._date and started >= self._not_before) or not self.news:
            self.written = found.st_mtime if found else 0.0
            self._read()
            self._date = date
            self._not_before = started + (time.monotonic() - started) / SHARE_OF_TIME
        elif self.facts:  # the same log, but its process may have died
            self.facts = dataclasses.replace(self.facts, progress=read_progress(self.facts.log))
        self.preparing = preparing_process(self.path, self.facts, USUAL_CHECKPOINTS if self.is_usual else None)
        if self.facts and self.facts.progress.state == "running":
            self._was_running, self._last_seen_running = True, time.monotonic()

    def _read(self) -> None:
        self.news += 1
        try:
            self.facts, self.problem = read_facts(self.path), ""
        except LogError as error:
            self.facts, self.problem = None, str(error)

    @property
    def is_usual(self) -> bool:
        """Whether this is the log that a training writes unless told otherwise."""
        return self.path.resolve() == USUAL_LOG.resolve()

    @property
    def ended(self) -> bool:
        """Whether there is a run and it will bring no more news."""
        if self.facts is None or self.facts.progress.state == "running" or self.preparing is not None:
            return False
        surely = time.monotonic() - self._last_seen_running > SECONDS_TO_BE_SURE
        return surely or not self._was_running or self.facts.progress.state != "interrupted"

    @property
    def notice(self) -> str:
        """What to know besides: a training is about to begin, or this one lies in the archive."""
        if self.preparing is not None:
            who = f" (process {self.preparing})" if self.preparing else ""
            return f"A training is getting ready{who}: data, tokens, a first validation. Its curves will be here soon."
        saved, facts = self.path.with_name("last.pt"), self.facts
        archived = facts is not None and facts.log_path.resolve() != self.path.resolve() and saved.is_file()
        if archived and facts.progress.state != "finished":
            return f"This run is archived. To go on with it: the same training command with --resume {saved}"
        return ""


def main(arguments: list[str] | None = None) -> int:
    """Show what was asked for; returns the exit code: 0 shown, 2 nothing to show, 128 + n ended by a signal."""
    options = parse(arguments)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a name that the terminal has no characters for stops nothing
    watched = Watched(log_path(options.log))
    look = choose_look(options.ascii)
    try:
        watched.look()
        if options.summary or options.plot:
            return show_once(watched, look, options)
        return watch(watched, look) if can_draw() else report(watched, look)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:  # whoever read this has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true", help="print the state once and end")
    parser.add_argument("--plot", action="store_true", help="write the curves as an image and end (needs matplotlib)")
    parser.add_argument(
        "--output", type=Path, metavar="PATH",
        help=f"where --plot writes (default: {TRAINING_CURVE.relative_to(ROOT)}, for other logs beside the log)",
    )  # fmt: skip
    parser.add_argument(
        "--log", type=Path, metavar="PATH", default=USUAL_LOG,
        help="another log, or the folder of an archived run (default: logs/training_log.json)",
    )  # fmt: skip
    parser.add_argument("--ascii", action="store_true", help="draw with plain characters, for fonts without braille")
    return parser.parse_args(arguments)


def log_path(given: Path) -> Path:
    """The log that is meant: as seen from here, else from the repository root; a run's folder means its log."""
    path = given if given.exists() else ROOT / given
    return path / "training_log.json" if path.is_dir() else path


def choose_look(plain: bool) -> Look:
    """Braille and lines where the output has characters for them."""
    try:
        "⠿●◆▁━┤·".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        plain = True
    return ASCII_LOOK if plain or os.environ.get("TERM") == "linux" else UNICODE_LOOK  # its console has no braille


def can_draw() -> bool:
    """Whether the output is a terminal that understands more than lines."""
    return sys.stdout.isatty() and (os.name != "posix" or os.environ.get("TERM", "dumb") != "dumb")


def wants_colour() -> bool:
    return can_draw() and not os.environ.get("NO_COLOR")


# -- once --------------------------------------------------------------------------------------------------------------


def show_once(watched: Watched, look: Look, options: argparse.Namespace) -> int:
    """The summary, the image, or both."""
    if watched.facts is None:
        return nothing_to_show(watched)
    if options.summary:
        print_summary(watched, look)
    return plot(watched, options.output) if options.plot else 0


def nothing_to_show(watched: Watched) -> int:
    advice = watched.notice or f"Start a training: {START}"
    print(f"error: {watched.problem}. {advice}", file=sys.stderr)
    return 2


def print_summary(watched: Watched, look: Look) -> None:
    """The whole picture below what stands in the terminal already."""
    columns, lines = shutil.get_terminal_size()
    picture = draw_run(
        watched.facts, columns, min(30, max(lines - 2, 22)), look,
        now=time.time(), written=watched.written, notice=watched.notice,
    )  # fmt: skip
    print("\n".join(painted(picture, wants_colour())), flush=True)


def plot(watched: Watched, output: Path | None) -> int:
    """Draw the curves into an image."""
    target = output or (TRAINING_CURVE if watched.is_usual else watched.path.with_suffix(".png"))
    try:
        drawn = draw_training_curve(watched.facts.log, target)
    except ImportError as error:
        print(
            f"error: the image needs matplotlib ({error}). Install what the project needs: "
            "pip install -r requirements.txt. Without it: python scripts/monitor_training.py --summary",
            file=sys.stderr,
        )
        return 2
    print(f"[Monitor] The curves up to step {watched.facts.progress.step:,} are in {drawn}")
    return 0


# -- live --------------------------------------------------------------------------------------------------------------


def watch(watched: Watched, look: Look) -> int:
    """Draw the run in place until it ends or the user leaves."""
    started, drawn, colour = time.time(), None, wants_colour()
    with LiveScreen() as screen:
        while not watched.ended and screen.left_by is None:
            moment = (int(time.time()), screen.size)
            if moment != drawn:
                drawn = moment
                watched.look()
                screen.show(painted(current_picture(watched, look, *screen.size, started), colour))
            screen.wait(TICK)
    if screen.left_by is None:
        print_summary(watched, look)
    elif watched.facts and watched.facts.progress.state == "running":
        print(f"The training goes on after step {watched.facts.progress.step:,}. Watch it again with the same command.")
    return 0 if screen.left_by in (None, signal.SIGINT) else 128 + screen.left_by


def current_picture(watched: Watched, look: Look, columns: int, lines: int, started: float) -> list[Line]:
    """The run, or what is being waited for."""
    now = time.time()
    if watched.facts:
        return draw_run(
            watched.facts, columns, lines, look, now=now, written=watched.written, notice=watched.notice, hint=HINT
        )
    texts = [
        watched.notice or f"No training to watch: {watched.problem}.",
        "",
        *([] if watched.notice else ["Start one in another terminal:", START, ""]),
        f"Waiting for {duration(now - started)}. Ctrl-C leaves.",
    ]
    rows = [row for text in texts for row in textwrap.wrap(text, max(1, columns)) or [""]]
    return [[(row, "")] for row in rows[:lines]]


def report(watched: Watched, look: Look) -> int:
    """A line for each news, for an output that can not be drawn on."""
    told, evaluated = None, None
    while not watched.ended:
        facts = watched.facts
        if facts is None and watched.preparing is None and not sys.stdout.isatty():
            return nothing_to_show(watched)
        state = (watched.news, watched.notice, facts and facts.progress.state)
        if state != told and (facts is None or watched.notice):
            print(watched.notice or f"{watched.problem}. Waiting for a training: {START}", flush=True)
        elif state != told:
            latest = [curve.points[-1] for curve in facts.held_out]
            print(news(facts, time.time(), watched.written, evaluated=latest != evaluated), flush=True)
            evaluated = latest
        told = state
        time.sleep(1)
        watched.look()
    print_summary(watched, look)
    return 0


if __name__ == "__main__":
    sys.exit(main())
