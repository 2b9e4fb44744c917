"""Words of memory in functions that Numba compiles: read and written at addresses, and what Python has no sign for."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .trace import prefetch


def _reads(bits: int, result: Any) -> Any:
    @intrinsic
    def read(typingctx, address):
        def codegen(context, builder, signature, arguments):
            value = builder.load(builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer()))
            value.align = 1
            return value if result.bitwidth == bits else builder.zext(value, ir.IntType(result.bitwidth))

        return result(types.int64), codegen

    return read


def _writes(bits: int) -> Any:
    @intrinsic
    def write(typingctx, address, value):
        def codegen(context, builder, signature, arguments):
            kind = ir.IntType(bits)
            value = arguments[1] if bits == arguments[1].type.width else builder.trunc(arguments[1], kind)
            builder.store(value, builder.inttoptr(arguments[0], kind.as_pointer()))
            return context.get_dummy_value()

        return types.void(types.int64, types.uint64), codegen

    return write


byte_at = _reads(8, types.uint8)
octet_at = _reads(8, types.int64)
word_at = _reads(64, types.uint64)
number_at = _reads(64, types.int64)
store_byte = _writes(8)
store_word = _writes(64)


@intrinsic
def ask_for(typingctx, address):
    """Lets the processor fetch what is there."""

    def codegen(context, builder, signature, arguments):
        prefetch(builder, builder.inttoptr(arguments[0], ir.PointerType()))
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def high_product(typingctx, a, b):
    """The upper half of the product of two unsigned numbers of 64 bits."""

    def codegen(context, builder, signature, arguments):
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(each, wide) for each in arguments))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), codegen


@intrinsic
def leading_zeros(typingctx, number):
    """Of a number that is not 0."""

    def codegen(context, builder, signature, arguments):
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), codegen
