"""Columns that put rows in slices, as codes: each value that turns up is one, or the interval that it lies in.

A code is worth what `labels` says of it, and their order is that in which blocks happened to be read: nothing may
depend on it. What is missing (a null, an empty cell of a text table, a NaN) has the label None.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import DataError, visible
from lossctl.sources.records import INTEGER, NUMBER

if TYPE_CHECKING:
    from lossctl.slices.slicing import SliceColumn

MOST_SLICES = 10_000
"""Of a column, and of columns that are crossed."""

MOST_DECIMALS = 100
"""Different values of a column of decimals, which are measurements as a rule and not groups."""

LONGEST_LABEL = 1000

Codes = NDArray[np.int64]
Where = Callable[[int], str]


class Levels:
    """Each value of a column is a slice, by its text: 7, true, DE, 0.5."""

    dtype = "int64"

    def __init__(self, column: str) -> None:
        self.labels: list[str | None] = []
        self._column = column
        self._codes: dict[str | None, int] = {}
        self._known: Any = None
        self._lock = threading.Lock()

    def encode(self, array: Any, where: Where) -> Codes:
        """The codes of an Arrow array. Raises DataError for too many values, and for one that is too long."""
        from pyarrow import compute

        known = self._known
        if known is not None and array.type == known.type:
            codes = compute.index_in(array, value_set=known)
            if not codes.null_count:
                return np.asarray(codes, np.int64)
        return self._learnt(_decoded_floats(array), where)

    def _learnt(self, array: Any, where: Where) -> Codes:
        """The same of an array with values that may be new."""
        import pyarrow as pa
        from pyarrow import compute

        decimals = pa.types.is_floating(array.type)
        encoded = array if pa.types.is_dictionary(array.type) else _without_nan(array).dictionary_encode()
        texts = encoded.dictionary.cast(pa.string())
        places = np.asarray(encoded.indices.fill_null(len(texts)), np.int64)
        with self._lock:
            known = pa.array(self.labels, pa.string())
            # One more than there are texts, for what is missing.
            codes = np.append(compute.index_in(texts, value_set=known).fill_null(-1), np.int64(-1))
            codes[-1] = self._codes.get(None, -1)
            if (codes < 0).any():
                used = np.bincount(places, minlength=len(codes)) > 0
                labels = [*texts.to_pylist(), None]
                for place in np.flatnonzero(used & (codes < 0)).tolist():
                    label = labels[place]
                    codes[place] = self._code_of(label, decimals, partial(_first_of, places, place, where))
                self._known = pa.array(self.labels, pa.string())
        return codes[places]

    def _code_of(self, label: str | None, decimals: bool, where: Callable[[], str]) -> int:
        """That of a value which may be new: a dictionary may hold one twice, and one that is missing."""
        code = self._codes.get(label)
        return self._added(label, decimals, where) if code is None else code

    def _added(self, label: str | None, decimals: bool, where: Callable[[], str]) -> int:
        if label is not None and len(label) > LONGEST_LABEL:
            raise DataError(
                f"{where()}: a value of {len(label)} characters; that of a slice has at most {LONGEST_LABEL}",
                hint="name another column",
            )
        count = len(self.labels)
        if count == MOST_DECIMALS and (decimals or self._are_decimals(label)):
            raise DataError(
                f"column '{visible(self._column)}' holds decimals, more than {MOST_DECIMALS} different ones",
                hint=f"cut it in intervals, such as --by '{visible(self._column, 40)}:bins=0,0.5,1'",
            )
        if count == MOST_SLICES:
            raise DataError(
                f"column '{visible(self._column)}' has more than {MOST_SLICES} different values",
                hint="name a coarser column, or cut numbers in intervals with --by NAME:bins=0,10,100",
            )
        self.labels.append(label)
        self._codes[label] = count
        return count

    def _are_decimals(self, label: str | None) -> bool:
        """Whether what is text in its file is numbers, and not only whole ones."""
        texts = [each.strip() for each in (*self.labels, label) if each is not None]
        return all(NUMBER.fullmatch(text) for text in texts) and not all(INTEGER.fullmatch(text) for text in texts)


class Bins:
    """Intervals of the numbers of a column: below the first edge, [first, second), …, from the last edge on.

    `spelled` are the edges as they were written, in ascending order.
    """

    dtype = "int64"

    def __init__(self, column: str, edges: Sequence[float], spelled: Sequence[str]) -> None:
        between = [f"[{low},{high})" for low, high in pairwise(spelled)]
        self.labels: list[str | None] = [None, f"(…,{spelled[0]})", *between, f"[{spelled[-1]},…)"]
        self._column, self._edges = column, np.array(edges, np.float64)

    def encode(self, array: Any, where: Where) -> Codes:
        """The codes of an Arrow array. Raises DataError for what is not a number."""
        numbers = self._numbers(array, where)
        missing = np.isnan(numbers)
        return np.where(missing, 0, 1 + np.searchsorted(self._edges, numbers, side="right"))

    def _numbers(self, array: Any, where: Where) -> NDArray[np.float64]:
        import pyarrow as pa
        from pyarrow import compute

        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        types = pa.types
        if types.is_integer(array.type) or types.is_floating(array.type) or types.is_decimal(array.type):
            numbers = array.cast(pa.float64(), safe=False)
        elif types.is_string(array.type) or types.is_large_string(array.type):
            numbers = self._parsed(compute.utf8_trim_whitespace(array), where)
        elif types.is_null(array.type):
            numbers = array.cast(pa.float64())
        else:
            raise self._no_number(where(0), f"a value of type {visible(array.type)}")
        return np.asarray(numbers.fill_null(np.nan))

    def _parsed(self, texts: Any, where: Where) -> Any:
        """Texts as numbers, held to the grammar of one where Arrow may have taken something else for it."""
        import pyarrow as pa

        try:
            numbers = texts.cast(pa.float64())
            odd = np.flatnonzero(~np.isfinite(np.asarray(numbers.fill_null(0.0))))
        except pa.ArrowInvalid:
            odd = np.arange(len(texts))
        for row in odd.tolist():
            text = texts[row].as_py()
            if text is not None and not NUMBER.fullmatch(text):
                raise self._no_number(where(row), f"'{visible(text, 40)}'")
        return numbers

    def _no_number(self, where: str, found: str) -> DataError:
        return DataError(
            f"{where}: {found} is not a number, and :bins= is of numbers",
            hint=f"without bins each value is a slice: --by {visible(self._column, 40)}",
        )


class Texts:
    """The values of a column as texts, and None for what is missing: to show some of them."""

    dtype = "object"

    def encode(self, array: Any, where: Where) -> NDArray[Any]:
        """The texts of an Arrow array."""
        import pyarrow as pa

        decoded = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        return np.array([None, *_texts_of(decoded)], object)[1:]


def _first_of(places: Codes, place: int, where: Where) -> str:
    """Where the first row stands that has this place."""
    return where(int(np.argmax(places == place)))


def _decoded_floats(array: Any) -> Any:
    """Categories that are floats as floats: one of them may be NaN."""
    import pyarrow as pa

    of_floats = pa.types.is_dictionary(array.type) and pa.types.is_floating(array.type.value_type)
    return array.dictionary_decode() if of_floats else array


def _without_nan(array: Any) -> Any:
    """NaN is missing, and 0 has no sign."""
    import pyarrow as pa
    from pyarrow import compute

    if not pa.types.is_floating(array.type):
        return array
    if array.type == pa.float16():
        array = array.cast(pa.float32())
    return compute.add(compute.if_else(compute.is_nan(array), None, array), pa.scalar(0.0, array.type))


def _texts_of(array: Any) -> list[str | None]:
    import pyarrow as pa

    return list(array.cast(pa.string()).to_pylist())


def encoder_of(column: SliceColumn) -> Levels | Bins:
    """What makes codes of a column, in whatever thread reads it."""
    from lossctl.sources.text import load_compute

    load_compute()
    return Bins(column.name, column.edges, column.spelled) if column.edges else Levels(column.name)
