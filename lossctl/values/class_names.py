"""Names of classes, in the order of their indices: what `--classes` says, and what columns are called after them."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from lossctl.errors import DataError, UsageError, reason_of, visible
from lossctl.guesses import did_you_mean_file
from lossctl.sources import ArrayInfo
from lossctl.sources.base import option
from lossctl.sources.opening import take_pipe
from lossctl.strict_json import is_unicode

LARGEST_FILE = 64 << 20
SHOWN = 10

_LIST = 'such as ["cat", "dog"]'
_REMEDY = "write one name a line, in UTF-8"


def file_of_classes(text: str) -> str | None:
    """The file that "--classes" names, None where it is the names themselves."""
    return None if "," in text and not os.path.isfile(text) else text


def read_classes(text: str) -> tuple[str, ...]:
    """The classes of "a,b,c", or of a file: one name a line, or a JSON list. Raises UsageError and DataError."""
    if file_of_classes(text) is None:
        return class_names([name.strip() for name in text.split(",")])
    take_pipe(text)
    try:
        with open(text, "rb") as handle:
            data = handle.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise DataError(f"{visible(text)} is larger than a file of names of classes", hint="name another file")
        content = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(
            f"--classes {visible(text)} is neither a list of names nor a file",
            hint=f"{did_you_mean_file(text)}such as --classes cat,dog",
        ) from None
    except (OSError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "it is not UTF-8"
        raise DataError(f"cannot read the classes of {visible(text)}: {reason}", hint=_REMEDY) from error
    stripped = content.strip()
    if stripped.startswith("[") or (stripped.startswith("{") and stripped.endswith("}")):
        return _checked(_json_list(text, content), visible(text), DataError)
    lines = content.replace("\r\n", "\n").rstrip("\n").split("\n")
    return _checked([] if lines == [""] else lines, visible(text), DataError)


def _json_list(path: str, content: str) -> list[str]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{visible(path)} is no JSON list of names: {visible(error)}", hint=_LIST) from None
    if not isinstance(found, list):
        raise DataError(f"{visible(path)} is no JSON list of names", hint=_LIST)
    if not all(isinstance(name, str | int) and not isinstance(name, bool) for name in found):
        raise DataError(f"{visible(path)} holds what is no name of a class", hint=_LIST)
    return [str(name) for name in found]


def class_names(names: Sequence[str], where: str = "--classes") -> tuple[str, ...]:
    """The names, each there once. Raises UsageError."""
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise UsageError("classes are a list of names, each a text", hint="such as ['cat', 'dog']")
    return _checked(names, where, UsageError)


def _checked(names: Sequence[str], where: str, refusal: type[UsageError | DataError]) -> tuple[str, ...]:
    """The names that `where` gives, each there once. Raises `refusal`: whose fault it is depends on where they are."""
    if len(names) < 2:
        count = f"{len(names)} class{'' if len(names) == 1 else 'es'}"
        raise refusal(f"{where} names {count}; there are two or more", hint="name all of them in order")
    if "" in names:
        raise refusal(f"{where}: name {list(names).index('') + 1} is empty", hint="name each class")
    if (odd := next((name for name in names if not is_unicode(name)), None)) is not None:
        raise refusal(f"{where}: name {list(names).index(odd) + 1} is not Unicode: '{visible(odd)}'", hint="rename it")
    name, count_of_name = Counter(names).most_common(1)[0]
    if count_of_name > 1:
        often = "twice" if count_of_name == 2 else f"{count_of_name} times"
        raise refusal(f"{where} names '{visible(name)}' {often}", hint="name each class once")
    return tuple(names)


def check_classes(classes: Sequence[str], arrays: Mapping[str, ArrayInfo], globs: Mapping[str, bool]) -> None:
    """Raises unless predictions, and targets of a column for each class, are of these classes in this order.

    `globs` says of the roles whether their columns were chosen by a glob. DataError for another number of classes;
    UsageError for columns that are called after the classes in another order, or by a glob after something else.
    """
    for role in ("prediction", "target"):
        info = arrays[role]
        width = info.shape[-1] if len(info.shape) > 1 else 1
        if width == 1:
            if role == "prediction" and len(classes) != 2:
                raise DataError(
                    f"{info.path} has one prediction a row, and --classes names {len(classes)} classes",
                    hint=f"name a column for each class with {option(role, 'col')}, or two classes",
                )
            continue
        if width != len(classes):
            raise DataError(
                f"{info.path} has {width} {role}s a row, and --classes names {len(classes)} classes: {_shown(classes)}",
                hint="there is one column for each class",
            )
        if len(info.columns) > 1:
            _check_order(classes, info, role, globs.get(role, False))


def _check_order(classes: Sequence[str], info: ArrayInfo, role: str, is_glob: bool) -> None:
    found = _named_after(info.columns, classes)
    if found is None and is_glob and not _numbered(info.columns):
        raise UsageError(
            f"the {role} columns of {info.path}, {_shown(info.columns)}, are not called after the classes "
            f"{_shown(classes)}",
            hint=f"list them in the order of the classes with {option(role, 'col')} a,b,c",
        )
    if found is not None and found != list(classes):
        raise UsageError(
            f"the {role} columns of {info.path} are in the order {_shown(found)}, and --classes says {_shown(classes)}",
            hint=f"give both in one order: --classes {visible(','.join(found))}",
        )


def _named_after(columns: Sequence[str], classes: Sequence[str]) -> list[str] | None:
    """The classes in the order of the columns, whose names have a beginning and an end in common besides."""
    names = set(columns)
    for name in classes:
        for start in range(len(columns[0]) - len(name) + 1):
            if not columns[0].startswith(name, start):
                continue
            prefix, suffix = columns[0][:start], columns[0][start + len(name) :]
            if names == {f"{prefix}{each}{suffix}" for each in classes}:
                return [column[len(prefix) : len(column) - len(suffix)] for column in columns]
    return None


def _numbered(columns: Sequence[str]) -> bool:
    """Whether columns are called after consecutive whole numbers, in order: p_0, p_1, p_2."""
    numbers = numbers_of(columns)
    return numbers is not None and numbers == sorted(numbers)


def numbers_of(columns: Sequence[str]) -> list[int] | None:
    """The numbers that columns are called after, where those are consecutive, in any order: p_0, p_2, p_1."""
    parts = [re.fullmatch(r"(.*?)([0-9]+)([^0-9]*)", column) for column in columns]
    if len(parts) < 2 or None in parts or len({(part[1], part[3]) for part in parts if part}) > 1:
        return None
    numbers = [int(part[2]) for part in parts if part]
    first = min(numbers)
    return numbers if first in (0, 1) and sorted(numbers) == list(range(first, first + len(numbers))) else None


def _shown(names: Sequence[str]) -> str:
    shown = ", ".join(visible(name, 40) for name in names[:SHOWN])
    return f"{shown}, …" if len(names) > SHOWN else shown
