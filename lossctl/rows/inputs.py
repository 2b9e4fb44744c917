"""From the files and columns that a command names to a feed: what comes from where is decided here."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack

from lossctl.errors import DataError, UsageError, visible
from lossctl.rows.feed import Feed
from lossctl.rows.input_parts import (
    OpenGroup,
    Part,
    by_table,
    check_class_names,
    check_names,
    check_stdin,
    open_group,
    order_warnings,
    parts_of,
    read_once,
    selections_of_keys,
)
from lossctl.sources import Reader, Selection, open_reader
from lossctl.sources.base import Encoder
from lossctl_kernels.records import Record, field


class InputFiles(Record):
    """The inputs of a command, as its user named them.

    `inputs`, `input_columns` and `input_formats` are the files, the columns and the formats of the further arrays of a
    loss, by name: one that has columns and no file comes from the file of the predictions. `on` are the columns of the
    key by which rows of different files are matched, and `missing` what is done about one without a partner; `classes`
    are the names that targets hold in place of indices, from `classes_file`; with `gaps`, what is missing is NaN.

    `by` are the columns of slices, with what makes codes of them, from `by_file` where that is given; with `numbered`,
    each row comes with its number in the file of the predictions. `class_axis` is the axis of the predictions that the
    classes are on, where that is said.
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
    by: Mapping[str, Encoder] = field(default_factory=dict)
    by_file: str | None = None
    numbered: bool = False
    class_axis: int | None = None

    @property
    def paths(self) -> list[str]:
        """The files that are read."""
        return [
            *(path for path in (self.predictions, self.targets, self.weights, self.classes_file) if path is not None),
            *([] if self.by_file is None else [self.by_file]),
            *self.inputs.values(),
        ]

    @property
    def options(self) -> dict[str, object]:
        """What is told of the reading beside every value: see `reading_options`."""
        return reading_options(self.on, self.missing, self.classes, self.class_axis)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The further arrays, by either option."""
        return tuple(dict.fromkeys((*self.inputs, *self.input_columns)))


def reading_options(
    on: Sequence[str], missing: str, classes: Sequence[str] | None, class_axis: int | None
) -> dict[str, object]:
    """What signatures say of how data was read: only what is not the default."""
    found: dict[str, object] = {}
    if on:
        found["on"] = ",".join(on)
    if missing != "error":
        found["missing"] = missing
    if classes is not None:
        found["classes"] = classes
    if class_axis not in (None, -1):
        found["class_axis"] = class_axis
    return found


def open_feed(files: InputFiles, whole: Collection[str] = ()) -> Feed:
    """Opens everything. One table is opened once, whatever it delivers in step with the rows.

    `whole` names the further arrays that are not in step. Raises UsageError and DataError.
    """
    check_names(files)
    parts = parts_of(files)
    slices: list[Part] = []
    if files.by:
        from lossctl.slices.inputs import slice_parts

        slices = slice_parts(files)
    return open_parts(
        parts,
        slices,
        whole=whole,
        on=files.on,
        missing=files.missing,
        classes=files.classes,
        numbered=files.numbered,
        warnings=order_warnings(files),
    )


def open_parts(
    parts: Sequence[Part],
    slices: Sequence[Part] = (),
    *,
    whole: Collection[str],
    on: tuple[str, ...],
    missing: str,
    classes: Sequence[str] | None,
    numbered: bool = False,
    warnings: Sequence[str] = (),
    open_group: OpenGroup = open_group,
) -> Feed:
    """One feed of parts, predictions first, whose rows belong together; the parts in `whole` are in step with nothing.

    `slices` are the columns of slices; `on`, `missing`, `classes` and `numbered` are those of `InputFiles`. Raises
    UsageError and DataError.
    """
    keys = selections_of_keys(on)
    in_step = [part for part in parts if part.role not in whole]
    beside: list[Part] = []
    for part in slices:
        (in_step if read_once(part.path) else beside).append(part)
    groups = list(by_table(in_step, bool(keys)))
    whole_groups = list(by_table([part for part in parts if part.role in whole], False))
    check_stdin([group[0] for group in (*groups, *whole_groups)])
    with ExitStack() as stack:

        def opened(group: list[Part], keys: Mapping[str, Selection]) -> Reader:
            reader = open_group(group, keys)
            stack.callback(reader.close)
            return reader

        readers = [opened(group, keys) for group in groups]
        if beside:
            _add_slices(beside, groups, readers, keys, opened)
        if numbered:
            from lossctl.slices.inputs import NumberedReader

            readers[0] = NumberedReader(readers[0])
        whole_readers = [opened(group, {}) for group in whole_groups]
        if classes is not None:
            check_class_names(classes, parts, [*readers, *whole_readers])
        left_out: list[str] = []
        if on:
            from lossctl.matching.alignment import aligned

            readers, left_out = aligned(readers, on, missing)
        feed = Feed(readers, whole_readers, [*warnings, *left_out])
        stack.pop_all()
    return feed


def _add_slices(
    slices: Sequence[Part],
    groups: Sequence[list[Part]],
    readers: list[Reader],
    keys: Mapping[str, Selection],
    opened: OpenGroup,
) -> None:
    """Opens the columns of slices: each joins the reader of the data of its file, or has one of its own.

    A column of slices may be one of numbers as well, or a key, which no reader takes for both.
    """
    from lossctl.slices.inputs import JoinedReader

    places = [group[0].place for group in groups]
    for group in by_table(slices, bool(keys)):
        if group[0].place in places:
            position = places.index(group[0].place)
            readers[position] = JoinedReader(readers[position], opened(group, {}))
        else:
            readers.append(opened(group, keys))


def class_weights(path: str) -> tuple[float, ...]:
    """The weights of the classes, one a row of a file. Raises UsageError and DataError."""
    if not path:
        raise UsageError("the file of class weights has an empty name", hint="is it a shell variable that is not set?")
    with open_reader(path, {"class weights": Selection(None)}) as reader:
        weights = [float(each) for chunk in reader.chunks(1 << 16) for each in chunk["class weights"].reshape(-1)]
    name = visible(path)
    wrong = next((index for index, weight in enumerate(weights) if not 0.0 <= weight < math.inf), None)
    if wrong is not None:
        raise DataError(
            f"{name}: the weight of class {wrong} is {weights[wrong]:g}, not a finite number from 0 up",
            hint="0 leaves a class out",
        )
    if not any(weights):
        found = "all weights of classes are 0" if weights else "there are no weights of classes"
        raise DataError(f"{name}: {found}", hint="some class must count")
    return tuple(weights)
