"""What is wrong with the data, where it begins, how much of it there is, and what to do: for the run that must fail.

The engines only say that something is wrong in a block. Here the data is read once more, with NumPy, to say what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from lossctl.diagnoses.remedies import label_remedy, prediction_remedy, row_sum_remedy, target_remedy, whole_remedy
from lossctl.errors import DataError
from lossctl.rows.feed import Feed
from lossctl.sources.base import Array
from lossctl.values.conversion import TooLarge
from lossctl.values.labels import LENGTHS, are_numbers, inexact, not_whole, wrong
from lossctl_kernels import Loss, Plan, reports
from lossctl_kernels.conversions import LARGEST_EXACT
from lossctl_kernels.domains import Domain, TargetKind
from lossctl_kernels.records import Record, field
from lossctl_kernels.spec import Input

Mask = NDArray[np.bool_]
Test = Callable[[Array], Mask]
CACHED_VALUES = 1 << 15
"""Looked at together: they stay in a core's cache between the first look and the second."""

# Beyond its bounds a sum of shares in half precision may be, and hardly anything else.
_ROUNDING = 1e-3
_LEAST_WEIGHT = float(np.finfo(np.float64).tiny)

_NONFINITE_REMEDY = "find out what made them, or leave out their rows with --nonfinite skip"

NAMES = {"prediction": "predictions", "target": "targets", "weights": "weights"}


class Fault(Record, frozen=False):
    """One thing that may be wrong with one array: where it first is, and how often."""

    role: str
    test: Test
    by_row: bool = False
    of_chunk: Callable[[Mapping[str, Array]], Mask] | None = None
    """In place of `test`, where other arrays say what is wrong with this one."""
    count: int = 0
    total: int = 0
    row: int = 0
    column: int | None = None
    value: float = 0.0
    low: float = np.inf
    high: float = -np.inf
    whole: bool = True

    def look(self, chunk: Mapping[str, Array], first_row: int) -> None:
        """Adds what is wrong in one chunk."""
        array = chunk[self.role]
        wrong = self.test(array) if self.of_chunk is None else self.of_chunk(chunk)
        if not self.count and wrong.any():
            place = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
            self.row = first_row + int(place[0])
            rest = array.shape[1:]
            if not self.by_row and len(place) > 1:
                self.column = int(np.ravel_multi_index(place[1:], rest)) if rest else None
            row = array[place[0]]
            self.value = float(np.sum(row, dtype=np.float64)) if self.by_row else array[place].item()
        self.count += int(np.count_nonzero(wrong))
        self.total += wrong.size
        finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
        if finite.size:
            self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))
            self.whole = self.whole and bool((finite == np.floor(finite)).all())


class _Search(Record, frozen=False):
    feed: Feed
    chunk_rows: int
    faults: list[Fault] = field(default_factory=list)

    def run(self) -> Fault | None:
        """The first kind of fault in the list that the data has."""
        first_row = 0
        for chunk in self.feed.chunks(self.chunk_rows):
            for fault in self.faults:
                if first_row == 0 or fault.role not in self.feed.whole:  # every chunk has all of what is whole
                    fault.look(chunk, first_row)
            first_row += len(chunk["prediction"])
        return next((fault for fault in self.faults if fault.count), None)


def nonfinite(domain: Domain) -> Test:
    """NaN and infinities; minus infinity is a logit of its own."""

    def test(array: Array) -> Mask:
        if array.dtype.kind != "f":
            return np.zeros(array.shape, np.bool_)
        wrong = ~np.isfinite(array)
        return wrong & ~(array == -np.inf) if domain.low_infinity else wrong

    return test


def outside(domain: Domain) -> Test:
    """Tells which values are not in `domain`; NaN never is."""
    if domain.labels:
        return lambda array: ~np.isin(array, domain.labels)
    return lambda array: reports.outside(array, domain)


def off_one(tolerance: float) -> Test:
    """Tells which rows have a sum that is not 1."""
    return lambda array: reports.off_one(array, tolerance)


