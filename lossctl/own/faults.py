"""What is wrong with the code of a loss of one's own, in one line: file, line, what was found, what to write instead.

The code is read again for that, never changed: what is proposed is a view of its syntax tree.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import CodeType, FunctionType, TracebackType

from lossctl.definitions import NUMBER_FUNCTIONS
from lossctl.errors import UsageError, visible
from lossctl.process import Ended
from lossctl_kernels.numpy_functions import NoPower
from lossctl_kernels.trace import Branching, NotANumber, NotKnown

LONGEST_QUOTE = 100
Position = tuple[int, int, int, int]

# What functions of Python, `math` and NumPy are called here; those of the same name are not listed.
COUNTERPARTS = {
    "abs": "absolute",
    "fabs": "absolute",
    "fmax": "maximum",
    "fmin": "minimum",
    "max": "maximum",
    "min": "minimum",
    "pow": "power",
    "select": "where",
}
BRANCHING = (ast.If, ast.IfExp, ast.While, ast.Assert, ast.BoolOp, ast.Compare, ast.Call, ast.UnaryOp)


def code_fault(error: BaseException, path: str, source: bytes, function: FunctionType | None = None) -> UsageError:
    """The refusal of a loss for what its file raised: when it was read, or when a `function` of it was tried out."""
    if isinstance(error, Ended):  # which is no doing of the file
        raise error
    shown = visible(path)
    if isinstance(error, SyntaxError) and error.filename == path:
        quoted = f": '{visible(error.text.strip(), LONGEST_QUOTE)}'" if error.text else ""
        return UsageError(f"{shown}, line {error.lineno}: {visible(error.msg, 200)}{quoted}", hint="correct it")
    place = _place(error.__traceback__, path)
    nodes = [] if place is None else _nodes_at(source, place)
    if place is not None and nodes:
        return _explained(error, f"{shown}, line {place[0]}", nodes)
    if function is not None:
        return UsageError(f"{shown}: {function.__name__}: {visible(error, 300)}", hint="correct it")
    return UsageError(f"{shown}: {_described(error)}", hint="correct the file")


def _described(error: BaseException) -> str:
    return visible(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, 300)


def _explained(error: BaseException, where: str, nodes: list[ast.AST]) -> UsageError:
    """What went wrong in one of these parts of the code, the innermost first."""
    if isinstance(error, Branching):
        return _branching(where, nodes)
    if isinstance(error, NotANumber | NotKnown):
        return _not_numeric(where, nodes[0])
    quoted = _quoted(nodes[0])
    if isinstance(error, NoPower):
        return UsageError(
            f"{where}: {quoted} has {error}", hint="write power(x, y), for x >= 0, from lossctl.definitions"
        )
    return UsageError(f"{where}: {quoted}: {_described(error)}", hint="correct it")


# ---- where


def _place(traceback: TracebackType | None, path: str) -> Position | None:
    """(line, column, last line, last column) of what the file was doing, in the innermost of its frames."""
    found = None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename == path:
            found = _position(code, traceback)
        traceback = traceback.tb_next
    return found


def _position(code: CodeType, traceback: TracebackType) -> Position:
    for index, (line, last_line, column, last_column) in enumerate(code.co_positions()):
        if 2 * index == traceback.tb_lasti and None not in (line, last_line, column, last_column):
            return line, column, last_line, last_column  # type: ignore[return-value]
    return traceback.tb_lineno, 0, traceback.tb_lineno, 1 << 30


def _nodes_at(source: bytes, place: Position) -> list[ast.AST]:
    """The nodes of the syntax tree that hold a place, from the inside out."""
    line, column, last_line, last_column = place
    found: list[ast.AST] = []
    for node in _located(ast.parse(source)):
        begins = (node.lineno, node.col_offset) <= (line, column)
        ends = (node.end_lineno or node.lineno, node.end_col_offset or 0) >= (last_line, last_column)
        if begins and ends:
            found.append(node)
    return found[::-1]


def _located(tree: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Expressions and statements, outer ones before those in them."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.expr | ast.stmt):
            yield node
        yield from _located(node)


def _quoted(node: ast.AST) -> str:
    text = ast.unparse(node).partition("\n")[0]
    return f"'{visible(text, LONGEST_QUOTE)}'"


# ---- what to write instead


def _branching(where: str, nodes: list[ast.AST]) -> UsageError:
    """The innermost construct that asks whether something holds."""
    deciding = next((node for node in nodes if _decides(node)), nodes[0])
    return UsageError(
        f"{where}: {_quoted(deciding)} decides on a number that is not known yet",
        hint=f"write {visible(_instead(deciding, nodes), 200)}, from lossctl.definitions",
    )


def _decides(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return len(node.ops) > 1
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not)
    return isinstance(node, BRANCHING)


def _instead(node: ast.AST, around: list[ast.AST]) -> str:
    if isinstance(node, ast.IfExp):
        return f"where({ast.unparse(node.test)}, {ast.unparse(node.body)}, {ast.unparse(node.orelse)})"
    if isinstance(node, ast.BoolOp):
        sign = " & " if isinstance(node.op, ast.And) else " | "
        return f"{sign.join(f'({ast.unparse(value)})' for value in node.values)}, in a where()"
    if isinstance(node, ast.Compare):
        terms = [node.left, *node.comparators]
        pairs = [ast.Compare(a, [op], [b]) for a, op, b in zip(terms, node.ops, terms[1:], strict=False)]
        return f"{' & '.join(f'({ast.unparse(pair)})' for pair in pairs)}, in a where()"
    if isinstance(node, ast.UnaryOp):
        return "the sides of a where() the other way round"
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("max", "min") and len(node.args) > 1:
        nested = ast.unparse(node.args[0])
        for argument in node.args[1:]:
            nested = f"{COUNTERPARTS[ast.unparse(node.func)]}({nested}, {ast.unparse(argument)})"
        return nested
    returned = _returned(node, around) if isinstance(node, ast.If) else None
    return returned or "where(condition, if_true, if_false), which computes both"


def _returned(node: ast.If, around: list[ast.AST]) -> str | None:
    """An `if` that returns one of two values, as a selection."""
    following: list[ast.stmt] = node.orelse
    for parent in around:
        statements = getattr(parent, "body", None)
        if not following and isinstance(statements, list) and node in statements:
            following = statements[statements.index(node) + 1 :]
    sides = [each.value for each in (*node.body[:1], *following[:1]) if isinstance(each, ast.Return) and each.value]
    if len(sides) < 2:
        return None
    return f"return where({ast.unparse(node.test)}, {ast.unparse(sides[0])}, {ast.unparse(sides[1])})"


def _not_numeric(where: str, node: ast.AST) -> UsageError:
    """A function of Python, `math` or NumPy that takes no symbols."""
    if not isinstance(node, ast.Call):
        return UsageError(
            f"{where}: {_quoted(node)} needs a number that is not known yet", hint=f"there are {NUMBER_FUNCTIONS}"
        )
    called = ast.unparse(node.func)
    name = called.rpartition(".")[2]
    name = COUNTERPARTS.get(name, name)
    found = f"{where}: {visible(called)}() cannot be compiled in a loss"
    if name == "clip" and len(node.args) == 3:
        value, low, high = (ast.unparse(argument) for argument in node.args)
        return UsageError(found, hint=f"write minimum(maximum({value}, {low}), {high}), from lossctl.definitions")
    if name in NUMBER_FUNCTIONS.split(", "):
        arguments = ", ".join(ast.unparse(argument) for argument in node.args)
        return UsageError(found, hint=f"write {visible(name)}({visible(arguments)}), from lossctl.definitions")
    if called in ("float", "int"):
        return UsageError(found, hint="leave it out: every argument is a float")
    return UsageError(found, hint=f"lossctl.definitions has {NUMBER_FUNCTIONS}")
