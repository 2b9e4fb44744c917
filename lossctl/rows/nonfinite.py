"""Rows with NaN or infinities: what `--nonfinite error|propagate|skip` does about them before a backend sees them.

`skip` takes them out of the stream: what is computed has the bits that it has of files without them. Of several losses,
a row that one of them cannot take is skipped for all, so that their values are of the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl.rows.feed import Feed
from lossctl.sources.arrays import rechunk
from lossctl.sources.base import Array
from lossctl.values.labels import END_OF_LIST, are_numbers
from lossctl_kernels import Plan
from lossctl_kernels.domains import TargetKind

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]

_POSITIONS = "its rows"
"""The role under which the rows of a file travel with their values."""


def infinity_takers(plans: Sequence[Plan]) -> frozenset[str]:
    """The roles in which every loss takes minus infinity for what it is, such as the logit of what cannot be."""
    found: list[set[str]] = []
    for plan in plans:
        loss = plan.settings.loss
        domains = {"prediction": plan.prediction_domain, "target": loss.target}
        domains |= {name: facts.domain for name, facts in loss.inputs.items()}
        found.append({role for role, domain in domains.items() if domain.low_infinity})
    return frozenset(set.intersection(*found))


def _odd(array: Array, takes_infinity: bool) -> Mask | None:
    """The rows of an array in which a number is not finite, None where there are none."""
    if array.dtype.kind != "f":
        return None
    finite = np.isfinite(array)
    if finite.all():
        return None
    if takes_infinity:
        finite |= array == -np.inf
    odd = np.logical_not(finite.reshape(len(array), -1).all(axis=1))
    return odd if odd.any() else None


def odd_rows(chunk: Mapping[str, Array], roles: Collection[str], takers: Collection[str]) -> Mask | None:
    """The rows of a chunk that are not finite in one of the roles, None where there are none."""
    found = [odd for role in roles if (odd := _odd(chunk[role], role in takers)) is not None]
    return np.logical_or.reduce(found) if found else None


def stand_ins(plan: Plan, chunk: Mapping[str, Array], roles: Collection[str]) -> dict[str, Array]:
    """The chunk with rows that a loss takes in place of those that are not finite."""
    takers, clean = infinity_takers([plan]), dict(chunk)
    for role in roles:
        wrong = _odd(chunk[role], role in takers)
        if wrong is not None:
            clean[role] = chunk[role].copy()
            clean[role][wrong] = _stand_in(plan, role, chunk[role].shape[1:])
    return clean


def _stand_in(plan: Plan, role: str, shape: tuple[int, ...]) -> Array:
    """A row that a loss takes."""
    loss, row = plan.settings.loss, np.zeros(shape)
    if role == "weights":
        return row
    if role == "target" and loss.target_kind is TargetKind.DISTRIBUTION:
        row[..., 0] = 1.0
    elif role == "target" and not are_numbers(loss.target_kind):
        row[...] = 1.0 if plan.numbers.get("blank") == 0.0 else 0.0
        if loss.target_kind is TargetKind.LABELS:
            row[..., 1:] = END_OF_LIST
    elif role == "prediction" and plan.rows_sum_to_one:
        row[...] = 1.0 / plan.width
    elif role in loss.inputs and loss.inputs[role].integer:
        row[...] = 1.0
    else:
        domain = plan.prediction_domain if role == "prediction" else loss.target
        domain = loss.inputs[role].domain if role in loss.inputs else domain
        low, high = domain.bounds()
        row[...] = max(domain.labels) if domain.labels else min(max(0.5, low), high)
    return row


def undefined_rows(part: Mapping[str, Array], kind: TargetKind) -> Mask:
    """Which rows hold a NaN, or a label that is not finite: what they have no loss for."""
    rows = len(part["prediction"])
    undefined = np.zeros(rows, np.bool_)
    for role, array in part.items():
        if array.dtype.kind == "f" and len(array) == rows and role != "weights":
            is_label = role == "target" and not are_numbers(kind)
            wrong = ~np.isfinite(array) if is_label else np.isnan(array)
            undefined |= wrong.reshape(rows, -1).any(axis=1)
    return undefined


class FiniteFeed(Feed):
    """A feed as one loss sees it that propagates: with stand-ins, to find what else is wrong."""

    def __init__(self, feed: Feed, plan: Plan) -> None:
        super().__init__(feed.readers, feed.whole_readers, feed.warnings)
        self._plan = plan

    def chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        return (stand_ins(self._plan, chunk, chunk.keys() - self.whole) for chunk in super().chunks(rows))


class SkippingFeed(Feed):
    """The rows of a feed that are finite in all that is in step; `skipped` of `all_rows` are not, after a pass."""

    def __init__(self, feed: Feed, takers: Collection[str]) -> None:
        super().__init__(feed.readers, feed.whole_readers, feed.warnings)
        self._takers = takers
        self.all_rows = 0

    def chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        return (chunk for _, chunk in self.numbered(rows))

    def numbered(self, rows: int) -> Iterator[tuple[Rows, dict[str, Array]]]:
        """The chunks, each with where in the files its rows stand."""
        for part in rechunk(self._kept(rows), rows):
            positions = part.pop(_POSITIONS)
            yield positions, part | self.read_whole(rows)

    def _kept(self, rows: int) -> Iterator[dict[str, Array]]:
        first = skipped = 0
        for chunk in super().chunks(rows):
            part = {role: array for role, array in chunk.items() if role not in self.whole}
            odd = odd_rows(part, list(part), self._takers)
            count = len(next(iter(part.values())))
            part[_POSITIONS] = np.arange(first, first + count)
            first += count
            if odd is not None:
                skipped += int(np.count_nonzero(odd))
                part = {role: array[~odd] for role, array in part.items()}
            yield part
        self.skipped, self.all_rows = skipped, first

    def place(self, role: str, row: int, column: int | None = None) -> str:
        """Reads the files again to find the row."""
        if role in self.whole:
            return super().place(role, row, column)
        left = row
        for positions, _ in self.numbered(1 << 16):
            if left < len(positions):
                return super().place(role, int(positions[left]), column)
            left -= len(positions)
        raise IndexError(f"row {row} of those that are kept")


class Spread:
    """Gives `write` what was computed of some rows at the places where they stand, and `fill` in all others.

    It writes `step` rows at a time, but for the last ones.
    """

    def __init__(self, write: Callable[[NDArray[Any]], None], step: int, fill: float) -> None:
        self._write, self._step, self._fill = write, step, fill
        self._first = 0
        self._window: NDArray[Any] | None = None
        self._like: tuple[tuple[int, ...], np.dtype[Any]] = ((), np.dtype(np.float64))

    def put(self, positions: Rows, values: NDArray[Any]) -> None:
        """Takes the values of rows in ascending order."""
        self._like = (values.shape[1:], values.dtype)
        while positions.size:
            if self._window is None:
                self._window = self._filled(self._step)
            inside = int(np.searchsorted(positions, self._first + self._step))
            self._window[positions[:inside] - self._first] = values[:inside]
            positions, values = positions[inside:], values[inside:]
            if positions.size:
                self._emit(self._step)

    def finish(self, rows: int) -> None:
        """Writes what is left of so many rows."""
        while self._first < rows:
            self._emit(min(self._step, rows - self._first))

    def _filled(self, rows: int) -> NDArray[Any]:
        shape, dtype = self._like
        return np.full((rows, *shape), self._fill, dtype)

    def _emit(self, rows: int) -> None:
        window = self._filled(rows) if self._window is None else self._window[:rows]
        self._window = None  # whoever takes it may hold it
        self._first += rows
        self._write(window)
