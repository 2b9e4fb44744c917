"""Arrays of more than two axes, for losses of vectors: each place of a row is a sample of its own.

Logits (sequences, tokens, classes) with labels (sequences, tokens) are as many samples as there are tokens. PyTorch has
the classes on the second axis, (images, classes, height, width), Keras and optax on the last one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl.catalogue.loss_spec import LossSpec, Shapes, loss_of
from lossctl.errors import DataError, UsageError, visible
from lossctl.memory import check_room
from lossctl.rows.feed import Feed
from lossctl.sources import ArrayInfo, Reader
from lossctl.sources.arrays import rechunk
from lossctl.sources.base import ROW_ROLE, Array, WrappedReader
from lossctl.values.preparation import dimensions, takes_masks
from lossctl_kernels import Loss, Scope
from lossctl_kernels.records import Record, replace
from lossctl_kernels.reduce import block_rows


class Places(Enum):
    """What a role has beside the predictions."""

    VECTORS = auto()
    """A vector at each place, as they have."""
    NUMBERS = auto()
    """A number at each place."""
    ROWS = auto()
    """A number for each row, which holds at all its places."""


class Layout(Record):
    """Rows of shape `places` with a vector of `length` on an axis more, which is `axis` of the array.

    With `split`, each place is a sample; otherwise each row is, with its vectors on the last axis.
    """

    places: tuple[int, ...]
    axis: int
    length: int
    split: bool

    @property
    def samples(self) -> int:
        """Of each row."""
        return math.prod(self.places) if self.split else 1

    def kind(self, info: ArrayInfo) -> Places | None:
        """What an array has; None where it does not belong to these places."""
        shape = tuple(int(size or 0) for size in info.shape[1:])
        if len(shape) == len(self.places) + 1 and shape[: self.axis - 1] + shape[self.axis :] == self.places:
            return Places.VECTORS
        if shape == self.places:
            return Places.NUMBERS
        return Places.ROWS if shape in ((), (1,)) else None

    def shape(self, info: ArrayInfo) -> tuple[int | None, ...]:
        """That of the samples of an array."""
        rows, kind = info.shape[0], self.kind(info)
        rest: tuple[int | None, ...] = info.shape[1:]
        if kind is Places.VECTORS:
            length = info.shape[self.axis]
            rest = (length,) if self.split else (*self.places, length)
        elif self.split:
            rest = ()
        return (None if rows is None else rows * self.samples, *rest)

    def to_samples(self, array: Array, kind: Places) -> Array:
        if kind is Places.VECTORS:
            moved = np.moveaxis(array, self.axis, -1)
            return np.ascontiguousarray(moved.reshape(-1, moved.shape[-1]) if self.split else moved)
        if not self.split:
            return array
        return array.reshape(-1) if kind is Places.NUMBERS else np.repeat(array.reshape(-1), self.samples)

    def to_rows(self, samples: Array, kind: Places) -> Array:
        """The inverse of `to_samples` for vectors and numbers: whole rows in the layout of the file."""
        if kind is Places.NUMBERS:
            return samples.reshape(-1, *self.places)
        moved = samples.reshape(-1, *self.places, samples.shape[-1])
        return np.ascontiguousarray(np.moveaxis(moved, -1, self.axis))


def by_places(feed: Feed, specs: Sequence[LossSpec], class_axis: int | None) -> tuple[Feed, Layout | None]:
    """(the samples of a feed, how they are laid out in its rows); the feed and None where rows are samples as they are.

    Without `class_axis` the vectors are on the last axis. Raises UsageError for losses that have no vectors or do not
    go together, and DataError for arrays that do not fit.
    """
    layout = _layout_of(feed, specs, class_axis)
    if layout is None:
        return feed, None
    if layout.split and class_axis is None:
        _check_clear(feed, layout)
    readers = [_PlacesReader(reader, layout) for reader in feed.readers]
    return Feed(readers, feed.whole_readers, feed.warnings), layout


def _layout_of(feed: Feed, specs: Sequence[LossSpec], class_axis: int | None) -> Layout | None:
    prediction, target = feed.arrays["prediction"], feed.arrays["target"]
    axis = _axis(prediction, class_axis)
    shape = tuple(int(size or 0) for size in prediction.shape)
    layout = Layout(shape[1:axis] + shape[axis + 1 :], axis, shape[axis], True)
    of_target = {Places.VECTORS: (layout.length,), Places.NUMBERS: ()}.get(layout.kind(target) or Places.ROWS)
    shapes = Shapes((layout.length,), shape[1:] if of_target is None else of_target)
    losses = [loss_of(spec, shapes) for spec in specs]
    by_place = [loss for loss in losses if _is_of_vectors(loss)]
    others = [loss for loss in losses if loss not in by_place]
    if class_axis is not None and (without := next((loss for loss in others if not takes_masks(loss)), None)):
        raise UsageError(f"{without.name} has no class axis", hint="leave out --class-axis")
    if by_place and others and layout.places:
        raise UsageError(
            f"{by_place[0].name} takes each place of {_described(prediction)} as a sample, {others[0].name} each row",
            hint="evaluate them one by one",
        )
    if not by_place:
        return replace(layout, split=False) if axis < len(shape) - 1 else None
    if not layout.places or 0 in shape[1:]:
        return None
    _check_fit(by_place[0], feed, layout)
    return layout


def _is_of_vectors(loss: Loss) -> bool:
    return loss.scope is Scope.ROW and dimensions(loss) == 2 and not takes_masks(loss)


def _axis(prediction: ArrayInfo, class_axis: int | None) -> int:
    axes = len(prediction.shape)
    if class_axis is None:
        return axes - 1
    if axes < 2:
        raise DataError(f"{_described(prediction)} has one value a row: no classes", hint="leave out --class-axis")
    axis = class_axis + axes if class_axis < 0 else class_axis
    if not 0 <= axis < axes:
        raise DataError(
            f"{_described(prediction)} has no axis {class_axis}", hint=f"--class-axis is from 1 to {axes - 1}, or -1"
        )
    if axis == 0:
        raise DataError(
            f"{_described(prediction)}: axis 0 is that of the rows, not of the classes", hint="save array.T"
        )
    return axis


def _check_fit(loss: Loss, feed: Feed, layout: Layout) -> None:
    """Raises DataError for arrays that do not belong to the places."""
    prediction = feed.arrays["prediction"]
    for role, info in feed.arrays.items():
        kind = None if role in feed.whole else layout.kind(info)
        if role in feed.whole or kind in (Places.VECTORS, Places.NUMBERS):
            continue
        if kind is None or (role == "target" and layout.samples > 1):
            fitting = _other_axes(prediction, info, layout.axis)
            wanted = ", ".join(str(size) for size in ("rows", *layout.places))
            raise DataError(
                f"{loss.name} of predictions {_described(prediction)} needs a {role} of shape ({wanted}) with classes "
                f"on axis {layout.axis}: found {_described(info)}",
                hint=f"--class-axis {fitting[0]}" if fitting else "nothing is broadcast: save one for each place",
            )


def _check_clear(feed: Feed, layout: Layout) -> None:
    """Raises DataError where class indices fit the predictions whichever axis the classes are on."""
    prediction, target = feed.arrays["prediction"], feed.arrays["target"]
    fitting = _other_axes(prediction, target, layout.axis)
    if fitting and layout.kind(target) is Places.NUMBERS:
        raise DataError(
            f"{_described(prediction)}: the classes may be on axis {fitting[0]}, as PyTorch has them, or on the last "
            "one",
            hint=f"--class-axis {fitting[0]} or --class-axis -1",
        )


def _other_axes(prediction: ArrayInfo, other: ArrayInfo, axis: int) -> list[int]:
    """Further axes that could be that of the classes, by the shape of an array that has none."""
    shape, places = prediction.shape, other.shape[1:]
    return [at for at in range(1, len(shape)) if at != axis and shape[1:at] + shape[at + 1 :] == places]


def _described(info: ArrayInfo) -> str:
    return f"{visible(info.path)} {info.shape_text}"


class _PlacesReader(WrappedReader):
    """The samples of another reader's rows."""

    def __init__(self, reader: Reader, layout: Layout) -> None:
        super().__init__(reader)
        self._layout = layout
        self.arrays = self._described()
        self._merged = self._as_they_are()
        if self._merged is None:
            for info in reader.arrays.values():
                values = math.prod(int(size or 1) for size in info.shape[1:])
                check_room(f"{visible(info.path)}: a row of {values} values", values)

    def _as_they_are(self) -> Reader | None:
        """The samples, where they follow each other in the file: then a row of places may be as large as it will."""
        last = self._layout.split and self._layout.axis == len(self._layout.places) + 1
        if not last or any(self._kind(role) is Places.ROWS for role in self.arrays):
            return None
        return self._reader.merged(self._layout.axis)

    def _described(self) -> dict[str, ArrayInfo]:
        return {role: replace(info, shape=self._layout.shape(info)) for role, info in self._reader.arrays.items()}

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        if self._merged is not None:
            yield from self._merged.chunks(rows)
            return
        yield from rechunk(self._samples(max(1, rows // self._layout.samples)), rows)
        self.arrays = self._described()

    def _samples(self, rows: int) -> Iterator[dict[str, Array]]:
        kinds = {role: self._kind(role) for role in self.arrays}
        for chunk in self._reader.chunks(rows):
            found = {role: self._layout.to_samples(array, kinds[role]) for role, array in chunk.items()}
            if ROW_ROLE in found:  # the number of the sample: it tells the row, and the place in it
                places = np.tile(np.arange(self._layout.samples), len(chunk[ROW_ROLE]))
                found[ROW_ROLE] = found[ROW_ROLE] * self._layout.samples + places
            yield found

    def _kind(self, role: str) -> Places:
        return self._layout.kind(self._reader.arrays[role]) or Places.ROWS

    def place(self, role: str, row: int, column: int | None = None) -> str:
        layout, kind = self._layout, self._kind(role)
        row, place = divmod(row, layout.samples)
        if kind is Places.ROWS:
            return self._reader.place(role, row)
        if kind is Places.NUMBERS:
            return self._reader.place(role, row, place if layout.split else column)
        if column is None:
            name = self._reader.place(role, row)
            inside = ", ".join(str(each) for each in np.unravel_index(place, layout.places)) if layout.split else ""
            return f"{name}, place ({inside})" if inside else name
        shape = tuple(int(size or 1) for size in self._reader.arrays[role].shape[1:])
        moved = (*layout.places, shape[layout.axis - 1])
        index = list(np.unravel_index(place * moved[-1] + column, moved))
        index.insert(layout.axis - 1, index.pop())
        return self._reader.place(role, row, int(np.ravel_multi_index(tuple(index), shape)))


class WholeRows:
    """Takes what was computed of samples, and gives `write` whole rows of it, in the layout of the file."""

    def __init__(self, write: Callable[[NDArray[Any]], None], layout: Layout, info: ArrayInfo) -> None:
        self._write, self._layout = write, layout
        self._kind = layout.kind(info) or Places.ROWS
        # Whole blocks of rows, as whoever sums them up needs them.
        width = math.prod(int(size or 1) for size in info.shape[1:])
        self._step = block_rows(width) * layout.samples
        self._held: list[NDArray[Any]] = []
        self._count = 0

    def put(self, samples: NDArray[Any]) -> None:
        """Takes the next samples, which may not be changed before they are written."""
        self._held.append(samples)
        self._count += len(samples)
        whole = self._count - self._count % self._step
        if whole:
            self._give(whole)

    def finish(self) -> None:
        """Writes the rest."""
        if self._count:
            self._give(self._count)

    def _give(self, samples: int) -> None:
        joined = self._held[0] if len(self._held) == 1 else np.concatenate(self._held)
        self._held = [joined[samples:]] if samples < self._count else []
        self._count -= samples
        self._write(self._layout.to_rows(joined[:samples], self._kind))
