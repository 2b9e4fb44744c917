"""From arrays to batches: nothing is lost on the way, and what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest

import lossctl
from lossctl.catalogue.loss_spec import Shapes, parse, settle
from lossctl.errors import DataError
from lossctl.values.labels import class_labels, not_whole
from lossctl.values.preparation import compute_dtype, prepare
from lossctl_kernels import Plan
from lossctl_kernels.domains import NONNEGATIVE, SIGN_LABEL, TargetKind
from lossctl_kernels.spec import Input, InputShape

ANY = Input("any numbers", InputShape.LIKE_PREDICTION)
SIGN = Input("1 or -1", InputShape.ONE_A_ROW, SIGN_LABEL)
COUNT = Input("whole numbers", InputShape.ONE_A_ROW, NONNEGATIVE, integer=True)
PATHS = {"prediction": "p.npy", "target": "y.npy"}


@pytest.mark.parametrize(
    ("kind", "bounded", "prediction", "target", "expected"),
    [
        (TargetKind.SAME, False, "float32", "float32", "float32"),
        (TargetKind.SAME, False, "float16", "int16", "float32"),
        (TargetKind.SAME, False, "float32", "int32", "float64"),
        (TargetKind.SAME, True, "float32", "int64", "float32"),
        (TargetKind.SAME, True, "float32", "float64", "float64"),
        (TargetKind.SAME, False, "float64", "float32", "float64"),
        (TargetKind.SAME, False, "int8", "int8", "float64"),
        (TargetKind.INDEX, False, "float32", "int64", "float32"),
    ],
)
def test_float32_is_used_where_it_holds_every_value(
    kind: TargetKind, bounded: bool, prediction: str, target: str, expected: str
) -> None:
    assert compute_dtype(kind, bounded, prediction, target) == expected


@pytest.mark.parametrize(
    ("facts", "dtype", "expected"),
    [
        (ANY, "float32", "float32"),
        (ANY, "float16", "float32"),
        (ANY, "int16", "float32"),
        (ANY, "float64", "float64"),
        (ANY, "int64", "float64"),
        (SIGN, "int64", "float32"),
        (SIGN, "float64", "float64"),
        (COUNT, "int64", "float32"),
        (COUNT, "float64", "float32"),
    ],
)
def test_further_arrays_have_a_say_in_it(facts: Input, dtype: str, expected: str) -> None:
    assert compute_dtype(TargetKind.SAME, False, "float32", "float32", [(facts, dtype)]) == expected
    assert compute_dtype(TargetKind.SAME, False, "float64", "float32", [(facts, dtype)]) == "float64"


def test_targets_that_turn_out_to_be_float64_keep_all_their_digits() -> None:
    plan = Plan(settle(parse("bce"), {}, Shapes((), ())), 1, "float32")
    chunk = {"prediction": np.array([0.5], np.float32), "target": np.array([0.1])}
    batch = prepare(plan, "float32", chunk, None, PATHS).batch
    assert [array.dtype.name for array in (batch.prediction, batch.target)] == ["float64", "float64"]
    assert batch.target.tolist() == [0.1]


def test_labels_go_to_int64_without_a_detour() -> None:
    assert class_labels(np.array([[3], [0]], np.uint8)).tolist() == [3, 0]
    assert class_labels(np.array([True, False])).tolist() == [1, 0]
    assert class_labels(np.array([2.0, -1.0])).tolist() == [2, -1]
    assert (class_labels(np.array([2**64 - 1, 2**63], np.uint64)) > 1 << 50).all()
    assert (class_labels(np.array([np.nan, np.inf, 1e300])) < 0).all()
    assert not_whole(np.array([1.0, 1.5, np.nan, np.inf, -2.0])).tolist() == [False, True, True, True, False]
    assert not not_whole(np.array([1, 2])).any()


def test_rows_that_are_ignored_have_no_share_and_no_class_outside_the_row() -> None:
    plan = Plan(settle(parse("scce:ignore_index=-1,class_weight=1|4"), {}, Shapes((2,), ())), 2)
    chunk = {"prediction": np.full((3, 2), 0.5), "target": np.array([1, -1, 0])}
    prepared = prepare(plan, "float64", chunk, np.array([1.0, 2.0, 3.0]), PATHS)
    assert prepared.kept == 2
    assert prepared.shares is not None
    assert prepared.shares.tolist() == [4.0, 0.0, 3.0]
    assert prepared.batch.keep is not None
    assert prepared.batch.keep.tolist() == [True, False, True]
    assert set(prepared.batch.target.tolist()) <= {0, 1}


def test_class_weights_of_soft_targets_are_shared_out() -> None:
    plan = Plan(settle(parse("cce:class_weight=1|4"), {}, Shapes((2,), (2,))), 2)
    chunk = {"prediction": np.full((2, 2), 0.5), "target": np.array([[0.5, 0.5], [0.0, 1.0]])}
    shares = prepare(plan, "float64", chunk, None, PATHS).shares
    assert shares is not None
    assert shares.tolist() == [2.5, 4.0]


def test_labels_outside_the_classes_never_reach_a_kernel() -> None:
    plan = Plan(settle(parse("scce"), {}, Shapes((2,), ())), 2)
    chunk = {"prediction": np.full((3, 2), 0.5), "target": np.array([-(10**9), 10**9, 1])}
    assert prepare(plan, "float64", chunk, None, PATHS).batch.target.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("spec", "remedy"),
    [
        ("multilabel_soft_margin", "for one logit a row use bce:input=logit"),
        ("coverage_error", "save the scores of all classes, and a 0 or 1 for each"),
        ("cosine_distance", "for whole columns as two long vectors use cosine_global"),
        ("ranking_softmax", "save what belongs together side by side, in one row"),
        ("generalized_kl", "save what belongs together side by side, in one row"),
        ("scce", "for one probability a row use bce"),
        ("circle", "save one embedding a row"),
    ],
)
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_what_is_said_of_a_column_where_a_loss_is_of_rows(spec: str, remedy: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="needs rows of values") as caught:
        lossctl.evaluate(np.ones(shape), np.ones(3 if spec in ("scce", "circle") else shape, dtype=int), spec)
    assert caught.value.hint == remedy


def test_arrays_in_memory_are_called_by_their_role_alone() -> None:
    prediction = np.ones((4, 3))
    with pytest.raises(DataError, match=r"found predictions \(4, 3\) float64 and targets \(4, 1\) float64"):
        lossctl.evaluate(prediction, np.ones((4, 1)), "mse")
    with pytest.raises(DataError, match=r"found var \(4, 1\) float64 and predictions \(4, 3\) float64"):
        lossctl.evaluate(prediction, prediction, "gaussian_nll", inputs={"var": np.ones((4, 1))})


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_one_variance_of_each_row_is_repeated_as_the_message_says(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    prediction, target, var = random.normal(size=(4, 3)), random.normal(size=(4, 3)), random.random(shape) + 0.5
    with pytest.raises(DataError) as caught:
        lossctl.evaluate(prediction, target, "gaussian_nll", inputs={"var": var})
    code = str(caught.value.hint).rpartition("nothing is broadcast: for one of each row: ")[2]
    repeated = eval(code, {"numpy": np, "var": var})
    found = lossctl.evaluate(prediction, target, "gaussian_nll", inputs={"var": repeated}).value
    column = var.reshape(-1, 1)
    assert found == pytest.approx(float(np.mean((np.log(column) + (prediction - target) ** 2 / column) / 2)), rel=1e-14)