def diagnose(feed: Feed, plan: Plan, chunk_rows: int) -> DataError:
    """The error for data that a backend found to be outside the domains of a plan."""
    loss = plan.settings.loss
    target = loss.target
    dense = are_numbers(loss.target_kind)
    faults = [Fault("prediction", nonfinite(plan.prediction_domain))]
    if dense:
        faults.append(Fault("target", nonfinite(target)))
    faults.append(Fault("prediction", outside(plan.prediction_domain)))
    if dense:
        faults.append(Fault("target", outside(target)))
    if plan.rows_sum_to_one:
        faults.append(Fault("prediction", off_one(plan.tolerance), by_row=True))
    if plan.targets_sum_to_one:
        faults.append(Fault("target", off_one(plan.tolerance), by_row=True))
    found = _Search(feed, chunk_rows, faults).run()
    if found is None:
        return _changed(loss.name)
    place = feed.place(found.role, found.row, found.column)
    name = NAMES[found.role]
    if found.by_row:
        return DataError(
            f"{place}: the {found.role} row sums to {found.value:.6g}, not 1; "
            f"{found.count} of {found.total} rows are off by more than {plan.tolerance:g}",
            hint=row_sum_remedy(
                plan, found.role, columns_sum_to_one=_columns_sum_to_one(feed, plan, found.role, chunk_rows)
            ),
        )
    if not np.isfinite(found.value):
        return DataError(
            f"{place}: the {found.role} is {found.value}; {found.count} of {found.total} {name} are not finite",
            hint=_NONFINITE_REMEDY,
        )
    if found.role == "prediction":
        domain, hint = plan.prediction_domain, prediction_remedy(plan, found.low, found.high, whole=found.whole)
    else:
        domain, hint = target, target_remedy(plan, found.low, found.high, whole=found.whole)
    if _is_off_by_rounding(domain, found.low, found.high):
        hint = "they are off by rounding: cut them off at the bounds first, with np.clip"
    return DataError(
        f"{place}: {found.role} {_told(found.value, domain)} is outside {domain}, where {loss.name} takes a "
        f"{domain.name}; {found.count} of {found.total} {name} are",
        hint=hint,
    )


def _is_off_by_rounding(domain: Domain, low: float, high: float) -> bool:
    least, most = domain.bounds()
    if domain.labels or domain.low_open:
        return False
    return low >= least - _ROUNDING and high <= most + _ROUNDING and most - least < np.inf


def _told(value: float, domain: Domain) -> str:
    """A value outside a domain, with as many digits as it takes to see that it is."""
    low, high = domain.bounds()
    short = f"{value:.6g}"
    return repr(float(value)) if low <= float(short) <= high and not domain.labels else short


@contextmanager
def placing_integers(feed: Feed, chunk_rows: int) -> Iterator[None]:
    """Adds to the error for integers that are too large where the first of them stands, and how many there are."""
    try:
        yield
    except TooLarge as error:
        fault = Fault(error.role, lambda array: (array < -LARGEST_EXACT) | (array > LARGEST_EXACT))
        if _Search(feed, chunk_rows, [fault]).run() is None:
            raise _changed(feed.arrays[error.role].path) from None
        raise DataError(
            f"{feed.place(error.role, fault.row, fault.column)}: integers beyond 2**53 are not exact in float64, found "
            f"{fault.value}; {fault.count} of {fault.total} {NAMES.get(error.role, 'values')} are such",
            hint=error.hint,
        ) from None


def _changed(loss: str) -> DataError:
    return DataError(f"{loss}: the data changed while it was read", hint="run again on files that stay as they are")


def _columns_sum_to_one(feed: Feed, plan: Plan, role: str, chunk_rows: int) -> bool:
    """Whether it is each column, and not each row, that is a distribution."""
    total: Array | float = 0.0
    for chunk in feed.chunks(chunk_rows):
        array = chunk[role]
        if array.ndim != 2:
            return False
        total = total + array.sum(axis=0, dtype=np.float64)
    return bool((np.abs(np.asarray(total) - 1.0) <= plan.tolerance).all())


def has_bad_labels(plan: Plan, chunk: Mapping[str, Array]) -> bool:
    """Whether labels are not whole numbers, or name no class and are not ignored."""
    array, kind = chunk["target"], plan.settings.loss.target_kind
    if are_numbers(kind) or not array.size or (kind is TargetKind.GROUP and array.dtype.kind != "f"):
        return False
    if kind is TargetKind.INDEX and array.dtype.kind in "iu" and array.min() >= 0 and array.max() < plan.width:
        return False
    return bool(wrong(plan, chunk).any())


def diagnose_labels(feed: Feed, plan: Plan, chunk_rows: int) -> DataError:
    """The error for labels that are `wrong`."""
    fault = Fault("target", not_whole, of_chunk=lambda chunk: wrong(plan, chunk))
    if _Search(feed, chunk_rows, [fault]).run() is None:
        return _changed(plan.settings.loss.name)
    place = feed.place("target", fault.row, fault.column)
    kind = plan.settings.loss.target_kind
    found = f"{fault.value:g}" if isinstance(fault.value, float) else str(fault.value)
    if found.lstrip("-").isdecimal():  # what is no whole number is not shown as one
        found = str(fault.value).removesuffix(".0")
    others = "are"
    if isinstance(fault.value, float) and fault.value != int(fault.value if np.isfinite(fault.value) else 0):
        what = "label" if kind is TargetKind.GROUP else "class index"
        problem, others = f"{found} is not a {what}", "are not"
        hint = whole_remedy(kind)
    elif kind is TargetKind.GROUP:
        problem, hint = f"label {found} is not exact in float64", "save labels as integers"
    elif kind is TargetKind.SEQUENCE and fault.value == plan.numbers["blank"]:
        problem = f"class index {found} among the labels is the blank"
        hint = "blank=CLASS names the class that is not a label; only the end of a row is padded"
    else:
        problem = f"class index {found} is outside 0..{_classes(feed, plan) - 1}"
        hint = label_remedy(plan, fault.low, fault.high, _classes(feed, plan))
    return DataError(f"{place}: {problem}; {fault.count} of {fault.total} labels {others}", hint=hint)


