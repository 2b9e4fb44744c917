"""Arrays that are in memory already, for the Python API."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from lossctl.errors import DataError, visible
from lossctl.sources.base import Array, ArrayInfo, Reader, Selection

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

_LOOKED_AT = 10_000
"""Values, for a remedy."""


def memory_reader(arrays: Mapping[str, npt.ArrayLike], selections: Mapping[str, Selection] | None = None) -> Reader:
    """A reader of `arrays` by role, all of the same number of rows; chunks are views wherever they can be.

    `selections` may say that an array holds names of classes, or that masked elements are NaN.

    Raises DataError for what NumPy makes no array of, and for an array without an axis of rows or without values, of a
    dtype that is not numeric, with a mask, or of another length than the rest.
    """
    import numpy as np

    from lossctl.sources.arrays import check_dtype

    checked: dict[str, Array] = {}
    for role, given in arrays.items():
        name = f"the {role} array"
        selection = (selections or {}).get(role, Selection())
        if isinstance(given, np.ma.MaskedArray) and selection.gaps and given.dtype.kind in "biuf":
            exact = np.float32 if given.dtype == np.float32 else np.float64
            given = np.ma.filled(given.astype(exact), np.nan)  # noqa: PLW2901
        if np.ma.is_masked(given):
            raise DataError(
                f"{name} is a masked array",
                hint="fill or drop its masked elements first, or leave out their rows with --nonfinite skip",
            )
        array = _as_array(given, name)
        if selection.classes is not None and (array.ndim == 1 or array.dtype.kind in "UO"):
            array = _indices(array, selection, name)
        check_dtype(array.dtype, name, remedy=partial(_remedy, array))
        if array.ndim == 0:
            one = "an array of one element: [value]" if role in ("prediction", "target") else "a number for each row"
            raise DataError(f"{name} is a single number (shape ())", hint=f"give {one}")
        if 0 in array.shape[1:]:
            raise DataError(f"{name} has no values: shape {array.shape}")
        checked[role] = array
    shapes = {role: array.shape for role, array in checked.items()}
    if len({shape[0] for shape in shapes.values()}) > 1:
        found = ", ".join(f"{role} {shape}" for role, shape in shapes.items())
        raise DataError(f"the arrays differ in their number of rows: {found}")
    return _MemoryReader(checked)


def _as_array(given: npt.ArrayLike, name: str) -> Array:
    """What NumPy makes of it. Raises DataError where that is no array."""
    import numpy as np

    try:
        return np.asarray(given)
    except ValueError as error:
        raise DataError(f"{name} is not an array: its rows differ in length", hint="make it rectangular") from error
    except (RuntimeError, TypeError) as error:
        # A tensor that requires a gradient, on a device, sparse, or of a dtype unknown to NumPy: its library tells.
        reason = visible(str(error).rstrip("."), 300)
        raise DataError(
            f"{name} cannot be converted to a NumPy array: {reason}",
            hint="for a PyTorch tensor give tensor.detach().cpu(), and .float() for bfloat16",
        ) from error


def _remedy(array: Array) -> str:  # noqa: PLR0911 - one return for each remedy
    """What to do about an array that does not hold numbers that are used."""
    from numbers import Number

    from lossctl.sources.arrays import is_foreign

    values = array.reshape(-1)[:_LOOKED_AT].tolist() if array.dtype.kind in "OUT" else []
    kinds = {type(value).__name__ for value in values}
    if array.dtype.kind == "O" and array.ndim == 0:  # NumPy has looked for no values in it
        return f"give an array or a list, not a {visible(next(iter(kinds)))}"
    if "NoneType" in kinds:
        return "give NaN in place of None, and leave out its row with --nonfinite skip"
    if "NAType" in kinds:
        return "convert it with astype('Float64'), and leave out rows without a value with --nonfinite skip"
    if kinds & {"list", "ndarray"}:
        return "make one array of its rows, all of one length, with numpy.stack"
    if array.dtype.kind == "f" or is_foreign(array.dtype) or (values and all(isinstance(v, Number) for v in values)):
        return "convert it with array.astype(numpy.float64)"
    if any(isinstance(value, str) for value in values):
        return "give numbers, or name the classes of targets with --classes, in the order of their indices"
    if array.dtype.kind == "c":
        return "give its real part, its imaginary part or its absolute value"
    return "give an array of numbers"


def _indices(names: Array, selection: Selection, label: str) -> Array:
    """The indices of classes; None is NaN where the selection has gaps."""
    import pyarrow as pa

    from lossctl.sources.arrays import array_place
    from lossctl.sources.text import is_textual, key_or_classes

    values = names.reshape(-1).tolist()
    try:
        array = pa.array(values)
    except (pa.ArrowException, ValueError, TypeError):
        array = pa.nulls(1)
    if not is_textual(array.type) or (array.null_count and not selection.gaps):
        kind = type(values[0]) if isinstance(values[0], str | int) else None
        row = next((row for row, each in enumerate(values) if type(each) is not kind), 0)
        place, found = array_place(label, row, None, names.shape), visible(repr(values[row]), 40)
        to = "int" if names.dtype.kind == "f" else "str"
        raise DataError(
            f"{place}: {found} is not the name of a class",
            hint=f"each is a text, or each is a whole number: array.astype({to})",
        )
    return key_or_classes(array, selection, lambda row: array_place(label, row, None, names.shape)).reshape(names.shape)


class _MemoryReader(Reader):
    def __init__(self, arrays: dict[str, Array]) -> None:
        from lossctl.sources.arrays import dtype_name

        self._data = arrays
        self.arrays = {
            role: ArrayInfo(f"{role} array", "memory", (), array.shape, dtype_name(array.dtype))
            for role, array in arrays.items()
        }

    def merged(self, axes: int) -> Reader | None:
        if not all(array.flags.c_contiguous for array in self._data.values()):
            return None
        return _MemoryReader({role: array.reshape(-1, *array.shape[axes:]) for role, array in self._data.items()})

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        from lossctl.sources.arrays import deliver

        for start in range(0, len(next(iter(self._data.values()))), rows):
            yield {role: deliver(array[start : start + rows]) for role, array in self._data.items()}

    def place(self, role: str, row: int, column: int | None = None) -> str:
        from lossctl.sources.arrays import array_place

        info = self.arrays[role]
        return array_place(info.path, row, column, info.shape)

    def close(self) -> None:
        """Nothing is open."""
