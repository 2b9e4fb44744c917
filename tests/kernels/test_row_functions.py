"""Row functions: what they are given, which rows they see, and what their losses are on every backend."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import pytest

from lossctl_kernels import LOSSES, Plan, Scope, resolve
from lossctl_kernels.batch import Batch, Column
from lossctl_kernels.cpu import Cpu
from lossctl_kernels.domains import REAL
from lossctl_kernels.interpreted import Interpreter
from lossctl_kernels.reduce import block_sums
from lossctl_kernels.row_functions import LANES, codes, shares
from lossctl_kernels.spec import define, row_function
from tests.kernels import reference
from tests.kernels.array_formulas import circle_against
from tests.kernels.cases import Case, definitions, draw, is_row_function, parametrize
from tests.kernels.engines import assert_close, backend_of, backends, sample_gradients, sample_losses

engines = pytest.mark.parametrize("backend", backends())
compiled = pytest.mark.parametrize("backend", backends()[1:])
PAIRS = [Case("circle"), Case("circle", {"gamma": 5.0}), Case("ntxent"), Case("ntxent", {"temperature": 0.5})]
ROWS = [
    case
    for case in definitions()
    if is_row_function(case) and LOSSES[case.loss].scope is Scope.ROW and case.loss != "ctc"
]


# ---- what they are given


@parametrize([case for case in definitions() if is_row_function(case)])
def test_arguments_are_known_and_in_order(case: Case) -> None:
    found = codes(case.plan(), "float64", gradient=True)
    numbers = {*case.plan().numbers, *(f"{name}_given" for name in LOSSES[case.loss].inputs)}
    assert all(set(code.numbers) <= numbers for code in found)
    assert len({code.symbol for code in found}) == len(found)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_dtypes_are_other_code(dtype: str) -> None:
    plan = Case("sparsemax").plan()
    keys, others = ({code.key for code in codes(plan, each, True)} for each in (dtype, "float64"))
    assert len(keys & others) == (2 if dtype == "float64" else 0)


def test_codes_are_worked_out_once_for_a_plan() -> None:
    plan = Case("sparsemax").plan()
    assert all(a is b for a, b in zip(codes(plan, "float64", True), codes(plan, "float64", True), strict=True))


def test_arguments_in_another_order_are_refused() -> None:
    @row_function(scratch=lambda prediction: 1)
    def mixed(prediction: Any, row: int, scratch: Any) -> float:
        return 0.0

    settings = resolve(LOSSES["sparsemax"], {})
    loss = dataclasses.replace(settings.loss, forms={"value": define(mixed, REAL, Scope.ROW)})
    plan = Plan(dataclasses.replace(settings, loss=loss), 3)
    with pytest.raises(TypeError, match="must come in this order: row, prediction, scratch"):
        codes(plan, "float64")


# ---- rows


@engines
@parametrize(ROWS)
def test_rows_that_are_left_out_or_bad_are_not_computed(case: Case, backend: str) -> None:
    prediction, target = draw(case, 5)
    whole = sample_losses(backend_of(backend), case.plan(), prediction, target)
    prediction[1, 0] = np.nan
    keep = np.array([True, True, True, False, True])
    report, losses = backend_of(backend).losses(case.plan(), Batch(prediction, target, keep=keep))
    np.testing.assert_array_equal(losses, np.where([True, False, True, False, True], whole, np.nan))
    assert report[0, Column.BAD_PREDICTIONS] == 1
    assert report[0, Column.NONFINITE] == 1
    if case.plan().definition.gradient is None:
        return
    gradient = backend_of(backend).gradient(case.plan(), Batch(prediction, target, keep=keep), np.ones(5), {})
    assert gradient[0].any()
    assert not gradient[[1, 3]].any()


@compiled
@parametrize(ROWS)
def test_bad_rows_are_found_in_whichever_span_they_are(case: Case, backend: str) -> None:
    prediction, target = draw(case, 20_000)
    whole = sample_losses(backend_of(backend), case.plan(), prediction, target)
    bad = [0, 4095, 4096, 9999, 19_999]
    prediction[bad, 1] = np.nan
    reports, losses = backend_of(backend).losses(case.plan(), Batch(prediction, target))
    whole[bad] = np.nan
    np.testing.assert_array_equal(losses, whole)
    np.testing.assert_array_equal(reports[:, Column.BAD_PREDICTIONS], [2.0, 1.0, 1.0, 0.0, 1.0])


@engines
@parametrize(ROWS)
def test_sums_are_the_same_where_nothing_else_is_asked_for(case: Case, backend: str) -> None:
    batch = Batch(*draw(case, 300))
    described, asked = (backend_of(backend).losses(case.plan(), batch, wanted)[0] for wanted in (True, False))
    np.testing.assert_array_equal(asked[:, Column.SUM], described[:, Column.SUM])


@engines
@parametrize(PAIRS)
def test_one_bad_row_leaves_all_pairs_undefined(case: Case, backend: str) -> None:
    prediction, target = draw(case, 5)
    prediction[2, 1] = np.inf
    report, losses = backend_of(backend).losses(case.plan(), Batch(prediction, target))
    assert np.isnan(losses).all()
    assert report[0, Column.BAD_PREDICTIONS] == 1


@compiled
@parametrize([Case("sparsemax"), Case("multilabel_margin"), *PAIRS])
def test_threads_and_chunks_change_no_bit(case: Case, backend: str) -> None:
    plan = case.plan(5)
    rows = 3 * LANES + 5 if plan.scope is Scope.PAIRS else 2 * plan.block_rows + 3
    weights = np.random.default_rng(3).uniform(size=rows)
    batch = Batch(*draw(case, rows, 5), weights)
    one, many = Cpu(1), Cpu(3)
    (report, losses), (other_report, other_losses) = one.losses(plan, batch), many.losses(plan, batch)
    assert report.tobytes() == other_report.tobytes()
    assert losses.tobytes() == other_losses.tobytes()
    np.testing.assert_array_equal(report[:, Column.SUM], block_sums(losses * weights, plan.block_rows))
    gradients = [engine.gradient(plan, batch, np.ones(rows), {}).tobytes() for engine in (one, many)]
    assert gradients[0] == gradients[1]


@compiled
@parametrize([Case("sparsemax"), Case("multilabel_margin"), Case("multilabel_margin", {"labels": "dense"}), *PAIRS])
def test_backends_agree(case: Case, backend: str) -> None:
    """On more rows than a group has, and more than a tile of references."""
    batch = Batch(*draw(case, 2 * LANES + 7, 6, "float32"))
    plan, scales = case.plan(6, "float32"), np.random.default_rng(4).uniform(size=batch.rows)
    found, expected = backend_of(backend), Interpreter()
    for one, other in zip(found.losses(plan, batch), expected.losses(plan, batch), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    np.testing.assert_allclose(
        found.gradient(plan, batch, scales, {}), expected.gradient(plan, batch, scales, {}), rtol=3e-7, atol=1e-9
    )


# ---- sparsemax


@engines
def test_sparsemax_of_a_wide_row(backend: str) -> None:
    prediction, target = draw(Case("sparsemax"), 3, 2000)
    prediction *= 1e-4  # all classes are in the support
    exact = reference.losses("sparsemax", {}, prediction, target)
    assert_close(sample_losses(backend_of(backend), Case("sparsemax").plan(2000), prediction, target), exact, 1e-12)
    slopes = sample_gradients(backend_of(backend), Case("sparsemax").plan(2000), prediction, target)
    np.testing.assert_allclose(slopes.sum(axis=1), 0.0, atol=1e-14)


NEAR = [[0.0, -1.0 + 1e-9, -3.0], [5.0, 4.0, 4.0 + 2.0**-40], [1e6, 1e6 - 0.75, 0.0], [0.0, -1.0, -2.0]]


@engines
def test_sparsemax_keeps_its_digits_near_0(backend: str) -> None:
    prediction, target = np.array(NEAR), np.zeros(4, np.int64)
    exact = reference.losses("sparsemax", {}, prediction, target)
    assert exact[3] == 0
    assert_close(sample_losses(backend_of(backend), Case("sparsemax").plan(3), prediction, target), exact, 1e-12)


@engines
def test_sparsemax_of_far_scores_and_ties(backend: str) -> None:
    prediction = np.array([[1e300, -1e300, 0.0], [2.0, 2.0, 2.0], [1e308, -1e308, 0.0]])
    found = sample_losses(backend_of(backend), Case("sparsemax").plan(3), prediction, np.array([1, 0, 2]))
    np.testing.assert_allclose(found, [2e300, 1 / 3, 1e308])


# ---- multilabel margin: lists as PyTorch reads them


@engines
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 2, -1], 0.5 / 3 + 1.5 / 3),
        ([0, 0, -1], (2 * (0.5 + 0.0)) / 3),
        ([0, -1, 5], (0.5 + 0.0) / 3),
        ([-1, 0, 1], 0.0),
        ([0, 1, 2], 0.0),
    ],
)
def test_lists_of_labels(labels: list[int], expected: float, backend: str) -> None:
    """Scores 1, 0.5, 0: a class listed twice counts twice, and nothing counts after -1."""
    prediction = np.array([[1.0, 0.5, -0.0]])
    found = sample_losses(backend_of(backend), Case("multilabel_margin").plan(3), prediction, np.array([labels]))
    np.testing.assert_allclose(found, [expected], rtol=1e-15)


@engines
@pytest.mark.parametrize(("kink", "share"), [("torch", 0.0), ("flat", 0.0), ("half", 0.5), ("steep", 1.0)])
def test_kink_of_the_multilabel_margin(kink: str, share: float, backend: str) -> None:
    plan = Case("multilabel_margin", {"kink": kink}).plan(2)
    found = sample_gradients(backend_of(backend), plan, np.array([[1.0, 0.0]]), np.array([[0, -1]]))
    np.testing.assert_array_equal(found, [[-share / 2, share / 2]])


@engines
def test_dense_labels_are_0_or_1(backend: str) -> None:
    plan = Case("multilabel_margin", {"labels": "dense"}).plan(2)
    assert np.isnan(sample_losses(backend_of(backend), plan, np.zeros((1, 2)), np.array([[0.5, 1.0]]))).all()


# ---- pairs


def test_shares_of_the_pairs() -> None:
    labels = np.array([3, 1, 3, 7, 3])
    batch = Batch(np.eye(5), labels)
    np.testing.assert_array_equal(shares(Case("ntxent").plan(5), batch), [2, 0, 2, 0, 2])
    np.testing.assert_array_equal(shares(Case("circle").plan(5), batch), [1, 0, 1, 0, 1])
    all_have = Case("circle", {"remove_diagonal": "false"}).plan(5)
    np.testing.assert_array_equal(shares(all_have, batch), [1, 1, 1, 1, 1])
    alike = Batch(np.eye(2), np.array([4, 4]))
    np.testing.assert_array_equal(shares(Case("circle").plan(2), alike), [0, 0])
    assert shares(Case("sparsemax").plan(5), batch) is None


@pytest.fixture
def _digits() -> Iterator[None]:
    with mpmath.workdps(reference.DIGITS):
        yield


@engines
@pytest.mark.usefixtures("_digits")
def test_circle_against_other_references(backend: str) -> None:
    prediction, target = draw(Case("circle"), 6)
    references, labels = draw(Case("circle"), 9, seed=2)
    inputs = {"reference": references, "reference_labels": labels}
    plan, batch = Case("circle", {"gamma": 5.0}).plan(), Batch(prediction, target, inputs=inputs)
    rows = [reference.numbers(row) for row in references]

    def losses(points: Any) -> Any:
        return circle_against(points, target.tolist(), rows, labels.tolist(), {"gamma": 5.0})

    points = [reference.numbers(row) for row in prediction]
    assert_close(backend_of(backend).losses(plan, batch)[1], losses(points), 1e-12)
    exact = [
        reference.derivative(lambda row, i=i: losses([*points[:i], row, *points[i + 1 :]])[i], points[i], j)  # type: ignore[misc]
        for i in range(6)
        for j in range(3)
    ]
    assert_close(backend_of(backend).gradient(plan, batch, np.ones(6), {}), exact, 1e-12, 1e-15)
    positives = labels == target[0]
    found = shares(plan, batch)
    assert found is not None
    assert found[0] == (positives[1:].any() and not positives.all())


@engines
def test_detached_weights_change_the_gradient_alone(backend: str) -> None:
    """With one positive and one negative of each anchor, the slopes are known."""
    angles = np.array([0.0, 0.5, 1.7])
    prediction, labels = np.stack([np.cos(angles), np.sin(angles)], axis=1), np.array([0, 0, 1])
    case = Case("circle", {"gamma": 2.0, "margin": 0.25, "detach_weights": "true"})
    scales = np.array([1.0, 0.0, 0.0])
    batch, engine = Batch(prediction, labels), backend_of(backend)
    loss = engine.losses(case.plan(2), batch)[1][0]
    assert loss == engine.losses((case | {"detach_weights": "false"}).plan(2), batch)[1][0]
    near, far = 1.0 - prediction[0] @ prediction[1], 1.0 - prediction[0] @ prediction[2]
    slope = 1.0 - np.exp(-loss)
    expected = slope * (-2.0 * (0.25 + near) * prediction[1] + 2.0 * (1.25 - far) * prediction[2])
    np.testing.assert_allclose(engine.gradient(case.plan(2), batch, scales, {})[0], expected, rtol=1e-13)


@engines
@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e200, 1e307])
def test_ntxent_does_not_depend_on_lengths(size: float, backend: str) -> None:
    case = Case("ntxent", {"temperature": 0.5})
    prediction, labels = draw(case, 6)
    scaled = prediction * size
    exact = reference.losses("ntxent", case.options, scaled, labels)
    assert_close(sample_losses(backend_of(backend), case.plan(), scaled, labels), exact, 1e-12)
    if size > 1e-300:
        slopes = sample_gradients(backend_of(backend), case.plan(), scaled, labels) * size
        expected = sample_gradients(backend_of(backend), case.plan(), prediction, labels)
        np.testing.assert_allclose(slopes, expected, rtol=1e-9, atol=1e-14)


@engines
def test_what_nothing_pulls_has_no_gradient_however_short_it_is(backend: str) -> None:
    """Where no row is like another, or all are."""
    prediction = np.array([[3e-315, -1e-315], [2e-320, 0.0], [5e-324, 5e-324]])
    for labels in ([0, 0, 0], [0, 1, 2]):
        found = sample_gradients(backend_of(backend), Case("ntxent").plan(2), prediction, np.array(labels))
        np.testing.assert_array_equal(found, 0.0)


@engines
def test_zero_vectors_have_cosine_0_and_no_gradient(backend: str) -> None:
    prediction = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    plan, batch = Case("ntxent", {"temperature": 1.0}).plan(2), Batch(prediction, np.array([0, 0, 1]))
    np.testing.assert_allclose(backend_of(backend).losses(plan, batch)[1], [np.log(2.0), np.log(2.0), 0.0])
    assert not backend_of(backend).gradient(plan, batch, np.ones(3), {})[0].any()


@engines
@pytest.mark.parametrize(("loss", "counted"), [("ntxent", [0.0, 1.0, 0.0]), ("circle", [0.0, 1.0, 1.0])])
def test_vectors_of_the_wrong_length_are_counted(loss: str, counted: list[float], backend: str) -> None:
    plan = Case(loss).plan(2).degenerate
    assert plan is not None
    prediction = np.array([[0.6, 0.8], [0.0, 0.0], [3.0, 4.0]])
    assert backend_of(backend).losses(plan, Batch(prediction, np.array([0, 1, 1])))[1].tolist() == counted


@engines
@parametrize(PAIRS)
def test_labels_alone_decide_what_belongs_together(case: Case, backend: str) -> None:
    prediction, _ = draw(case, 4)
    lone = sample_losses(backend_of(backend), case.plan(), prediction, np.array([5, -2, 2**40, 0]))
    same = sample_losses(backend_of(backend), case.plan(), prediction, np.full(4, -100))
    assert not lone.any()
    assert not same.any()
