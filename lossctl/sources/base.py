"""What every reader delivers: named arrays in step, chunk by chunk, and where each value stands in its file.

Nothing here imports NumPy: a reader loads what its format needs when it opens a file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from lossctl.errors import DataError
from lossctl_kernels.records import Record

if TYPE_CHECKING:
    import numpy.typing as npt

# Quoted: NumPy is there for the type checker only.
Array: TypeAlias = "npt.NDArray[Any]"

KEY_ROLE = "key "
"""What the roles of keys begin with; the name of the column follows."""

SLICE_ROLE = "slice "
"""What the roles of columns begin with that put rows in slices."""

ROW_ROLE = "row "
"""What the roles of the numbers of rows in their own file begin with."""

_OPTION_STEMS = {"file": "--file", "prediction": "--pred", "target": "--target", "weights": "--weight"}


def option(role: str, what: str) -> str:
    """The command line's option for `what` ("col" or "format") of a role, as messages name it."""
    if role.startswith(KEY_ROLE):
        return "--on"
    if role.startswith(SLICE_ROLE):
        return "--by" if what == "col" else "the extension of its name:"
    stem = _OPTION_STEMS.get(role)
    return f"--input-{what} {role}=…" if stem is None else f"{stem}-{what}"


def is_beside(role: str) -> bool:
    """Whether what a role delivers travels beside the data: no loss is computed of it."""
    return role.startswith((SLICE_ROLE, ROW_ROLE))


def is_remote(path: str) -> bool:
    """Whether a name is a URL."""
    scheme, found, _ = path.partition("://")
    return bool(found) and scheme.replace("+", "").isalnum()


class OtherKind(DataError):
    """An array or a column holds something else than rows of numbers: `kind`, as its format calls it."""

    def __init__(self, message: str, kind: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


class Encoder(Protocol):
    """What makes numbers of a column of any type, nulls included: Arrow's array to an array of `dtype` as long.

    `where(row)` says where a row of the array stands. Raises DataError for what it does not take.
    """

    dtype: str

    def encode(self, array: Any, where: Callable[[int], str]) -> Array:
        """The numbers of the next rows; several threads may ask at once, for parts in any order."""


class KeyEncoder(Encoder, Protocol):
    """The same of texts without nulls, of which each is `width` numbers."""

    width: int


class NoText(DataError):
    """An array or a column holds what is no key, no name of a class and no value of a slice."""


class Selection(Record):
    """Which columns of a table make one array: names or globs, or None for the only column or the whole array.

    With `classes`, what stands in the column is the name of a class, and the array is its index among them. A key, by
    which rows are matched, is text or whole numbers and is delivered as such. With `gaps`, what is missing (a null, an
    empty cell) is NaN and not an error, and a column that is not of floats is delivered as float64. An `encoder` is
    given the column as it is.
    """

    columns: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    is_key: bool = False
    gaps: bool = False
    encoder: Encoder | None = None

    @property
    def is_text(self) -> bool:
        return self.is_key or self.classes is not None or self.encoder is not None


def shape_text(shape: Iterable[int | None]) -> str:
    """A shape as Python writes it, with "rows" for how many there are where that is not known."""
    sizes = ["rows" if size is None else str(int(size)) for size in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


class ArrayInfo(Record):
    """What a role will deliver.

    `path` is as the user wrote it; `columns` are the names of the columns, globs expanded in file order, () for an
    array; `shape` has None for the rows where only the end of the stream tells; `dtype` is NumPy's name of what the
    file holds ("float32", ">f8", "int64", "bool"), and for a text table "float64", "int64" or "bool" as far as it has
    been read: chunks of whole numbers may go over into float64 ones. The end of a pass settles rows and dtype.
    """

    path: str
    format: str
    columns: tuple[str, ...]
    shape: tuple[int | None, ...]
    dtype: str

    @property
    def shape_text(self) -> str:
        return shape_text(self.shape)


class Reader(ABC):
    """One open file that delivers one or several named arrays ("roles") in step.

    What it delivers is in native byte order, C-contiguous, and of dtype float32, float64, bool or any integer: float16
    comes as float32. The arrays may be read-only views of the file: they are not to be written to.
    """

    arrays: dict[str, ArrayInfo]

    @property
    def part_rows(self) -> int | None:
        """How many rows lie together as they are read, again and again from row 0 on, where the file says so.

        Chunks of as many, or of an equal share of them, are views.
        """
        return None

    @property
    def given(self) -> dict[str, ArrayInfo]:
        """`arrays` in the shapes that they have in their files."""
        return self.arrays

    def chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        """The arrays from row 0 on, exactly `rows` rows at a time but for the last chunk; nothing if there are no rows.

        Each call starts again from row 0. Raises DataError where the file turns out to be malformed.
        """
        if rows < 1:
            raise ValueError(f"a chunk has at least one row, not {rows}")
        return self._chunks(rows)

    def begin(self) -> None:
        """Says that all of it will be read: a reader that works ahead may do so while its caller does something else.

        What is wrong with the file is raised by `chunks`.
        """
        return

    def merged(self, axes: int) -> Reader | None:
        """The same arrays with their first `axes` axes as one; None where they would have to be copied for it.

        It is open as long as this reader is.
        """
        return None

    def only(self, roles: Collection[str], encoders: Mapping[str, KeyEncoder] | None = None) -> Reader:
        """A reader of these roles of the same open file, and of others where it would read them all the same.

        Where texts are there as Arrow's, `encoders` are given those of a key before they become Python's; other readers
        deliver texts. Whichever is closed closes both.
        """
        return self

    @abstractmethod
    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        """`chunks`, with `rows` checked."""

    @abstractmethod
    def place(self, role: str, row: int, column: int | None = None) -> str:
        """Where a value stands, in the user's words: "preds.csv, line 13, column 'p'".

        `row` counts from 0 over the whole array, `column` over the flattened rest of the shape. For the one message of
        a failing run: it may read the file again.
        """

    @abstractmethod
    def close(self) -> None:
        """Closes the file. Arrays delivered before stay valid."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class WrappedReader(Reader):
    """What changes or adds to what another reader delivers, from its beginning to its end."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @property
    def given(self) -> dict[str, ArrayInfo]:
        # What is added to it is in no file.
        return {**self.arrays, **self._reader.given}

    def begin(self) -> None:
        self._reader.begin()

    def place(self, role: str, row: int, column: int | None = None) -> str:
        return self._reader.place(role, row, column)

    def close(self) -> None:
        self._reader.close()
