"""Plain functions, made known to Numba's CUDA compiler. In its simulator they run as they are: nothing is made known.

The elementary functions of `scalar.py` run on the device as they are written, so that results equal those of the other
backends to rounding; only the primitives under them have an implementation of their own here.
"""

# mypy: allow-untyped-defs

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import rare, scalar
from .gpu import simulated
from .reachable import reachable

_known: set[Callable[..., Any]] = set()


def device(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let kernels call the plain `function` and everything that it calls; returns it unchanged. Safe to repeat."""
    if simulated():
        return function
    from numba.cuda.extending import overload, register_jitable

    if not _known:
        for primitive, implementation in _implementations().items():
            overload(primitive, strict=False)(_for_all_types(implementation))
            _known.add(primitive)
    for called in reachable(function):
        if called not in _known:
            register_jitable(called)
            _known.add(called)
    return function


def rounded_product(a: float, b: float) -> float:
    """a * b, rounded before anything is added to it: device code would fuse the two otherwise."""
    return a * b


def from_warp(value: float, distance: int, team: Any) -> float:
    """What the lane of the same warp has whose number differs by this one bit: on a device only."""
    raise NotImplementedError("the simulator has no shuffles")


def _for_all_types(implementation: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *types: implementation


def _implementations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """What each primitive is on a device."""
    from numba.cuda import libdevice, shfl_xor_sync

    def where(condition, if_true, if_false):
        return if_true if condition else if_false

    def rarely(condition, function, otherwise, *arguments):
        return function(*arguments) if condition else otherwise

    def maximum(a, b):
        # The comparison fails for NaN and leaves b: only a NaN in a is left to restore.
        return a if (a > b) | (a != a) else b

    def minimum(a, b):
        return a if (a < b) | (a != a) else b

    def sqrt(x):
        return math.sqrt(x)

    def is_subnormal(x):
        return x < scalar.SMALLEST_NORMAL

    def bits_of(x):
        return libdevice.double_as_longlong(x)

    def float_of(bits):
        return libdevice.longlong_as_double(bits)

    def product(a, b):
        return libdevice.dmul_rn(a, b)

    def shuffled(value, distance, team):
        return shfl_xor_sync(0xFFFFFFFF, value, distance)

    return {
        scalar.where: where,
        rare.rarely: rarely,
        scalar.maximum: maximum,
        scalar.minimum: minimum,
        scalar.sqrt: sqrt,
        scalar.is_subnormal: is_subnormal,
        scalar.bits_of: bits_of,
        scalar.float_of: float_of,
        rounded_product: product,
        from_warp: shuffled,
    }
