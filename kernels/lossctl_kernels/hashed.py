"""The loop that hashes numbers: see `value_hashes.py`."""

from __future__ import annotations

import math
import struct

import numpy as np
from llvmlite import ir

from .trace import DOUBLE, INTEGER, constant
from .value_hashes import LANES, lane_factors
from .writer import SINGLE, Value, Writer, vector, whole

_WORD = ir.IntType(32)
_NAN_BITS = struct.unpack("<q", struct.pack("<d", math.nan))[0]


class Hashed(Writer):
    """The two sums of a whole piece, whose keys are `numbers`, as integers in the place for results."""

    def write(self) -> None:
        builder, kind = self.builder, vector(INTEGER, LANES)
        values = self.pointer(self.arguments.prediction, self.stored_type)
        keys = self.pointer(self.arguments.numbers, INTEGER)
        total, weighted = (self.variable(ir.Constant(kind, 0)) for _ in range(2))
        with self.loop(builder.udiv(self.rows, whole(LANES))) as k:
            start = builder.mul(k, whole(LANES))
            product = self.product(self.bits(self.streamed(values, start)), self.chunk(keys, start))
            so_far = builder.add(builder.load(total), product)
            builder.store(so_far, total)
            builder.store(builder.add(builder.load(weighted), so_far), weighted)
        factors = ir.Constant(kind, lane_factors().astype(np.int64).tolist())
        sums = builder.load(total), builder.mul(builder.load(weighted), factors)
        results = self.pointer(self.arguments.result, INTEGER)
        for position, lanes in enumerate(sums):
            builder.store(self.folded(lanes, builder.add), builder.gep(results, [whole(position)]))

    @property
    def stored_type(self) -> ir.Type:
        """Of one number in memory."""
        name = self.layout.dtype
        if name.startswith("float"):
            return SINGLE if name == "float32" else DOUBLE
        return ir.IntType(int(name.removeprefix("u").removeprefix("int")))

    def bits(self, values: Value) -> Value:
        """Those of the numbers as float64, where equal numbers have equal ones."""
        builder, kind, integers = self.builder, vector(DOUBLE, LANES), vector(INTEGER, LANES)
        if not self.layout.dtype.startswith("float"):
            convert = builder.sitofp if self.layout.dtype.startswith("int") else builder.uitofp
            return builder.bitcast(convert(values, kind), integers)
        numbers = builder.fadd(self.widened(values), constant(kind, 0.0))
        is_number = builder.fcmp_ordered("ord", numbers, numbers)
        return builder.select(is_number, builder.bitcast(numbers, integers), ir.Constant(integers, _NAN_BITS))

    def product(self, bits: Value, key: Value) -> Value:
        """Of the two halves, each with that of the key added to it."""
        builder, words, kind = self.builder, vector(_WORD, 2 * LANES), vector(INTEGER, LANES)
        added = builder.add(builder.bitcast(bits, words), builder.bitcast(key, words))
        sums = builder.bitcast(added, kind)
        low = builder.and_(sums, ir.Constant(kind, 0xFFFFFFFF))
        return builder.mul(low, builder.lshr(sums, ir.Constant(kind, 32)))
