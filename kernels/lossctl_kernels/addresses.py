"""Where the memory of an array is, found out quickly."""

from __future__ import annotations

from ctypes import c_int64
from typing import Any

import numpy as np
from numpy.typing import NDArray

_address_at = c_int64.from_address
_HEAD_BYTES = object.__basicsize__


def _behind_the_head(array: NDArray[Any]) -> int:
    return _address_at(id(array) + _HEAD_BYTES).value


def _as_numpy_says(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _is_behind_the_head() -> bool:
    probe = np.empty(1)
    return _behind_the_head(probe) == _as_numpy_says(probe)


address_of = _behind_the_head if _is_behind_the_head() else _as_numpy_says
"""The address of the first number of an array.

NumPy's own answers make objects of Python on their way: of a small batch that is most of the time. It is read where the
binary interface of NumPy has it, as compiled extensions do, right behind the head that all objects have; unless it is
elsewhere in this build of Python or NumPy.
"""


def contiguous_address(array: NDArray[Any]) -> int:
    """The same of an array whose numbers follow each other, row by row, as compiled loops read them.

    Raises ValueError for any other, in Fortran's order or with gaps: they would read what is not there.
    """
    if not array.flags.c_contiguous:
        raise ValueError(f"an array of shape {array.shape} is not C-contiguous: its strides are {array.strides}")
    return address_of(array)
