"""From the files and columns that a command names to a feed: what comes from where is decided here."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lossctl.errors import UsageError, visible
from lossctl.feed import Feed
from lossctl.sources import Reader, Selection, open_reader
from lossctl.sources.opening import STDIN, is_glob

__all__ = ["InputFiles", "class_weights", "open_feed"]


@dataclass(frozen=True)
class InputFiles:
    """The inputs of a command, as its user named them.

    `inputs`, `input_columns` and `input_formats` are the files, the columns and the formats of the further arrays of a
    loss, by name: one that has columns and no file comes from the file of the predictions. `on` are the columns of the
    key by which rows of different files are matched, and `missing` what is done about one without a partner; `classes`
    are the names that targets hold in place of indices, from `classes_file`; with `gaps`, what is missing is NaN.
    """

    predictions: str
    targets: str | None = None
    pred_columns: tuple[str, ...] | None = None
    target_columns: tuple[str, ...] | None = None
    weights: str | None = None
    weight_column: str | None = None
    pred_format: str | None = None
    target_format: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    input_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    input_formats: Mapping[str, str] = field(default_factory=dict)
    on: tuple[str, ...] = ()
    missing: str = "error"
    classes: tuple[str, ...] | None = None
    gaps: bool = False
    classes_file: str | None = None

    @property
    def paths(self) -> list[str]:
        """The files that are read."""
        return [
            *(path for path in (self.predictions, self.targets, self.weights, self.classes_file) if path is not None),
            *self.inputs.values(),
        ]

    @property
    def options(self) -> dict[str, object]:
        """What is told of the reading beside every value: only what is not the default."""
        found: dict[str, object] = {}
        if self.on:
            found["on"] = ",".join(self.on)
        if self.missing != "error":
            found["missing"] = self.missing
        if self.classes is not None:
            found["classes"] = self.classes
        return found

    @property
    def input_names(self) -> tuple[str, ...]:
        """The further arrays, by either option."""
        return tuple(dict.fromkeys((*self.inputs, *self.input_columns)))


@dataclass(frozen=True)
class _Part:
    """One role: the file that it comes from, and what to take from it."""

    role: str
    path: str
    format: str | None
    selection: Selection


def open_feed(files: InputFiles, whole: Collection[str] = ()) -> Feed:
    """Opens everything. One table is opened once, whatever it delivers in step with the rows.

    `whole` names the further arrays that are not in step. Raises UsageError and DataError.
    """
    if "" in files.paths:
        raise UsageError("an input has an empty name", hint="is it a shell variable that is not set?")
    for name in files.input_formats:
        if name not in files.input_names:
            raise UsageError(
                f"--input-format names '{visible(name)}', which is not read", hint=f"--input {visible(name)}=FILE"
            )
    if files.missing != "error" and not files.on:
        raise UsageError("--missing is of keys, and there is none", hint="name it with --on")
    parts = _parts(files)
    in_step = [part for part in parts if part.role not in whole]
    readers: list[Reader] = []
    whole_readers: list[Reader] = []
    try:
        keys = _keys(files.on)
        groups = list(_by_table(in_step, bool(keys)))
        _check_stdin([group[0] for group in groups])
        for group in groups:
            readers.append(_open(group, keys))
        for group in _by_table([part for part in parts if part.role in whole], False):
            whole_readers.append(_open(group, {}))
        if files.classes is not None:
            _check_classes(files, parts, readers)
        if not keys:
            return Feed(readers, whole_readers, _order_warnings(files))
        from lossctl.alignment import aligned

        in_order, warnings = aligned(readers, files.on, files.missing)
        readers = in_order
        return Feed(readers, whole_readers, warnings)
    except BaseException:
        for reader in (*readers, *whole_readers):
            reader.close()
        raise


def _check_stdin(parts: Sequence[_Part]) -> None:
    piped = [part.role for part in parts if part.path == STDIN]
    if len(piped) > 1:
        raise UsageError(
            f"stdin can be read once, not as {' and as '.join(piped)}",
            hint="name a file for one, or --pred-col and --target-col of one table",
        )


def _order_warnings(files: InputFiles) -> list[str]:
    if files.pred_columns is None or files.target_columns is None or files.targets is None:
        return []  # arrays, or tables of one column
    from lossctl.row_order import other_order

    warning = other_order(files)
    return [] if warning is None else [warning]


def _keys(names: tuple[str, ...]) -> dict[str, Selection]:
    if not names:
        return {}
    from lossctl.alignment import key_selections

    return key_selections(names)


def _open(group: list[_Part], keys: Mapping[str, Selection]) -> Reader:
    roles = {part.role: part.selection for part in group}
    return open_reader(group[0].path, {**roles, **keys}, format=group[0].format)


def _check_classes(files: InputFiles, parts: list[_Part], readers: list[Reader]) -> None:
    from lossctl.class_names import check_classes

    globs = {part.role: any(is_glob(name) for name in part.selection.columns or ()) for part in parts}
    check_classes(files.classes or (), {role: info for each in readers for role, info in each.arrays.items()}, globs)


def _parts(files: InputFiles) -> list[_Part]:
    if files.targets is None and files.target_columns is None:
        raise UsageError(
            f"there are no targets for {visible(files.predictions)}",
            hint="name a second file, or --target-col where one table holds both",
        )
    gaps = files.gaps
    parts = [_Part("prediction", files.predictions, files.pred_format, Selection(files.pred_columns, gaps=gaps))]
    shares = files.targets is None
    parts.append(
        _Part(
            "target",
            files.predictions if files.targets is None else files.targets,
            files.pred_format if shares and files.target_format is None else files.target_format,
            target_selection(files.target_columns, files.classes, gaps),
        )
    )
    if files.weights is not None or files.weight_column is not None:
        selection = Selection(None if files.weight_column is None else (files.weight_column,), gaps=gaps)
        path, format = (files.weights, None) if files.weights is not None else (files.predictions, files.pred_format)
        parts.append(_Part("weights", path, format, selection))
    for name in files.input_names:
        own = files.inputs.get(name)
        path = files.predictions if own is None else own
        format = files.input_formats.get(name, files.pred_format if own is None else None)
        parts.append(_Part(name, path, format, Selection(files.input_columns.get(name), gaps=gaps)))
    return parts


def target_selection(columns: tuple[str, ...] | None, classes: tuple[str, ...] | None, gaps: bool) -> Selection:
    """Of targets: one column holds the names of classes where there are any, several are a number for each class."""
    named = columns is None or (len(columns) == 1 and not is_glob(columns[0]))
    return Selection(columns, classes=classes if named else None, gaps=gaps)


def _by_table(parts: list[_Part], have_keys: bool) -> Iterable[list[_Part]]:
    """Parts that name columns of one file, together; where each table has its keys, all parts of a file."""
    groups: dict[tuple[str, str | None], list[_Part]] = {}
    for part in parts:
        named = have_keys or part.selection.columns is not None
        key = (os.path.realpath(part.path), part.format) if named else (part.role, part.format)
        groups.setdefault(key, []).append(part)
    return groups.values()


def class_weights(path: str) -> tuple[float, ...]:
    """The weights of the classes, one a row of a file."""
    if not path:
        raise UsageError("the file of class weights has an empty name", hint="is it a shell variable that is not set?")
    with open_reader(path, {"class weights": Selection(None)}) as reader:
        return tuple(float(weight) for chunk in reader.chunks(1 << 16) for weight in chunk["class weights"].reshape(-1))
