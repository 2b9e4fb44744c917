"""Make the sample data: outputs of small models on data sets that ship with scikit-learn.

Every prediction is out of sample: five shuffled folds with a fixed seed, each row predicted by the model that was
fitted on the other four, rows kept in the data set's order. Run it from anywhere; it writes beside itself:

    python sample_data/make.py

scikit-learn is a development dependency for this script alone.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).resolve().parent
SEED = 0
FOLDS = 5

Array = NDArray[Any]


def save_arrays(folder: str, arrays: Mapping[str, Array]) -> None:
    """Write each array to `folder/NAME.npy`."""
    (HERE / folder).mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(HERE / folder / f"{name}.npy", array, allow_pickle=False)


def save_table(folder: str, columns: Mapping[str, Array]) -> None:
    """Write `folder/table.csv` and `folder/table.parquet`: an `id` column that counts rows from 0, then the columns.

    Parquet keeps the types. The CSV holds float64 values in their shortest exact spelling, so that a float32 read back
    as a float64 is the same number and both tables give the same loss as the arrays, to the last bit.
    """
    rows = len(next(iter(columns.values())))
    table = {"id": np.arange(rows), **columns}
    stored = pa.table({name: pa.array(array) for name, array in table.items()})
    pyarrow.parquet.write_table(stored, HERE / folder / "table.parquet")
    exact = [array.astype(np.float64) if array.dtype.kind == "f" else array for array in table.values()]
    with open(HERE / folder / "table.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*(array.tolist() for array in exact), strict=True))


def held_out_logits(features: Array, labels: Array, inverse_penalty: float) -> Array:
    """The decision function of a logistic regression on standardised features, (rows,) or (rows, classes), float64."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_penalty, max_iter=1000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    logits: Array = cross_val_predict(model, features, labels, cv=folds, method="decision_function")
    return logits


def make_binary() -> None:
    """Breast cancer, benign (1) or malignant (0), by logistic regression."""
    features, labels = load_breast_cancer(return_X_y=True)
    # The penalty keeps every logit below 16: beyond that, 1 - p is lost in a float32 probability.
    logits = held_out_logits(features, labels, inverse_penalty=0.3)
    preds = (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)
    save_arrays("binary", {"preds": preds, "logits": logits.astype(np.float32), "labels": labels})
    save_table("binary", {"prediction": preds, "label": labels})


def make_multiclass() -> None:
    """Handwritten digits, ten classes, by multinomial logistic regression."""
    features, labels = load_digits(return_X_y=True)
    logits = held_out_logits(features, labels, inverse_penalty=1.0)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    preds = (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)
    onehot = np.eye(preds.shape[1], dtype=np.float32)[labels]
    save_arrays("multiclass", {"preds": preds, "logits": logits.astype(np.float32), "labels": labels, "onehot": onehot})
    columns = {f"p_{digit}": np.ascontiguousarray(preds[:, digit]) for digit in range(preds.shape[1])}
    save_table("multiclass", {**columns, "label": labels})


def make_regression() -> None:
    """Diabetes progression after one year, by ridge regression."""
    features, targets = load_diabetes(return_X_y=True)
    folds = KFold(FOLDS, shuffle=True, random_state=SEED)
    preds = cross_val_predict(make_pipeline(StandardScaler(), Ridge(alpha=1.0)), features, targets, cv=folds)
    save_arrays("regression", {"preds": preds, "targets": targets})
    save_table("regression", {"prediction": preds, "label": targets})


def make_vectors() -> None:
    """Images of digits rebuilt from 16 principal components of the other folds' images."""
    images = load_digits().data
    rebuilt = np.empty_like(images)
    for fit, held_out in KFold(FOLDS, shuffle=True, random_state=SEED).split(images):
        model = PCA(n_components=16, svd_solver="full").fit(images[fit])
        rebuilt[held_out] = model.inverse_transform(model.transform(images[held_out]))
    # Pixels are counts from 0 to 16, which an image file would hold as bytes.
    save_arrays("vectors", {"preds": rebuilt.astype(np.float32), "targets": images.astype(np.uint8)})


if __name__ == "__main__":
    make_binary()
    make_multiclass()
    make_regression()
    make_vectors()