def _classes(feed: Feed, plan: Plan) -> int:
    """How many classes predictions have: the last axis."""
    if plan.settings.loss.target_kind is TargetKind.INDEX:
        return plan.width
    return int(feed.arrays["prediction"].shape[-1] or 1)


def check_weights(feed: Feed, array: Array, first_row: int) -> None:
    """Raises DataError unless every weight is finite and not negative."""
    # A NaN is its own minimum and maximum, and within no bounds.
    if not array.size or (array.min() >= _LEAST_WEIGHT and array.max() < np.inf):
        return
    wrong = ~((array >= 0.0) & np.isfinite(array)) if array.dtype.kind == "f" else array < 0
    tiny = (array > 0) & (array < _LEAST_WEIGHT)
    if not (wrong.any() or tiny.any()):
        return
    position = int(np.argmax((wrong if wrong.any() else tiny).reshape(-1)))
    weight = f"{feed.place('weights', first_row + position)}: weight {array.reshape(-1)[position].item():g}"
    if wrong.any():
        raise DataError(
            f"{weight} is not a finite number from 0 up", hint="weights are not negative; 0 leaves a sample out"
        )
    raise DataError(
        f"{weight} is so small that its products lose digits; allowed are 0, and {_LEAST_WEIGHT:g} and more",
        hint="rescale the weights: only their ratios matter",
    )


def check_input(feed: Feed, loss: Loss, name: str, array: Array, chunk_rows: int) -> None:
    """Raises DataError unless all of a further array of a loss, here a chunk of it, is in its domain."""
    facts = loss.inputs[name]
    if not array.size or _fits(facts, array):
        return
    found = _Search(feed, chunk_rows, [Fault(name, test) for test in _input_tests(facts)]).run()
    if found is None:
        raise _changed(loss.name)
    value = f"{feed.place(name, found.row, found.column)}: {name} {found.value:.6g}"
    others = f"{found.count} of {found.total} values are"
    if not np.isfinite(found.value):
        raise DataError(f"{value} is not finite; {others} not", hint=_NONFINITE_REMEDY)
    if facts.integer and inexact(np.array([found.value])).any():
        raise DataError(f"{value} is not a whole number; {others} not", hint=f"{name} is {facts.description}")
    raise DataError(
        f"{value} is outside {facts.domain}, where {loss.name} takes a {facts.domain.name}; {others}",
        hint=f"{name} is {facts.description}",
    )


def _fits(facts: Input, array: Array) -> bool:
    """Whether no value is wrong: what `_input_tests` say, in as few looks at the values as there can be."""
    if facts.integer and inexact(array).any():
        return False
    if facts.domain.labels:
        return bool(np.logical_or.reduce([array == label for label in facts.domain.labels]).all())
    low, high = reports.bounds_in_float64(facts.domain)
    values = array.reshape(-1)
    pieces = (values[start : start + CACHED_VALUES] for start in range(0, values.size, CACHED_VALUES))
    return all(piece.min() >= low and piece.max() <= high for piece in pieces)  # a NaN is its own minimum


def check_lengths(feed: Feed, plan: Plan, chunk: Mapping[str, Array], chunk_rows: int) -> None:
    """Raises DataError unless no sequence of a chunk is said to be longer than its row."""
    for name, role in LENGTHS.items():
        if name not in chunk or name not in plan.settings.loss.inputs:
            continue
        whole = chunk[role].shape[1] if chunk[role].ndim > 1 else 1

        def too_long(array: Array, most: int = whole) -> Mask:
            return np.asarray(array > most)

        if not too_long(chunk[name]).any():
            continue
        found = _Search(feed, chunk_rows, [Fault(name, too_long)]).run()
        if found is None:
            raise _changed(plan.settings.loss.name)
        raise DataError(
            f"{feed.place(name, found.row)}: {name} {found.value:.6g} is more than the {whole} that a row of "
            f"{feed.arrays[role].path} has; {found.count} of {found.total} are",
            hint=f"{name} is {plan.settings.loss.inputs[name].description}",
        )


def _input_tests(facts: Input) -> list[Test]:
    """What may be wrong with a further array, in the order in which it is told."""
    whole = [inexact] if facts.integer else []
    return [nonfinite(facts.domain), *whole, outside(facts.domain)]
