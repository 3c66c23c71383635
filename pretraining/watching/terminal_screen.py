"""A terminal's screen for as long as something is shown live on it, and afterwards the terminal as it was.

Draws on the alternate screen, so that what stood in the terminal is there again at the end, and hides the cursor and
what is typed. However the program is left (its end, Ctrl-C, `q`, SIGTERM, an error), `with LiveScreen()` puts all of
it back; Ctrl-Z as well, until the program comes back. Standard library alone.
"""

import contextlib
import os
import select
import signal
import sys
import time
from typing import TextIO

try:
    import termios
except ImportError:  # Windows: what is typed stays visible, and q does nothing
    termios = None

ENTER = "\x1b[?1049h\x1b[?25l"  # the other screen, no cursor
LEAVE = "\x1b[0m\x1b[?25h\x1b[?1049l"
CLEAR = "\x1b[2J"
LEAVING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class LiveScreen:
    """Shows frames in place. `left_by` is the signal that asks to leave (SIGINT for `q` too), or None."""

    def __init__(self, output: TextIO | None = None) -> None:
        self.output = output or sys.stdout
        self.left_by: int | None = None
        self._size: tuple[int, int] | None = None
        self._shown: list[str] = []
        self._typing: list | None = None  # the terminal's settings as they were
        self._suspended = False
        self._earlier: dict = {}

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now; the usual ones where the terminal does not know."""
        columns, lines = os.get_terminal_size(self.output.fileno())
        return columns or 80, lines or 24

    def show(self, lines: list[str]) -> None:
        """Put these lines on the screen; what is there already is not drawn again."""
        size = self.size
        if size != self._size:  # a resized terminal has shuffled its lines
            self._size, self._shown = size, []
        shown = self._shown
        rows = [
            f"\x1b[{number + 1}H\x1b[2K{line}"
            for number, line in enumerate(lines + [""] * (len(shown) - len(lines)))
            if number >= len(shown) or line != shown[number]
        ]
        if rows:
            self._write(("" if shown else CLEAR) + "".join(rows))
        self._shown = list(lines)

    def wait(self, seconds: float) -> None:
        """Let time pass; ends at once when a key is pressed."""
        if self._typing is None:
            time.sleep(seconds)
        elif select.select([sys.stdin], [], [], seconds)[0]:
            typed = os.read(sys.stdin.fileno(), 1024)
            gone = not typed and not self._suspended  # Ctrl-C, or the terminal is; Ctrl-Z takes what was typed, too
            if gone or b"q" in typed.lower():
                self.left_by = signal.SIGINT
        if self._suspended:
            self._suspend()

    def __enter__(self) -> "LiveScreen":
        self._earlier = {number: signal.signal(number, self._ask) for number in LEAVING}
        if hasattr(signal, "SIGTSTP"):
            self._earlier[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._ask)
        try:
            self._take()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *details: object) -> None:
        try:
            self._give_back()
        finally:
            for number, handler in self._earlier.items():
                signal.signal(number, handler)

    def _ask(self, number: int, frame: object) -> None:
        """Signals only leave word, so that none can cut off the putting back."""
        if number == getattr(signal, "SIGTSTP", None):
            self._suspended = True
        else:
            self.left_by = number

    def _take(self) -> None:
        if termios and sys.stdin.isatty():
            self._typing = termios.tcgetattr(sys.stdin)
            silent = termios.tcgetattr(sys.stdin)
            silent[3] &= ~(termios.ECHO | termios.ICANON)  # Ctrl-C and Ctrl-Z still work
            # They throw away what was typed before them: reading it must not wait for the next key.
            silent[6][termios.VMIN] = silent[6][termios.VTIME] = 0
            termios.tcsetattr(sys.stdin, termios.TCSANOW, silent)
        self._size = None
        self._write(ENTER)

    def _give_back(self) -> None:
        if self._typing is not None:
            with contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, self._typing)
            self._typing = None
        self._write(LEAVE)

    def _suspend(self) -> None:
        """Ctrl-Z: stop as any program does, and go on when it is brought back."""
        self._suspended = False
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # returns when the program is continued
        signal.signal(signal.SIGTSTP, self._ask)
        self._take()

    def _write(self, text: str) -> None:
        self.output.write(text)
        self.output.flush()
