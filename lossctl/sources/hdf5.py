"""HDF5: datasets by name, read a slice at a time with h5py (the extra `hdf5`)."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import h5py
import numpy as np

from lossctl.errors import DataError, LossctlError, visible
from lossctl.sources.arrays import array_place, check_dtype, deliver, dtype_name, names_or_numbers, pieces, rechunk
from lossctl.sources.base import Array, ArrayInfo, OtherKind, Reader, Selection
from lossctl.sources.containers import MEANINGS, check_no_marks, marks_of_gaps, open_container
from lossctl.sources.hdf5_chunks import check_chunks
from lossctl.sources.hdf5_heaps import check_heaps
from lossctl.sources.input_file import InputFile, SeekableInput, changed, check_machine
from lossctl.sources.text import delivered_text, text_array

_MOST_CHUNK_BYTES = 1 << 30
_MAGIC = b"\x89HDF\r\n\x1a\n"


def open_hdf5(file: InputFile, roles: dict[str, Selection]) -> Reader:
    """A reader of datasets of an HDF5 file; those of groups by their path, "group/name"."""
    with hdf5_faults(file.name):
        datasets = _Datasets(file, roles)
    return open_container(file.name, datasets, roles)


def hdf5_contents(file: InputFile) -> list[str]:
    """The paths of the datasets."""
    with hdf5_faults(file.name):
        return list(_Datasets(file).names())


def _check_single(file: InputFile) -> None:
    """Raises DataError where another HDF5 file follows the first, which is all that the library reads.

    A superblock says where its file ends: versions 0 and 1 in the third of the addresses from byte 24, or 28, on;
    versions 2 and 3 from byte 12 on.
    """
    head = file.read_at(0, 64).ljust(64, b"\0")
    start = {0: 24, 1: 28, 2: 12, 3: 12}.get(head[8])
    size = head[9 if head[8] >= 2 else 13]
    if start is None or not head.startswith(_MAGIC):
        return
    end = int.from_bytes(head[start + 2 * size : start + 3 * size], "little")
    if end and file.read_at(end, len(_MAGIC)) == _MAGIC:
        raise DataError(
            f"{file.name} is several HDF5 files joined: the first ends at byte {end} of {file.size}",
            hint="name them all, or write the data as one file",
        )


class _Datasets:
    def __init__(self, file: InputFile, roles: dict[str, Selection] | None = None) -> None:
        self._file = file
        self._wanted = {name for selection in (roles or {}).values() for name in selection.columns or ()}
        _check_single(file)
        # The library follows the name of a copy to the file that has none.
        try:
            self._hdf5 = h5py.File(SeekableInput(file) if file.is_copy else file.path, "r", locking=False)
        except FileNotFoundError:  # that it is opened by its name once more is ours
            raise changed(file.name) from None
        if not file.is_copy:
            file.check_opened(os.fstat(self._hdf5.id.get_vfd_handle()))
        self._places: dict[str, bytes] = {}
        self._links: dict[str, str] = {}
        found: list[tuple[bytes, int]] = []
        # What is raised while the library visits is lost, or ends the process.
        self._hdf5.id.links.visit(lambda place, link: found.append((place, link.type)), info=True)
        for place, kind in found:
            self._add(place, kind)

    def _add(self, place: bytes, kind: int) -> None:
        """No link is followed: nobody has named another file, and what a name stands for can be named itself."""
        if kind in (h5py.h5l.TYPE_SOFT, h5py.h5l.TYPE_EXTERNAL):
            link = self._hdf5.get(place, getlink=True)
            file = f" of {visible(link.filename)}" if isinstance(link, h5py.ExternalLink) else ""
            self._links[_text(place)] = f"'{visible(link.path)}'{file}"
        elif h5py.h5o.get_info(self._hdf5.id, place).type == h5py.h5o.TYPE_DATASET:
            self._places[_text(place)] = place

    def names(self) -> Sequence[str]:
        """Raises DataError where a link is asked for, or there is nothing else."""
        for name, to in self._links.items():
            if name in self._wanted or not self._places:
                raise DataError(
                    f"{self._file.name}: '{visible(name)}' is a link to {to}, which is not followed",
                    hint="name the array that it leads to, or copy that into the file",
                )
        return list(self._places)

    def reader(self, role: str, name: str, selection: Selection) -> Reader:
        with hdf5_faults(f"{self._file.name}, dataset '{visible(name)}'"):
            return _DatasetReader(self._file, self._hdf5[self._places[name]], role, name, selection)

    def close(self) -> None:
        with suppress(OSError, RuntimeError):  # as where a file is closed: what was wanted of it has been read
            self._hdf5.close()
        self._file.close()


def _text(place: bytes) -> str:
    """A name as it is shown."""
    return place.decode(errors="backslashreplace")


class _DatasetReader(Reader):
    def __init__(self, file: InputFile, dataset: Any, role: str, name: str, selection: Selection) -> None:
        self._file, self._dataset, self._role = file, dataset, role
        self._label = f"{file.name}, dataset '{visible(name)}'"
        selection = names_or_numbers(selection, dataset.dtype, dataset.shape or ())
        self._text = selection if selection.is_text else None
        self._is_string = h5py.check_string_dtype(dataset.dtype) is not None
        self._check(dataset)
        # Of a chunk that is not packed, the library reads a part as well.
        self._packed_rows = dataset.chunks[0] if dataset.id.get_create_plist().get_nfilters() else None
        dtype = dtype_name(dataset.dtype) if self._text is None else delivered_text(self._text, dataset.dtype)
        self.arrays = {role: ArrayInfo(file.path, "hdf5", (name,), dataset.shape, dtype)}

    def _check(self, dataset: Any) -> None:
        if self._text is None and self._is_string:
            raise OtherKind(
                f"{self._label} holds text; allowed are bool, integers and floats",
                "text",
                hint="save numbers, or name the classes of targets with --classes, in the order of their indices",
            )
        if not self._is_string:
            check_dtype(dataset.dtype, self._label, self._text)
        if dataset.shape is None:
            raise DataError(f"{self._label} has no values, and no shape", hint="was the right array saved?")
        if not dataset.shape:
            raise OtherKind(
                f"{self._label} is a single number (shape ())", "a single number", hint="save an array of one element"
            )
        if 0 in dataset.shape[1:]:
            raise DataError(f"{self._label} has no values: shape {dataset.shape}", hint="was the right array saved?")
        if dataset.is_virtual or dataset.external:
            raise DataError(f"{self._label} keeps its values in other files", hint="copy them into one file")
        if dataset.dtype.hasobject:
            check_heaps(self._file)
        self._marks = marks_of_gaps(_meanings(dataset.attrs), self._label)
        self._check_written(dataset)
        chunk = int(np.prod(dataset.chunks or (1,), dtype=np.float64)) * dataset.dtype.itemsize
        if chunk > _MOST_CHUNK_BYTES:
            raise DataError(
                f"{self._label} has chunks of {chunk} bytes; allowed are {_MOST_CHUNK_BYTES}",
                hint="write it again with smaller chunks",
            )

    def _check_written(self, dataset: Any) -> None:
        """The library reads as zeros, or as another filler, what was never written."""
        if dataset.shape[0] and not dataset.id.get_storage_size():
            raise DataError(f"{self._label} was never written: its values are those of no data", hint="write it again")
        if dataset.chunks is None:
            return
        chunks = math.prod(-(-size // step) for size, step in zip(dataset.shape, dataset.chunks, strict=True))
        missing = chunks - dataset.id.get_num_chunks()
        if missing > 0:
            raise DataError(
                f"{self._label}: {missing} of {chunks} chunks were never written",
                hint="write it to its end, or cut it with resize: what is missing would be read as its fill value",
            )
        check_chunks(dataset, self._label)

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        return rechunk(self._parts(rows), rows)

    def _parts(self, rows: int) -> Iterator[dict[str, Array]]:
        source = self._dataset.asstr("utf-8") if self._text is not None and self._is_string else self._dataset
        row_bytes = self._dataset.dtype.itemsize * math.prod(self._dataset.shape[1:])
        for start, stop in pieces(self._dataset.shape[0], self._packed_rows or rows, row_bytes, rows):
            with hdf5_faults(f"{self._label}, from row {start} on,"):
                chunk = source[start:stop]
            if self._text is not None:
                yield {self._role: text_array(chunk, self._text, self._where(start))}
                continue
            check_no_marks(chunk, self._marks, self._where(start))
            yield {self._role: deliver(chunk)}
        self._file.check_unchanged()

    def _where(self, start: int) -> Callable[[int], str]:
        """Where the rows of a chunk stand that begins at row `start`."""
        return lambda row: self.place(self._role, start + row)

    def place(self, role: str, row: int, column: int | None = None) -> str:
        return array_place(self._label, row, column, self._dataset.shape)

    def close(self) -> None:
        """The container closes the file."""


def _meanings(attributes: Any) -> dict[str, Any]:
    """Those that say what values stand for, if they are numbers: a text says nothing, and its heap may be damaged."""
    found = {name: attributes.get_id(name) for name in MEANINGS if name in attributes}
    return {name: attributes[name] if each.dtype.kind in "iuf" else "" for name, each in found.items()}


@contextmanager
def hdf5_faults(name: str) -> Iterator[None]:
    """Turns what the HDF5 library raises for a damaged file into ours, which say that `name` is damaged."""
    try:
        yield
    except LossctlError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        check_machine(error, name)
        raise DataError(
            f"{name} is damaged or uses what is not supported: {visible(error)}", hint="write the file again"
        ) from error
