"""Which loops a layout has."""

from __future__ import annotations

from llvmlite import ir

from .across import Across
from .along import Along
from .converted import Converted
from .hashed import Hashed
from .loops import Extremes, Flat
from .picked import Picked
from .products import Products
from .program import Program
from .recipes import Layout
from .writer import Arguments, Writer

_WRITERS: dict[str, type[Writer]] = {
    "flat": Flat,
    "factored": Products,
    "extremes": Extremes,
    "along": Along,
    "picked": Picked,
    "across": Across,
    "hashed": Hashed,
    "converted": Converted,
}


def write_block_function(builder: ir.IRBuilder, layout: Layout, program: Program, arguments: Arguments) -> None:
    """Appends the loops of the layout to the function that `builder` is in."""
    _WRITERS[layout.name](builder, layout, program, arguments).write()
