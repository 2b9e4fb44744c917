"""Files that hold several arrays by name (NPZ, safetensors, HDF5, Zarr): which array a role takes, all in step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from lossctl.errors import DataError, UsageError, visible
from lossctl.sources.base import Array, Reader, Selection, option
from lossctl.sources.selection import select_columns

_PACKING, _MARKS = ("scale_factor", "add_offset"), ("_FillValue", "missing_value")
MEANINGS = _PACKING + _MARKS
"""Attributes of an array that say what its values stand for: others, or a missing one (netCDF, CF)."""


class Container(Protocol):
    """What `open_container` needs of a file of arrays."""

    def names(self) -> Sequence[str]:
        """The arrays, in the order of the file."""

    def reader(self, role: str, name: str, selection: Selection) -> Reader:
        """A reader of one of them."""

    def close(self) -> None:
        """Closes the file."""


def open_container(file: str, container: Container, roles: dict[str, Selection]) -> Reader:
    """A reader of one array for each role of the file that messages call `file`; it closes the container.

    Raises UsageError for names that do not exist.
    """
    readers: dict[str, Reader] = {}
    try:
        names = list(container.names())
        if not names:
            raise DataError(f"{file} holds no arrays", hint="was anything saved in it?")
        for role, found in select_columns(file, names, roles, kind="array").items():
            if len(found) > 1:
                raise UsageError(
                    f"{option(role, 'col')} selects {len(found)} arrays of {file}: "
                    f"{', '.join(map(visible, found[:5]))}",
                    hint="an array is one role's: name one",
                )
            readers[role] = container.reader(role, found[0], roles[role])
        return _ContainerReader(file, container, readers)
    except BaseException:
        for reader in readers.values():
            reader.close()
        container.close()
        raise


class _ContainerReader(Reader):
    """Readers of one role each, in step."""

    def __init__(self, file: str, container: Container, readers: Mapping[str, Reader]) -> None:
        self._container, self._readers = container, readers
        self.arrays = {role: reader.arrays[role] for role, reader in readers.items()}
        rows = {info.columns[0]: info.shape[0] for info in self.arrays.values()}
        if len(set(rows.values())) > 1:
            found = ", ".join(f"'{name}' has {count}" for name, count in rows.items())
            raise DataError(f"{file}: the numbers of rows differ: {found}", hint="each row needs its own target")

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        for parts in zip(*(reader.chunks(rows) for reader in self._readers.values()), strict=True):
            yield {role: array for part in parts for role, array in part.items()}

    def place(self, role: str, row: int, column: int | None = None) -> str:
        return self._readers[role].place(role, row, column)

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._container.close()


def marks_of_gaps(attributes: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The values that stand for missing ones, by the attributes `MEANINGS` of the array `name`.

    Raises DataError where its attributes say that all its numbers stand for others.
    """
    packing = [each for each in _PACKING if each in attributes]
    if packing:
        raise DataError(
            f"{name} is packed: its values are to be changed by the attribute {' and '.join(packing)}",
            hint="save the values that are meant, as floating-point numbers",
        )
    import numpy as np

    found = {each: np.asarray(attributes[each]) for each in _MARKS if each in attributes}
    return {each: mark for each, mark in found.items() if mark.dtype.kind in "iuf"}


def check_no_marks(chunk: Array, marks: Mapping[str, Any], where: Callable[[int], str]) -> None:
    """Raises DataError where a value of a chunk is one of `marks`; `where(row)` says where a row of it stands."""
    import numpy as np

    for name, mark in marks.items():
        # NaN marks itself: it is told as any other.
        if (rows := np.argwhere(np.isin(chunk, mark))).size:
            raise DataError(
                f"{where(int(rows[0][0]))}: {chunk[tuple(rows[0])]} marks a missing value, says the attribute {name}",
                hint="save NaN in its place, and leave out its row with --nonfinite skip",
            )
