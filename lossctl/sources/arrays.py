"""Which arrays are accepted, how they are delivered, and how parts of any length become chunks of one length."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from lossctl.errors import visible
from lossctl.sources.base import Array, NoText, OtherKind, Selection
from lossctl_kernels.records import replace

_HELD_BYTES = 64 << 20
"""Of a chunk that is unpacked whole, at most."""

_REMEDIES = {
    "O": "object arrays and pickles are never loaded: save a numeric array with np.save",
    "f": "convert it with array.astype(np.float64)",
    "c": "save its real part, its imaginary part or its absolute value",
    "U": "save numbers, or name the classes of targets with --classes, in the order of their indices",
    "V": "save one numeric array a file, or a table as Parquet",
}
_ELSE = "save a numeric array with np.save"
_NO_NUMBERS = "NumPy has no numbers of this type (bfloat16?): save it with array.astype(np.float32)"


def check_dtype(
    dtype: np.dtype[Any],
    name: str,
    selection: Selection | None = None,
    remedy: Callable[[], str] | None = None,
) -> None:
    """Raises DataError, naming the array `name`, unless `dtype` is bool, an integer or a float of at most 64 bits.

    Where a key or names of classes are selected, it is text, bool or an integer. `remedy` says what to do about another
    one; None is for an array that was saved.
    """
    if selection is not None and selection.is_text:
        if dtype.kind not in ("Ubiuf" if selection.encoder is not None else "Ubiu"):
            raise NoText(
                f"{name} holds {visible(dtype)}; a key or the name of a class is text or a whole number",
                hint="convert it with array.astype(str)" if dtype.kind in "SO" else "name another array",
            )
        return
    if dtype.kind not in "biuf" or dtype.itemsize > 8 or dtype.subdtype is not None:
        raise OtherKind(
            f"{name} holds {visible(dtype)}; allowed are bool, integers, float16, float32 and float64",
            visible(dtype),
            hint=remedy() if remedy else _NO_NUMBERS if is_foreign(dtype) else _REMEDIES.get(dtype.kind, _ELSE),
        )


def names_or_numbers(selection: Selection, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Selection:
    """`selection` without the names of classes where an array holds a number for each class, and no names."""
    several = dtype.kind in "biuf" and math.prod(shape[1:]) > 1
    return replace(selection, classes=None) if several and selection.classes is not None else selection


def is_foreign(dtype: np.dtype[Any]) -> bool:
    """Whether NumPy itself knows no more of a number than its bytes, as of bfloat16."""
    return dtype.kind == "V" and dtype.fields is None and dtype.subdtype is None


def delivered_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What an array of `dtype` is delivered as: native byte order, and float16, exactly, as float32."""
    return np.dtype(np.float32) if dtype.kind == "f" and dtype.itemsize == 2 else dtype.newbyteorder("=")


def deliver(array: Array) -> Array:
    """`array` in the dtype, order and alignment of delivery; itself where it has them."""
    return np.require(array, delivered_dtype(array.dtype), ["C", "A"])


def dtype_name(dtype: np.dtype[Any]) -> str:
    """ "float32", and ">f4" in the byte order that is not this machine's."""
    return dtype.name if dtype.isnative else dtype.str


def stack_columns(columns: list[Array], dtype: np.dtype[Any]) -> Array:
    """One column (N,) as itself, several as (N, M), in `dtype`."""
    if len(columns) == 1:
        return np.ascontiguousarray(columns[0], dtype=dtype)
    stacked = np.empty((len(columns[0]), len(columns)), dtype)
    for position, column in enumerate(columns):
        stacked[:, position] = column
    return stacked


def rechunk(parts: Iterable[dict[str, Array]], rows: int) -> Iterator[dict[str, Array]]:
    """The rows of `parts` in chunks of exactly `rows` rows but for the last; views where a chunk lies in one part."""
    held: list[dict[str, Array]] = []
    held_rows = 0
    for part in parts:
        size = len(next(iter(part.values())))
        start = 0
        while held_rows + size - start >= rows:
            end = start + rows - held_rows
            held.append(_rows_of(part, start, end))
            yield _joined(held)
            held, held_rows, start = [], 0, end
        if start < size:
            held.append(_rows_of(part, start, size))
            held_rows += size - start
    if held:
        yield _joined(held)


def pieces(rows: int, stored: int, row_bytes: int, wanted: int) -> Iterator[tuple[int, int]]:
    """From where to where to read an array that is stored in chunks of `stored` rows, for parts of about `wanted` rows.

    Each chunk is read, and unpacked, once where it can be held; of a larger one as much as can be, and of it alone: the
    library would unpack the next beside it.
    """
    step = stored * max(1, wanted // stored)
    if stored * row_bytes > _HELD_BYTES:
        step = min(stored, max(wanted, _HELD_BYTES // row_bytes))
    block = max(step, stored)
    for first in range(0, rows, block):
        end = min(first + block, rows)
        for start in range(first, end, step):
            yield start, min(start + step, end)


def _rows_of(part: dict[str, Array], start: int, end: int) -> dict[str, Array]:
    return {role: array[start:end] for role, array in part.items()}


def _joined(parts: list[dict[str, Array]]) -> dict[str, Array]:
    if len(parts) == 1:
        return parts[0]
    return {role: np.concatenate([part[role] for part in parts]) for role in parts[0]}


def array_place(name: str, row: int, column: int | None, shape: tuple[int | None, ...]) -> str:
    """Where a value of an array stands: "preds.npy, row 11, column 3"; `column` counts over the flattened rest."""
    place = f"{name}, row {row}"
    if column is None or len(shape) < 2:
        return place
    if len(shape) == 2:
        return f"{place}, column {column}"
    rest = np.unravel_index(column, [size or 1 for size in shape[1:]])
    return f"{place}, index ({', '.join(str(each) for each in (row, *rest))})"
