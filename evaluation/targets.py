"""The targets of the project's first README, and whether a model reaches them: results in, rows out.

The README names the goals and leaves open what is counted; that is decided here and shown below every table. Nothing
is measured in this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass

CODE_EVAL = "code_eval"  # the results that everything here is read from
SYNTAX_TESTS = ("bracket_completion", "keyword_completion", "indentation_awareness")
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Target:
    """One goal, and how a model stands to it; what was not measured is None."""

    name: str
    goal: float
    counted: str
    value: float | None
    interval: tuple[float, float] | None  # 95%
    n: int | None
    guess: float | None  # what the best simple guesser scores on the same items
    lower_is_better: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the value itself lies beyond the goal."""
        return None if self.value is None else self._beyond(self.value)

    @property
    def verdict(self) -> str:
        """`yes` or `no`, and what takes the meaning from it: a simple guess that reaches as much, or luck."""
        if self.reached is None:
            return NOT_MEASURED
        word = "yes" if self.reached else "no"
        if self.reached and self.guess is not None and self._beyond(self.guess):
            return f"{word}, guess too"
        if self.interval and self._beyond(self.interval[0]) != self._beyond(self.interval[1]):
            return f"{word}, unsure"
        return word

    def shown(self, value: float | None) -> str:
        """A value of this target as people read it."""
        if value is None:
            return "-"
        if not self.lower_is_better:
            return f"{value:.0%}"
        return f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"

    @property
    def shown_goal(self) -> str:
        """The goal with its direction."""
        return f"< {self.goal:g}" if self.lower_is_better else f"> {self.goal:.0%}"

    def _beyond(self, value: float) -> bool:
        return value < self.goal if self.lower_is_better else value > self.goal


def targets(results: Mapping[str, dict]) -> list[Target]:
    """The README's targets in its order. `results` are results files by name; only `code_eval` is looked at."""
    found = results.get(CODE_EVAL, {})
    code = found.get("code_perplexity", {})
    measured = [name for name in SYNTAX_TESTS if name in found]
    weakest = min(measured, key=lambda name: found[name]["score"]) if len(measured) == len(SYNTAX_TESTS) else None
    perplexity_counted = "per token of held-out code, under this project's tokenizer"
    syntax_counted = "the lowest of brackets, keywords and indentation"
    if weakest:
        syntax_counted += f" (here {weakest.split('_')[0]})"
    return [
        _target("perplexity", 100, perplexity_counted, code, lower_is_better=True),
        _target("perplexity, ideally", 50, perplexity_counted, code, lower_is_better=True),
        _target("bracket", 0.5, "which bracket closes, in held-out code", found.get("bracket_completion", {})),
        _target("syntax", 0.5, syntax_counted, found[weakest] if weakest else {}),
        _target(
            "generation",
            0.3,
            "bodies that compile, know their names, use an argument: form only",
            found.get("function_completion", {}),
        ),
    ]


def _target(name: str, goal: float, counted: str, found: dict, lower_is_better: bool = False) -> Target:
    """A target from its entry in the results."""
    interval = found.get("interval")
    return Target(
        name,
        goal,
        counted,
        found.get("average_perplexity" if lower_is_better else "score"),
        tuple(interval) if interval else None,
        found.get("n"),
        found.get("best_constant_guess"),
        lower_is_better,
    )


def target_lines(results: Mapping[str, dict]) -> list[str]:
    """The targets as a table of lines of at most 80 characters, what is counted below it."""
    rows = targets(results)
    lines = [f"{'target':19}{'goal':>6}{'model':>8}{'95% interval':>16}{'n':>9}{'guess':>6}  reached"]
    for row in rows:
        interval = "{} to {}".format(*map(row.shown, row.interval)) if row.interval else "-"
        n = "-" if row.n is None else f"{row.n:,}"
        measured = f"{row.shown(row.value):>8}{interval:>16}{n:>9}{row.shown(row.guess):>6}"
        lines.append(f"{row.name:19}{row.shown_goal:>6}{measured}  {row.verdict}")
    lines += [
        "guess: the best that a simple rule scores; for generation, a program that always",
        "writes `return <first argument>`.",
        "unsure: the goal is within the interval. guess too: that guess reaches it too.",
        "Counted are:",
    ]
    counted = {row.name.split(",")[0]: row.counted for row in rows}
    return lines + [f"  {name}: {what}" for name, what in counted.items()]
