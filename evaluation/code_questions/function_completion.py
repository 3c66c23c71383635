"""Writing functions: can a model give a held-out function a body that Python accepts?

The model reads what stands in the file up to the end of a function's header (and docstring) and writes until a line
leaves the function. Its body passes if it compiles, uses no undefined name, and makes use of an argument. That is form,
not sense: no generated code is run, and a program that always writes `return <first argument>` passes nearly always.
Its score stands beside the model's.
"""

import ast
import builtins
import codeop
import re
import symtable
import tokenize
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from evaluation.code_questions.python_code import Code, FunctionNode, argument_nodes
from evaluation.held_out import Document
from evaluation.statistics import gain_of_items, share_of_items
from evaluation.writing import write_texts
from pretraining.checkpoint import TrainedModel
from pretraining.sampling import SamplingSettings

SAMPLING = SamplingSettings(max_new_tokens=128, temperature=0.2, top_k=40, top_p=0.95)
LONGEST_BODY = 350  # characters of the real body: hardly ever more tokens than may be written
LONGEST_HEADER = 400  # characters of header and docstring: the model must see the arguments
MOST_CHARACTERS = 4096  # of the text before a body that are read at all
GUESSER = "return <first argument>"
MODULE_ATTRIBUTES = (
    "__file__",
    "__name__",
    "__doc__",
    "__package__",
    "__path__",
    "__spec__",
    "__loader__",
    "__class__",
)
UNREADABLE = (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError)  # what Python's compiler may raise


@dataclass(frozen=True)
class Opening:
    """A held-out function without its body."""

    document: Document
    begin: int  # of the line with `def`
    place: int  # where the body begins: behind the colon or the docstring
    end: int  # behind the body's last line
    indentation: int  # of `def`, in spaces
    arguments: tuple[str, ...]  # but for self and cls, in the order of the header, *args and **kwargs last
    known_names: frozenset[str]  # defined in the file, or Python's own

    @property
    def prompt(self) -> str:
        """What stands before the body."""
        return self.document.text[max(0, self.place - MOST_CHARACTERS) : self.place]

    @property
    def body(self) -> str:
        """The real one."""
        return self.document.text[self.place : self.end]

    def source(self, body: str) -> str:
        """A program that consists of the function with this body."""
        block = "if True:\n" if self.indentation else ""
        return block + self.document.text[self.begin : self.place] + body


@dataclass(frozen=True)
class Verdict:
    """What is true of a body. Of one that was cut off only its whole lines are judged, and only whether they parse."""

    ended: bool  # by a line that leaves the function or the end of the text, before the limit on tokens
    parses: bool
    names_known: bool
    uses_argument: bool

    @property
    def passes(self) -> bool:
        """All of it."""
        return self.ended and self.parses and self.names_known and self.uses_argument


def openings(code: Code) -> Iterator[Opening]:
    """The functions of a file whose header and body are not too long, and whose real body makes use of an argument.

    A file that imports `*` has none: what names it knows can not be said.
    """
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(code.tree)):
        return
    known = module_names(code.text) | set(dir(builtins)) | set(MODULE_ATTRIBUTES)
    for function in code.functions:
        names = [argument.arg for argument in argument_nodes(function.node)]
        arguments = tuple(name for name in names if name not in ("self", "cls"))
        has_docstring = ast.get_docstring(function.node, clean=False) is not None
        if reads_any(function.node, arguments):
            start, function_end = code.span(function.node)
            begin = code.text.rfind("\n", 0, start) + 1
            place = code.span(function.node.body[0])[1] if has_docstring else _header_end(code, function.node)
            end = (code.text.find("\n", function_end) + 1) or len(code.text)
            if place - begin <= LONGEST_HEADER and end - place <= LONGEST_BODY and "\t" not in code.text[begin:place]:
                yield Opening(code.document, begin, place, end, start - begin, arguments, known)


def reads_any(function: FunctionNode, names: Collection[str]) -> bool:
    """Whether a function's body makes use of any of these names."""
    nodes = (node for statement in function.body for node in ast.walk(statement))
    return any(isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names for node in nodes)


def _header_end(code: Code, function: FunctionNode) -> int:
    """Behind the colon before a function's first statement."""
    first = code.span(function.body[0])[0]
    return max(word.end for word in code.words if word.end <= first and word.text == ":" and word.kind == tokenize.OP)


