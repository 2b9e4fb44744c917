"""NPY: the header is checked against the file before anything is allocated."""

from __future__ import annotations

import io
import math
import tokenize
import warnings
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from lossctl.errors import DataError, UsageError, visible
from lossctl.sources.arrays import check_dtype, names_or_numbers
from lossctl.sources.base import OtherKind, Reader, Selection, option
from lossctl.sources.input_file import InputFile
from lossctl.sources.raw_array import RawArrayReader

# NumPy's own limit for headers that it parses from files of others.
_MAX_HEADER_BYTES = 10_000

# What NumPy's parser lets through for a malformed header, which goes to ast.literal_eval and tokenize.
_HEADER_ERRORS = (
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    MemoryError,
    RecursionError,
    SyntaxError,
    tokenize.TokenError,
)

# What a header says, and nothing else.
_EXAMPLE = "{'descr': '<f8', 'fortran_order': False, 'shape': (100, 3), }"


def open_npy(file: InputFile, roles: dict[str, Selection]) -> Reader:
    """A reader of one NPY array, of shape (N, …), which is one role's. Versions 1 to 3; pickles are never loaded."""
    role, *others = roles
    if any(selection.is_key for selection in roles.values()):
        raise UsageError(
            f"{file.name} is an array without column names: it has no key for --on",
            hint="save the key next to it, as a table or with np.savez",
        )
    if others:
        raise UsageError(
            f"{file.name} holds one array, not both {role} and {' and '.join(others)}", hint="name a file for each"
        )
    if roles[role].columns is not None:
        raise UsageError(f"{file.name} is an array without column names", hint=f"leave out {option(role, 'col')}")
    return read_npy(file, role, roles[role])


def npy_contents(file: InputFile) -> None:
    """The array has no name."""


def read_npy(file: InputFile, role: str, selection: Selection, format: str = "npy", array: str | None = None) -> Reader:
    """A reader of the NPY array that `file` holds, called `array` where it is one of several."""
    shape, fortran, dtype, start = _read_header(file)
    selection = names_or_numbers(selection, dtype, shape)
    check_dtype(dtype, file.name, selection)
    _check_shape(file, shape, dtype, start)
    return RawArrayReader(file, role, format, shape, dtype, start, column_major=fortran, array=array, text=selection)


def _read_header(file: InputFile) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether in Fortran order, dtype, and where the data begin."""
    head = file.read_at(0, _MAX_HEADER_BYTES + 12)
    if len(head) < 8:
        raise DataError(f"{file.name} is truncated: it has {len(head)} bytes", hint="write the file again")
    if not head.startswith(npy_format.MAGIC_PREFIX):  # as an array in an archive may not
        raise DataError(
            f"{file.name} is no NPY array: it begins with the bytes {head[:6].hex(' ')}", hint="save it with np.savez"
        )
    version = tuple(head[6:8])
    if version not in {(1, 0), (2, 0), (3, 0)}:
        raise _malformed(file, f"format version {'.'.join(map(str, version))}; known are 1.0, 2.0 and 3.0")
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(head[8 : 8 + width], "little")
    start = 8 + width + length
    if start > file.size:
        raise DataError(
            f"{file.name} is truncated: its header ends at byte {start}, the file has {file.size}",
            hint="write the file again",
        )
    if length > _MAX_HEADER_BYTES:
        raise _malformed(file, f"a header of {length} bytes; allowed are {_MAX_HEADER_BYTES}")
    # Version 3.0 differs from 2.0 in the encoding of field names, and arrays with fields are refused.
    parse = npy_format.read_array_header_1_0 if width == 2 else npy_format.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            # A header written by Python 2 is read all the same.
            warnings.simplefilter("ignore")
            shape, fortran, dtype = parse(io.BytesIO(head[8:start]))
    except _HEADER_ERRORS as error:
        raise _unlike(file, head[8 + width : start]) from error
    # Of a key that stands twice Python takes the last. Nothing else has a colon, where there are no fields.
    if dtype.names is None and head.count(b":", 8 + width, start) > _EXAMPLE.count(":"):
        raise _unlike(file, head[8 + width : start])
    return shape, fortran, dtype, start


def _unlike(file: InputFile, header: bytes) -> DataError:
    return _malformed(file, f"found {visible(header.decode('latin-1').strip(), 200)}, which is not like {_EXAMPLE}")


def _check_shape(file: InputFile, shape: tuple[int, ...], dtype: np.dtype[Any], start: int) -> None:
    """Refuses a shape that is none, and one whose data are not exactly the rest of the file."""
    # Not shown: an integer of thousands of digits cannot be printed.
    if any(type(size) is not int or not 0 <= size < 2**63 for size in shape):
        raise _malformed(file, "a shape that no array has")
    if not shape:
        raise OtherKind(
            f"{file.name} is a single number (shape ())", "a single number", hint="save an array of one element"
        )
    if len(shape) > 32:
        raise _malformed(file, f"{len(shape)} dimensions; allowed are 32")
    if 0 in shape[1:]:
        raise DataError(f"{file.name} has no values: shape {shape}", hint="was the right array saved?")
    expected = start + math.prod(shape) * dtype.itemsize
    if file.size < expected:
        raise DataError(
            f"{file.name} is truncated: header says {expected} bytes, file has {file.size}", hint="write the file again"
        )
    if file.size > expected:
        raise DataError(
            f"{file.name} is too long: header says {expected} bytes, file has {file.size}",
            hint="it may be several files joined, or cut from a larger one: write it again",
        )


def _malformed(file: InputFile, found: str) -> DataError:
    return DataError(f"{file.name} has a malformed NPY header: {found}", hint="write the file again with np.save")
