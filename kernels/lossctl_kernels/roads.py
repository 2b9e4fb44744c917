"""From a recipe to a function that can be called: found and linked, or compiled once and kept for later processes."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import objects
from .addresses import address_of
from .gpu import BackendUnavailable
from .recipes import Recipe
from .row_functions import RowCode
from .spans import run_spans

Runner = Callable[[int, int, int, NDArray[np.int64], int, tuple[Any, ...]], None]
"""Runs a block function over a batch: rows, width, rows of a block, places, threads, and what owns the memory."""

_LOOP = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 6)  # ctypes lets other threads run meanwhile

PICKED_WORK = 64
"""As how many values a row counts of which one is read: a miss of the caches takes some 20 nanoseconds."""
PICKED_ALONE = 1 << 21
"""As many of those as one thread does in less than a millisecond: threads that wait for memory gain little together."""

_ARRAYS = ("prediction", "target", "class_weights", "numbers", "bounds", "scales", "result", "report")
"""What every block function is given, in order: see `kernels.py`."""

_functions: dict[str, Runner] = {}
_making = threading.Lock()


def block_function(recipe: Recipe) -> Runner:
    """The block function of a recipe. Raises BackendUnavailable where it has to be compiled and cannot be."""
    with _making:
        if recipe.key not in _functions:
            _functions[recipe.key] = _linked(recipe) or _compiled(recipe)
        return _functions[recipe.key]


def run_loop(recipe: Recipe, rows: int, block: int, threads: int, **arrays: tuple[NDArray[Any], int]) -> None:
    """Runs a loop of `recipes.loop_of` over `rows` numbers.

    `arrays` are those that it takes, by the names of the arguments of a block function, each with how many of its rows
    belong to one block. Raises BackendUnavailable where the loop has to be compiled and cannot be.
    """
    places = np.zeros((len(_ARRAYS), 2), np.int64)
    for name, (array, block_rows) in arrays.items():
        places[_ARRAYS.index(name)] = address_of(array), block_rows * array.strides[0]
    block_function(recipe)(rows, 1, block, places, threads, tuple(arrays.values()))


def _linked(recipe: Recipe) -> Runner | None:
    """The block function that an earlier process has left, without a compiler."""
    code = objects.find(recipe)
    return None if code is None else _run_object(recipe, code)


def _run_object(recipe: Recipe, code: bytes) -> Runner | None:
    address = objects.link(recipe, code)
    if address is None:
        return None
    if recipe.layout.name == "picked":
        return partial(run_spans, _LOOP(address), work=PICKED_WORK, alone=PICKED_ALONE)
    return partial(run_spans, _LOOP(address))


def _compiled(recipe: Recipe) -> Runner:
    load_compiler()
    from .kernels import compile_recipe

    compiled = compile_recipe(recipe)
    runner = _run_object(recipe, compiled.code)
    if runner is None:
        from .drivers import drive_blocks

        return partial(drive_blocks, compiled)
    objects.keep(recipe, compiled.code)
    return runner


def load_compiler() -> None:
    """Imports Numba. Raises BackendUnavailable where that fails."""
    try:
        from . import kernels
    except (ImportError, OSError) as error:
        raise BackendUnavailable(f"Numba cannot be loaded: {error}") from error
    del kernels


def are_kept(recipes: Iterable[Recipe | RowCode]) -> bool:
    """Whether none of these has to be compiled."""
    return all(recipe.key in _functions or objects.is_kept(recipe) for recipe in recipes)


def is_at_hand(recipe: Recipe) -> bool:
    """Whether a small function is had for next to nothing: it is kept, or the compiler has been loaded for others."""
    return f"{__package__}.kernels" in sys.modules or are_kept([recipe])


def compile_ahead(recipe: Recipe | RowCode) -> bool:
    """Leaves the object code of a recipe for later processes; whether it had to be compiled."""
    if objects.find(recipe) is not None:
        return False
    load_compiler()
    if isinstance(recipe, RowCode):
        from .row_kernels import compile_row_code

        objects.keep(recipe, compile_row_code(recipe).code)
        return True
    from .kernels import compile_recipe

    objects.keep(recipe, compile_recipe(recipe).code)
    return True
