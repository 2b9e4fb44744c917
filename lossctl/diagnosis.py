"""What is wrong with the data, where it begins, how much of it there is, and what to do: for the run that must fail.

The engines only say that something is wrong in a block. Here the data is read once more, with NumPy, to say what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import DataError
from lossctl.feed import Feed
from lossctl.preparation import class_labels, not_whole
from lossctl.sources.base import Array
from lossctl_kernels import Plan
from lossctl_kernels.domains import Domain, TargetKind
from lossctl_kernels.reduce import tree_sum

__all__ = ["bad_labels", "check_weights", "diagnose", "diagnose_labels", "has_bad_labels", "looks_like_probabilities"]

Mask = NDArray[np.bool_]
Test = Callable[[Array], Mask]
NAMES = {"prediction": "predictions", "target": "targets", "weights": "weights"}


@dataclass
class Fault:
    """One thing that may be wrong with one array: where it first is, and how often."""

    role: str
    test: Test
    by_row: bool = False
    count: int = 0
    total: int = 0
    row: int = 0
    column: int | None = None
    value: float = 0.0
    low: float = np.inf
    high: float = -np.inf
    whole: bool = True

    def look(self, array: Array, first_row: int) -> None:
        """Adds what is wrong in one chunk."""
        wrong = self.test(array)
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


@dataclass
class _Search:
    feed: Feed
    chunk_rows: int
    faults: list[Fault] = field(default_factory=list)

    def run(self) -> Fault | None:
        """The first kind of fault in the list that the data has."""
        first_row = 0
        for chunk in self.feed.chunks(self.chunk_rows):
            for fault in self.faults:
                fault.look(chunk[fault.role], first_row)
            first_row += len(next(iter(chunk.values())))
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
    # As NumPy scalars: a Python float would be rounded to the dtype of the array, the largest float64 to infinity.
    low, high = (np.float64(bound) for bound in domain.bounds())
    if domain.labels:
        return lambda array: ~np.isin(array, domain.labels)
    return lambda array: ~((array >= low) & (array <= high))


def off_one(tolerance: float) -> Test:
    return lambda array: ~(np.abs(tree_sum(array.astype(np.float64)) - 1.0) <= tolerance)


def diagnose(feed: Feed, plan: Plan, chunk_rows: int) -> DataError:
    """The error for data that a backend found to be outside the domains of a plan."""
    loss = plan.settings.loss
    target = loss.target
    faults = [Fault("prediction", nonfinite(plan.prediction_domain))]
    if not plan.sparse:
        faults.append(Fault("target", nonfinite(target)))
    faults.append(Fault("prediction", outside(plan.prediction_domain)))
    if not plan.sparse:
        faults.append(Fault("target", outside(target)))
    if plan.rows_sum_to_one:
        faults.append(Fault("prediction", off_one(plan.tolerance), by_row=True))
    if plan.targets_sum_to_one:
        faults.append(Fault("target", off_one(plan.tolerance), by_row=True))
    found = _Search(feed, chunk_rows, faults).run()
    if found is None:
        return DataError(
            f"{loss.name}: the data changed while it was read", hint="run again on files that stay as they are"
        )
    place = feed.place(found.role, found.row, found.column)
    name = NAMES[found.role]
    if found.by_row:
        return DataError(
            f"{place}: the {found.role} row sums to {found.value:.6g}, not 1; "
            f"{found.count} of {found.total} rows are off by more than {plan.tolerance:g}",
            hint=_row_sum_remedy(plan, found),
        )
    if not np.isfinite(found.value):
        return DataError(
            f"{place}: the {found.role} is {found.value}; {found.count} of {found.total} {name} are not finite",
            hint="find out what made them, or leave those rows out of the file",
        )
    domain = plan.prediction_domain if found.role == "prediction" else target
    return DataError(
        f"{place}: {found.role} {found.value:.6g} is outside {domain}, where {loss.name} takes a {domain.name}; "
        f"{found.count} of {found.total} {name} are",
        hint=_domain_remedy(plan, found),
    )


def _row_sum_remedy(plan: Plan, fault: Fault) -> str:
    if fault.role == "target":
        return "each target row is a distribution: one-hot, or shares that sum to 1"
    if plan.width == 1:
        return "name the columns of all classes"
    loss, remedies = plan.settings.loss, []
    if "logit" in loss.forms:
        remedies.append("--from-logits if these are logits")
    if "normalize" in loss.options:
        remedies.append("normalize=true to divide each row by its sum")
    return ", or ".join(remedies) or "divide each row by its sum first"


def _domain_remedy(plan: Plan, fault: Fault) -> str:  # noqa: PLR0911 - one return for each remedy
    if fault.role == "target":
        if "labels" in plan.settings.options and fault.whole and (fault.low, fault.high) in ((0, 1), (-1, 1)):
            return f"labels={'01' if fault.low == 0 else 'pm1'} says what they are"
        if plan.settings.loss.target.labels or plan.settings.loss.target.high != 1.0:
            return f"targets of {plan.settings.loss.name} lie in {plan.settings.loss.target}"
        if fault.whole and fault.low >= -1 and fault.high <= 1:
            return "the labels look like -1 and 1: map them to 0 and 1"
        if fault.whole and fault.low >= 0:
            return "they look like class indices: give one prediction a class and use scce"
        return "targets of this loss are probabilities or 0/1 labels"
    if "logit" in plan.settings.loss.forms and plan.settings.input == "prob":
        if fault.low >= 0 and fault.high > 20 and fault.high <= 100:
            return "they look like percentages: divide them by 100"
        return "looks like logits: --from-logits"
    if plan.settings.input == "log_prob":
        other = "; for logits use --from-logits" if "logit" in plan.settings.loss.forms else ""
        return f"logarithms of probabilities are not above 0{other}"
    return f"predictions of {plan.settings.loss.name} lie in {plan.prediction_domain}"


def has_bad_labels(plan: Plan, array: Array) -> bool:
    """Whether class indices are not whole numbers, or name no class and are not ignored."""
    if array.dtype.kind in "iu" and array.size and array.min() >= 0 and array.max() < plan.width:
        return False
    return bool(bad_labels(plan, array).any())


def bad_labels(plan: Plan, array: Array) -> Mask:
    """Where class indices are not whole numbers, or name no class and are not ignored."""
    labels = class_labels(array)
    wrong = (labels < 0) | (labels >= plan.width)
    ignored = plan.settings["ignore_index"]
    if ignored is not None:
        wrong &= labels != ignored
    return wrong | not_whole(array)


def diagnose_labels(feed: Feed, plan: Plan, chunk_rows: int) -> DataError:
    """The error for class indices that `bad_labels` found."""
    fault = Fault("target", lambda array: bad_labels(plan, array))
    _Search(feed, chunk_rows, [fault]).run()
    place = feed.place("target", fault.row)
    found = f"{fault.value:g}" if isinstance(fault.value, float) else str(fault.value)
    if isinstance(fault.value, float) and fault.value != int(fault.value if np.isfinite(fault.value) else 0):
        problem, hint = f"{found} is not a class index", "class indices are whole numbers; for soft targets use cce"
    else:
        problem = f"class index {found} is outside 0..{plan.width - 1}"
        hint = _label_remedy(plan, fault)
    return DataError(f"{place}: {problem}; {fault.count} of {fault.total} labels are", hint=hint)


def _label_remedy(plan: Plan, fault: Fault) -> str:
    if fault.low == 1 and fault.high == plan.width:
        return f"the labels look as if they count from 1: subtract 1 (the predictions have {plan.width} classes)"
    if fault.low in (-1.0, -100.0):
        return f"if {fault.low:g} marks rows to leave out: --ignore-index {fault.low:g}"
    return f"the predictions have {plan.width} classes, one a column"


def check_weights(feed: Feed, array: Array, first_row: int) -> None:
    """Raises DataError unless every weight is finite and not negative."""
    # A NaN is its own minimum and maximum, and within no bounds.
    if not array.size or (array.min() >= 0 and array.max() < np.inf):
        return
    wrong = ~((array >= 0.0) & np.isfinite(array)) if array.dtype.kind == "f" else array < 0
    if wrong.any():
        position = int(np.argmax(wrong.reshape(-1)))
        place = feed.place("weights", first_row + position)
        raise DataError(
            f"{place}: weight {array.reshape(-1)[position].item():g} is not a finite number from 0 up",
            hint="weights are not negative; 0 leaves a sample out",
        )


def looks_like_probabilities(plan: Plan, array: Array) -> bool:
    """Whether what is said to be logits may be probabilities: all in [0, 1], rows of classes summing to 1."""
    if plan.settings.input != "logit" or not array.size or not ((array >= 0.0) & (array <= 1.0)).all():
        return False
    if plan.settings.loss.target_kind is TargetKind.SAME:
        return True
    return bool((np.abs(tree_sum(array.astype(np.float64)) - 1.0) <= plan.tolerance).all())
