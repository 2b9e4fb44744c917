"""The sample data: every file is as its README says, and holds what it is said to hold."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from numpy.typing import NDArray

SAMPLES = Path(__file__).resolve().parents[1] / "sample_data"
README = (SAMPLES / "README.md").read_text(encoding="utf-8")
ARRAY_ROWS = re.findall(r"^\| `(\w+/\w+\.npy)` \| \((.*?)\) \| (\w+) \|", README, flags=re.MULTILINE)
TABLES = {
    "binary": ["id", "prediction", "label"],
    "multiclass": ["id", *(f"p_{digit}" for digit in range(10)), "label"],
    "regression": ["id", "prediction", "label"],
}


def load(name: str) -> NDArray[Any]:
    array: NDArray[Any] = np.load(SAMPLES / f"{name}.npy", allow_pickle=False)
    return array


def as_float(name: str) -> NDArray[np.float64]:
    return load(name).astype(np.float64)


@pytest.mark.parametrize(("name", "shape", "dtype"), ARRAY_ROWS)
def test_array_is_as_the_readme_says(name: str, shape: str, dtype: str) -> None:
    array = np.load(SAMPLES / name, allow_pickle=False)
    assert array.shape == tuple(int(size) for size in shape.split(",") if size.strip())
    assert array.dtype == np.dtype(dtype)
    assert np.isfinite(array.astype(np.float64)).all()


def test_readme_names_every_array() -> None:
    assert {name for name, _, _ in ARRAY_ROWS} == {str(p.relative_to(SAMPLES)) for p in SAMPLES.glob("*/*.npy")}


def test_folders_with_tables() -> None:
    assert {path.parent.name for path in SAMPLES.glob("*/table.*")} == set(TABLES)


def test_all_under_two_megabytes() -> None:
    files = [path for path in SAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 2_000_000


@pytest.mark.parametrize("folder", TABLES)
def test_csv_holds_the_arrays_exactly(folder: str) -> None:
    with open(SAMPLES / folder / "table.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    values = np.array(rows, dtype=np.float64)
    assert header == TABLES[folder]
    expect_arrays(folder, values)


@pytest.mark.parametrize("folder", TABLES)
def test_parquet_holds_the_arrays_exactly(folder: str) -> None:
    table = pyarrow.parquet.read_table(SAMPLES / folder / "table.parquet")
    assert table.column_names == TABLES[folder]
    expect_arrays(folder, np.column_stack([column.to_numpy().astype(np.float64) for column in table.columns]))
    stored = {str(table.schema.field(name).type) for name in TABLES[folder][1:-1]}
    assert stored == {"double" if folder == "regression" else "float"}


def expect_arrays(folder: str, values: NDArray[np.float64]) -> None:
    """The columns are the row number, the predictions and the labels, bit for bit."""
    predictions = as_float(f"{folder}/preds")
    labels = as_float(f"{folder}/{'targets' if folder == 'regression' else 'labels'}")
    np.testing.assert_array_equal(values[:, 0], np.arange(len(labels)))
    np.testing.assert_array_equal(values[:, 1:-1], predictions.reshape(len(labels), -1))
    np.testing.assert_array_equal(values[:, -1], labels)


def test_binary() -> None:
    probability, logit, label = as_float("binary/preds"), as_float("binary/logits"), as_float("binary/labels")
    assert set(label) == {0.0, 1.0}
    assert probability.min() > 0.0
    assert probability.max() < 1.0
    # exp of a float32 logit of magnitude 39 is off by 39 · 2⁻²⁴ relative, and the probability by one rounding more.
    np.testing.assert_allclose(1 / (1 + np.exp(-logit)), probability, rtol=3e-6)
    bce = -np.mean(np.where(label == 1, np.log(probability), np.log1p(-probability)))
    assert bce == pytest.approx(0.079864, abs=5e-7)
    assert np.mean((probability > 0.5) == label) > 0.97


def test_multiclass() -> None:
    probability, logit, onehot = (as_float(f"multiclass/{name}") for name in ("preds", "logits", "onehot"))
    label = load("multiclass/labels")
    assert set(label) == set(range(10))
    assert probability.min() > 0.0
    assert probability.max() < 1.0
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, rtol=0, atol=5e-7)
    np.testing.assert_array_equal(onehot, np.eye(10)[label])
    shifted = np.exp(logit - logit.max(axis=1, keepdims=True))
    np.testing.assert_allclose(shifted / shifted.sum(axis=1, keepdims=True), probability, rtol=5e-6)
    cce = -np.mean(np.log(probability[np.arange(len(label)), label]))
    assert cce == pytest.approx(0.107876, abs=5e-7)
    assert np.mean(probability.argmax(axis=1) == label) > 0.96


def test_regression() -> None:
    prediction, target = load("regression/preds"), load("regression/targets")
    assert (target.min(), target.max()) == (25.0, 346.0)
    mse = np.mean((prediction - target) ** 2)
    assert mse == pytest.approx(2974.9, abs=0.05)
    assert mse < 0.55 * target.var()


def test_vectors() -> None:
    prediction, target = as_float("vectors/preds"), as_float("vectors/targets")
    assert (target.min(), target.max()) == (0.0, 16.0)
    lengths = np.linalg.norm(prediction, axis=1) * np.linalg.norm(target, axis=1)
    assert lengths.min() > 0.0
    cosine = np.sum(prediction * target, axis=1) / lengths
    assert cosine.mean() == pytest.approx(0.9748, abs=5e-5)
    assert cosine.max() <= 1.0 + 1e-12
