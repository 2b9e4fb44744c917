"""Sums of logarithms by way of products: as exact as adding them one by one, and only where they hold."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl_kernels import LOSSES, Plan, resolve
from lossctl_kernels.batch import Batch, Column
from lossctl_kernels.cpu import Cpu
from lossctl_kernels.interpreted import Interpreter
from lossctl_kernels.scalar import log_of_product, split

Array = NDArray[Any]
FACTORED = [
    (loss.name, form)
    for loss in LOSSES.values()
    for form, definition in loss.forms.items()
    if definition.factored is not None
]


def plan_of(form: str, dtype: str = "float64", **options: Any) -> Plan:
    return Plan(resolve(LOSSES["bce"], {"input": form, **options}), 1, dtype)


def sums(plan: Plan, prediction: Array, target: Array) -> Array:
    """What the products give for each block: NaN where they do not hold."""
    assert plan.factored is not None
    return Cpu(1)._reports(plan, plan.factored, Batch(prediction, target))[:, Column.SUM]


def exact(form: str, prediction: Array, target: Array) -> mpmath.mpf:
    """The sum of the losses in 50 digits."""
    with mpmath.workdps(50):
        total = mpmath.mpf(0)
        for p, y in zip(map(mpmath.mpf, prediction.tolist()), map(mpmath.mpf, target.tolist()), strict=True):
            if form == "logit":
                total += y * mpmath.log1p(mpmath.exp(-p)) + (1 - y) * mpmath.log1p(mpmath.exp(p))
            else:
                total -= mpmath.log(p) if y == 1 else mpmath.log1p(-p)
        return total


def test_the_losses_that_are_logarithms_have_a_factored_form() -> None:
    names = {"bce": ("prob", "logit"), "soft_margin": ("value",), "gamma_deviance": ("value",), "log_cosh": ("value",)}
    assert {(name, form) for name, forms in names.items() for form in forms} == set(FACTORED)


@pytest.mark.parametrize(("name", "form"), FACTORED)
def test_factored_forms_are_the_losses_themselves(name: str, form: str) -> None:
    rng = np.random.default_rng(4)
    loss = LOSSES[name]
    low, high = max(loss.forms[form].prediction.low, -8.0), min(loss.forms[form].prediction.high, 8.0)
    prediction = rng.uniform(low, high, 500)
    target = rng.choice(loss.target.labels or (0.0, 1.0), 500) if name != "gamma_deviance" else prediction[::-1].copy()
    plan = Plan(resolve(loss, {"input": form} if len(loss.forms) > 1 else {}), 1)
    reports, _ = Interpreter().losses(plan, Batch(prediction, target))
    assert sums(plan, prediction, target) == pytest.approx(reports[:, Column.SUM], rel=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-9, 1e-25])
def test_products_of_probabilities_are_exact_however_small_the_losses(dtype: str, scale: float) -> None:
    rng = np.random.default_rng(5)
    target = (rng.random(3000) < 0.5).astype(dtype)
    error = rng.uniform(0.0, 1.0, target.size) * scale
    prediction = np.where(target == 1.0, 1.0 - error, error).astype(dtype)
    if scale < 1e-7:  # 1 - error is 1: nothing is lost for these
        prediction = np.where(target == 1.0, np.array(1.0, dtype), prediction)
    (total,) = sums(plan_of("prob", dtype), prediction, target)
    true = exact("prob", prediction, target)
    assert abs(total - true) <= 4e-16 * true


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("offset", [0.0, 8.0, 40.0, 700.0, -40.0])
@pytest.mark.parametrize("soft", [False, True])
def test_products_from_logits_are_exact_near_and_far_from_the_label(dtype: str, offset: float, soft: bool) -> None:
    rng = np.random.default_rng(6)
    target = rng.uniform(0.0, 1.0, 3000) if soft else rng.integers(0, 2, 3000)
    target = target.astype(dtype)
    side = np.where(target >= 0.5, 1.0, -1.0)
    prediction = (side * offset + rng.standard_normal(target.size)).astype(dtype)
    (total,) = sums(plan_of("logit", dtype), prediction, target)
    true = exact("logit", prediction, target)
    assert abs(total - true) <= 4e-16 * true


def test_small_probabilities_of_what_happened_do_not_underflow() -> None:
    prediction = np.full(600, np.float32(1e-45))
    (total,) = sums(plan_of("prob", "float32"), prediction, np.ones(600, np.float32))
    assert total == pytest.approx(-600.0 * float(mpmath.log(float(prediction[0]))), rel=1e-15)


def factored_sum(name: str, prediction: Array, target: Array) -> Any:
    """The sum over one block, NaN where products do not hold."""
    (total,) = sums(Plan(resolve(LOSSES[name], {}), 1, prediction.dtype.name), prediction, target)
    return total


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spread", [0.05, 0.3, 1.0, 8.0])
def test_products_of_quotients_are_exact_where_the_losses_are_not_small(dtype: str, spread: float) -> None:
    rng = np.random.default_rng(9)
    target = rng.uniform(0.1, 5.0, 800)
    prediction = (target * np.exp(spread * rng.standard_normal(800))).astype(dtype)
    target = target.astype(dtype)
    with mpmath.workdps(50):
        pairs = zip(map(mpmath.mpf, prediction.tolist()), map(mpmath.mpf, target.tolist()), strict=True)
        true = mpmath.fsum(2 * (y / m - 1 - mpmath.log(y / m)) for m, y in pairs)
    assert abs(factored_sum("gamma_deviance", prediction, target) - true) <= 2e-15 * true


@pytest.mark.parametrize("size", [16, 3000])
def test_sums_that_cancel_are_left_alone(size: int) -> None:
    prediction = np.random.default_rng(10).uniform(0.1, 5.0, size)
    for distance in (1e-15, 1e-9, 1e-3, 0.02):
        assert np.isnan(factored_sum("gamma_deviance", prediction, prediction * (1.0 + distance)))
    assert not np.isnan(factored_sum("gamma_deviance", prediction, prediction * 1.1))


@pytest.mark.parametrize("number", [2.0**-121, 2.0**121, 5e-324, 1e308])
def test_quotients_whose_products_may_overflow_or_vanish_are_left_alone(number: float) -> None:
    numbers = np.random.default_rng(11).uniform(1.0, 5.0, 100)
    extreme = numbers.copy()
    extreme[40] = number
    assert np.isnan(factored_sum("gamma_deviance", extreme, numbers))
    assert np.isnan(factored_sum("gamma_deviance", numbers, extreme))
    # 32 numbers of a lane times 16 lanes at the ends of what is taken.
    most, least = np.full(512, 2.0**120), np.full(512, 2.0**-120)
    for prediction, target in ((most, least), (least, most)):
        v = (target / prediction)[0]
        true = 512 * 2 * (v - 1.0 - 240 * np.sign(np.log(v)) * np.log(2.0))
        assert factored_sum("gamma_deviance", prediction, target) == pytest.approx(true, rel=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e-150, 1e-9, 1e-3, 0.5, 3.0, 8.0, 40.0, 1e4, 1e300])
def test_products_of_hyperbolic_cosines_are_exact_however_large_the_errors(dtype: str, scale: float) -> None:
    rng = np.random.default_rng(12)
    scale = min(scale, 1e30) if dtype == "float32" else scale
    error = (rng.standard_normal(600) * max(scale, 1e-30 if dtype == "float32" else 0.0)).astype(dtype)
    with mpmath.workdps(40):
        sizes = [abs(mpmath.mpf(e)) for e in error.tolist()]
        true = mpmath.fsum(mpmath.log1p(2 * mpmath.sinh(e / 2) ** 2) if e < 700 else e - mpmath.ln2 for e in sizes)
    assert abs(factored_sum("log_cosh", error, np.zeros_like(error)) - true) <= 1e-15 * true


@pytest.mark.parametrize("logit", [-708.5, 709.0, 1e30])
def test_logits_whose_exponentials_vanish_are_left_alone(logit: float) -> None:
    prediction = np.linspace(-3.0, 3.0, 100)
    prediction[50] = logit
    assert np.isnan(sums(plan_of("logit"), prediction, np.ones(100))).all()
    assert np.isnan(factored_sum("soft_margin", prediction, np.ones(100)))


@pytest.mark.parametrize(
    ("place", "prediction", "target"),
    [
        pytest.param(4100, 0.5, 0.5, id="soft label"),
        pytest.param(4100, 0.0, 1.0, id="impossible event"),
        pytest.param(4100, 1e-310, 1.0, id="subnormal"),
        pytest.param(4100, 1.5, 1.0, id="no probability"),
        pytest.param(4100, np.nan, 1.0, id="nan prediction"),
        pytest.param(4100, 0.5, np.nan, id="nan target"),
        pytest.param(9000, 0.5, 0.25, id="in the last values"),
    ],
)
def test_a_block_that_products_cannot_add_up_says_so(place: int, prediction: float, target: float) -> None:
    rng = np.random.default_rng(7)
    predictions, targets = rng.uniform(0.1, 0.9, 9001), rng.integers(0, 2, 9001).astype(float)
    predictions[place], targets[place] = prediction, target
    result = sums(plan_of("prob"), predictions, targets)
    assert np.flatnonzero(np.isnan(result)).tolist() == [place // 4096]


def test_too_few_values_for_the_lanes_say_so_as_well() -> None:
    assert np.isnan(sums(plan_of("prob"), np.full(15, 0.5), np.ones(15))).all()
    assert not np.isnan(sums(plan_of("prob"), np.full(16, 0.5), np.ones(16))).any()


@pytest.mark.parametrize("size", [1, 15, 16, 17, 31, 63, 64, 65, 511, 512, 513, 527, 528, 4095, 4096, 4097, 4111, 4113])
def test_every_size_is_added_up_whole(size: int) -> None:
    rng = np.random.default_rng(size)
    prediction, target = rng.uniform(0.01, 0.99, size), rng.integers(0, 2, size).astype(float)
    for form in ("prob", "logit"):
        reports, _ = Cpu(1).losses(plan_of(form), Batch(prediction, target), wanted=False)
        true = exact(form, prediction, target)
        assert abs(reports[:, Column.SUM].sum() - true) <= 1e-15 * true


def test_the_sum_has_the_same_bits_with_and_without_the_losses_of_each_sample() -> None:
    rng = np.random.default_rng(8)
    prediction, target = rng.uniform(0.0, 1.0, 20_000), rng.integers(0, 2, 20_000).astype(float)
    target[5000] = 0.5  # the second block goes the other way
    plan, batch = plan_of("prob"), Batch(prediction, target)
    alone, nothing = Cpu(1).losses(plan, batch, wanted=False)
    beside, losses = Cpu(2).losses(plan, batch, wanted=True)
    assert (nothing.size, losses.size) == (0, 20_000)
    np.testing.assert_array_equal(alone[:, Column.SUM], beside[:, Column.SUM])
    assert alone[:, Column.SUM].sum() == pytest.approx(losses.sum(), rel=1e-14)


@pytest.mark.parametrize(
    "options", [{"pos_weight": 2.0}, {"label_smoothing": 0.1}, {"eps": 1e-7}, {"eps": -100.0, "eps_mode": "log_floor"}]
)
def test_other_formulas_are_not_taken_for_products(options: dict[str, Any]) -> None:
    assert plan_of("prob", **options).factored is None


def test_smoothed_labels_are_no_hindrance_where_labels_may_be_soft() -> None:
    rng = np.random.default_rng(9)
    prediction, target = rng.standard_normal(100), rng.integers(0, 2, 100).astype(float)
    (total,) = sums(plan_of("logit", label_smoothing=0.1), prediction, target)
    assert total == pytest.approx(float(exact("logit", prediction, target * 0.9 + 0.05)), rel=1e-15)


def test_split_and_log_of_product_are_each_others_inverse() -> None:
    with np.errstate(all="ignore"):
        for x in (1e-300, 0.3, 0.70710678, 0.7071068, 1.0, 1.41421356, 1.4142136, 7.0, 1e300):
            fraction, exponent = split(np.float64(x))
            assert np.sqrt(0.5) <= fraction < np.sqrt(2.0)
            assert fraction * 2.0 ** float(exponent) == x
            assert log_of_product(fraction, float(exponent), x - 1.0) == pytest.approx(float(mpmath.log(x)), rel=2e-16)
