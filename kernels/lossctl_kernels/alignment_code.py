"""A frame of CTC as LLVM instructions: what `alignments.step_forward` does to one label after another, a lane each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from llvmlite import ir

from . import alignments
from .alignments import LARGEST, PER_UNIT, SMALLEST, UNIT
from .row_values import Array, Number
from .row_values import load as load_number
from .row_values import store as store_number
from .row_vector_code import LANES, counted, larger, load, masked, numbers_of, splat, store
from .scalar import where
from .trace import INTEGER, Symbol

Weighed: TypeAlias = tuple[ir.Value, ir.Value]
"""A number in each lane, and its units."""

ZERO, ONE = ir.Constant(INTEGER, 0), ir.Constant(INTEGER, 1)


def _write_step_forward(
    builder: ir.IRBuilder, before: Array, now: Array, count: ir.Value, skips: Array, emissions: Array, units: Array
) -> None:
    first = builder.add(count, ONE)
    states = builder.add(count, first)
    weight = tuple(load_number(builder, array, count).value for array in (emissions, units))
    _write_first_blank(builder, before, now, states, weight)
    blank_weight = splat(builder, weight[0]), splat(builder, weight[1])
    impossible = numbers_of(float("-inf"))
    with counted(builder, ZERO, count, LANES, []) as (i, _):
        lanes = masked(builder, builder.sub(count, i))

        def state(offset: ir.Value) -> Weighed:
            place = builder.add(offset, i)
            return load(builder, before, place, lanes), load(builder, before, builder.add(states, place), lanes)

        label, blank, last, following = (state(offset) for offset in (first, ZERO, count, ONE))
        skipped = builder.fcmp_ordered(">", load(builder, skips, i, lanes), numbers_of(0.0))
        last = last[0], builder.select(skipped, last[1], impossible)
        emission = load(builder, emissions, i, lanes), load(builder, units, i, lanes)
        for offset, sources, factor in (
            (first, (label, blank, last), emission),
            (ONE, (label, following), blank_weight),
        ):
            place = builder.add(offset, i)
            number, more = _settled(builder, _times(builder, _together(builder, sources), factor))
            store(builder, now, place, lanes, number)
            store(builder, now, builder.add(states, place), lanes, more)


def _write_first_blank(builder: ir.IRBuilder, before: Array, now: Array, states: ir.Value, weight: Any) -> None:
    """Before the first label: only the blank itself leads there."""
    blank = load_number(builder, before, ZERO).value, load_number(builder, before, states).value
    for place, value in zip((ZERO, states), _settled(builder, _times(builder, blank, weight)), strict=True):
        store_number(builder, now, place, Number(value))


def _together(builder: ir.IRBuilder, sources: tuple[Weighed, ...]) -> Weighed:
    """The sum, in the units of the largest."""
    most = sources[0][1]
    for _, units in sources[1:]:
        most = larger(builder, units, most)
    total: Any = 0.0
    for position, (number, units) in enumerate(sources):
        ours, theirs = Symbol(builder, units), Symbol(builder, most)
        factor: Any = where(ours == theirs, 1.0, where(ours == theirs - 1.0, PER_UNIT, 0.0))  # type: ignore[arg-type]
        part = Symbol(builder, number) * factor
        total = total + part if position else part
    return total.value, most


def _times(builder: ir.IRBuilder, one: Weighed, other: Weighed) -> Weighed:
    return builder.fmul(one[0], other[0]), builder.fadd(one[1], other[1])


def _settled(builder: ir.IRBuilder, weighed: Weighed) -> Weighed:
    """As `alignments.settled`."""
    number, units = (Symbol(builder, value) for value in weighed)
    is_large, is_small = number > LARGEST, number < SMALLEST
    factor: Any = where(is_large, PER_UNIT, where(is_small, UNIT, 1.0))  # type: ignore[arg-type]
    change: Any = where(is_large, 1.0, where(is_small, -1.0, 0.0))  # type: ignore[arg-type]
    return (number * factor).value, (units + change).value


ALIGNMENT_FUNCTIONS: dict[Callable[..., Any], Callable[..., None]] = {alignments.step_forward: _write_step_forward}
