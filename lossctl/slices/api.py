"""Slices and worst rows of the Python API: columns of files by name, or arrays in step with the rows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from lossctl.errors import DataError, UsageError, visible
from lossctl.input_parts import selections_of_keys
from lossctl.inputs import InputFiles
from lossctl.slices.inputs import NumberedReader, slice_parts
from lossctl.slices.levels import Bins, Levels, encoder_of
from lossctl.slices.slicing import Slicing, parse_columns
from lossctl.sources import Reader, memory_reader, open_reader
from lossctl.sources.base import SLICE_ROLE, Array
from lossctl.worst import WorstWatch, check_count

if TYPE_CHECKING:
    from lossctl.evaluation import Evaluation

__all__ = ["Beside", "By"]

By: TypeAlias = str | Sequence[str] | Mapping[str, Any]
"""Columns as `--by` has them, or arrays under what `--by` would say of them."""


@dataclass(frozen=True)
class Beside:
    """What is asked beside the losses."""

    slicing: Slicing
    encoders: Mapping[str, Levels | Bins]
    arrays: Mapping[str, Any]
    top: int | None

    @classmethod
    def of(cls, by: By | None, cross: bool, min_slice: int, top: int | None) -> Beside:
        """Raises UsageError for what means nothing."""
        texts = [by] if isinstance(by, str) else list(by or ()) if isinstance(by, Sequence | Mapping | None) else [by]
        if not all(isinstance(text, str) for text in texts):
            raise UsageError(f"by is not names of columns: found {visible(repr(by))}", hint="such as by='country'")
        columns = parse_columns(texts)
        names = (column.name for column in columns)
        given = dict(zip(names, by.values(), strict=True)) if isinstance(by, Mapping) else {}
        slicing = Slicing.of(columns, cross, min_slice)
        encoders = {column.name: encoder_of(column) for column in columns}
        return cls(slicing, encoders, given, None if top is None else check_count(top))

    def with_readers(
        self, readers: Sequence[Reader], predictions: object, targets: object, on: Sequence[str]
    ) -> list[Reader]:
        """The readers of the data, and those of what is beside it."""
        found = list(readers)
        if self.top is not None:
            found[0] = NumberedReader(found[0])
        if self.arrays:
            if on:
                raise UsageError("by is arrays, which have no key for on=", hint="name columns of the files")
            codes = {f"{SLICE_ROLE}{name}": self._codes(name, array) for name, array in self.arrays.items()}
            found.append(memory_reader(codes))
        elif self.encoders:
            found += self._of_files(predictions, targets, on)
        return found

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
        return self.encoders[name].encode(array, lambda row: f"by '{visible(name)}', row {row}")

    def _of_files(self, predictions: object, targets: object, on: Sequence[str]) -> list[Reader]:
        paths = [os.fspath(each) if isinstance(each, str | os.PathLike) else None for each in (predictions, targets)]
        first = next((path for path in paths if path is not None), None)
        if first is None:
            raise UsageError("by names columns, and predictions and targets are arrays", hint="by={'country': array}")
        second = paths[1] if paths[0] is not None else None
        files = InputFiles(str(first), None if second is None else str(second), on=tuple(on), by=self.encoders)
        keys = selections_of_keys(tuple(on))
        return [open_reader(part.place.path, {part.role: part.selection, **keys}) for part in slice_parts(files)]

    def prepare(self, evaluation: Evaluation) -> None:
        """Tells an evaluation, before it runs."""
        if self.slicing.columns:
            from lossctl.slices.streaming import SliceWatch

            SliceWatch(evaluation, self.slicing, self.encoders)
        if self.top is not None:
            WorstWatch(evaluation, self.top, None)
