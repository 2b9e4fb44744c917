"""Runs: the same bits for any threads, chunks and formats; what weights, ignored rows and infinities do to a result."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lossctl
from lossctl.backends import usable_threads
from lossctl.errors import DataError, UsageError
from tests.cli.commands import scores, write_csv

Floats = NDArray[np.float64]

ROWS = 20_011
SPECS = {
    "bce:input=logit": "label",
    "huber:delta=0.5": "value",
    "scce:input=logit": "index",
    "scce:input=logit,label_smoothing=0.1,class_weight=1|2|0.5,ignore_index=2": "index",
    "cosine_similarity": "rows",
    "rmse": "value",
    "rmse:multioutput=columns": "rows",
    "cosine_global": "rows",
}
PREDICTIONS = {"label": "flat", "value": "flat", "index": "wide", "rows": "wide"}
CHUNKS = ["1", "1000", "4096", "5000", "1000000000"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of predictions, targets and weights that end in the middle of a block, in NPY and as tables."""
    folder = tmp_path_factory.mktemp("bits")
    rng = np.random.default_rng(5)
    flat, wide = rng.normal(0, 3, ROWS), rng.normal(0, 3, (ROWS, 3))
    targets = {
        "label": rng.integers(0, 2, ROWS),
        "value": rng.normal(0, 3, ROWS),
        "index": rng.integers(0, 3, ROWS),
        "rows": rng.normal(0, 3, (ROWS, 3)),
    }
    weights = rng.uniform(0, 2, ROWS)
    for name, array in {**targets, "flat": flat, "wide": wide, "w": weights}.items():
        np.save(folder / f"{name}.npy", array)
    columns: dict[str, Any] = {
        "flat": flat,
        "w": weights,
        **{name: targets[name] for name in ("label", "value", "index")},
    }
    columns |= {f"wide_{c}": wide[:, c] for c in range(3)} | {f"rows_{c}": targets["rows"][:, c] for c in range(3)}
    write_csv(folder / "table.csv", columns)
    return folder


def arrays(data: Path, spec: str) -> tuple[Path, Path]:
    target = SPECS[spec]
    return data / f"{PREDICTIONS[target]}.npy", data / f"{target}.npy"


@pytest.mark.parametrize("spec", SPECS)
def test_the_value_has_the_same_bits_whatever_runs_it(data: Path, spec: str) -> None:
    given = (*arrays(data, spec), "-l", spec, "--weights", data / "w.npy", "--backend", "cpu")
    expected = scores(*given)
    for chunk in CHUNKS:
        assert scores(*given, "--chunk-rows", chunk) == expected
    for threads in range(1, min(usable_threads(), 2) + 1):
        assert scores(*given, "--threads", str(threads)) == expected
        assert scores(*given, "--threads", str(threads), "--chunk-rows", "5000") == expected
    prediction, target = (np.load(path) for path in arrays(data, spec))
    weights = np.load(data / "w.npy")
    result = lossctl.evaluate(prediction, target, spec, weights=weights, backend="cpu", threads=1)
    assert repr(result.value) == expected[0]
    of_files = lossctl.evaluate(*arrays(data, spec), spec, weights=data / "w.npy", backend="cpu")
    assert of_files.to_document() == result.to_document()
    names = {
        name: f"{name}_*" if name in ("wide", "rows") else name for name in (PREDICTIONS[SPECS[spec]], SPECS[spec])
    }
    table = ("--pred-col", names[PREDICTIONS[SPECS[spec]]], "--target-col", names[SPECS[spec]], "--weight-col", "w")
    assert scores(data / "table.csv", *table, *given[2:4], "--backend", "cpu") == expected


