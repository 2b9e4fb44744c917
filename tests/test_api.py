"""The Python API: the worked examples, what is taken for an array, and the errors of the command line as exceptions."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lossctl
from lossctl.errors import DataError, EnvironmentFault, LossctlError, LossctlWarning, UsageError
from lossctl_kernels import LOSSES
from tests.cli.commands import SAMPLES

P, Y = np.array([0.8, 0.8, 0.1]), np.array([1, 1, 0])
BACKENDS = ["python", "cpu"]


# ---- worked examples


def test_binary_cross_entropy_in_nats_and_bits() -> None:
    assert lossctl.evaluate([0.8], [1], "bce").value == pytest.approx(0.2231, abs=5e-5)
    assert lossctl.evaluate([0.8], [1], "bce:log_base=2").value == pytest.approx(0.3219, abs=5e-5)
    assert lossctl.evaluate([0.1], [0], "bce").value == pytest.approx(0.1054, abs=5e-5)
    assert lossctl.evaluate([0.1], [0], "bce:log_base=2").value == pytest.approx(0.1520, abs=5e-5)
    for base in ("e", "2"):
        result = lossctl.evaluate(P, Y, f"bce:log_base={base}")
        losses = lossctl.per_sample(P, Y, f"bce:log_base={base}")
        assert result.value == pytest.approx(math.fsum(losses) / 3, rel=1e-15)
        assert result.unit == {"e": "nat", "2": "bit"}[base]


def test_categorical_cross_entropy_dense_and_sparse() -> None:
    row = [[0.7, 0.2, 0.1]]
    for base, expected in (("e", 0.3567), ("2", 0.5146)):
        dense = lossctl.evaluate(row, [[1, 0, 0]], f"cce:log_base={base}").value
        assert dense == pytest.approx(expected, abs=5e-5)
        assert lossctl.evaluate(row, [0], f"scce:log_base={base}").value == dense
    assert lossctl.per_sample(np.eye(3), [0, 1, 2], "scce").tolist() == [0.0, 0.0, 0.0]


def test_squared_errors_and_their_gradients() -> None:
    assert lossctl.evaluate([2.89], [3.07], "mse").value == pytest.approx(0.0324, rel=1e-14)
    prediction, target = np.array([2.89, 1.0, -2.0]), np.array([3.07, 0.0, 1.0])
    error = prediction - target
    assert lossctl.gradient(prediction, target, "mse") == pytest.approx(2 * error / 3, rel=1e-15)
    assert lossctl.gradient(prediction, target, "half_mse", reduction="sum") == pytest.approx(error, rel=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_cross_entropy(backend: str) -> None:
    slopes = (P - Y) / (P * (1 - P))
    assert lossctl.gradient(P, Y, "bce:grad_scale=sample", backend=backend) == pytest.approx(slopes, rel=1e-15)
    assert lossctl.gradient(P, Y, "bce", backend=backend) == pytest.approx(slopes / 3, rel=1e-15)
    logits = np.log(P) - np.log1p(-P)
    by_logit = lossctl.gradient(logits, Y, "bce:input=logit", reduction="sum", backend=backend)
    assert by_logit == pytest.approx(P - Y, rel=1e-14)
    z = np.array([[2.0, 0.5, -1.0], [0.0, 1.0, 0.5]])
    softmax = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    by_row = lossctl.gradient(z, [0, 2], "scce:input=logit", reduction="sum", backend=backend)
    assert by_row == pytest.approx(softmax - np.eye(3)[[0, 2]], rel=1e-14)
    by_probability = lossctl.gradient(softmax, [0, 2], "scce", reduction="sum", backend=backend)
    assert by_probability == pytest.approx(-np.eye(3)[[0, 2]] / softmax, rel=1e-14)


def test_the_gradient_of_cosine_proximity_has_no_component_along_the_prediction() -> None:
    a, b = np.array([[1.0, 2.0], [3.0, -4.0]]), np.array([[2.0, 1.0], [3.0, 4.0]])
    norm, other = math.hypot(*a.ravel()), math.hypot(*b.ravel())
    cosine = float((a * b).sum()) / norm / other
    gradient = lossctl.gradient(a, b, "cosine_global")
    assert gradient == pytest.approx(-(b / other - cosine * a / norm) / norm, rel=1e-13)
    assert float((gradient * a).sum()) == pytest.approx(0.0, abs=1e-15)
    by_row = lossctl.gradient(a, b, "cosine_similarity", reduction="sum")
    assert (by_row * a).sum(axis=1) == pytest.approx([0.0, 0.0], abs=1e-15)


def test_logits_give_the_loss_of_their_probabilities() -> None:
    z = np.linspace(-20, 20, 41)
    y = (np.arange(41) % 2).astype(np.float64)
    from_probabilities = lossctl.per_sample(1 / (1 + np.exp(-z)), y, "bce")
    assert lossctl.per_sample(z, y, "bce:input=logit") == pytest.approx(from_probabilities, rel=1e-6)


# ---- what is taken


ARRAYS: list[tuple[str, Any, Any]] = [
    ("lists", P.tolist(), Y.tolist()),
    ("tuples", tuple(P), tuple(Y)),
    ("a column", P[:, None], Y),
    ("both columns", P[:, None], Y[:, None]),
    ("strides", np.repeat(P, 2)[::2], np.repeat(Y, 2)[::2]),
    ("backwards", P[::-1][::-1], Y),
    ("big endian", P.astype(">f8"), Y.astype(">i2")),
    ("bools", P, Y.astype(bool)),
    ("floats", P, Y.astype(np.float32)),
    ("series", pd.Series(P), pd.Series(Y)),
    ("a frame", pd.DataFrame({"p": P}), pd.Series(Y, dtype="Int64")),
    ("Arrow", pa.array(P.tolist()), pa.array(Y.tolist())),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("prediction", "target"), [case[1:] for case in ARRAYS], ids=[case[0] for case in ARRAYS])
def test_arrays_of_any_kind_have_one_value(prediction: Any, target: Any, backend: str) -> None:
    expected = lossctl.evaluate(P, Y, "bce", backend=backend).value
    assert lossctl.evaluate(prediction, target, "bce", backend=backend).value == expected


@pytest.mark.parametrize("backend", BACKENDS)
def test_read_only_arrays_and_arrays_left_as_they_are(backend: str) -> None:
    arrays = P.copy(), Y.copy(), np.array([1.0, 2.0, 3.0])
    for array in arrays:
        array.flags.writeable = False
    value = lossctl.evaluate(*arrays[:2], "bce", weights=arrays[2], backend=backend).value
    assert value == pytest.approx(np.average(-np.log([0.8, 0.8, 0.9]), weights=[1, 2, 3]), rel=1e-15)
    lossctl.gradient(*arrays[:2], "bce", weights=arrays[2], backend=backend)


def test_paths_and_arrays_can_be_mixed(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", P)
    expected = lossctl.evaluate(P, Y, "bce", weights=[1, 2, 3])
    assert lossctl.evaluate(tmp_path / "p.npy", Y, "bce", weights=[1, 2, 3]) == expected
    assert lossctl.evaluate(str(tmp_path / "p.npy"), Y, "bce", weights=[1, 2, 3]) == expected


def test_several_losses_give_several_results() -> None:
    results = lossctl.evaluate(P, Y, ["mse", "rmse"])
    assert [result.loss for result in results] == ["mse", "rmse"]
    assert results[1].value == pytest.approx(math.sqrt(results[0].value), rel=1e-15)
    again = lossctl.evaluate(P, Y, ("mse", "rmse"))
    assert [result.to_document() for result in again] == [result.to_document() for result in results]


@pytest.mark.parametrize(
    ("dtype", "expected"), [("float16", "float32"), ("float32", "float32"), ("float64", "float64"), ("int8", "float64")]
)
def test_dtype_and_shape_of_a_gradient(dtype: str, expected: str) -> None:
    for shape in ((4,), (4, 1), (4, 3), (2, 2, 3)):
        prediction = np.ones(shape, dtype)
        gradient = lossctl.gradient(prediction, np.zeros(shape), "mse")
        assert (gradient.dtype.name, gradient.shape) == (expected, shape)
        losses = lossctl.per_sample(prediction, np.zeros(shape), "mse")
        assert (losses.dtype.name, losses.shape) == ("float64", shape[:1])
        assert gradient == pytest.approx(np.full(shape, 2.0 / prediction.size), rel=1e-6)


def test_the_registry() -> None:
    assert lossctl.losses() == LOSSES
    assert set(lossctl.losses()) >= {"mse", "bce", "scce", "cosine_global"}


def test_the_package_says_what_it_has() -> None:
    assert set(dir(lossctl)) >= {"evaluate", "gradient", "per_sample", "losses", "LossResult", "__version__"}
    assert type(lossctl.evaluate(P, Y, "mse")) is lossctl.LossResult
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        lossctl.nothing_of_the_kind  # noqa: B018


# ---- errors

WRONG: list[tuple[type[LossctlError], str, dict[str, Any]]] = [
    (UsageError, "unknown loss", {"loss": "bcee"}),
    (UsageError, "a loss is text", {"loss": 3}),
    (UsageError, "a loss is text", {"loss": None}),
    (UsageError, "a loss is text", {"loss": [3]}),
    (UsageError, "a loss is text", {"loss": b"mse"}),
    (UsageError, "no loss", {"loss": []}),
    (UsageError, "classes is no list of names: found 3", {"classes": 3}),
    (UsageError, "classes is no list of names: found 'no,yes'", {"classes": "no,yes"}),
    (UsageError, "classes is no list of names", {"classes": {"no", "yes"}}),
    (UsageError, "no predictions", {"predictions": None}),
    (UsageError, "no targets", {"targets": None}),
    (UsageError, "mean or sum", {"reduction": "none"}),
    (UsageError, "no backend", {"backend": None}),
    (UsageError, "threads", {"threads": 0}),
    (UsageError, "threads", {"threads": "2"}),
    (UsageError, "threads", {"threads": 1.5}),
    (UsageError, "no further input", {"inputs": {"var": P}}),
    (DataError, "no such file", {"targets": "absent.npy"}),
    (DataError, "no rows", {"predictions": [], "targets": []}),
    (DataError, "<U1", {"targets": ["a", "b", "c"]}),
    (DataError, "object", {"targets": [1, None, 0]}),
    (DataError, "complex", {"predictions": P + 1j}),
    (DataError, "shape ()", {"predictions": 0.5}),
    (DataError, "masked", {"predictions": np.ma.masked_less(P, 0.5)}),
    (DataError, "rows differ", {"targets": [1, 0]}),
    (DataError, "one value a row", {"weights": np.ones((3, 2))}),
    (DataError, "weight -1", {"weights": [1, -1, 1]}),
    (DataError, "input=logit in the loss", {"predictions": [2.0, 0.5, 0.5]}),
    (DataError, "leave out their rows with nonfinite='skip'", {"predictions": [0.5, np.nan, 0.5]}),
    (UsageError, "lossctl.per_sample", {"reduction": "none"}),
    (UsageError, "here it is mean", {"reduction": "batchmean"}),
    (UsageError, "nonfinite= 'x'", {"nonfinite": "x"}),
    (UsageError, "missing= is x", {"missing": "x"}),
    (UsageError, "cross=True", {"by": {"a": Y}, "cross": True}),
    (UsageError, "min_slice= must be 1", {"by": {"a": Y}, "min_slice": 0}),
    (UsageError, "top= must be", {"top": 0}),
    (UsageError, "by= names 'a' twice", {"by": ["a", "a"]}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "says", "changes"), WRONG, ids=[f"{says} {list(what)}" for _, says, what in WRONG])
def test_errors_are_those_of_the_command_line(kind: type[LossctlError], says: str, changes: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"predictions": P, "targets": Y, "loss": "bce", **changes}
    with pytest.raises(kind) as caught:
        lossctl.evaluate(**arguments)
    assert says in str(caught.value)
    assert "--" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("function", [lossctl.per_sample, lossctl.gradient])
@pytest.mark.parametrize("loss", [["bce"], ["bce", "mse"], None])
def test_what_has_one_loss_says_so(function: Callable[..., Any], loss: Any) -> None:
    with pytest.raises(UsageError) as caught:
        function(P, Y, loss)
    assert str(caught.value) == f"one loss is asked for, as text, found {loss!r}; such as 'bce'"


def test_a_missing_backend_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossctl.backends.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match="not installed"):
        lossctl.evaluate(P, Y, "mse", backend="cuda")


def test_files_are_closed_when_an_evaluation_fails(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", P)
    for function in (lossctl.evaluate, lossctl.per_sample, lossctl.gradient):
        with pytest.raises(DataError):  # an unclosed file would be a ResourceWarning, and those are errors here
            function(tmp_path / "p.npy", [1, 0], "mse")


def test_the_sample_data() -> None:
    folder = SAMPLES / "binary"
    result = lossctl.evaluate(folder / "preds.npy", folder / "labels.npy", "bce")
    p, y = np.load(folder / "preds.npy").astype(np.float64), np.load(folder / "labels.npy")
    assert result.value == pytest.approx(-math.fsum(np.log(np.where(y == 1, p, 1 - p))) / 569, rel=1e-14)


def test_targets_may_be_names_of_classes() -> None:
    probabilities, names = np.array([[0.75, 0.25], [0.5, 0.5]]), np.array(["dog", "cat"])
    result = lossctl.evaluate(probabilities, names, "scce", classes=["cat", "dog"])
    assert result.value == pytest.approx(-(math.log(0.25) + math.log(0.5)) / 2, rel=1e-15)
    assert "|classes=[cat,dog]|" in result.signature
    with pytest.raises(UsageError, match="classes names 'cat' twice"):
        lossctl.evaluate(probabilities, names, "scce", classes=["cat", "cat"])


def test_columns_of_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("p_0,p_1,label,w\n0.9,0.1,0,1\n0.2,0.8,1,3\n")
    np.savez(tmp_path / "a.npz", p=np.array([[0.9, 0.1], [0.2, 0.8]]), label=np.array([0, 1]))
    table, arrays = tmp_path / "a.csv", tmp_path / "a.npz"
    expected = lossctl.evaluate([[0.9, 0.1], [0.2, 0.8]], [0, 1], "scce").value
    for names in ("p_*", ["p_0", "p_1"]):
        columns = {"prediction": names, "target": "label"}
        assert lossctl.evaluate(table, table, "scce", columns=columns).value == expected
    assert lossctl.evaluate(arrays, arrays, "scce", columns={"prediction": "p", "target": "label"}).value == expected
    columns = {"prediction": "p_*", "weights": "w"}
    weighed = lossctl.evaluate(table, [0, 1], "scce", weights=table, columns=columns).value
    assert weighed == lossctl.evaluate([[0.9, 0.1], [0.2, 0.8]], [0, 1], "scce", weights=[1, 3]).value
    assert lossctl.per_sample(table, [0, 1], "scce", columns={"prediction": "p_*"}).shape == (2,)
    assert lossctl.gradient(table, [0, 1], "scce", columns={"prediction": "p_*"}).shape == (2, 2)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({}, "name the columns with columns={'prediction': …}"),
        ({"prediction": "q"}, "no column 'q' (columns={'prediction': …})"),
        ({"prediction": []}, "names no columns of the prediction"),
        ({"prediction": 1}, "names no columns of the prediction"),
        ({"prediction": "p", "target": "y"}, "the target is an array, which has no columns"),
        ({"prediction": "p", "var": "y"}, "columns names 'var', which is not read; what is read is prediction, target"),
        ("p", "columns is no mapping"),
    ],
)
def test_columns_that_are_not_there(tmp_path: Path, columns: Any, says: str) -> None:
    (tmp_path / "a.csv").write_text("p,y\n0.9,1\n")
    with pytest.raises(UsageError) as caught:
        lossctl.evaluate(tmp_path / "a.csv", [1], "bce", columns=columns)
    assert says in str(caught.value)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("predictions", "targets", "loss", "hint"),
    [
        ([[0.5, 0.5]], [-100], "scce", "if -100 marks rows to leave out: ignore_index=-100 in the loss"),
        ([[0.5, 0.5]], [0], "cce", "the targets look like class indices: use scce (loss 'scce')"),
        ([0.5], [1], "gaussian_nll", "give it with inputs={'var': array}"),
        ([2.0, -1.0], [1, 0], "bce", "looks like logits: input=logit in the loss"),
    ],
)
def test_hints_name_arguments(predictions: Any, targets: Any, loss: str, hint: str) -> None:
    with pytest.raises(LossctlError) as caught:
        lossctl.evaluate(predictions, targets, loss)
    assert caught.value.hint == hint
    assert str(caught.value).endswith(hint)


def test_what_the_command_line_warns_of_is_warned_of(tmp_path: Path) -> None:
    """In Python's words, and at the line of the caller."""
    probabilities, labels = np.linspace(0.1, 0.9, 20), np.arange(20) % 2
    for call in (lossctl.evaluate, lossctl.per_sample, lossctl.gradient):
        with pytest.warns(LossctlWarning, match="all look like probabilities; if they are, use bce:input=prob") as told:
            call(probabilities, labels, "bce:input=logit")
        assert [Path(each.filename).name for each in told] == ["test_api.py"]
        assert "--" not in str(told[0].message)


def test_rows_that_are_left_out_are_warned_of(tmp_path: Path) -> None:
    left, right = tmp_path / "left.csv", tmp_path / "right.csv"
    left.write_text("id,pred\n1,0.5\n2,0.5\n3,0.5\n")
    right.write_text("id,target\n3,1.5\n1,0.5\n")
    with pytest.warns(LossctlWarning, match="1 of 3 rows of .*left.csv are left out"):
        assert lossctl.evaluate(left, right, "mae", on="id", missing="drop").value == 0.5
    with pytest.warns(LossctlWarning, match="1 of 2 rows are skipped"):
        assert lossctl.evaluate([1.0, math.nan], [2.0, 2.0], "mae", nonfinite="skip").value == 1.0


def test_nothing_is_warned_of_where_nothing_looks_wrong(recwarn: pytest.WarningsRecorder) -> None:
    lossctl.evaluate(np.linspace(-3.0, 3.0, 20), np.arange(20) % 2, "bce:input=logit")
    assert not recwarn.list
