"""What is said of bad data: the first place, the count, the value, and the remedy; wherever in the stream it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lossctl
from lossctl.diagnoses.diagnosis import diagnose
from lossctl.errors import DataError
from tests.cli.commands import refused

ROWS = 9000


@pytest.mark.parametrize("backend", ["python", "cpu"])
@pytest.mark.parametrize("row", [0, 4095, 4096, 8999])
def test_the_first_row_is_counted_from_the_start_of_the_data(row: int, backend: str) -> None:
    prediction = np.full(ROWS, 0.5)
    prediction[row:] = 3.0
    with pytest.raises(
        DataError, match=rf"row {row}: prediction 3 is outside \[0, 1\].* {ROWS - row} of {ROWS} predictions"
    ):
        lossctl.evaluate(prediction, np.zeros(ROWS), "bce", backend=backend)
    prediction[row:] = np.nan
    with pytest.raises(DataError, match=rf"row {row}: the prediction is nan; {ROWS - row} of {ROWS} "):
        lossctl.evaluate(prediction, np.zeros(ROWS), "mse", backend=backend)
    labels = np.zeros(ROWS, np.int64)
    labels[row] = 7
    with pytest.raises(DataError, match=rf"row {row}: class index 7 is outside 0..1; 1 of {ROWS} labels"):
        lossctl.evaluate(np.full((ROWS, 2), 0.5), labels, "scce", backend=backend)
    weights = np.ones(ROWS)
    weights[row] = -1.0
    with pytest.raises(DataError, match=rf"weights array, row {row}: weight -1 "):
        lossctl.evaluate(np.zeros(ROWS), np.zeros(ROWS), "mse", weights=weights, backend=backend)


@pytest.mark.parametrize("role", ["prediction", "target", "weights"])
@pytest.mark.parametrize("row", [0, 4096, 8999])
def test_the_first_integer_that_is_too_large_is_named(row: int, role: str) -> None:
    given: dict[str, Any] = {"prediction": np.zeros((ROWS, 2)), "target": np.zeros((ROWS, 2)), "weights": np.ones(ROWS)}
    array = given[role].astype(np.int64)
    array.reshape(ROWS, -1)[row:, -1] = 2**53
    array.reshape(ROWS, -1)[row, -1] = 2**53 + 1
    given[role] = array
    column = "" if role == "weights" else ", column 1"
    count = f"1 of {array.size} {role if role == 'weights' else role + 's'} are such"
    with pytest.raises(DataError, match=rf"{role} array, row {row}{column}: .* found {2**53 + 1}; {count}"):
        lossctl.evaluate(given["prediction"], given["target"], "mse", weights=given["weights"])


def test_an_integer_that_is_too_large_in_a_further_array_is_named() -> None:
    variance = np.array([1, 2, 2**60 + 1])
    with pytest.raises(DataError, match=rf"var array, row 2: .* found {2**60 + 1}; 1 of 3 values"):
        lossctl.evaluate(np.zeros(3), np.zeros(3), "gaussian_nll", inputs={"var": variance})


CASES: list[tuple[Any, Any, str, tuple[str, ...]]] = [
    ([[0.5, 1.5]], [[0.0, 1.0]], "bce", ("row 0, column 1", "1.5", "1 of 2 predictions", "input=logit in")),
    ([[0.5, 0.5], [1.2, -0.2]], [0, 1], "scce", ("row 1, column 0", "1.2", "2 of 4 predictions", "input=logit in")),
    ([0.5, 0.5], [0.5, 1.5], "bce", ("target 1.5", "probabilities or 0/1 labels")),
    ([[0.5, 0.5]], [[0.5, np.nan]], "cce", ("target is nan", "row 0, column 1")),
    ([[0.2, 0.2]], [0], "scce", ("sums to 0.4, not 1", "or scce:normalize=true to divide")),
    ([[0.5, 0.5]], [[0.7, 0.7]], "cce", ("target row sums to 1.4",)),
    ([[-0.5, 0.1]], [0], "scce:input=log_prob", ("row 0, column 1", "0.1", "not above 0")),
    ([[0.5, -0.5]], [0], "scce:normalize=true", ("row 0, column 1", "-0.5")),
    ([np.inf, 0.0], [1, 0], "bce:input=logit", ("prediction is inf", "row 0")),
    (np.full((2, 2, 2), np.nan), np.zeros((2, 2, 2)), "mse", ("index (0, 0, 0)", "8 of 8")),
]


@pytest.mark.parametrize(
    ("prediction", "target", "spec", "says"), CASES, ids=[f"{case[2]}: {case[3][0]}" for case in CASES]
)
def test_what_is_wrong_and_where(prediction: Any, target: Any, spec: str, says: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        lossctl.evaluate(prediction, target, spec)
    for part in says:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "spec", ["rmse", "rmse:multioutput=columns", "cosine_global", "cosine_similarity", "huber", "log_cosh"]
)
def test_every_kind_of_loss_looks_at_every_value(spec: str) -> None:
    good, bad = np.ones((6, 3)), np.ones((6, 3))
    bad[4, 2] = np.nan
    for prediction, target, name in ((bad, good, "prediction"), (good, bad, "target")):
        with pytest.raises(DataError, match=f"{name} array, row 4, column 2: the {name} is nan; 1 of 18"):
            lossctl.evaluate(prediction, target, spec)


def test_a_weight_of_0_does_not_excuse_a_nan() -> None:
    with pytest.raises(DataError, match="row 0: the prediction is nan"):
        lossctl.evaluate([np.nan, 1.0], [0.0, 0.0], "mse", weights=[0.0, 1.0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_may_be_off_by_the_rounding_of_their_dtype(dtype: str) -> None:
    tolerance = {"float32": 1e-3, "float64": 1e-6}[dtype]
    for share, fits in ((0.5, True), (0.9, True), (1.5, False)):
        row = np.array([[0.5, 0.5 + share * tolerance]], dtype)
        if fits:
            assert lossctl.evaluate(row, [0], "scce").samples == 1
        else:
            with pytest.raises(DataError, match="not 1"):
                lossctl.evaluate(row, [0], "scce")


def test_data_that_changes_between_two_readings_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    prediction = np.array([0.5, 3.0])

    def heal(*arguments: Any) -> DataError:
        prediction[1] = 0.5
        return diagnose(*arguments)

    monkeypatch.setattr("lossctl.runs.run.diagnose", heal)
    with pytest.raises(DataError, match="changed while it was read"):
        lossctl.evaluate(prediction, [1, 1], "bce")


def test_a_table_is_told_by_line_and_column(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("p,y\n0.5,1\n7.5,0\n")
    message = refused(3, "eval", "t.csv", "--pred-col", "p", "--target-col", "y", "-l", "bce")
    assert message.startswith("t.csv, line 3, column 'p': prediction 7.5 is outside [0, 1]")


def test_weights_so_small_that_products_lose_digits() -> None:
    weights = np.array([0.0, 1.0, 5e-324])
    with pytest.raises(DataError, match=r"weights array, row 2: weight 4\.94066e-324 is so small"):
        lossctl.evaluate([0.5, 0.5, 0.5], [0.0, 0.0, 0.0], "mse", weights=weights)
    weights[2] = np.finfo(np.float64).tiny
    assert lossctl.evaluate([0.5, 0.5, 0.5], [0.0, 0.0, 0.0], "mse", weights=weights).value == 0.25


@pytest.mark.parametrize("value", [1.0000000000000002, -5e-324, 1.0005])
def test_what_is_off_by_rounding(value: float) -> None:
    with pytest.raises(DataError, match="by rounding") as caught:
        lossctl.evaluate([0.5, value], [0, 1], "bce")
    assert f"prediction {value:.6g} " in str(caught.value) or f"prediction {value!r} " in str(caught.value)
    assert "prediction 1 " not in str(caught.value)


def test_cross_entropy_of_rows_that_do_not_sum_to_one_is_told_how_frameworks_have_it() -> None:
    """PyTorch and Keras: the mean of -Σ y ln softmax z, whatever y sums to."""
    random = np.random.default_rng(0)
    logits, target = random.normal(size=(50, 4)), random.random((50, 4))
    with pytest.raises(DataError) as caught:
        lossctl.evaluate(logits, target, "cce:input=logit")
    assert "divide each row by its sum, with denom=count and the sums as weights=" in str(caught.value)
    sums = target.sum(axis=1)
    shares = target / sums[:, None]
    found = lossctl.evaluate(logits, shares, "cce:input=logit,denom=count", weights=sums).value
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert found == pytest.approx(-(target * log_softmax).sum(axis=1).mean(), rel=1e-13)
    with pytest.raises(DataError) as caught:
        lossctl.evaluate(logits, target, "cce:input=logit,label_smoothing=0.1")
    assert "denom" not in str(caught.value)
