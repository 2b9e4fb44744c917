"""Row functions into LLVM instructions, straight from their source: what Numba takes seconds for takes milliseconds.

The part of Python that is known: numbers, arrays that are given and slices of them, tuples; assignments, `if`, `for`
over `range`, `while`, `return`; arithmetic, comparisons, `and`, `or`, `not`, conditional expressions; functions of
`math`, `abs`, `min`, `max`, `int`, `float`, those of `row_vectors.py`, and plain functions. A variable keeps the kind
that it is first given. Indices count from the front: nothing wraps around, and nothing is checked.

Plain functions are written in place. One that has loops, and says what it returns, is written once for arguments of the
same kinds, however often it is called: what takes longest is what LLVM does with code that it is given several times.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeAlias

from llvmlite import ir

from .alignment_code import ALIGNMENT_FUNCTIONS
from .row_expressions import Expressions
from .row_tile_code import TILE_FUNCTIONS
from .row_values import (
    BOOLEAN,
    Array,
    NotCompilable,
    Number,
    Value,
    kind_of,
    parts_of,
    read,
    rebuilt,
    slots_for,
    store,
    truth,
    write,
)
from .row_vector_code import VECTOR_FUNCTIONS
from .trace import DOUBLE, INTEGER
from .writer import prefer_wide_vectors

DEEPEST = 30
RETURNED = {"None": None, "bool": BOOLEAN, "int": INTEGER, "float": DOUBLE}

COMPUTED = ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Call, ast.Tuple, ast.Name, ast.Constant
PLAIN = *COMPUTED, ast.Assign, ast.AugAssign, ast.Subscript, ast.Slice, ast.Attribute, ast.expr_context
"""What loops consist of that LLVM makes vector code of: they compute, and choose nothing."""

VECTOR_CODE: dict[Callable[..., Any], Callable[..., ir.Value | None]] = {
    **VECTOR_FUNCTIONS,
    **TILE_FUNCTIONS,
    **ALIGNMENT_FUNCTIONS,
}
"""What writes the functions of `row_vectors.py`, and a frame of `alignments.py`, each into a function of its own."""

Written: TypeAlias = dict[tuple[Callable[..., Any], Any], ir.Function]
"""The functions of a module that are written by themselves, each for arguments of certain kinds."""


def write_call(
    builder: ir.IRBuilder,
    function: Callable[..., Any],
    arguments: list[Value],
    depth: int = 0,
    written: Written | None = None,
) -> Value:
    """Writes what a call does; returns its result, an empty tuple for none. Raises NotCompilable."""
    if depth > DEEPEST:
        raise NotCompilable(f"{function.__qualname__} calls itself")
    return _Scope(builder, function, depth, {} if written is None else written).run(arguments)


@cache
def _stands_alone(function: Callable[..., Any]) -> bool:
    """Whether a function is worth being written by itself, and can be."""
    if function in VECTOR_CODE:
        return True
    definition = _definition(function)
    returned = ast.unparse(definition.returns) if definition.returns else ""
    return returned in RETURNED and any(isinstance(node, ast.For | ast.While) for node in ast.walk(definition))


def _call_written(
    builder: ir.IRBuilder, function: Callable[..., Any], arguments: list[Value], depth: int, written: Written
) -> Value:
    """Calls a function that stands alone, which is written where it is not yet."""
    key = function, tuple(kind_of(argument) for argument in arguments)
    if key not in written:
        _write_function(builder.module, key, arguments, depth, written)
    found = builder.call(written[key], [part for argument in arguments for part in parts_of(argument)])
    return () if isinstance(found.type, ir.VoidType) else Number(found)


def _write_function(module: ir.Module, key: Any, like: list[Value], depth: int, written: Written) -> None:
    function = key[0]
    returned = RETURNED[ast.unparse(_definition(function).returns)]  # type: ignore[arg-type]
    types = [part.type for argument in like for part in parts_of(argument)]
    name = f"{function.__module__}.{function.__qualname__}.{len(written)}"
    own = written[key] = ir.Function(module, ir.FunctionType(returned or ir.VoidType(), types), name)
    own.linkage = "internal"
    prefer_wide_vectors(own)
    # Where variables have their places, and nothing else: it ends with a branch when those are known.
    entry = own.append_basic_block()
    builder = ir.IRBuilder(own.append_basic_block())
    start, values = builder.block, iter(own.args)
    arguments = [rebuilt(argument, values) for argument in like]
    own.attributes.add("noinline")
    if function in VECTOR_CODE:
        plain = [part.value if isinstance(part, Number) else part for part in arguments]
        found: Any = VECTOR_CODE[function](builder, *plain)
    else:
        scope = _Scope(builder, function, depth, written)
        if returned:
            scope.returns(returned)
        result = scope.run(arguments)
        found = result.value if isinstance(result, Number) else None
    if returned:
        builder.ret(found)
    else:
        builder.ret_void()
    builder.position_at_end(entry)
    builder.branch(start)


@cache
def _definition(function: Callable[..., Any]) -> ast.FunctionDef:
    try:
        lines, _ = inspect.findsource(function)
        found = _definitions("".join(lines))
    except (OSError, SyntaxError) as error:
        raise NotCompilable(f"the source of {function.__qualname__} cannot be read") from error
    code = function.__code__
    if (code.co_firstlineno, code.co_name) not in found:
        raise NotCompilable(f"{function.__qualname__} is not written as a function")
    return found[code.co_firstlineno, code.co_name]


@cache
def _definitions(source: str) -> dict[tuple[int, str], ast.FunctionDef]:
    """The functions of a file by their first lines and their names; the file is taken apart once for all of them."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    firsts = [min([node.lineno, *(mark.lineno for mark in node.decorator_list)]) for node in functions]
    return {(first, node.name): node for first, node in zip(firsts, functions, strict=True)}


