"""Columns of an Arrow table as arrays: what Parquet, Arrow IPC and JSON Lines have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pyarrow as pa

from lossctl.errors import DataError, LossctlError, UsageError, visible
from lossctl.sources.arrays import deliver, stack_columns
from lossctl.sources.arrow import from_arrow, machine_fault
from lossctl.sources.arrow_decimals import BeyondInt64, as_numbers, is_whole, number_type
from lossctl.sources.base import Array, ArrayInfo, KeyEncoder, OtherKind, Selection, option
from lossctl.sources.input_file import InputFile
from lossctl.sources.selection import check_names, select_columns, text_columns
from lossctl.sources.text import check_textual, is_textual, key_or_classes, text_dtype
from lossctl_kernels.conversions import LARGEST_EXACT
from lossctl_kernels.records import replace

FIRST_ROWS = 1024
"""Looked at for a list that is not missing, which tells how long all are, and for how long texts are."""


class Column(NamedTuple):
    """A column of numbers: the dtype of the file, and how many a row where it holds lists, else 0."""

    dtype: np.dtype[Any]
    width: int


class ArrowTable:
    """The columns that roles take of a table: a column of numbers (N,), several (N, M), or one of lists (N, M).

    `first_of` gives a batch with the first rows of a column, or None of a table without rows: it tells how long the
    lists of no fixed size are. `where` says where a row stands: "table.parquet, row 3". `constants` are columns that
    have one value in all of the file.
    """

    def __init__(
        self,
        file: InputFile,
        format: str,
        schema: pa.Schema,
        roles: dict[str, Selection],
        first_of: Callable[[str], pa.RecordBatch | None],
        where: Callable[[int], str] | None = None,
        constants: Mapping[str, Any] | None = None,
    ) -> None:
        self.file, self.format, self._schema, self._first_of = file, format, schema, first_of
        self._where = where or (lambda row: f"{file.name}, row {row}")
        self._constants = {name: np.array(value) for name, value in (constants or {}).items()}
        with arrow_faults(file):  # a name that is not UTF-8
            names = [*schema.names, *self._constants]
        if repeated := next((name for name in self._constants if name in schema.names), None):
            raise DataError(
                f"{file.name}: '{visible(repeated)}' is a column, and a key of the folders",
                hint="leave one out, or name the files by a glob, such as 'data/*/*.parquet', for the columns alone",
            )
        check_names(file.name, names)
        self.selected = select_columns(file.name, names, roles)
        texts = text_columns(file.name, roles, self.selected)
        # A list of numbers has one for each class, and no names.
        lists = {name for name, selection in texts.items() if selection.classes is not None and self._is_list(name)}
        self._texts = {name: selection for name, selection in texts.items() if name not in lists}
        self._with_gaps = {name for role, columns in self.selected.items() if roles[role].gaps for name in columns}
        # Every name once, in the order of the file.
        wanted = {name for columns in self.selected.values() for name in columns}
        self.columns = {name: self._inspect(name) for name in names if name in wanted}

    def _is_list(self, name: str) -> bool:
        return name not in self._constants and hasattr(self._schema.field(name).type, "value_field")

    @property
    def row_values(self) -> int:
        return sum(column.width or 1 for column in self.columns.values())

    @property
    def texts(self) -> list[str]:
        """The columns that are read and may hold values of any length."""
        return [name for name in self.stored if name in self._texts]

    def only(self, roles: Collection[str], encoders: Mapping[str, KeyEncoder]) -> ArrowTable:
        """The same table, of which only these roles are taken: see `Reader.only`."""
        part = copy(self)
        part.selected = {role: columns for role, columns in self.selected.items() if role in roles}
        wanted = {name for columns in part.selected.values() for name in columns}
        part.columns = {name: column for name, column in self.columns.items() if name in wanted}
        for role, encoder in encoders.items():
            (name,) = self.selected[role]
            part._texts = {**part._texts, name: replace(part._texts[name], encoder=encoder)}
            part.columns[name] = Column(np.dtype(encoder.dtype), encoder.width)
        return part

    def describe(self, rows: int | None) -> dict[str, ArrayInfo]:
        """What each role will deliver."""
        return {role: self._describe(role, rows) for role in self.selected}

    def arrays(self, batch: pa.RecordBatch, start: int) -> dict[str, Array]:
        """What each role takes of a batch, whose first row is row `start` of the table."""
        values = {name: self._values(name, batch, start) for name in self.columns}
        return {role: self._assemble(values, columns) for role, columns in self.selected.items()}

    @property
    def stored(self) -> list[str]:
        """The columns that are read."""
        return [name for name in self.columns if name not in self._constants]

    def place(self, role: str, row: int, column: int | None) -> str:
        """Where a value stands: "table.parquet, row 3, column 'p'"."""
        columns, where = self.selected[role], self._where(row)
        if len(columns) == 1:
            place = f"{where}, column '{visible(columns[0])}'"
            return place if column is None or not self.columns[columns[0]].width else f"{place}, element {column}"
        return where if column is None else f"{where}, column '{visible(columns[column])}'"

    def _assemble(self, values: dict[str, Array], columns: tuple[str, ...]) -> Array:
        dtypes = [values[name].dtype for name in columns]
        return stack_columns([values[name] for name in columns], np.result_type(*dtypes))

    def _inspect(self, name: str) -> Column:
        """The numbers of a column, by its type and, for lists of no fixed size, by its first row."""
        if name in self._texts:
            return self._inspect_text(name)
        if name in self._constants:
            if self._constants[name].dtype.kind != "i":
                raise DataError(
                    f"{self.file.name}: the folders' key '{visible(name)}' is text", hint="name a column of numbers"
                )
            return Column(self._constants[name].dtype, 0)
        kind = self._schema.field(name).type
        if pa.types.is_null(kind) and (name in self._with_gaps or self._is_empty(name)):
            return Column(np.dtype(np.float64), 0)
        element, width = kind, 0
        if pa.types.is_fixed_size_list(kind):
            element, width = kind.value_type, kind.list_size
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            element = kind.value_type
            first = self._first_of(name)
            # A table without rows has lists of no length: what a row holds does not matter then.
            width = 1 if first is None else self._length_of(name, first.column(name))
        number = number_type(element)
        if number is None:
            raise OtherKind(
                f"{self.file.name}, column '{visible(name)}' holds {visible(kind)}; allowed are bool, integers and "
                "floats",
                visible(kind),
                hint=_remedy(kind),
            )
        if width == 0 and element != kind:
            raise DataError(f"{self.file.name}, column '{visible(name)}' holds empty lists", hint="was it filled?")
        dtype = np.dtype(number.to_pandas_dtype())
        return Column(np.dtype(np.float64) if name in self._with_gaps and dtype.kind != "f" else dtype, width)

    def _inspect_text(self, name: str) -> Column:
        if name in self._constants:
            constant = pa.array([self._constants[name].item()])
            return Column(np.dtype(text_dtype(self._texts[name], constant.type)), 0)
        kind = self._schema.field(name).type
        if self._are_integers(name, kind):
            kind = pa.int64()
        if not (pa.types.is_null(kind) and self._is_empty(name)):
            check_textual(kind, self._texts[name], f"{self.file.name}, column '{visible(name)}'")
        return Column(np.dtype(text_dtype(self._texts[name], kind)), 0)

    def _are_integers(self, name: str, kind: Any) -> bool:
        """Whether keys or the names of classes are decimals, which stand for whole numbers."""
        return is_whole(kind) and self._texts[name].encoder is None

    def _is_empty(self, name: str) -> bool:
        """Whether there are no rows: then a column may be of nulls, whatever it is in the next file."""
        return self._first_of(name) is None

    def _length_of(self, name: str, rows: Any) -> int:
        """That of the list in the first row; of one with gaps, in the first that has one."""
        rows = rows.drop_null() if name in self._with_gaps else rows
        if not len(rows) or not rows[0].is_valid:
            self._refuse_null(name, 0)
        return len(rows[0].values)

    def _describe(self, role: str, rows: int | None) -> ArrayInfo:
        columns = self.selected[role]
        widths = [self.columns[name].width for name in columns]
        if len(columns) > 1 and any(widths):
            name = next(name for name in columns if self.columns[name].width)
            raise UsageError(
                f"{self.file.name}, column '{visible(name)}' holds lists, which do not go together with other columns",
                hint=f"name it alone with {option(role, 'col')}",
            )
        dtypes = [self.columns[name].dtype for name in columns]
        dtype = np.result_type(*dtypes)
        if dtype.kind == "f" and not any(each.kind == "f" for each in dtypes):
            raise DataError(
                f"{self.file.name}: no integer type holds both the int64 and the uint64 columns of the {role}",
                hint="write them as one type",
            )
        width = widths[0] or len(columns)
        shape = (rows,) if len(columns) == 1 and not widths[0] else (rows, width)
        return ArrayInfo(self.file.path, self.format, columns, shape, dtype.name)

    def _values(self, name: str, batch: pa.RecordBatch, start: int) -> Array:
        constant = self._constants.get(name)
        if name in self._texts:
            array: Any = batch.column(name) if constant is None else pa.array([constant.item()] * batch.num_rows)
            if self._are_integers(name, array.type):
                array = self._as_numbers(name, array, lambda place: start + place)
            if pa.types.is_dictionary(array.type) and pa.types.is_string_view(array.type.value_type):
                # Which Arrow neither decodes nor compares.
                array = pa.DictionaryArray.from_arrays(array.indices, array.dictionary.cast(pa.string()))
            if pa.types.is_dictionary(array.type) and array.dictionary.null_count:
                array = array.dictionary_decode()  # of which its indices say nothing
            selection = self._texts[name]
            gaps = name in self._with_gaps or (selection.encoder is not None and not selection.is_key)
            if array.null_count and not gaps:
                row = start + array.is_null().to_pylist().index(True)
                self._refuse_null(name, row, "a name or a key", is_key=selection.is_key)
            return key_or_classes(array, selection, lambda row: f"{self._where(start + row)}, column '{visible(name)}'")
        return (
            self._numbers(name, batch.column(name), start) if constant is None else np.repeat(constant, batch.num_rows)
        )

    def _numbers(self, name: str, array: Any, start: int) -> Array:
        """The values of one batch, (rows,) or (rows, width); `start` is its first row."""
        if name in self._with_gaps:
            return self._numbers_and_gaps(name, array, start)
        if array.null_count:
            self._refuse_null(name, start + array.is_null().to_pylist().index(True))
        width = self.columns[name].width
        if width:
            if not pa.types.is_fixed_size_list(array.type):
                self._check_lengths(name, array, start)
            array = array.flatten()
            if array.null_count:
                self._refuse_null(name, start + array.is_null().to_pylist().index(True) // width)
        values = deliver(from_arrow(self._as_numbers(name, array, lambda place: start + place // (width or 1))))
        return values.reshape(-1, width) if width else values

    def _numbers_and_gaps(self, name: str, array: Any, start: int) -> Array:
        """The same with NaN for nulls; a null in place of a list is a list of them."""
        dtype, width = self.columns[name]
        there = from_arrow(array.is_valid())
        if width:
            if not pa.types.is_fixed_size_list(array.type):
                self._check_lengths(name, array, start)
            array = array.filter(array.is_valid()).flatten()

        def row_of(place: int) -> int:
            return start + int(np.flatnonzero(there)[place // width] if width else place)

        array = self._as_numbers(name, array, row_of)
        try:
            # Arrow refuses a whole number that float64 does not hold, and not every Arrow fills nulls among halves.
            kind = array.type if pa.types.is_floating(array.type) else pa.float64()
            floats = array.cast(pa.float32() if pa.types.is_float16(kind) else kind)
        except pa.ArrowInvalid as error:
            values = array.to_pylist()
            place = next(place for place, value in enumerate(values) if abs(value or 0) > LARGEST_EXACT)
            raise DataError(
                f"{self._where(row_of(place))}, column '{visible(name)}': integers beyond 2**53 are not exact in "
                f"float64, found {values[place]}",
                hint="rescale them, or save floating-point numbers",
            ) from error
        values = deliver(from_arrow(floats.fill_null(0))).astype(deliver(np.empty(0, dtype)).dtype)
        values[from_arrow(floats.is_null())] = np.nan
        if not width:
            return values
        rows = np.full((len(there), width), np.nan, values.dtype)
        rows[there] = values.reshape(-1, width)
        return rows

    def _as_numbers(self, name: str, array: Any, row_of: Callable[[int], int]) -> Any:
        """Decimals as numbers; `row_of` a place among them says in which row it is."""
        try:
            return as_numbers(array)
        except BeyondInt64 as error:
            raise DataError(
                f"{self._where(row_of(error.place))}, column '{visible(name)}': {array[error.place]} does not fit in "
                "64 bits",
                hint="write the column as text" if name in self._texts else "rescale the numbers",
            ) from None

    def _check_lengths(self, name: str, array: Any, start: int) -> None:
        width = self.columns[name].width
        lengths = from_arrow(array.value_lengths().fill_null(width))
        if (uneven := np.flatnonzero(lengths != width)).size:
            raise OtherKind(
                f"{self._where(int(start + uneven[0]))}, column '{visible(name)}': a list of "
                f"{lengths[uneven[0]]} values; the lists before it have {width}",
                "lists of unequal length",
                hint="all lists of a column must be of one length",
            )

    def _refuse_null(self, name: str, row: int, wanted: str = "a number", *, is_key: bool = False) -> NoReturn:
        more = "" if is_key else ", or leave out its row with --nonfinite skip"
        raise DataError(
            f"{self._where(row)}, column '{visible(name)}': null is not {wanted}", hint=f"fill the null{more}"
        )


def _remedy(kind: pa.DataType) -> str:
    """What to do about a column of this type, which is none of numbers."""
    if pa.types.is_null(kind):
        return "nothing is in it: was it filled?"
    if pa.types.is_decimal(kind):
        return "convert the column to float64"
    if is_textual(kind):
        return "convert the column to numbers, or name the classes that it holds with --classes"
    return "convert the column to numbers, or to lists of numbers of one length"


@contextmanager
def arrow_faults(file: InputFile) -> Iterator[None]:
    """Turns Arrow's errors into ours. Its I/O errors, a failed checksum among them, are OSErrors."""
    try:
        yield
    except LossctlError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        if (fault := machine_fault(file.name, error)) is not None:
            raise fault from error
        if isinstance(error, OSError) and error.errno:  # the system's, of which Arrow tells in a sentence of its own
            with file.faults():
                raise OSError(error.errno, os.strerror(error.errno)) from error
        file.check_unchanged()
        if "Cannot decrypt" in str(error):
            raise DataError(
                f"{file.name} is encrypted, at least in part, and keys are not asked for",
                hint="write it without encryption, or name other columns",
            ) from error
        raise DataError(
            f"{file.name} is damaged or uses what is not supported: {visible(str(error).strip())}",
            hint="write the file again",
        ) from error
