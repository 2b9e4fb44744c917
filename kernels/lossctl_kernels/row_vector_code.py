"""The functions of `row_vectors.py` as LLVM instructions: loops over vectors, of which the last may be cut short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from . import row_vectors
from .row_values import ELEMENTS, SHORT, Array
from .scalar import TAIL_UNSCALE, exp, tail_exp
from .trace import DOUBLE, FLAGS, INTEGER, Symbol, constant

LANES = 8
"""What 512 bits hold; a processor with smaller vectors takes several."""

ZERO, ONE = ir.Constant(INTEGER, 0), ir.Constant(INTEGER, 1)


# ---- loops, and vectors of memory


@contextmanager
def counted(
    builder: ir.IRBuilder, start: ir.Value, stop: ir.Value, step: int, carried: list[ir.Value]
) -> Iterator[tuple[ir.Value, list[ir.Value]]]:
    """Gives (counter, what is carried), which the body replaces in the list; that then holds the ends."""
    head, body, after = (builder.function.append_basic_block() for _ in range(3))
    before = builder.block
    builder.branch(head)
    builder.position_at_end(head)
    phis = [builder.phi(value.type) for value in (start, *carried)]
    for phi, value in zip(phis, (start, *carried), strict=True):
        phi.add_incoming(value, before)
    builder.cbranch(builder.icmp_signed("<", phis[0], stop), body, after)
    builder.position_at_end(body)
    ends: list[ir.Value] = phis[1:]
    yield phis[0], ends
    following = builder.add(phis[0], ir.Constant(INTEGER, step), flags=("nsw",))
    for phi, value in zip(phis, (following, *ends), strict=True):
        phi.add_incoming(value, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    ends[:] = phis[1:]


def masked(builder: ir.IRBuilder, left: ir.Value) -> ir.Value:
    """Which lanes there are where so many are left."""
    numbers = ir.Constant(ir.VectorType(INTEGER, LANES), list(range(LANES)))
    return builder.icmp_signed("<", numbers, splat(builder, left))


def load(builder: ir.IRBuilder, array: Array, place: ir.Value, lanes: ir.Value) -> ir.Value:
    """The vector from a place on, as doubles; minus infinity where there are no lanes."""
    element = ELEMENTS[array.dtype]
    kind = ir.VectorType(element, LANES)
    name = f"llvm.masked.load.v{LANES}{element.intrinsic_name}.p0"
    function = builder.module.declare_intrinsic(
        name, (), ir.FunctionType(kind, [ir.PointerType(), SHORT, lanes.type, kind])
    )
    missing = ir.Constant(kind, [float("-inf")] * LANES)
    found = builder.call(function, [_address(builder, array, place), _alignment(array), lanes, missing])
    return found if element == DOUBLE else builder.fpext(found, ir.VectorType(DOUBLE, LANES))


def store(builder: ir.IRBuilder, array: Array, place: ir.Value, lanes: ir.Value, value: ir.Value) -> None:
    """Sets the vector from a place on, where there are lanes."""
    element = ELEMENTS[array.dtype]
    kind = ir.VectorType(element, LANES)
    if element != DOUBLE:
        value = builder.fptrunc(value, kind)
    name = f"llvm.masked.store.v{LANES}{element.intrinsic_name}.p0"
    function = builder.module.declare_intrinsic(
        name, (), ir.FunctionType(ir.VoidType(), [kind, ir.PointerType(), SHORT, lanes.type])
    )
    builder.call(function, [value, _address(builder, array, place), _alignment(array), lanes])


def _address(builder: ir.IRBuilder, array: Array, place: ir.Value) -> ir.Value:
    return builder.bitcast(builder.gep(array.pointer, [place], inbounds=True), ir.PointerType())


def _alignment(array: Array) -> ir.Constant:
    return ir.Constant(SHORT, 4 if array.dtype == "float32" else 8)


def splat(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """The number in each lane."""
    kind = ir.VectorType(value.type, LANES)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(SHORT, 0))
    places = ir.Constant(ir.VectorType(SHORT, LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), places)


@contextmanager
def _along(
    builder: ir.IRBuilder, array: Array, carried: list[ir.Value]
) -> Iterator[tuple[ir.Value, ir.Value, ir.Value, list[ir.Value]]]:
    """A loop along an array: (place, the lanes there are, the numbers, what is carried)."""
    size = array.shape[0]
    with counted(builder, ZERO, size, LANES, carried) as (place, ends):
        lanes = masked(builder, builder.sub(size, place))
        yield place, lanes, load(builder, array, place, lanes), ends


def _folded(builder: ir.IRBuilder, value: ir.Value, join: Callable[[ir.Value, ir.Value], ir.Value]) -> ir.Value:
    """All lanes as one, in halves."""
    while value.type.count > 1:
        half = value.type.count // 2
        kind = ir.VectorType(SHORT, half)
        low, high = (
            builder.shuffle_vector(value, value, ir.Constant(kind, list(range(start, start + half))))
            for start in (0, half)
        )
        value = join(low, high)
    return builder.extract_element(value, ir.Constant(SHORT, 0))


def larger(builder: ir.IRBuilder, one: ir.Value, other: ir.Value) -> ir.Value:
    """The larger one, lane by lane; the other one where one is not a number."""
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


def numbers_of(number: float) -> ir.Constant:
    """The same number in each lane."""
    return constant(ir.VectorType(DOUBLE, LANES), number)


def power_of(builder: ir.IRBuilder, x: ir.Value, function: Callable[[Any], Any] = exp) -> ir.Value:
    """e**x, or another function of `scalar.py`."""
    return function(Symbol(builder, x)).value


# ---- along one array


def _write_largest(builder: ir.IRBuilder, values: Array) -> ir.Value:
    with _along(builder, values, [numbers_of(float("-inf"))]) as (_, _, numbers, ends):
        ends[0] = larger(builder, numbers, ends[0])
    return _folded(builder, ends[0], lambda a, b: larger(builder, a, b))


def _write_exponentials(
    builder: ir.IRBuilder, values: Array, largest: ir.Value, factor: ir.Value, found: Array
) -> None:
    largest, factor = splat(builder, largest), splat(builder, factor)
    with _along(builder, values, []) as (place, lanes, numbers, _):
        power = power_of(builder, builder.fsub(numbers, largest))
        store(builder, found, place, lanes, builder.fmul(factor, power))


def _write_sum_of_others(builder: ir.IRBuilder, values: Array, largest: ir.Value) -> ir.Value:
    largest, zero = splat(builder, largest), numbers_of(0.0)
    with _along(builder, values, [zero, zero]) as (_, _, numbers, ends):
        x = builder.fsub(numbers, largest)
        ends[0] = builder.fadd(ends[0], power_of(builder, x, tail_exp), flags=FLAGS)
        as_large = builder.select(builder.fcmp_ordered("==", x, zero), numbers_of(1.0), zero)
        ends[1] = builder.fadd(ends[1], as_large)
    total, as_large = (_folded(builder, value, builder.fadd) for value in ends)
    others = builder.fsub(as_large, ir.Constant(DOUBLE, 1.0))
    return builder.fadd(builder.fmul(total, ir.Constant(DOUBLE, TAIL_UNSCALE)), others)


VECTOR_FUNCTIONS: dict[Callable[..., Any], Callable[..., ir.Value | None]] = {
    row_vectors.largest_of: _write_largest,
    row_vectors.exponentials: _write_exponentials,
    row_vectors.sum_of_others: _write_sum_of_others,
}
"""What writes each of those that go along one array; `row_tile_code.py` has the others."""
