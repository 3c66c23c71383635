"""Wrong solutions, made from right ones by one small change: what hidden tests have to tell from the reference.

The changes are mistakes that models make: a neighbouring operator, one more or one less, another variable, a step left
out, an answer given too early. Some compute the same nevertheless; who counts must find out.
"""

import ast
import builtins
import copy
from collections.abc import Iterator
from typing import NamedTuple

ARITHMETIC = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.FloorDiv),
    ast.Div: (ast.FloorDiv, ast.Mult),
    ast.FloorDiv: (ast.Div, ast.Mod),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitOr,),
}
COMPARISONS = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
CALLED = {  # what is easily taken for something else
    "max": "min", "min": "max", "sum": "len", "len": "sum", "any": "all", "all": "any", "sorted": "list",
    "upper": "lower", "lower": "upper", "title": "upper", "capitalize": "upper", "swapcase": "lower", "strip": "lstrip",
    "startswith": "endswith", "endswith": "startswith", "keys": "values", "values": "keys", "append": "extend",
    "rjust": "ljust", "isdigit": "isalpha", "isalpha": "isalnum", "floor": "ceil", "pop": "clear", "abs": "int",
}  # fmt: skip
OPERATOR, COMPARISON, CONSTANT, VARIABLE = "operator", "comparison", "constant", "wrong variable"
LEFT_OUT, EARLY, CALL, ORDER, CONDITION = "left out", "early answer", "wrong call", "swapped", "condition"


class Mutant(NamedTuple):
    """A program with one change."""

    kind: str
    source: str


def mutants(source: str, first_line: int) -> list[Mutant]:
    """All programs that differ from `source` by one change on or below a line, each once."""
    tree = ast.parse(source)
    variables = _variables(tree, first_line)
    found: dict[str, str] = {}
    for number, node in enumerate(ast.walk(tree)):
        if getattr(node, "lineno", 0) < first_line:
            continue
        for kind, change in _changes(node, variables):
            changed = copy.deepcopy(tree)
            twin = next(other for place, other in enumerate(ast.walk(changed)) if place == number)
            _replace(changed, twin, change)
            found.setdefault(ast.unparse(ast.fix_missing_locations(changed)), kind)
    found.pop(ast.unparse(tree), None)
    return [Mutant(kind, text) for text, kind in found.items() if _compiles(text)]


def _variables(tree: ast.Module, first_line: int) -> list[str]:
    """The variables of what may change, but for names of functions."""
    nodes = [node for node in ast.walk(tree) if getattr(node, "lineno", 0) >= first_line]
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    names = [node.id for node in nodes if isinstance(node, ast.Name)] + [
        argument.arg for node in ast.walk(tree) if isinstance(node, ast.arguments) for argument in node.args
    ]
    return [name for name in dict.fromkeys(names) if name not in called and not hasattr(builtins, name)]


def _changes(node: ast.AST, variables: list[str]) -> Iterator[tuple[str, ast.AST]]:
    """What may stand in the place of a node."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in variables:
        yield from ((VARIABLE, ast.Name(name, ast.Load())) for name in variables if name != node.id)
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield LEFT_OUT, node.value
    elif isinstance(node, ast.comprehension):
        yield from ((LEFT_OUT, _with(node, ifs=[])) for _ in node.ifs[:1])
    elif isinstance(node, ast.stmt):
        yield from _other_statements(node, variables)
    else:
        yield from _other_expressions(node)
    if isinstance(node, ast.BinOp | ast.AugAssign):
        yield from ((OPERATOR, _with(node, op=operator())) for operator in ARITHMETIC.get(type(node.op), ()))
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield CONDITION, _with(node, test=ast.UnaryOp(ast.Not(), node.test))


def _other_expressions(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.BinOp):
        yield ORDER, _with(node, left=node.right, right=node.left)
        yield LEFT_OUT, node.left
        yield LEFT_OUT, node.right
    elif isinstance(node, ast.Compare):
        for comparison in COMPARISONS[type(node.ops[0])]:
            yield COMPARISON, _with(node, ops=[comparison(), *node.ops[1:]])
        if len(node.ops) > 1:
            yield LEFT_OUT, _with(node, ops=node.ops[:1], comparators=node.comparators[:1])
            yield COMPARISON, _with(node, ops=[*node.ops[:-1], COMPARISONS[type(node.ops[-1])][0]()])
    elif isinstance(node, ast.BoolOp):
        yield CONDITION, _with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
        yield from ((LEFT_OUT, value) for value in node.values)
    elif isinstance(node, ast.UnaryOp):
        yield LEFT_OUT, node.operand
    elif isinstance(node, ast.Constant):
        yield from ((CONSTANT, ast.Constant(value)) for value in _other_values(node.value))
    elif isinstance(node, ast.Call):
        yield from _other_calls(node)


def _other_values(value: object) -> list[object]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value - 1]
    return [value + "x", ""] if isinstance(value, str) and value else [" "] if value == "" else []


def _other_calls(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    called = node.func
    if isinstance(called, ast.Name) and called.id in CALLED:
        yield CALL, _with(node, func=ast.Name(CALLED[called.id], ast.Load()))
    if isinstance(called, ast.Attribute):
        yield LEFT_OUT, called.value
        if called.attr in CALLED:
            yield CALL, _with(node, func=_with(called, attr=CALLED[called.attr]))
    elif node.args and len(node.args) == 1:
        yield LEFT_OUT, node.args[0]
    if len(node.args) > 1:
        yield ORDER, _with(node, args=[node.args[1], node.args[0], *node.args[2:]])
        yield LEFT_OUT, _with(node, args=node.args[:-1])
    if node.keywords:
        yield LEFT_OUT, _with(node, keywords=node.keywords[1:])


def _other_statements(node: ast.stmt, variables: list[str]) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Return):
        yield from ((EARLY, ast.Return(ast.Name(name, ast.Load()))) for name in variables)
        yield EARLY, ast.Return(ast.Constant(None))
    elif isinstance(node, ast.If | ast.For | ast.While):
        yield LEFT_OUT, ast.Pass()
        if isinstance(node, ast.If):
            yield LEFT_OUT, _with(node, test=ast.Constant(True))
        else:
            yield EARLY, _with(node, body=[*node.body, ast.Break()])
    elif not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Pass):
        yield LEFT_OUT, ast.Pass()


def _with(node: ast.AST, **fields: object) -> ast.AST:
    """A copy of a node with other fields."""
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return copy.deepcopy(changed)


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    """Put a node in the place of another, somewhere below."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, copy.deepcopy(new))
                return
            if isinstance(value, list):
                for place, item in enumerate(value):
                    if item is old:
                        value[place] = copy.deepcopy(new)
                        return


def _compiles(source: str) -> bool:
    try:
        compile(source, "<mutant>", "exec")
    except (SyntaxError, ValueError):
        return False
    return True
