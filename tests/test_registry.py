"""What is true of every loss of the registry, through the Python API: weights, rows, sizes, number types, domains."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import lossctl
from lossctl.errors import DataError
from lossctl_kernels import LOSSES
from lossctl_kernels.batch import Array
from lossctl_kernels.domains import Domain, TargetKind
from lossctl_kernels.facts import Pooling
from lossctl_kernels.spec import Scope
from tests.kernels.cases import Case, Floats, each, for_each_loss, forms

BLOCK = 4096
DENSE = (TargetKind.SAME, TargetKind.DISTRIBUTION, TargetKind.INDEX)


def takes_rows_alone(case: Case) -> bool:
    """Whether rows have losses of their own, of predictions and targets and nothing else."""
    loss = LOSSES[case.loss]
    return not loss.inputs and loss.target_kind in DENSE and loss.scope in (Scope.ELEMENT, Scope.ROW)


def is_mean(case: Case) -> bool:
    return takes_rows_alone(case) and LOSSES[case.loss].pooling is Pooling.MEAN


FORMS = [case for case in forms() if LOSSES[case.loss].target_kind in DENSE and not LOSSES[case.loss].inputs]
MEANS = [case for case in FORMS if is_mean(case)]
SLOPING = [case for case in MEANS if LOSSES[case.loss].has_gradient]


def draw(case: Case, rows: int, seed: int = 3) -> tuple[Array, Array]:
    """Data of a case in the shape that its loss takes."""
    from tests.kernels.cases import draw as draw_data

    loss = LOSSES[case.loss]
    width = 3 if loss.scope is Scope.ROW or "scope" in loss.options else 1
    return draw_data(case, rows, width, seed=seed)


def value(case: Case, data: tuple[Array, Array], **more: Any) -> float:
    return lossctl.evaluate(*data, str(case), backend="python", **more).value


def per_sample(case: Case, data: tuple[Array, Array]) -> Floats:
    return lossctl.per_sample(*data, str(case), backend="python")


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
        weighted = math.fsum(losses * weights)
        assert close(value(case, data, weights=weights), weighted / weights.sum())
        assert close(value(case, data, weights=weights, reduction="sum"), weighted)
        assert close(value(case, data), math.fsum(losses) / 9)

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


@for_each_loss(FORMS)
def test_a_row_twice_is_a_row_of_weight_two_and_one_of_weight_0_is_absent(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        data = draw(case, 8)
        weights = np.array([2.0, 1.0, 1.0, 0.0, 1.0, 3.0, 1.0, 0.0])
        index = np.repeat(np.arange(8), weights.astype(int))
        repeated = data[0][index], data[1][index]
        assert close(value(case, data, weights=weights), value(case, repeated))

    each([case for case in cases if LOSSES[case.loss].pooling is not Pooling.MEDIAN], check)


@for_each_loss(FORMS)
def test_the_order_of_rows_does_not_matter(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        data, order = draw(case, 50), np.random.default_rng(2).permutation(50)
        shuffled = data[0][order], data[1][order]
        assert close(value(case, shuffled), value(case, data))
        if is_mean(case):
            np.testing.assert_array_equal(per_sample(case, shuffled), per_sample(case, data)[order])

    each(cases, check)


@for_each_loss(SLOPING)
def test_gradients_of_means_and_sums_are_those_of_the_rows_times_their_share(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        data, weights = draw(case, 6), weights_of(6)
        share = weights if data[0].ndim == 1 else weights[:, None]
        alone = lossctl.gradient(*data, str(case | {"grad_scale": "sample"}), backend="python")
        both = {
            reduction: lossctl.gradient(*data, str(case), weights=weights, reduction=reduction, backend="python")
            for reduction in ("sum", "mean")
        }
        np.testing.assert_allclose(both["sum"], alone * share, rtol=1e-14)
        np.testing.assert_allclose(both["mean"], alone * share / weights.sum(), rtol=1e-13)

    each(cases, check)


# ---- sizes


@for_each_loss(FORMS)
def test_no_rows_are_refused(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        prediction, target = draw(case, 2)
        with pytest.raises(DataError, match=r"empty|no rows"):
            value(case, (prediction[:0], target[:0]))

    each(cases, check)


@for_each_loss(MEANS)
def test_one_row_is_its_own_mean(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        data = draw(case, 1)
        assert value(case, data) == per_sample(case, data)[0]

    each(cases, check)


@pytest.mark.parametrize("rows", [BLOCK - 1, BLOCK, BLOCK + 1])
@for_each_loss(MEANS)
def test_ends_of_blocks(cases: list[Case], rows: int) -> None:
    def check(case: Case) -> None:
        prediction, target = draw(case, rows)
        losses = per_sample(case, (prediction, target))
        assert len(losses) == rows
        assert close(value(case, (prediction, target)), math.fsum(losses) / rows)
        last = prediction[-1:], target[-1:]
        assert per_sample(case, last)[0] == losses[-1]

    each(cases[:1], check)


# ---- number types: the value is that of the same numbers in float64


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@for_each_loss(FORMS)
def test_floats_of_fewer_bits_are_computed_in_full_precision(cases: list[Case], dtype: str) -> None:
    def check(case: Case) -> None:
        prediction, target = (array.astype(dtype) if array.dtype == float else array for array in draw(case, 7))
        if (
            LOSSES[case.loss]
            .forms[str(case.options.get("input", next(iter(LOSSES[case.loss].forms))))]
            .prediction.rows_sum_to_one
        ):
            prediction = np.full_like(prediction, 0.25)
            prediction[:, 0] = 0.5
        if LOSSES[case.loss].target_kind is TargetKind.DISTRIBUTION:
            target = np.eye(3, dtype=dtype)[np.arange(7) % 3]
        wide = prediction.astype(float), target.astype(float) if target.dtype == dtype else target
        assert value(case, (prediction, target)) == value(case, wide)

    each(cases, check)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "bool"])
@for_each_loss(FORMS)
def test_whole_numbers_and_truth_values_are_the_numbers_that_they_are(cases: list[Case], dtype: str) -> None:
    """Ones and, where they are allowed, zeros: no arithmetic wraps, nothing is taken for something else."""

    def check(case: Case) -> None:
        prediction, target = draw(case, 6)
        loss = LOSSES[case.loss]
        form = loss.forms[str(case.options.get("input", next(iter(loss.forms))))]
        ones = np.ones(prediction.shape)
        if form.prediction.rows_sum_to_one:
            ones[:, 1:] = 0.0
        elif form.prediction.high < 1.0:
            ones[:] = 0.0
        goal = np.eye(3)[np.zeros(6, int)] if loss.target_kind is TargetKind.DISTRIBUTION else np.ones(target.shape)
        if loss.target_kind is TargetKind.INDEX:
            goal = np.zeros(6, np.int64)
        narrow = ones.astype(dtype), goal.astype(dtype)
        assert value(case, narrow) == value(case, (ones, goal))

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


def is_refused(case: Case, prediction: Array, target: Array) -> bool:
    try:
        value(case, (prediction, target))
    except DataError as error:
        return "outside" in str(error)
    return False


@for_each_loss(FORMS)
def test_predictions_at_the_ends_of_their_domain(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        prediction, target = draw(case, 4)
        domain = case.plan().prediction_domain
        for number, allowed in [] if domain.rows_sum_to_one else ends(domain):
            changed = prediction.copy()
            changed[1] = number
            assert is_refused(case, changed, target) is not allowed, number

    each(cases, check)


@for_each_loss(FORMS)
def test_targets_at_the_ends_of_their_domain(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        prediction, target = draw(case, 4)
        settled = case.plan().settings.loss
        if settled.target_kind is not TargetKind.SAME:
            return
        for number, allowed in ends(settled.target):
            changed = target.copy()
            changed[1] = number
            expected = allowed and (not settled.target.labels or number in settled.target.labels)
            assert is_refused(case, prediction, changed) is not expected, number

    each(cases, check)


@for_each_loss([case for case in FORMS if case.plan().sparse])
def test_classes_at_the_ends_of_a_row(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        prediction, target = draw(case, 4)
        for index, allowed in ((-1, False), (0, True), (2, True), (3, False)):
            changed = target.copy()
            changed[1] = index
            assert is_refused(case, prediction, changed) is not allowed, index

    each(cases, check)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@for_each_loss(FORMS)
def test_what_is_not_finite_is_refused(cases: list[Case], bad: float) -> None:
    def check(case: Case) -> None:
        prediction, target = draw(case, 4)
        for side in (0, 1):
            changed = [prediction.copy(), target.astype(float)]
            changed[side][1] = bad
            with pytest.raises(DataError):
                value(case, (changed[0], changed[1]))

    each(cases, check)


# ---- the helpers, which must be able to fail


def test_ends_of_a_domain() -> None:
    closed, opened = Domain("", 0.0, 1.0), Domain("", 0.0, math.inf, low_open=True)
    assert [allowed for _, allowed in ends(closed)] == [True, True, False] * 2
    assert [allowed for _, allowed in ends(opened)] == [True, False, False]
    assert ends(Domain("", -math.inf, math.inf)) == []
    assert [number for number, _ in ends(closed)][1::3] == [0.0, 1.0]


def test_a_refusal_is_told_from_another_fault() -> None:
    assert is_refused(Case("bce"), np.array([1.5]), np.array([1.0]))
    assert not is_refused(Case("bce"), np.array([0.5]), np.array([1.0]))
    assert not is_refused(Case("bce"), np.array([math.nan]), np.array([1.0]))
