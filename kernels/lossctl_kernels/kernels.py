"""LLVM instructions into machine code, with Numba's code generator, and block functions as such instructions.

All of a block function is written by `write_block_function`, with this C signature over addresses: `void(rows, width,
prediction, target, class_weights, numbers, bounds, scales, result, report, inputs…)`, whatever the dtypes. `bounds`
are those of predictions and targets and the tolerances of their row sums; `report` is a row of `Column`s that begins as
zeros; `scales` and `result` are as `loops.py` and `rows.py` say. Address 0 is "none".

Around it goes a loop over blocks, the same for all: `void(first, last, rows, width, block, places)` runs the blocks
from `first` to before `last`, of `block` rows each and `rows` in all. `places` is the address of pairs, one for each
pointer: where it stands at block 0, and how many bytes further it is at the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from llvmlite import binding, ir
from numba.core import config
from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.compiler_lock import global_compiler_lock

from .layouts import write_block_function
from .recipes import Recipe
from .trace import INTEGER
from .writer import Arguments, whole

OPTIMISATION = 2
NUMBERS, POINTERS = 2, 8  # and a pointer for each further input
LOOP_FUNCTION = ir.FunctionType(ir.VoidType(), [INTEGER] * 6)


@dataclass(frozen=True)
class Compiled:
    """A function: its address in this process, the same as object code, and what holds the memory."""

    address: int
    code: bytes
    library: Any


def compile_recipe(recipe: Recipe) -> Compiled:
    """Compiles a block function and its loop."""
    return machine_code(recipe.symbol, lambda module: _write_loop(_write_block(module, recipe), recipe.symbol))


def machine_code(symbol: str, write: Callable[[ir.Module], None]) -> Compiled:
    """Compiles the function of this name, with all that `write` adds to the module."""
    with global_compiler_lock:
        library = _codegen().create_library(symbol)
        library.enable_object_caching()
        module = library.create_ir_module(symbol)
        write(module)
        library.add_ir_module(module)
        library.finalize()
        return Compiled(library.get_pointer_to_function(symbol), library._get_compiled_object(), library)


class _Library(JITCodeLibrary):
    """Optimised once, and not to the last: Numba's own passes go twice over code that is given to them in parts.

    Each function is simplified by itself, since none is to be inlined, and loops are left as they are written, which is
    in vectors: what LLVM does after that takes it as long again, and the code runs hardly faster.
    """

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        options = binding.create_pipeline_tuning_options(speed_level=min(OPTIMISATION, int(config.OPT)))
        options.loop_unrolling = False
        passes = binding.create_pass_builder(self._codegen._tm, options)
        simplify = passes.getFunctionPassManager()
        for function in self._final_module.functions:
            if not function.is_declaration:
                simplify.run(function, passes)


class _Codegen(JITCPUCodegen):
    _library_class = _Library


@cache
def _codegen() -> Any:
    return _Codegen("lossctl")


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
