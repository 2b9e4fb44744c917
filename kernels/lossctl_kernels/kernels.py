"""Block functions into machine code, with Numba's code generator: the one module that compiles for the CPU.

All of a block function is written by `write_block_function`, with this C signature over addresses: `void(rows, width,
prediction, target, class_weights, numbers, bounds, scales, result, report, inputs…)`, whatever the dtypes. `bounds`
are those of predictions and targets and the tolerances of their row sums; `report` is a row of `Column`s that begins as
zeros; `scales` and `result` are as `loops.py` and `rows.py` say. Address 0 is "none".

Around it goes a loop over blocks, the same for all: `void(first, last, rows, width, block, places)` runs the blocks
from `first` to before `last`, of `block` rows each and `rows` in all. `places` is the address of pairs, one for each
pointer: where it stands at block 0, and how many bytes further it is at the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from llvmlite import ir
from numba.core.codegen import JITCPUCodegen
from numba.core.compiler_lock import global_compiler_lock

from .layouts import write_block_function
from .recipes import Recipe
from .trace import INTEGER
from .writer import Arguments, whole

__all__ = ["Compiled", "compile_recipe"]

NUMBERS, POINTERS = 2, 8  # and a pointer for each further input
LOOP_FUNCTION = ir.FunctionType(ir.VoidType(), [INTEGER] * 6)


@dataclass(frozen=True)
class Compiled:
    """A block function: the address of its loop in this process, the same as object code, and what holds the memory."""

    address: int
    code: bytes
    library: Any


@global_compiler_lock
def compile_recipe(recipe: Recipe) -> Compiled:
    """Compiles a block function and its loop."""
    library = _codegen().create_library(recipe.symbol)
    library.enable_object_caching()
    module = library.create_ir_module(recipe.symbol)
    _write_loop(_write_block(module, recipe), recipe.symbol)
    library.add_ir_module(module)
    library.finalize()
    return Compiled(library.get_pointer_to_function(recipe.symbol), library._get_compiled_object(), library)


@cache
def _codegen() -> Any:
    return JITCPUCodegen("lossctl")


def _write_block(module: ir.Module, recipe: Recipe) -> ir.Function:
    arguments = NUMBERS + POINTERS + len(recipe.program.inputs)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [INTEGER] * arguments), f"{recipe.symbol}_block")
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    write_block_function(builder, recipe.layout, recipe.program, named(function.args))
    builder.ret_void()
    return function


def named(arguments: Sequence[ir.Value]) -> Arguments:
    """The arguments of a block function by name."""
    own = NUMBERS + POINTERS
    return replace(Arguments(*arguments[:own]), inputs=tuple(arguments[own:]))


def _write_loop(block_function: ir.Function, name: str) -> None:
    """The loop over blocks, under this name."""
    function = ir.Function(block_function.module, LOOP_FUNCTION, name)
    first, last, rows, width, block, places = function.args
    entry, head, body, end = (function.append_basic_block(part) for part in ("entry", "head", "body", "end"))
    builder = ir.IRBuilder(entry)
    pointers_count = len(block_function.args) - NUMBERS
    table = builder.inttoptr(places, INTEGER.as_pointer())
    pairs = [[builder.load(builder.gep(table, [whole(2 * i + j)])) for j in range(2)] for i in range(pointers_count)]
    builder.branch(head)
    builder.position_at_end(head)
    k = builder.phi(INTEGER)
    k.add_incoming(first, entry)
    builder.cbranch(builder.icmp_signed("<", k, last), body, end)
    builder.position_at_end(body)
    left = builder.sub(rows, builder.mul(k, block))
    count = builder.select(builder.icmp_signed("<", left, block), left, block)
    pointers = [builder.add(start, builder.mul(k, step)) for start, step in pairs]
    builder.call(block_function, [count, width, *pointers])
    k.add_incoming(builder.add(k, whole(1)), body)
    builder.branch(head)
    builder.position_at_end(end)
    builder.ret_void()
