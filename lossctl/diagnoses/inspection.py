"""What is in a file: each array or column, its range, and what its numbers look like.

Of a large file the first rows are looked at, and what is said of it says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from lossctl.diagnoses.measures import Measure
from lossctl.errors import DataError, LossctlError, UsageError, visible
from lossctl.rows.input_parts import is_stream
from lossctl.sources import ArrayInfo, Selection, contents, open_reader
from lossctl.sources.base import NoText, OtherKind, shape_text
from lossctl.sources.delimited import DELIMITERS
from lossctl.sources.opening import is_many

_CHUNK_VALUES = 1 << 20
# About a second's work.
_MOST_VALUES = 1 << 23
_NUMBERED = re.compile(r"(.*?)[0-9]+$")

_MOST_TEXTS = 100_000
_MOST_SHOWN = 10
# Columns of texts that are held at a time.
_TEXTS_TOGETHER = 8
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}\S*)?$|[0-9]{2}:[0-9]{2}(:[0-9.]+)?$")

_UNREAD = "not read: "
"""What is said of an array begins with it whose numbers cannot be had, and goes on with why."""

# What formats call what holds no numbers: of Arrow, NumPy and safetensors.
_WORDS = {
    "categories": "dictionary<",
    "lists": r"(large_|fixed_size_)?list|<?lists",
    "tables": r"struct<|map<|\[\(|\{",
    "dates or times": r"date|time|duration|\W[Mm]8",
    "decimals: convert them to float64": "decimal",
    "complex numbers": "complex",
    "nothing: all null": "null$",
    "Python objects, which are never loaded": "object$",
    "a single number": "a single number$",
    "numbers of a type that is not read": r"float|F[48]|F\d|C64",
    "bytes": r"(large_|fixed_size_)?binary|\|S|\|V|halffloat",
    "text": r"(large_)?(string|utf8)|<U|>U|text|str",
}


@dataclass(frozen=True)
class Description:
    """One array or column of a file; the numbers are None where there are none."""

    file: str
    name: str
    """Of the column, the array, or the columns of a glob; "" of an array without a name."""
    shape: tuple[int | None, ...]
    """The number of rows is None where only the end of a file tells, which is not reached."""
    dtype: str
    lowest: float | None
    highest: float | None
    missing: float | None
    """The share of values that are NaN."""
    looks_like: str
    first_rows: int | None = None
    """How many rows, from the first one on, all this is about; None where it is about every row."""


def inspect(path: str, format: str | None = None) -> list[Description]:
    """Everything in a file, in its order; columns numbered alike are described together too.

    Raises DataError, and UsageError for a stream.
    """
    if is_stream(path):
        raise UsageError(f"{visible(path)} is a stream, which is looked at more than once", hint="save it to a file")
    names = contents(path, format=format)
    if names is None:
        return _nameless(path, format)
    if not names:
        raise DataError(f"{visible(path)} holds no arrays", hint="was anything saved in it?")
    others: dict[str, str] = {}
    numeric = set(_numeric(path, format, names, others))
    groups = {glob: members for glob, members in _numbered(names).items() if set(members) <= numeric}
    roles: dict[str, tuple[str, ...] | None] = {name: (name,) for name in names if name in numeric}
    roles |= {f"{glob} ({len(members)} columns)": tuple(members) for glob, members in groups.items()}
    measured = {each.name: each for each in _together_or_not(path, format, roles)}
    found = measured | {each.name: each for each in _others(path, format, others)}
    of_groups = [each for name, each in measured.items() if name not in numeric]
    return [found[name] for name in names] + of_groups


def _nameless(path: str, format: str | None) -> list[Description]:
    """An array without a name."""
    try:
        return _apart(path, format, "array", None)
    except UsageError as error:
        if is_many(path):  # there is a table among its files
            raise UsageError(error.message, hint="look at its files one by one") from None
        raise


def _others(path: str, format: str | None, kinds: dict[str, str]) -> Iterator[Description]:
    """What holds no rows of numbers, by its name; of text, which ones there are where they are few."""
    textual = [name for name, kind in kinds.items() if name and _word_of(kind) in ("text", "categories")]
    texts: dict[str, tuple[list[str], bool]] = {}
    for start in range(0, len(textual), _TEXTS_TOGETHER):
        texts |= _texts(path, format, textual[start : start + _TEXTS_TOGETHER])
    for name, kind in kinds.items():
        yield _other(path, name, kind, *texts.get(name, ([], True)))


def _other(path: str, name: str, kind: str, texts: list[str], is_all: bool) -> Description:
    word = _word_of(kind)
    different = sorted(set(texts))
    if texts and all(_DATE.match(text) for text in texts):
        word = "dates or times, as text"
    elif 1 < len(different) <= min(_MOST_SHOWN, len(texts) // 2):
        word += f", {len(different)} different: {', '.join(visible(each, 40) for each in different)}"
    dtype = "" if kind.startswith(_UNREAD) else kind
    return Description(path, name, (), dtype, None, None, None, word, None if is_all else len(texts))


def _word_of(kind: str) -> str:
    """What holds no numbers, in a word."""
    if kind.startswith(_UNREAD):
        return kind
    return next((word for word, pattern in _WORDS.items() if re.match(pattern, kind)), "no numbers")


def _texts(path: str, format: str | None, names: list[str]) -> dict[str, tuple[list[str], bool]]:
    """The first texts of columns, and whether they are all, read together where they go together; none where some are
    missing.
    """
    try:
        with closing(
            open_reader(path, {name: Selection((name,), is_key=True) for name in names}, format=format)
        ) as reader:
            chunks = reader.chunks(_MOST_TEXTS)
            first = next(chunks, {})
            is_all = next(chunks, None) is None
    except LossctlError:
        if len(names) == 1:
            return {}
        return {name: found for each in names for name, found in _texts(path, format, [each]).items()}
    return {name: ([str(each) for each in array.tolist()], is_all) for name, array in first.items()}


def _numeric(path: str, format: str | None, names: list[str], others: dict[str, str]) -> Iterator[str]:
    """The names that are read as numbers: tried together, and by halves where that fails. `others` gets their kinds."""
    try:
        with closing(open_reader(path, {name: Selection((name,)) for name in names}, format=format)):
            yield from names
    except DataError as error:
        if len(names) > 1:
            middle = len(names) // 2
            yield from _numeric(path, format, names[:middle], others)
            yield from _numeric(path, format, names[middle:], others)
        elif isinstance(error, OtherKind):
            others[names[0]] = error.kind
        elif _has_gaps(path, format, names[0]):
            yield names[0]
        else:
            others[names[0]] = "text" if _is_text(path, format, names[0], error) else f"{_UNREAD}{error.message}"


def _has_gaps(path: str, format: str | None, name: str) -> bool:
    """Whether a column is one of numbers with missing ones among them."""
    try:
        with closing(open_reader(path, {name: Selection((name,), gaps=True)}, format=format)):
            return True
    except DataError:
        return False


def _is_text(path: str, format: str | None, name: str, error: DataError) -> bool:
    """Whether a column that is none of numbers, as `error` says, may be one of text; if not, its numbers are not read.

    Raises `error` where it is the file that keeps it from being read.
    """
    opened = ""
    try:
        with closing(open_reader(path, {name: Selection((name,), is_key=True)}, format=format)) as reader:
            opened = reader.arrays[name].format
            next(reader.chunks(1), None)
    except LossctlError as other:
        if opened in DELIMITERS:
            raise
        if str(other) == str(error) or isinstance(other, UsageError):
            raise error from None
        return not isinstance(other, NoText)
    return True


def _numbered(names: list[str]) -> dict[str, list[str]]:
    """Columns that differ in a number at their end, as p_0 and p_1, by their glob."""
    found: dict[str, list[str]] = {}
    for name in names:
        if (match := _NUMBERED.match(name)) and match[1]:
            found.setdefault(f"{match[1]}*", []).append(name)
    return {glob: members for glob, members in found.items() if len(members) > 1}


def _together_or_not(path: str, format: str | None, roles: dict[str, tuple[str, ...] | None]) -> list[Description]:
    """All roles in one pass where they go together; the arrays of one file may differ in their rows."""
    try:
        return _measured(path, format, roles) if roles else []
    except (DataError, UsageError):
        alone = dict(each for each in roles.items() if each[1] is None or len(each[1]) == 1)
        apart = [role for role in roles if role not in alone]
        # Arrays that are numbered alike are no columns, but may go together as they are.
        together = _together_or_not(path, format, alone) if apart else []
        return together + [each for role in apart or alone for each in _apart(path, format, role, roles[role])]


def _apart(path: str, format: str | None, role: str, names: tuple[str, ...] | None) -> list[Description]:
    """One role, with gaps where it has some; nothing of columns that do not go together, such as those of lists."""
    try:
        return _measured(path, format, {role: names})
    except UsageError:
        if names is None or len(names) == 1:
            raise
        return []
    except DataError:
        pass
    try:
        return _measured(path, format, {role: names}, gaps=True)
    except OtherKind as error:
        return list(_others(path, format, {role if names else "": error.kind}))


def _measured(
    path: str, format: str | None, roles: dict[str, tuple[str, ...] | None], *, gaps: bool = False
) -> list[Description]:
    """Each role, after one pass over the file; with `gaps`, what is missing is NaN."""
    selections = {role: Selection(names, gaps=gaps) for role, names in roles.items()}
    with closing(open_reader(path, selections, format=format)) as reader:
        width = sum(int(np.prod([size or 1 for size in info.shape[1:]])) for info in reader.arrays.values())
        measures = {role: Measure() for role in reader.arrays}
        rows, whole = 0, True
        for chunk in reader.chunks(max(1, _CHUNK_VALUES // width)):
            if rows * width >= _MOST_VALUES:
                whole = False
                break
            for role, array in chunk.items():
                measures[role].add(array)
            rows += len(next(iter(chunk.values())))
        return [_described(path, role, info, measures[role], whole) for role, info in reader.arrays.items()]


def _described(path: str, role: str, info: ArrayInfo, measure: Measure, whole: bool) -> Description:
    name = role if info.columns else ""
    shape = (measure.rows if whole else info.shape[0], *(int(size or 0) for size in info.shape[1:]))
    # Of a text table that is not read to its end it is what the first block holds.
    dtype = "float64" if not whole and info.dtype == "int64" and measure.has_decimals else info.dtype
    seen = measure.values > 0
    return Description(
        path,
        name,
        shape,
        dtype,
        measure.lowest if seen else None,
        measure.highest if seen else None,
        measure.missing / measure.total if measure.total else None,
        measure.looks_like(dtype),
        None if whole else measure.rows,
    )


def as_row(description: Description) -> dict[str, str]:
    """For a table of text, without the name of the file."""
    return {
        "name": visible(description.name),
        "shape": shape_text(description.shape) if description.shape else "",
        "dtype": description.dtype,
        "min": _shown(description.lowest),
        "max": _shown(description.highest),
        "NaN": f"{description.missing:.3%}" if description.missing else "",
        "looks like": description.looks_like + _extent(description.first_rows),
    }


def _extent(first_rows: int | None) -> str:
    return "" if first_rows is None else f" (the first {first_rows} rows)"


def _shown(number: float | None) -> str:
    return "" if number is None else f"{number:.6g}"
