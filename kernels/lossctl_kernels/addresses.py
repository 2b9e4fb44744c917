"""Where the memory of an array is, found out quickly."""

from __future__ import annotations

from ctypes import c_int64
from typing import Any

from numpy.typing import NDArray

__all__ = ["address_of"]

_address_at = c_int64.from_address
_HEAD_BYTES = object.__basicsize__


def address_of(array: NDArray[Any]) -> int:
    """The address of the first number.

    As `array.ctypes.data`, which makes objects of Python on its way: of a small batch that is most of the time. It is
    read where the binary interface of NumPy has it, as compiled extensions do: right behind the head that all objects
    have.
    """
    return _address_at(id(array) + _HEAD_BYTES).value
