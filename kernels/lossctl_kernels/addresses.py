"""Where the memory of an array is, found out quickly."""

from __future__ import annotations

import ctypes
from typing import Any

from numpy.typing import NDArray

__all__ = ["address_of"]


class _Description(ctypes.Structure):
    """What NumPy calls `PyArrayInterface`, up to the address."""

    _fields_ = (
        ("two", ctypes.c_int),
        ("dimensions", ctypes.c_int),
        ("kind", ctypes.c_char),
        ("item_bytes", ctypes.c_int),
        ("flags", ctypes.c_int),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("address", ctypes.c_int64),
    )


_described = ctypes.PYFUNCTYPE(ctypes.POINTER(_Description), ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def address_of(array: NDArray[Any]) -> int:
    """The address of the first number.

    As `array.ctypes.data`, which makes objects of Python on its way: of a small batch that is most of the time.
    """
    capsule = array.__array_struct__  # the description is gone when this is
    return int(_described(capsule, None).contents.address)
