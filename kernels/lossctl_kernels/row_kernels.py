"""The machine code of row functions: a loop over rows, with the function written into it by `row_writer.py`.

The loop is `void(first, last, arrays…, numbers…)` for rows from `first` to before `last`. Each array is its address and
its shape, in int64: which rows are wanted, those of the `RowCode`, the scales, the scratch, what is filled. Numbers are
doubles.
"""

from __future__ import annotations

from llvmlite import ir

from .kernels import Compiled, machine_code
from .row_functions import LANES, RowCode
from .row_values import ELEMENTS, Array, Number, Value, load, store, truth
from .row_writer import write_call
from .trace import DOUBLE, INTEGER


def compile_row_code(code: RowCode) -> Compiled:
    """Compiles the loop of a row function. Raises NotCompilable where that is beyond the compiler."""
    return machine_code(code.symbol, lambda module: _write_loop(module, code))


def _write_loop(module: ir.Module, code: RowCode) -> None:
    kinds = [("bool", 1), *((dtype, axes) for _, dtype, axes in code.arrays), ("float64", 1), ("float64", 1)]
    kinds.append((code.filled[1], code.filled[2]))
    integers = 2 + sum(1 + axes for _, axes in kinds)
    types = [INTEGER] * integers + [DOUBLE] * len(code.numbers)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), code.symbol)
    entry = function.append_basic_block()
    builder = ir.IRBuilder(function.append_basic_block())
    first, last, *rest = function.args
    wanted, *arrays, scales, scratch, filled = _arrays(builder, kinds, rest)
    numbers: list[Value] = [Number(value) for value in function.args[integers:]]
    head, body, call, following, after = (function.append_basic_block() for _ in range(5))
    start = builder.block
    builder.branch(head)
    builder.position_at_end(head)
    row = builder.phi(INTEGER)
    row.add_incoming(first, start)
    builder.cbranch(builder.icmp_signed("<", row, last), body, after)
    builder.position_at_end(body)
    step = ir.Constant(INTEGER, LANES if code.grouped else 1)
    end = builder.add(row, step)
    if code.grouped:
        end = builder.select(builder.icmp_signed("<", end, last), end, last)
        builder.branch(call)
    else:
        builder.cbranch(truth(builder, load(builder, wanted, row)), call, following)
    builder.position_at_end(call)
    where: list[Value] = [Number(row), Number(end)] if code.grouped else [Number(row)]
    scale: list[Value] = [load(builder, scales, row)] if code.scaled else []
    returns = code.filled[0] == "losses"
    given = [*where, *arrays, *scale, scratch, *([] if returns else [filled]), *numbers]
    found = write_call(builder, code.function, given)
    if returns and isinstance(found, Number):
        store(builder, filled, row, found)
    builder.branch(following)
    builder.position_at_end(following)
    row.add_incoming(builder.add(row, step), following)
    builder.branch(head)
    builder.position_at_end(after)
    builder.ret_void()
    builder.position_at_end(entry)
    builder.branch(start)


def _arrays(builder: ir.IRBuilder, kinds: list[tuple[str, int]], values: list[ir.Value]) -> list[Array]:
    """Arrays of these kinds, each an address and a shape."""
    found = []
    for dtype, axes in kinds:
        address, *shape = values[: 1 + axes]
        values = values[1 + axes :]
        found.append(Array(dtype, builder.inttoptr(address, ELEMENTS[dtype].as_pointer()), tuple(shape)))
    return found