@pytest.mark.parametrize("spec", SPECS)
def test_every_backend_agrees_to_rounding(data: Path, spec: str) -> None:
    given = (*arrays(data, spec), "-l", spec, "--weights", data / "w.npy")
    compiled, interpreted = (float(scores(*given, "--backend", name)[0]) for name in ("cpu", "python"))
    assert interpreted == pytest.approx(compiled, rel=1e-14)


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_losses_and_gradients_do_not_depend_on_chunks_either(data: Path, tmp_path: Path, backend: str) -> None:
    given = (*arrays(data, "scce:input=logit"), "-l", "scce:input=logit", "--backend", backend)
    found = []
    for chunk in ("4096", "1000000000"):
        scores(*given, "--chunk-rows", chunk, "--per-sample", tmp_path / "l.npy", "--grad", tmp_path / "g.npy")
        found.append(((tmp_path / "l.npy").read_bytes(), (tmp_path / "g.npy").read_bytes()))
    assert found[0] == found[1]


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_the_mean_is_the_correctly_rounded_quotient_of_exact_sums(backend: str) -> None:
    rng = np.random.default_rng(8)
    prediction = rng.normal(0, 1, 9000)
    weights = rng.uniform(0, 2, 9000)
    losses = lossctl.per_sample(prediction, np.zeros(9000), "mse", backend=backend)
    result = lossctl.evaluate(prediction, np.zeros(9000), "mse", weights=weights, backend=backend)
    total = sum((Fraction(float(x)) for x in losses * weights), Fraction(0))
    weight = sum((Fraction(float(w)) for w in weights), Fraction(0))
    assert result.value == pytest.approx(float(total / weight), rel=4e-16)
    assert result.sum == pytest.approx(float(total), rel=4e-16)
    assert result.weight == pytest.approx(float(weight), rel=4e-16)


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_an_infinite_loss_of_weight_0_changes_no_bit_in_any_chunk(backend: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    prediction, weights = rng.uniform(0.01, 0.99, 12_300), rng.uniform(0, 2, 12_300)
    prediction[7000], weights[7000] = 0.0, 0.0
    for name, array in {"p": prediction, "y": np.ones(12_300), "w": weights}.items():
        np.save(tmp_path / f"{name}.npy", array)
    given = (tmp_path / "p.npy", tmp_path / "y.npy", "-l", "bce", "--weights", tmp_path / "w.npy", "--backend", backend)
    found = {scores(*given, "--chunk-rows", chunk)[0] for chunk in ("4096", "8192", "1000000000")}
    assert len(found) == 1
    assert float(found.pop()) == pytest.approx(np.average(-np.log(np.maximum(prediction, 1e-300)), weights=weights))


# ---- what a result counts


def test_a_result_says_how_much_it_is_made_of() -> None:
    result = lossctl.evaluate(
        [[0.0, 1.0], [0.5, 0.5], [0.2, 0.8]], [0, -1, 1], "scce:ignore_index=-1", weights=[1, 2, 3]
    )
    assert (result.samples, result.weight, result.nonfinite) == (2, 4.0, 1)
    assert (result.value, result.sum, result.status) == (math.inf, math.inf, "inf")


def test_zero_vectors_are_counted() -> None:
    result = lossctl.evaluate([[0.0, 0.0], [1.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]], "cosine_similarity")
    assert (result.value, result.degenerate) == (-0.5, 1)
    assert lossctl.evaluate([0.0, 0.0], [1.0, 1.0], "cosine_global").degenerate == 1


@pytest.mark.parametrize(
    ("spec", "clipped"),
    [
        ("bce:eps=0.1", 2),
        ("bce:eps=0.1,eps_mode=floor", 1),
        ("bce:eps=0.1,eps_mode=add", 0),
        ("bce:eps=-1,eps_mode=log_floor", 1),
        ("bce:eps=-3,eps_mode=log_floor", 2),
        ("bce", 0),
    ],
)
def test_guarded_probabilities_are_counted(spec: str, clipped: int) -> None:
    given = [0.05, 0.5, 0.97] if spec != "bce:eps=-1,eps_mode=log_floor" else [0.3, 0.5, 0.45]
    if spec == "bce:eps=-3,eps_mode=log_floor":
        given = [0.01, 0.5, 0.999]
    assert lossctl.evaluate(given, [1, 1, 1], spec).clipped == clipped


def test_rows_that_are_ignored_are_not_counted_as_clipped() -> None:
    rows = [[0.0, 1.0], [0.0, 1.0], [0.5, 0.5]]
    assert lossctl.evaluate(rows, [0, -1, 1], "scce:eps=1e-7,ignore_index=-1").clipped == 1
    assert lossctl.evaluate([[0.0, 2.0], [2.0, 2.0]], [1, 1], "scce:eps=1e-7,normalize=true").clipped == 1


# ---- refusals


@pytest.mark.parametrize("backend", ["python", "cpu"])
@pytest.mark.parametrize(
    ("prediction", "target", "spec", "says"),
    [
        ([1e200], [0.0], "mse", "row 0: the loss of mse exceeds float64"),
        ([[1e308, 1.7e308]], [[0.0, 0.0]], "mae:row=sum", "row 0: the loss of mae exceeds float64"),
        ([-1.7e308], [1.7e308], "rmse", "the value of rmse exceeds float64"),
        ([[0.5, 0.5], [0.0, 0.0]], [0, 1], "scce:normalize=true", "row 1: the row has no sum"),
        ([[-np.inf, -np.inf]], [0], "scce:input=logit", "row 0: every class has a logit of minus infinity"),
    ],
)
def test_what_has_no_result(backend: str, prediction: Any, target: Any, spec: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        lossctl.evaluate(prediction, target, spec, backend=backend)


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_extreme_magnitudes_take_another_pass(backend: str) -> None:
    for size in (1e300, 1e-300):
        assert lossctl.evaluate([3 * size, 4 * size], [0.0, 0.0], "rmse", backend=backend).value == pytest.approx(
            math.sqrt(12.5) * size, rel=1e-15
        )
        assert lossctl.evaluate(
            [3 * size, 4 * size], [3.0, 4.0], "cosine_global", backend=backend
        ).value == pytest.approx(-1)
        assert lossctl.gradient([3 * size, 4 * size], [0, 0], "rmse", backend=backend) == pytest.approx(
            np.array([3, 4]) / math.sqrt(50), rel=1e-15
        )


def test_a_loss_of_all_the_data_has_neither_sum_nor_samples() -> None:
    with pytest.raises(UsageError, match="no sum"):
        lossctl.evaluate([1.0], [0.0], "rmse", reduction="sum")
    with pytest.raises(UsageError, match="no per-sample losses"):
        lossctl.per_sample([1.0], [0.0], "rmse")


def test_weights_whose_sum_exceeds_float64_are_refused_not_divided_by() -> None:
    for spec in ("mse", "rmse"):
        with pytest.raises(DataError, match="sum of the weights exceeds"):
            lossctl.evaluate([1.0, 2.0], [0.0, 0.0], spec, weights=[1e308, 1e308])
    with pytest.raises(DataError, match="sum of the weights exceeds"):
        lossctl.evaluate([[0.5, 0.5]] * 2, [0, 1], "scce:class_weight=1e308|1e308")


def test_gradients_of_columns_stand_in_their_columns() -> None:
    prediction = np.array([[1.0, 10.0], [3.0, -10.0]])
    gradient = lossctl.gradient(prediction, np.zeros((2, 2)), "rmse:multioutput=columns", weights=[1.0, 3.0])
    columns = np.array([math.sqrt((1 + 3 * 9) / 4), 10.0])
    assert gradient == pytest.approx(np.array([[1.0], [3.0]]) * prediction / 4 / columns / 2, rel=1e-15)
