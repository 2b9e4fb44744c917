"""The functions of `row_vectors.py` that go over tiles of pairs, as LLVM instructions: a lane is an anchor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir

from . import row_vectors
from .row_values import Array
from .row_values import load as load_number
from .row_vector_code import LANES, counted, larger, load, masked, numbers_of, power_of, splat, store
from .trace import FLAGS, INTEGER

COLUMNS = 4
"""Sums over columns of a tile that are made at once."""

ZERO, ONE = ir.Constant(INTEGER, 0), ir.Constant(INTEGER, 1)


def _write_meet(
    builder: ir.IRBuilder, anchors: Array, lanes: ir.Value, references: Array, factors: Array, start: ir.Value,
    stop: ir.Value, similarities: Array,
) -> None:  # fmt: skip
    width = references.shape[1]

    def number(d: ir.Value, column: ir.Value) -> ir.Value:
        place = builder.add(builder.mul(builder.add(start, column), width), d)
        return _product(builder, references, place, factors, column)

    _write_columns(builder, lanes, width, builder.sub(stop, start), anchors, number, similarities, False)


def _write_pull(
    builder: ir.IRBuilder, slopes: Array, lanes: ir.Value, references: Array, factors: Array, start: ir.Value,
    stop: ir.Value, pairs: Array,
) -> None:  # fmt: skip
    width = references.shape[1]

    def number(j: ir.Value, column: ir.Value) -> ir.Value:
        place = builder.add(builder.mul(builder.add(start, j), width), column)
        return _product(builder, references, place, factors, j)

    _write_columns(builder, lanes, builder.sub(stop, start), width, pairs, number, slopes, True)


def _product(builder: ir.IRBuilder, one: Array, place: ir.Value, other: Array, at: ir.Value) -> ir.Value:
    return builder.fmul(load_number(builder, one, place).value, load_number(builder, other, at).value)


def _write_columns(
    builder: ir.IRBuilder,
    lanes: ir.Value,
    depth: ir.Value,
    columns: ir.Value,
    rows: Array,
    number: Callable[[ir.Value, ir.Value], ir.Value],
    found: Array,
    adds: bool,
) -> None:
    """found[column, lane] = the sum over k of number(k, column) * rows[k, lane], added to what is there if it `adds`.

    Sums of as many lanes and columns as there are registers for go over all k at once: so little is read that it does
    not matter.
    """
    vectors = 4 if binding.get_host_cpu_features().get("avx512f") else 1
    last = builder.sub(columns, ONE)
    with counted(builder, ZERO, lanes, vectors * LANES, []) as (lane, _):
        offsets = [builder.add(lane, ir.Constant(INTEGER, v * LANES)) for v in range(vectors)]
        inside = [masked(builder, builder.sub(lanes, offset)) for offset in offsets]

        def places(row: ir.Value) -> list[tuple[ir.Value, ir.Value]]:
            start = builder.mul(row, lanes)
            return [(builder.add(start, offset), mask) for offset, mask in zip(offsets, inside, strict=True)]

        with counted(builder, ZERO, columns, COLUMNS, []) as (first, _):
            # Where fewer are left, the last one is computed several times, and each time from what was there before.
            nexts = [builder.add(first, ir.Constant(INTEGER, i)) for i in range(COLUMNS)]
            nexts = [builder.select(builder.icmp_signed("<", column, last), column, last) for column in nexts]
            ends = [place for column in nexts for place in places(column)]
            starts = [load(builder, found, *end) if adds else numbers_of(0.0) for end in ends]
            with counted(builder, ZERO, depth, 1, starts) as (k, sums):
                values = [load(builder, rows, *place) for place in places(k)]
                for i, column in enumerate(nexts):
                    factor = splat(builder, number(k, column))
                    for v, value in enumerate(values, i * vectors):
                        product = builder.fmul(factor, value, flags=FLAGS)
                        sums[v] = builder.fadd(sums[v], product, flags=FLAGS)
            for end, total in zip(ends, sums, strict=True):
                store(builder, found, *end, total)


def _write_add_exponentials(
    builder: ir.IRBuilder, pairs: Array, lanes: ir.Value, references: ir.Value, largest: Array, totals: Array
) -> None:
    with counted(builder, ZERO, lanes, LANES, []) as (lane, _):
        inside = masked(builder, builder.sub(lanes, lane))
        before = load(builder, largest, lane, inside)

        def pair(j: ir.Value) -> ir.Value:
            return load(builder, pairs, builder.add(builder.mul(j, lanes), lane), inside)

        with counted(builder, ZERO, references, 1, [before]) as (j, ends):
            ends[0] = larger(builder, pair(j), ends[0])
        most = ends[0]
        # Where all exponents are minus infinity there is nothing to add: the powers are 0 relative to any number.
        base = larger(builder, most, numbers_of(-1e308))
        start = builder.fmul(load(builder, totals, lane, inside), power_of(builder, builder.fsub(before, base)))
        with counted(builder, ZERO, references, 1, [start]) as (j, ends):
            ends[0] = builder.fadd(ends[0], power_of(builder, builder.fsub(pair(j), base)), flags=FLAGS)
        store(builder, largest, lane, inside, most)
        store(builder, totals, lane, inside, ends[0])


TILE_FUNCTIONS: dict[Callable[..., Any], Callable[..., None]] = {
    row_vectors.meet: _write_meet,
    row_vectors.pull: _write_pull,
    row_vectors.add_exponentials: _write_add_exponentials,
}
