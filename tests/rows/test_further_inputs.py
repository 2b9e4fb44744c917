"""Arrays that losses take by name: which are asked for, how they reach a loss, what is said where they are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lossctl
from lossctl.backends import choose
from lossctl.catalogue.loss_spec import parse
from lossctl.errors import DataError, LossctlError, UsageError
from lossctl.rows.further_inputs import check_names, whole_inputs
from tests.cli.commands import write_csv

BACKENDS = ["python", "cpu"]
ROWS = 9001


@pytest.fixture(scope="module")
def data() -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(11)
    prediction, target = rng.normal(0, 1, (2, ROWS))
    return {"prediction": prediction, "target": target, "var": rng.uniform(0.5, 2, ROWS)}


def half_likelihoods(prediction: Any, target: Any, var: Any) -> NDArray[np.float64]:
    return np.asarray(0.5 * (np.log(var) + (prediction - target) ** 2 / var))


# ---- values and gradients


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_array_like_the_predictions(data: dict[str, NDArray[np.float64]], backend: str) -> None:
    p, y, var = data.values()
    expected = half_likelihoods(p, y, var)
    for shape in ((ROWS,), (ROWS, 1)):
        shaped = p.reshape(shape), y.reshape(shape)
        given: dict[str, Any] = {"inputs": {"var": var.reshape(shape)}, "backend": backend}
        result = lossctl.evaluate(*shaped, "gaussian_nll", **given)
        assert result.value == pytest.approx(expected.mean(), rel=1e-13)
        assert lossctl.per_sample(*shaped, "gaussian_nll", **given) == pytest.approx(expected, rel=1e-13, abs=1e-15)
        by_var = lossctl.gradient(*shaped, "gaussian_nll", of="var", **given)
        assert by_var.shape == shape
        assert by_var.reshape(-1) == pytest.approx((1 / var - (p - y) ** 2 / var**2) / 2 / ROWS, rel=1e-11, abs=1e-17)
        assert lossctl.gradient(*shaped, "gaussian_nll", **given).reshape(-1) == pytest.approx(
            (p - y) / var / ROWS, rel=1e-13
        )


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_array_like_predictions_of_several_columns(data: dict[str, NDArray[np.float64]], backend: str) -> None:
    p, y, var = (array[:9000].reshape(3000, 3) for array in data.values())
    result = lossctl.evaluate(p, y, "gaussian_nll", inputs={"var": var}, weights=np.arange(3000), backend=backend)
    expected = np.average(half_likelihoods(p, y, var).mean(axis=1), weights=np.arange(3000))
    assert result.value == pytest.approx(expected, rel=1e-13)
    by_var = lossctl.gradient(p, y, "gaussian_nll", inputs={"var": var}, of="var", backend=backend)
    assert by_var == pytest.approx((1 / var - (p - y) ** 2 / var**2) / 2 / 9000, rel=1e-11, abs=1e-17)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["int64", "int8", "float32", "float64"])
def test_one_number_a_row(backend: str, dtype: str) -> None:
    rng = np.random.default_rng(12)
    a, b, sign = rng.normal(0, 1, (5000, 4)), rng.normal(0, 1, (5000, 4)), rng.choice([-1, 1], 5000)
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    expected = np.where(sign > 0, 1 - cosine, np.maximum(cosine - 0.3, 0))
    for shape in ((5000,), (5000, 1)):
        given = {"sign": sign.astype(dtype).reshape(shape)}
        found = lossctl.per_sample(a, b, "cosine_embedding:margin=0.3", inputs=given, backend=backend)
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-14)


def test_the_bits_do_not_depend_on_chunks_threads_or_where_arrays_come_from(
    data: dict[str, NDArray[np.float64]], tmp_path: Path
) -> None:
    p, y, var = data.values()
    for name, array in data.items():
        np.save(tmp_path / f"{name}.npy", array)
    expected = lossctl.evaluate(p, y, "gaussian_nll", inputs={"var": var}, backend="cpu")
    assert lossctl.evaluate(p, y, "gaussian_nll", inputs={"var": tmp_path / "var.npy"}, backend="cpu") == expected
    assert lossctl.evaluate(p, y, "gaussian_nll", inputs={"var": var}, backend="cpu", threads=1) == expected
    write_csv(tmp_path / "var.csv", {"var": var})
    assert lossctl.evaluate(p, y, "gaussian_nll", inputs={"var": str(tmp_path / "var.csv")}, backend="cpu") == expected


def test_arrays_are_left_as_they_are(data: dict[str, NDArray[np.float64]]) -> None:
    p, y, var = (array.copy() for array in data.values())
    var.flags.writeable = False
    for backend in BACKENDS:
        lossctl.gradient(p, y, "gaussian_nll", inputs={"var": var}, of="var", backend=backend)
    assert np.array_equal(var, data["var"])


def test_each_loss_of_a_call_sees_what_it_takes(data: dict[str, NDArray[np.float64]]) -> None:
    p, y, var = data.values()
    mse, likelihood = lossctl.evaluate(p, y, ["mse", "gaussian_nll"], inputs={"var": var})
    assert mse == lossctl.evaluate(p, y, "mse")
    assert likelihood == lossctl.evaluate(p, y, "gaussian_nll", inputs={"var": var})


@pytest.mark.parametrize(
    ("dtype", "given", "expected"),
    [("float32", "float32", "float32"), ("float32", "float64", "float64"), ("float64", "float32", "float32")],
)
def test_a_gradient_has_the_precision_of_what_it_is_by(dtype: str, given: str, expected: str) -> None:
    p, var = np.array([0.5, 1.5], dtype), np.array([0.1, 0.3], given)
    found = lossctl.gradient(p, np.zeros(2, np.float32), "gaussian_nll", inputs={"var": var}, of="var")
    assert found.dtype == expected
    v, e = var.astype(np.float64), p.astype(np.float64)
    assert found == pytest.approx((1 / v - e**2 / v**2) / 4, rel=1e-15 if expected == "float64" else 1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
def test_digits_of_an_array_are_not_lost_next_to_shorter_predictions(backend: str) -> None:
    p, y, var = np.array([0.5], np.float32), np.array([0.25], np.float32), np.array([0.1])
    found = lossctl.evaluate(p, y, "gaussian_nll", inputs={"var": var}, backend=backend).value
    assert found == pytest.approx(float(half_likelihoods(0.5, 0.25, 0.1)), rel=1e-15)


def test_decimals_that_come_late_in_a_text_are_not_rounded(tmp_path: Path) -> None:
    p, y = np.full(9000, 0.5, np.float32), np.zeros(9000, np.float32)
    var = np.ones(9000)
    var[8999] = 0.1
    (tmp_path / "var.csv").write_text("var\n" + "1\n" * 8999 + "0.1\n")
    expected = lossctl.evaluate(p, y, "gaussian_nll", inputs={"var": var})
    assert lossctl.evaluate(p, y, "gaussian_nll", inputs={"var": tmp_path / "var.csv"}).value == expected.value


# ---- what is refused

P, Y, V = np.array([0.5, 1.0, 2.0]), np.zeros(3), np.ones(3)
PAIR = np.ones((3, 2))

NAMES: list[tuple[Any, Any, str]] = [
    ("gaussian_nll", None, "gaussian_nll needs an input 'var': the variance of each prediction; .* inputs={'var': "),
    ("gaussian_nll", {"vra": V}, "gaussian_nll does not take an input 'vra'; did you mean var[?] known: var "),
    ("gaussian_nll", {"var": V, "sign": V}, "gaussian_nll does not take an input 'sign'; known: var "),
    ("mse", {"var": V}, "mse takes no further input: found an input 'var'"),
    (["mse", "mae"], {"var": V}, "mse, mae take no further input"),
    (["mse", "gaussian_nll"], {"war": V}, "none of mse, gaussian_nll takes an input 'war'; did you mean var[?]"),
    (["mse", "gaussian_nll"], {}, "gaussian_nll needs an input 'var'"),
    ("gaussian_nll", {"var": None}, "the input 'var' is None"),
    ("gaussian_nll", [V], "inputs is not a mapping"),
    ("gaussian_nll", {3: V}, "inputs is not a mapping"),
    ("gaussian_nll", {"a\nb": V}, r"an input 'a\\nb'"),
]


@pytest.mark.parametrize(("loss", "inputs", "says"), NAMES, ids=lambda part: str(part)[:40])
def test_names_are_settled_before_any_data_is_read(loss: Any, inputs: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        lossctl.evaluate("absent.npy", "absent.npy", loss, inputs=inputs)


WRONG: list[tuple[str, Any, Any, dict[str, Any], str]] = [
    ("gaussian_nll", P, Y, {"var": V[:2]}, r"var array has 2 rows \(shape \(2,\), float64\).* needs its own var"),
    ("gaussian_nll", P, Y, {"var": PAIR}, r"needs var shaped like the predictions: .*\(3, 2\).*\(3,\).* broadcast"),
    ("gaussian_nll", PAIR, PAIR, {"var": V}, "needs var shaped like the predictions"),
    ("cosine_embedding", PAIR, PAIR, {"sign": PAIR}, r"needs one sign a row: .*; save sign as \(rows,\)"),
    ("gaussian_nll", P, Y, {"var": [1, 0, 1]}, r"var array, row 1: var 0 is outside \(0, inf\), .* 1 of 3 values are"),
    ("gaussian_nll", P, Y, {"var": [1, 1, np.nan]}, "row 2: var nan is not finite; 1 of 3 values are not"),
    ("gaussian_nll", P, Y, {"var": [np.inf, 1, np.inf]}, "row 0: var inf is not finite; 2 of 3"),
    ("gaussian_nll", PAIR, PAIR, {"var": [[1, 1], [1, -2], [1, 1]]}, "row 1, column 1: var -2 is outside"),
    ("gaussian_nll:var_input=log_var", P, Y, {"var": [0, np.nan, 0]}, "row 1: var nan"),
    ("cosine_embedding", PAIR, PAIR, {"sign": [1, 0, -1]}, r"row 1: sign 0 is outside \{-1, 1\}"),
    ("gaussian_nll", P, Y, {"var": np.array([2**53 + 1, 1, 1])}, "array, row 0: integers beyond 2[*][*]53 .* 9007199"),
    ("gaussian_nll", P, Y, {"var": ["a", "b", "c"]}, "the var array holds <U1"),
    ("gaussian_nll", P, Y, {"var": 1.0}, r"the var array is a single number"),
    ("gaussian_nll", P, Y, {"var": "absent.npy"}, "no such file: absent.npy"),
]  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("loss", "p", "y", "inputs", "says"), WRONG, ids=lambda part: str(part)[:40])
def test_what_is_wrong_with_an_array(
    loss: str, p: Any, y: Any, inputs: dict[str, Any], says: str, backend: str
) -> None:
    with pytest.raises(DataError, match=says):
        lossctl.evaluate(p, y, loss, inputs=inputs, backend=backend)


@pytest.mark.parametrize("row", [0, 4095, 4096, 8999])
def test_a_row_is_counted_from_the_start_of_the_data(row: int) -> None:
    var = np.ones(9000)
    var[row:] = -1.0
    with pytest.raises(DataError, match=rf"row {row}: var -1 is outside .* {9000 - row} of 9000 values"):
        lossctl.evaluate(np.zeros(9000), np.zeros(9000), "gaussian_nll", inputs={"var": var})


def test_what_has_no_gradient_is_told_with_what_has_one() -> None:
    for of, says in (("vra", "by 'vra'; did you mean var[?] it has one by prediction and by var"), ("target", "var")):
        with pytest.raises(UsageError, match=says):
            lossctl.gradient(P, Y, "gaussian_nll", inputs={"var": V}, of=of)
    with pytest.raises(UsageError, match="mse has no gradient by 'var'; it has one by prediction"):
        lossctl.gradient(P, Y, "mse", of="var")
    with pytest.raises(UsageError, match="zero_one has no gradient;"):
        lossctl.gradient(P, Y, "zero_one", of="target")


def test_files_are_closed_when_an_array_is_wrong(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", V[:2])
    for inputs in ({"var": tmp_path / "v.npy"}, {"var": tmp_path / "absent.npy"}):
        with pytest.raises(LossctlError):  # an unclosed file would be a ResourceWarning, and those are errors here
            lossctl.evaluate(P, Y, "gaussian_nll", inputs=inputs)


# ---- arrays that are not in step with the rows


def test_arrays_that_are_whole_are_known_by_name() -> None:
    given = ["reference", "reference_labels"]
    assert whole_inputs([parse("circle")], given) == set(given)
    assert whole_inputs([parse("gaussian_nll")], ["var"]) == set()
    with pytest.raises(UsageError, match="needs an input 'var'"):
        check_names([parse("circle"), parse("gaussian_nll")], given)


def test_arrays_that_are_whole_belong_together() -> None:
    e, labels = np.eye(3), [0, 1, 1]
    with pytest.raises(UsageError, match="circle needs an input 'reference_labels' next to 'reference'"):
        lossctl.evaluate(e, labels, "circle", inputs={"reference": np.eye(3)})
    both: dict[str, Any] = {"reference": np.eye(3)[[0, 1, 2, 0]], "reference_labels": [0, 1, 2, 2]}
    for name, array, says in (
        ("reference_labels", [0, 1, 2], "reference array has 4 rows .* reference_labels array has 3 rows .* together"),
        ("reference", np.ones((4, 2)), r"needs rows of reference as wide as the predictions: .*\(4, 2\).*\(3, 3\)"),
        ("reference_labels", np.ones((4, 2)), "needs one reference_labels a row"),
        (
            "reference_labels",
            [0, 1, 2, 0.5],
            "row 3: reference_labels 0.5 is not a whole number; 1 of 4 values are not",
        ),
        ("reference_labels", [0, 1, 2, 1e300], "row 3: reference_labels 1e[+]300 is not a whole number"),
        ("reference", np.full((4, 3), np.inf), "row 0, column 0: reference inf is not finite; 12 of 12"),
    ):
        with pytest.raises(DataError, match=says):
            lossctl.evaluate(e, labels, "circle", inputs={**both, name: array})


def test_the_interpreter_is_not_asked_for_all_pairs_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def record(name: str, values: int, *rest: Any) -> Any:
        asked.append(values)
        return choose("python", values, *rest)

    monkeypatch.setattr("lossctl.evaluation.choose", record)
    lossctl.evaluate(np.eye(4)[[0, 1, 2] * 4], np.arange(12) % 4, "circle")
    lossctl.evaluate(np.zeros(48), np.zeros(48), "mse")
    assert asked[0] >= 12 * 12 * 4
    assert asked[1] == 48