class _Scope(Expressions):
    """The variables of one call, and where it is in its code."""

    def __init__(self, builder: ir.IRBuilder, function: Callable[..., Any], depth: int, written: Written) -> None:
        super().__init__(builder, function)
        self._depth, self._written = depth, written
        self._loops: list[tuple[ir.Block, ir.Block]] = []
        self._result: Any = None
        self._end = builder.function.append_basic_block()

    def returns(self, kind: ir.Type) -> None:
        """Says of what type the number is that is returned."""
        with self.builder.goto_entry_block():
            self._result = self.builder.alloca(kind)

    def run(self, arguments: list[Value]) -> Value:
        definition = _definition(self._function)
        parameters = inspect.signature(self._function).parameters.values()
        given: list[Value] = list(arguments)
        for parameter in list(parameters)[len(given) :]:
            given.append(self._known(parameter.default, definition))
        for parameter, value in zip(parameters, given, strict=True):
            self._assign_name(parameter.name, value)
        self._body(definition.body)
        if not self.builder.block.is_terminated:
            self.builder.branch(self._end)
        self.builder.position_at_end(self._end)
        return () if self._result is None else read(self.builder, self._result)

    def _call(self, function: Callable[..., Any], arguments: list[Value]) -> Value:
        if _stands_alone(function):
            return _call_written(self.builder, function, arguments, self._depth + 1, self._written)
        return write_call(self.builder, function, arguments, self._depth + 1, self._written)

    # ---- statements

    def _body(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if self.builder.block.is_terminated:
                return
            getattr(self, f"_do_{type(statement).__name__}", self._do_unknown)(statement)

    def _do_unknown(self, node: ast.stmt) -> None:
        raise self._refuse(node, f"{type(node).__name__} is not known")

    def _do_Pass(self, node: ast.Pass) -> None:
        pass

    def _do_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self._value(node.value)

    def _do_Assign(self, node: ast.Assign) -> None:
        value = self._value(node.value)
        for target in node.targets:
            self._assign(target, value)

    def _do_AugAssign(self, node: ast.AugAssign) -> None:
        reading = ast.copy_location(ast.BinOp(_loaded(node.target), node.op, node.value), node)
        self._assign(node.target, self._value(reading))

    def _do_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            value = self._value(node.value)
            if self._result is None:
                self._result = slots_for(self.builder, value)
            write(self.builder, self._result, value)
        self.builder.branch(self._end)

    def _do_Break(self, node: ast.Break) -> None:
        self.builder.branch(self._loops[-1][1])

    def _do_Continue(self, node: ast.Continue) -> None:
        self.builder.branch(self._loops[-1][0])

    def _do_If(self, node: ast.If) -> None:
        holds = truth(self.builder, self._number(node.test))
        then, other, after = (self.builder.function.append_basic_block() for _ in range(3))
        self.builder.cbranch(holds, then, other)
        for block, statements in ((then, node.body), (other, node.orelse)):
            self.builder.position_at_end(block)
            self._body(statements)
            if not self.builder.block.is_terminated:
                self.builder.branch(after)
        self.builder.position_at_end(after)

    def _do_While(self, node: ast.While) -> None:
        head, body, after = (self.builder.function.append_basic_block() for _ in range(3))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        self.builder.cbranch(truth(self.builder, self._number(node.test)), body, after)
        with self._loop(body, head, after):
            self._body(node.body)

    def _do_For(self, node: ast.For) -> None:
        start, stop, step = self._range(node)
        with self.builder.goto_entry_block():
            counter = self.builder.alloca(INTEGER)
        self.builder.store(start, counter)
        head, body, following, after = (self.builder.function.append_basic_block() for _ in range(4))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        now = self.builder.load(counter)
        self.builder.cbranch(self.builder.icmp_signed("<" if step > 0 else ">", now, stop), body, after)
        with self._loop(body, following, after):
            self._assign(node.target, Number(now))
            self._body(node.body)
        self.builder.position_at_end(following)
        self.builder.store(self.builder.add(now, ir.Constant(INTEGER, step), flags=("nsw",)), counter)
        back = self.builder.branch(head)
        if not all(isinstance(part, PLAIN) for statement in node.body for part in ast.walk(statement)):
            back.set_metadata("llvm.loop", _not_for_vectors(self.builder.module))
        self.builder.position_at_end(after)

    def _range(self, node: ast.For) -> tuple[ir.Value, ir.Value, int]:
        call = node.iter
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"):
            raise self._refuse(node, "a loop that is not over range")
        numbers = [self._number(argument).value for argument in call.args]
        if len(numbers) == 1:
            return ir.Constant(INTEGER, 0), numbers[0], 1
        if len(numbers) == 3 and not isinstance(numbers[2], ir.Constant):
            raise self._refuse(node, "a step that is not constant")
        return numbers[0], numbers[1], int(numbers[2].constant) if len(numbers) == 3 else 1

    @contextmanager
    def _loop(self, body: ir.Block, following: ir.Block, after: ir.Block) -> Iterator[None]:
        self.builder.position_at_end(body)
        self._loops.append((following, after))
        yield
        self._loops.pop()
        if not self.builder.block.is_terminated:
            self.builder.branch(following)
        self.builder.position_at_end(after)

    # ---- assignment

    def _assign(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self._assign_name(target.id, value)
        elif isinstance(target, ast.Tuple) and isinstance(value, tuple):
            for part, number in zip(target.elts, value, strict=True):
                self._assign(part, number)
        elif isinstance(target, ast.Subscript) and isinstance(value, Number):
            place = self._place(target)
            if isinstance(place, Array):
                self._fill(place, value)
            else:
                store(self.builder, *place, value)
        else:
            raise self._refuse(target, "an assignment that is not known")

    def _assign_name(self, name: str, value: Value) -> None:
        if name not in self._variables:
            self._variables[name] = slots_for(self.builder, value)
        write(self.builder, self._variables[name], value)

    def _fill(self, array: Array, value: Number) -> None:
        """All elements of a vector are set."""
        with self.builder.goto_entry_block():
            counter = self.builder.alloca(INTEGER)
        self.builder.store(ir.Constant(INTEGER, 0), counter)
        head, body, after = (self.builder.function.append_basic_block() for _ in range(3))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        now = self.builder.load(counter)
        self.builder.cbranch(self.builder.icmp_signed("<", now, array.shape[0]), body, after)
        self.builder.position_at_end(body)
        store(self.builder, array, now, value)
        self.builder.store(self.builder.add(now, ir.Constant(INTEGER, 1), flags=("nsw",)), counter)
        self.builder.branch(head)
        self.builder.position_at_end(after)


def _not_for_vectors(module: ir.Module) -> ir.MDValue:
    """What tells LLVM not to try: it would take longer for loops that choose, and make them no faster."""
    no = module.add_metadata(["llvm.loop.vectorize.enable", ir.Constant(BOOLEAN, 0)])
    found = ir.MDValue(module, [no], name=str(len(module.metadata)))
    found.operands = (found, no)  # a loop is known by a node that names itself
    return found


def _loaded(target: ast.expr) -> ast.expr:
    """The place that is assigned to, to be read."""
    if isinstance(target, ast.Name):
        return ast.copy_location(ast.Name(target.id, ast.Load()), target)
    if isinstance(target, ast.Subscript):
        return ast.copy_location(ast.Subscript(target.value, target.slice, ast.Load()), target)
    return target
