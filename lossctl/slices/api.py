"""Slices and worst rows of the Python API: columns of files by name, or arrays in step with the rows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from lossctl.errors import DataError, UsageError, visible
from lossctl.rows.input_parts import Part
from lossctl.rows.inputs import InputFiles
from lossctl.slices.inputs import slice_parts
from lossctl.slices.plan import SlicePlan
from lossctl.slices.slicing import Slicing, parse_columns
from lossctl.sources import Selection
from lossctl.sources.base import SLICE_ROLE, Array
from lossctl_kernels.records import Record

By: TypeAlias = str | Sequence[str] | Mapping[str, Any]
"""Columns as `--by` has them, or arrays under what `--by` would say of them."""


class SliceRequest(Record):
    """The slices and the worst rows that a call asks for; `arrays` are those of slices, by the names of the columns."""

    plan: SlicePlan
    arrays: Mapping[str, Any]

    @classmethod
    def of(cls, by: By | None, cross: bool, min_slice: int, top: int | None) -> SliceRequest:
        """Raises UsageError for what means nothing."""
        texts = [by] if isinstance(by, str) else list(by or ()) if isinstance(by, Sequence | Mapping | None) else [by]
        if not all(isinstance(text, str) for text in texts):
            raise UsageError(f"by is not names of columns: found {visible(repr(by))}", hint="such as by='country'")
        columns = parse_columns(texts)
        names = (column.name for column in columns)
        given = dict(zip(names, by.values(), strict=True)) if isinstance(by, Mapping) else {}
        return cls(SlicePlan.of(Slicing.of(columns, cross, min_slice), top), given)

    def parts(self, predictions: object, targets: object, on: tuple[str, ...]) -> list[Part]:
        """What the slices are read from, of these arrays or files. Raises UsageError and DataError."""
        if not self.arrays:
            return self._of_files(predictions, targets, on) if self.plan.encoders else []
        if on:
            raise UsageError("by is arrays, which have no key for on=", hint="name columns of the files")
        return [
            Part(f"{SLICE_ROLE}{name}", "", None, Selection(), self._codes(name, array))
            for name, array in self.arrays.items()
        ]

    def _codes(self, name: str, values: Any) -> Array:
        """The codes of an array of any kind. Raises DataError."""
        import numpy as np
        import pyarrow as pa

        if isinstance(values, np.ndarray) and not values.dtype.isnative:
            values = values.astype(values.dtype.newbyteorder("="))
        try:
            array = pa.array([values] if isinstance(values, str) else values, from_pandas=True)
        except (pa.ArrowException, ValueError, TypeError) as error:
            raise DataError(f"the array of by '{visible(name)}' is no column of values: {visible(error)}") from None
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        if pa.types.is_nested(array.type):
            raise DataError(f"the array of by '{visible(name)}' has more than one value a row", hint="it is (rows,)")
        return self.plan.encoders[name].encode(array, lambda row: f"by '{visible(name)}', row {row}")

    def _of_files(self, predictions: object, targets: object, on: tuple[str, ...]) -> list[Part]:
        paths = [os.fspath(each) if isinstance(each, str | os.PathLike) else None for each in (predictions, targets)]
        first = next((path for path in paths if path is not None), None)
        if first is None:
            raise UsageError("by names columns, and predictions and targets are arrays", hint="by={'country': array}")
        second = paths[1] if paths[0] is not None else None
        return slice_parts(
            InputFiles(str(first), None if second is None else str(second), on=on, by=self.plan.encoders)
        )