def module_names(text: str) -> frozenset[str]:
    """Names that a module gives a value anywhere: its own, and those that its functions declare global."""
    tables, names = [symtable.symtable(text, "module", "exec")], set()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            given = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
            if given and (table.get_type() == "module" or symbol.is_declared_global()):
                names.add(symbol.get_name())
    return frozenset(names)


def undefined_names(source: str, known_names: frozenset[str]) -> set[str]:
    """Names that a program's functions use and nobody defines. A variable used before it has a value is not found."""
    tables, missing = symtable.symtable(source, "function", "exec").get_children(), set()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used = {
            s.get_name() for s in table.get_symbols() if s.is_referenced() and s.is_global() and not s.is_assigned()
        }
        missing |= used - known_names
    return missing


def cut_body(text: str, indentation: int) -> str | None:
    """The body that a text begins with: up to the first line that leaves the function. None while no line does."""
    left = re.search(rf"\n {{0,{indentation}}}(?=\S)", text)
    return text[: left.start() + 1] if left else None


def judge(opening: Opening, body: str, ended: bool) -> Verdict:
    """Judge what was written as a function's body."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd escapes in strings
        try:
            if not ended:
                codeop.compile_command(opening.source(body[: body.rfind("\n") + 1]), symbol="exec")
                return Verdict(False, True, False, False)
            source = opening.source(body)
            tree = compile(source, "body", "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
            compile(source, "body", "exec", dont_inherit=True)  # finds more, such as a `break` outside of loops
        except UNREADABLE:
            return Verdict(ended, False, False, False)
        known = not undefined_names(source, opening.known_names)
    function = next(node for node in ast.walk(tree) if isinstance(node, FunctionNode))
    return Verdict(True, True, known, reads_any(function, opening.arguments))


def judge_guess(opening: Opening) -> Verdict:
    """Judge the body that reads nothing but the header: GUESSER."""
    return judge(opening, f"\n{' ' * (opening.indentation + 4)}return {opening.arguments[0]}\n", ended=True)


def write_bodies(trained: TrainedModel, starts: Sequence[Opening], seed: int) -> list[tuple[str, bool]]:
    """What the model writes for each function, up to where it leaves it, and whether it did.

    Of the text before a body the model reads the last half of its context, so that the other half is free to write.
    """
    tokens = trained.tokenizer.encode_batch([start.prompt for start in starts])
    prompts = [trained.tokenizer.decode(prompt[-(trained.context_length // 2) :]) for prompt in tokens]

    def cut(number: int, text: str) -> str | None:
        return cut_body(text, starts[number].indentation)

    written = write_texts(
        trained,
        prompts,
        settings=SAMPLING,
        seed=seed,
        finished=lambda number, text: cut(number, text) is not None,
        unit=" functions",
    )
    done = [cut(number, found.text) for number, found in enumerate(written)]
    return [
        (found.text, found.ended) if body is None else (body, True) for body, found in zip(done, written, strict=True)
    ]


def measure_functions(trained: TrainedModel, starts: Sequence[Opening], seed: int) -> dict:
    """How often the model's bodies pass, beside those of GUESSER and the real ones before the same judge."""
    written = write_bodies(trained, starts, seed)
    verdicts = [judge(start, body, ended) for start, (body, ended) in zip(starts, written, strict=True)]
    real = [judge(start, cut_body(start.body + "\nend", start.indentation), True) for start in starts]
    passed, guessed = [verdict.passes for verdict in verdicts], [judge_guess(start).passes for start in starts]
    origins = [start.document.origin for start in starts]

    def share(name: str, found: Sequence[Verdict] = verdicts, ended: bool | None = None) -> dict:
        """How many of the bodies have a property; `ended` takes those alone that did or did not end."""
        kept = [number for number, verdict in enumerate(verdicts) if ended in (None, verdict.ended)]
        return share_of_items([getattr(found[n], name) for n in kept], [origins[n] for n in kept])

    return {
        **share("passes"),
        "best_constant_guess": share_of_items(guessed, origins)["score"],
        "guesser": GUESSER,
        "more_than_guess": gain_of_items(passed, guessed, origins),
        "real_bodies": share("passes", real),
        "of_those_that_ended": {name: share(name, ended=True) for name in ("parses", "names_known", "uses_argument")},
        "cut_off": share_of_items([not verdict.ended for verdict in verdicts], origins)
        | {"parses_so_far": share("parses", ended=False)},
        "sampling": {"temperature": SAMPLING.temperature, "top_p": SAMPLING.top_p, "tokens": SAMPLING.max_new_tokens},
    }
