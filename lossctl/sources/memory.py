"""Arrays that are in memory already, for the Python API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lossctl.errors import DataError
from lossctl.sources.base import Array, ArrayInfo, Reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt


def memory_reader(arrays: Mapping[str, npt.ArrayLike]) -> Reader:
    """A reader of `arrays` by role, all of the same number of rows; chunks are views wherever they can be.

    Raises DataError for an array without an axis of rows or without values, of a dtype that is not numeric, with a
    mask, or of another length than the rest.
    """
    import numpy as np

    from lossctl.sources.arrays import check_dtype

    checked: dict[str, Array] = {}
    for role, given in arrays.items():
        name = f"the {role} array"
        if isinstance(given, np.ma.MaskedArray):
            raise DataError(f"{name} is a masked array", hint="fill or drop its masked elements first")
        try:
            array = np.asarray(given)
        except ValueError as error:
            raise DataError(f"{name} is not an array: its rows differ in length", hint="make it rectangular") from error
        check_dtype(array.dtype, name)
        if array.ndim == 0:
            raise DataError(f"{name} is a single number (shape ())", hint="give an array of one element: [value]")
        if 0 in array.shape[1:]:
            raise DataError(f"{name} has no values: shape {array.shape}")
        checked[role] = array
    shapes = {role: array.shape for role, array in checked.items()}
    if len({shape[0] for shape in shapes.values()}) > 1:
        found = ", ".join(f"{role} {shape}" for role, shape in shapes.items())
        raise DataError(f"the arrays differ in their number of rows: {found}")
    return _MemoryReader(checked)


class _MemoryReader(Reader):
    def __init__(self, arrays: dict[str, Array]) -> None:
        from lossctl.sources.arrays import dtype_name

        self._data = arrays
        self.arrays = {
            role: ArrayInfo(f"{role} array", "memory", (), array.shape, dtype_name(array.dtype))
            for role, array in arrays.items()
        }

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
