"""What is true of every loss of the registry, through the Python API: weights, rows, sizes, number types, domains."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import lossctl
from lossctl.errors import DataError
from lossctl_kernels import LOSSES
from lossctl_kernels.batch import Array
from lossctl_kernels.domains import Domain, TargetKind
from lossctl_kernels.facts import Pooling
from lossctl_kernels.spec import Definition, Scope
from tests.kernels.cases import Case, Floats, each, for_each_loss, forms
from tests.kernels.cases import draw as draw_arrays
from tests.kernels.further import drawn_inputs

BLOCK = 4096
DENSE = (TargetKind.SAME, TargetKind.DISTRIBUTION, TargetKind.INDEX)
FORMS = forms()
# A row of a loss of all pairs has no loss of its own, and a second one like it makes other pairs.
ALONE = [case for case in FORMS if LOSSES[case.loss].scope is not Scope.PAIRS]
MEANS = [
    case
    for case in ALONE
    if LOSSES[case.loss].scope in (Scope.ELEMENT, Scope.ROW) and LOSSES[case.loss].pooling is Pooling.MEAN
]
SLOPING = [case for case in MEANS if LOSSES[case.loss].has_gradient]


@dataclass(frozen=True)
class Data:
    """What a loss is computed of; the further inputs by name, the optional ones too."""

    prediction: Array
    target: Array
    inputs: dict[str, Array]

    def rows(self, index: Any) -> Data:
        return Data(self.prediction[index], self.target[index], {name: a[index] for name, a in self.inputs.items()})

    def each(self, change: Callable[[Array], Array]) -> Data:
        return Data(change(self.prediction), change(self.target), {n: change(a) for n, a in self.inputs.items()})


def form_of(case: Case) -> Definition:
    return case.plan().definition


def draw(case: Case, rows: int, seed: int = 3) -> Data:
    """Data of a case in the shape that its loss takes."""
    loss = LOSSES[case.loss]
    width = 3 if loss.scope in (Scope.ROW, Scope.PAIRS) or "scope" in loss.options else 1
    prediction, target = draw_arrays(case, rows, width, seed=seed)
    return Data(prediction, target, drawn_inputs(loss, prediction))


def value(case: Case, data: Data, **more: Any) -> float:
    arrays = data.prediction, data.target
    return lossctl.evaluate(*arrays, str(case), backend="python", inputs=data.inputs, **more).value


def per_sample(case: Case, data: Data) -> Floats:
    """NaN for a row that has no defined loss, and counts in no mean."""
    return lossctl.per_sample(data.prediction, data.target, str(case), backend="python", inputs=data.inputs)


def mean(losses: Floats, weights: Floats) -> float:
    there = ~np.isnan(losses)
    assert there.any()
    return math.fsum(losses[there] * weights[there]) / math.fsum(weights[there])


def weights_of(rows: int) -> Floats:
    return np.random.default_rng(17).integers(1, 9, rows) / 4.0


def close(found: float, expected: float) -> bool:
    return found == pytest.approx(expected, rel=1e-13, abs=1e-15)


# ---- weights and rows


@for_each_loss(MEANS)
def test_the_value_is_the_weighted_mean_of_the_losses_of_the_rows(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        data, weights = draw(case, 9), weights_of(9)
        losses = per_sample(case, data)
        assert close(value(case, data, weights=weights), mean(losses, weights))
        assert close(value(case, data, weights=weights, reduction="sum"), math.fsum(np.nan_to_num(losses) * weights))
        assert close(value(case, data), mean(losses, np.ones(9)))

    each(cases, check)


# A class of a generalised Dice loss counts 1 / (T² + 1e-7), T its weighted size.
@for_each_loss([case for case in FORMS if LOSSES[case.loss].pooling is not Pooling.BY_FREQUENCY])
def test_only_the_proportions_of_weights_matter(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        data, weights = draw(case, 9), weights_of(9)
        once = value(case, data, weights=weights)
        assert value(case, data, weights=weights * 2.0**40) == once
        assert close(value(case, data, weights=weights * 3.0), once)
        assert value(case, data, weights=np.ones(9)) == value(case, data)

    each(cases, check)


@for_each_loss(ALONE)
def test_a_row_twice_is_a_row_of_weight_two_and_one_of_weight_0_is_absent(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        data = draw(case, 8)
        weights = np.array([2.0, 1.0, 1.0, 0.0, 1.0, 3.0, 1.0, 0.0])
        index = np.repeat(np.arange(8), weights.astype(int))
        assert close(value(case, data, weights=weights), value(case, data.rows(index)))

    each([case for case in cases if LOSSES[case.loss].pooling is not Pooling.MEDIAN], check)


@for_each_loss(FORMS)
def test_the_order_of_rows_does_not_matter(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        data, order = draw(case, 50), np.random.default_rng(2).permutation(50)
        shuffled = data.rows(order)
        assert close(value(case, shuffled), value(case, data))
        if case in MEANS:
            np.testing.assert_array_equal(per_sample(case, shuffled), per_sample(case, data)[order])

    each(cases, check)


@for_each_loss(SLOPING)
def test_gradients_of_means_and_sums_are_those_of_the_rows_times_their_share(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        data, weights = draw(case, 6), weights_of(6)
        data = data.rows(~np.isnan(per_sample(case, data)))
        weights = weights[: len(data.prediction)]
        share = weights.reshape(-1, *[1] * (data.prediction.ndim - 1))

        def gradient(case: Case, **more: Any) -> Array:
            arrays = data.prediction, data.target
            return lossctl.gradient(*arrays, str(case), backend="python", inputs=data.inputs, **more)

        alone = gradient(case | {"grad_scale": "sample"})
        both = {kind: gradient(case, weights=weights, reduction=kind) for kind in ("sum", "mean")}
        np.testing.assert_allclose(both["sum"], alone * share, rtol=1e-14)
        np.testing.assert_allclose(both["mean"], alone * share / weights.sum(), rtol=1e-13)

    each(cases, check)


# ---- sizes


@for_each_loss(FORMS)
def test_no_rows_are_refused(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        with pytest.raises(DataError, match=r"empty|no rows"):
            value(case, draw(case, 2).rows(slice(0, 0)))

    each(cases, check)


@for_each_loss(MEANS)
def test_one_row_is_its_own_mean(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        data = draw(case, 1)
        assert value(case, data) == per_sample(case, data)[0]

    each(cases, check)


@pytest.mark.parametrize("rows", [2, 7, 40])
@for_each_loss([case for case in FORMS if LOSSES[case.loss].scope is Scope.PAIRS])
def test_both_engines_agree_on_pairs(cases: list[Case], rows: int) -> None:
    def check(case: Case) -> None:
        data = draw(case, rows)
        compiled = lossctl.evaluate(data.prediction, data.target, str(case), backend="cpu", inputs=data.inputs)
        assert compiled.value == pytest.approx(value(case, data), rel=1e-12, nan_ok=rows == 2)  # without a pair

    each(cases, check)


@pytest.mark.parametrize("rows", [BLOCK - 1, BLOCK, BLOCK + 1])
@for_each_loss(MEANS)
def test_ends_of_blocks(cases: list[Case], rows: int) -> None:
    def check(case: Case) -> None:
        data = draw(case, rows)
        losses = per_sample(case, data)
        assert len(losses) == rows
        assert close(value(case, data), mean(losses, np.ones(rows)))
        np.testing.assert_array_equal(per_sample(case, data.rows([-1, 0])), losses[[-1, 0]])

    each(cases[:1], check)


# ---- number types: the value is that of the same numbers in float64


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@for_each_loss(FORMS)
def test_floats_of_fewer_bits_are_computed_in_full_precision(cases: list[Case], dtype: str) -> None:
    def check(case: Case) -> None:
        data = draw(case, 7).each(lambda array: array.astype(dtype) if array.dtype == float else array)
        if form_of(case).prediction.rows_sum_to_one:
            data.prediction[:] = 0.25
            data.prediction[:, 0] = 0.5
        if LOSSES[case.loss].target_kind is TargetKind.DISTRIBUTION:
            data.target[:] = np.eye(3, dtype=dtype)[np.arange(7) % 3]
        wide = data.each(lambda array: array.astype(float) if array.dtype == dtype else array)
        assert value(case, data) == value(case, wide)

    each(cases, check)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "bool"])
@for_each_loss(FORMS)
def test_whole_numbers_and_truth_values_are_the_numbers_that_they_are(cases: list[Case], dtype: str) -> None:
    """Ones and, where they are allowed, zeros: no arithmetic wraps, nothing is taken for something else."""

    def check(case: Case) -> None:
        data, kind, domain = draw(case, 6), LOSSES[case.loss].target_kind, form_of(case).prediction
        ones = np.ones(data.prediction.shape)
        if domain.rows_sum_to_one:
            ones[:, 1:] = 0.0
        elif domain.high < 1.0:
            ones[:] = 0.0
        goal = np.eye(3)[np.zeros(6, int)] if kind is TargetKind.DISTRIBUTION else np.ones(data.target.shape)
        if kind is TargetKind.INDEX:
            goal = np.zeros(6, np.int64)
        inputs = {name: np.ones(array.shape) for name, array in data.inputs.items()}
        wide = Data(ones, goal if kind in DENSE else data.target, inputs)
        narrow = Data(
            ones.astype(dtype),
            goal.astype(dtype) if kind in DENSE else data.target,
            {name: array.astype(dtype) for name, array in inputs.items()},
        )
        assert value(case, narrow) == value(case, wide)

    each(cases, check)


# ---- domains: a number just inside each end, on it, and just outside


def ends(domain: Domain) -> list[tuple[float, bool]]:
    """Numbers at the finite ends of an interval, and whether each is allowed."""
    found = []
    for end, outwards, is_open in ((domain.low, -math.inf, domain.low_open), (domain.high, math.inf, False)):
        if math.isfinite(end):
            inwards = math.nextafter(end, -outwards)
            found += [(inwards, True), (end, not is_open), (math.nextafter(end, outwards), False)]
    return found


def is_refused(case: Case, data: Data) -> bool:
    try:
        value(case, data)
    except DataError as error:
        return "outside" in str(error)
    return False


def at_row_1(array: Array, number: float) -> Array:
    changed = array.copy()
    changed[1] = number
    return changed


@for_each_loss(FORMS)
def test_predictions_at_the_ends_of_their_domain(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        data, domain = draw(case, 4), case.plan().prediction_domain
        for number, allowed in [] if domain.rows_sum_to_one else ends(domain):
            changed = replace(data, prediction=at_row_1(data.prediction, number))
            assert is_refused(case, changed) is not allowed, number

    each(cases, check)


@for_each_loss(FORMS)
def test_targets_at_the_ends_of_their_domain(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        data, settled = draw(case, 4), case.plan().settings.loss
        if settled.target_kind is not TargetKind.SAME:
            return
        for number, allowed in ends(settled.target):
            changed = replace(data, target=at_row_1(data.target, number))
            expected = allowed and (not settled.target.labels or number in settled.target.labels)
            assert is_refused(case, changed) is not expected, number

    each(cases, check)


@for_each_loss([case for case in FORMS if LOSSES[case.loss].inputs])
def test_further_inputs_at_the_ends_of_their_domain(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        data, facts = draw(case, 4), case.plan().settings.loss.inputs
        for name, array in data.inputs.items():
            domain = facts[name].domain
            for number, allowed in ends(domain):
                changed = replace(data, inputs=data.inputs | {name: at_row_1(array, number)})
                expected = allowed and (not domain.labels or number in domain.labels)
                assert is_refused(case, changed) is not expected, f"{name} {number}"

    each(cases, check)


@for_each_loss([case for case in FORMS if case.plan().sparse])
def test_classes_at_the_ends_of_a_row(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        data = draw(case, 4)
        for index, allowed in ((-1, False), (0, True), (2, True), (3, False)):
            assert is_refused(case, replace(data, target=at_row_1(data.target, index))) is not allowed, index

    each(cases, check)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@for_each_loss(FORMS)
def test_what_is_not_finite_is_refused(cases: list[Case], bad: float) -> None:
    def check(case: Case) -> None:
        data = draw(case, 4)
        changes = [replace(data, prediction=at_row_1(data.prediction, bad))]
        changes += [replace(data, target=at_row_1(data.target.astype(float), bad))]
        changes += [replace(data, inputs=data.inputs | {n: at_row_1(a, bad)}) for n, a in data.inputs.items()]
        for changed in changes:
            with pytest.raises(DataError):
                value(case, changed)

    each(cases, check)


# ---- the helpers, which must be able to fail


def test_ends_of_a_domain() -> None:
    closed, opened = Domain("", 0.0, 1.0), Domain("", 0.0, math.inf, low_open=True)
    assert [allowed for _, allowed in ends(closed)] == [True, True, False] * 2
    assert [allowed for _, allowed in ends(opened)] == [True, False, False]
    assert ends(Domain("", -math.inf, math.inf)) == []
    assert [number for number, _ in ends(closed)][1::3] == [0.0, 1.0]


def test_a_refusal_is_told_from_another_fault() -> None:
    for prediction, refused in ((1.5, True), (0.5, False), (math.nan, False)):
        assert is_refused(Case("bce"), Data(np.array([prediction]), np.array([1.0]), {})) is refused
