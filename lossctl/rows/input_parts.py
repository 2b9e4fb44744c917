"""What each role of the inputs is read from: which file, which columns of it, and which roles share a table."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from lossctl.errors import UsageError, visible
from lossctl.sources import Reader, Selection, memory_reader, open_reader
from lossctl.sources.base import is_remote
from lossctl.sources.opening import STDIN, is_glob
from lossctl_kernels.records import Record

if TYPE_CHECKING:
    from lossctl.rows.inputs import InputFiles


class Part(Record):
    """One role: the file that it comes from, or the array, and what to take from it."""

    role: str
    path: str
    """"" of an array."""
    format: str | None
    selection: Selection
    array: Any = None

    @property
    def place(self) -> str:
        """The same for all parts of one file, by whatever name; an array is a place of its own."""
        return self.role if self.array is not None else os.path.realpath(self.path)


OpenGroup: TypeAlias = Callable[[list[Part], Mapping[str, Selection]], Reader]
"""What opens parts of one place, and the columns of its keys by their roles. Raises UsageError and DataError."""


def check_names(files: InputFiles) -> None:
    """Raises UsageError for options that name nothing."""
    if "" in files.paths:
        raise UsageError("an input has an empty name", hint="is it a shell variable that is not set?")
    for name in files.input_formats:
        if name not in files.input_names:
            raise UsageError(
                f"--input-format names '{visible(name)}', which is not read", hint=f"--input {visible(name)}=FILE"
            )
    if files.missing != "error" and not files.on:
        raise UsageError("--missing is of keys, and there is none", hint="name it with --on")


def parts_of(files: InputFiles) -> list[Part]:
    """All roles, predictions first. Raises UsageError where there are no targets."""
    if files.targets is None and files.target_columns is None:
        raise UsageError(
            f"there are no targets for {visible(files.predictions)}",
            hint="name a second file, or --target-col where one table holds both",
        )
    gaps = files.gaps
    parts = [Part("prediction", files.predictions, files.pred_format, Selection(files.pred_columns, gaps=gaps))]
    shares = files.targets is None
    parts.append(
        Part(
            "target",
            files.predictions if files.targets is None else files.targets,
            files.pred_format if shares and files.target_format is None else files.target_format,
            Selection(files.target_columns, classes=files.classes, gaps=gaps),
        )
    )
    if files.weights is not None or files.weight_column is not None:
        selection = Selection(None if files.weight_column is None else (files.weight_column,), gaps=gaps)
        path, format = (files.weights, None) if files.weights is not None else (files.predictions, files.pred_format)
        parts.append(Part("weights", path, format, selection))
    for name in files.input_names:
        own = files.inputs.get(name)
        path = files.predictions if own is None else own
        format = files.input_formats.get(name, files.pred_format if own is None else None)
        parts.append(Part(name, path, format, Selection(files.input_columns.get(name), gaps=gaps)))
    return parts


def by_table(parts: Sequence[Part], have_keys: bool) -> Iterable[list[Part]]:
    """Parts that name columns of one file, together; where each table has its keys, all parts of a file."""
    groups: dict[tuple[str, str | None], list[Part]] = {}
    for part in parts:
        named = have_keys or part.selection.columns is not None
        groups.setdefault((part.place if named else part.role, part.format), []).append(part)
    return groups.values()


def check_stdin(parts: Sequence[Part]) -> None:
    """Raises UsageError where more than one of these would read stdin, or one pipe: it would wait for ever."""
    piped: dict[tuple[int, int], list[Part]] = {}
    for part in parts:
        if part.array is None and is_stream(part.path):
            piped.setdefault(_identity(part.path), []).append(part)
    for first, *others in piped.values():
        if others:
            name = "stdin" if first.path == STDIN else visible(first.path)
            roles = [part.role for part in (first, *others)]
            raise UsageError(
                f"{name} can be read once, not as {' and as '.join(roles)}",
                hint="name a file for one, or --pred-col and --target-col of one table",
            )


def selections_of_keys(names: tuple[str, ...]) -> dict[str, Selection]:
    """The columns of the key, by the roles that they are read under; none where there is no key."""
    if not names:
        return {}
    from lossctl.matching.alignment import key_selections

    return key_selections(names)


def open_group(group: list[Part], keys: Mapping[str, Selection]) -> Reader:
    """A reader of parts of one place, and of its keys. Raises UsageError and DataError."""
    roles = {part.role: part.selection for part in group}
    if group[0].array is not None:
        return memory_reader({part.role: part.array for part in group}, roles)
    return open_reader(group[0].path, {**roles, **keys}, format=group[0].format)


def read_once(path: str) -> bool:
    """Whether a file is for one reader: a stream, and what is fetched."""
    return is_remote(path) or is_stream(path)


def is_stream(path: str) -> bool:
    """Whether it is stdin or a pipe."""
    try:
        return path == STDIN or stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False  # said when it is opened


def _identity(stream: str) -> tuple[int, int]:
    """The same for all names of a stream."""
    try:
        status = os.fstat(0) if stream == STDIN else os.stat(stream)
    except OSError:  # said when it is opened
        return -1, -1
    return status.st_dev, status.st_ino


def check_class_names(classes: Sequence[str], parts: Sequence[Part], readers: Sequence[Reader]) -> None:
    """Raises UsageError or DataError where columns of classes are not those that are named, in that order."""
    from lossctl.values.class_names import check_classes

    globs = {part.role: any(is_glob(name) for name in part.selection.columns or ()) for part in parts}
    check_classes(classes, {role: info for each in readers for role, info in each.arrays.items()}, globs)


def order_warnings(files: InputFiles) -> list[str]:
    """What there is to say of two tables whose rows are in different orders."""
    if files.pred_columns is None or files.target_columns is None or files.targets is None:
        return []  # arrays, or tables of one column
    from lossctl.matching.row_order import other_order

    warning = other_order(files)
    return [] if warning is None else [warning]
