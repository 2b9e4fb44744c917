"""safetensors: a JSON header, held to the format's rules before any of the data are used, and arrays as in memory.

Rules: https://github.com/huggingface/safetensors#format. The reader is our own because the library's NumPy side has no
bfloat16 and reads whole arrays.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lossctl.errors import DataError, visible
from lossctl.sources.arrays import check_dtype, names_or_numbers
from lossctl.sources.base import OtherKind, Reader, Selection
from lossctl.sources.containers import open_container
from lossctl.sources.input_file import FilePart, InputFile
from lossctl.sources.json_records import whole_number
from lossctl.sources.raw_array import RawArrayReader
from lossctl.strict_json import without_repeats

_LENGTH_BYTES = 8
_MOST_HEADER_BYTES = 100_000_000
_MOST_DIMENSIONS = 32

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


def open_safetensors(file: InputFile, roles: dict[str, Selection]) -> Reader:
    """A reader of arrays of a safetensors file, by name."""
    return open_container(file.name, _Tensors(file), roles)


def safetensors_contents(file: InputFile) -> list[str]:
    """The names of the arrays."""
    return list(_Tensors(file).names())


class _Tensors:
    def __init__(self, file: InputFile) -> None:
        self._file = file
        self._start, self._tensors = _read_header(file)

    def names(self) -> Sequence[str]:
        return list(self._tensors)

    def reader(self, role: str, name: str, selection: Selection) -> Reader:
        tensor = self._tensors[name]
        label = f"{self._file.name}, array '{visible(name)}'"
        shape, kind = tuple(tensor["shape"]), tensor["dtype"]
        if not shape:
            raise OtherKind(
                f"{label} is a single number (shape ())", "a single number", hint="save an array of one element"
            )
        if 0 in shape[1:]:
            raise DataError(f"{label} has no values: shape {shape}", hint="was the right array saved?")
        if kind not in _DTYPES:
            raise OtherKind(
                f"{label} holds {visible(kind)}; allowed are {', '.join(_DTYPES)}",
                visible(kind),
                hint="convert it with .float()" if kind.startswith("F") else "save it as one of these",
            )
        first, last = tensor["data_offsets"]
        part = FilePart(self._file, self._start + first, last - first, label)
        dtype, bfloat16 = np.dtype(_DTYPES[kind]), kind == "BF16"
        text = names_or_numbers(selection, dtype, shape)
        if bfloat16 and text.is_text:
            raise DataError(
                f"{label} holds BF16, which is no key, no name of a class and no value of a slice",
                hint="name another array",
            )
        check_dtype(dtype, label, text)
        return RawArrayReader(part, role, "safetensors", shape, dtype, 0, array=name, bfloat16=bfloat16, text=text)

    def close(self) -> None:
        self._file.close()


def _read_header(file: InputFile) -> tuple[int, dict[str, dict[str, Any]]]:
    """Where the data begin, and the tensors by name in the order of their data."""
    length = int.from_bytes(file.read_at(0, _LENGTH_BYTES), "little")
    start = _LENGTH_BYTES + length
    if file.size < _LENGTH_BYTES or start > file.size:
        raise DataError(
            f"{file.name} is truncated or no safetensors file: its header ends at byte {start}, the file has "
            f"{file.size}",
            hint="write the file again",
        )
    if length > _MOST_HEADER_BYTES:
        raise _malformed(file, f"{length} bytes long; allowed are {_MOST_HEADER_BYTES}")
    try:
        text = file.read_at(_LENGTH_BYTES, length).decode()
        header = json.loads(text, object_pairs_hook=without_repeats, parse_int=whole_number)
    except ValueError as error:
        raise _malformed(file, visible(error)) from error
    except RecursionError:
        raise _malformed(file, "it is nested too deeply") from None
    if not isinstance(header, dict):
        raise _malformed(file, "no JSON object")
    # JSON would allow white space before it.
    if not text.startswith("{"):
        raise _malformed(file, "it does not begin with '{'")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(each, str) for each in metadata.values()):
        raise _malformed(file, "__metadata__ is no table of texts")
    for name, tensor in header.items():
        if fault := _fault_of(tensor, file.size - start):
            raise _malformed(file, f"array '{visible(name)}': {fault}")
    tensors = dict(sorted(header.items(), key=lambda item: tuple(item[1]["data_offsets"])))
    _check_cover(file, tensors, file.size - start)
    return start, tensors


def _fault_of(tensor: Any, size: int) -> str | None:
    """Why an entry of the header is none, of a file with `size` bytes of data."""
    if not isinstance(tensor, dict) or not {"dtype", "shape", "data_offsets"} <= set(tensor):
        return "it lacks dtype, shape or data_offsets"
    shape, offsets, kind = tensor["shape"], tensor["data_offsets"], tensor["dtype"]
    if not isinstance(kind, str):
        return "its dtype is no text"
    if not _are_sizes(shape) or len(shape) > _MOST_DIMENSIONS:
        return f"its shape is {visible(shape)}; allowed are up to {_MOST_DIMENSIONS} whole numbers from 0 up"
    if not _are_sizes(offsets) or len(offsets) != 2:
        return f"its data_offsets are {visible(offsets)}; allowed are two whole numbers from 0 up"
    return _fault_of_size(shape, kind, offsets, size)


def _fault_of_size(shape: list[int], kind: str, offsets: list[int], size: int) -> str | None:
    first, last = offsets
    if last > size:
        return f"its data end at byte {last} of {size}: the file is truncated"
    if last < first:
        return "its data end before they begin"
    if kind in _DTYPES and math.prod(shape) * np.dtype(_DTYPES[kind]).itemsize != last - first:
        return f"shape {tuple(shape)} of {kind} does not take {last - first} bytes"
    return None


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(each) is int and 0 <= each < 2**63 for each in values)


def _check_cover(file: InputFile, tensors: dict[str, dict[str, Any]], size: int) -> None:
    """The format allows no holes and no overlaps."""
    end = 0
    for name, tensor in tensors.items():
        first, last = tensor["data_offsets"]
        if first != end:
            raise _malformed(file, f"array '{visible(name)}' begins at byte {first} of the data, not {end}")
        end = last
    if end != size:
        raise _malformed(file, f"the arrays end at byte {end} of the data, the file at {size}")


def _malformed(file: InputFile, found: str) -> DataError:
    return DataError(f"{file.name} has a malformed safetensors header: {found}", hint="write the file again")
