"""Arrays in memory: views where they can be, the same refusals as a file's."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lossctl.errors import DataError
from lossctl.sources import Selection, memory_reader


@pytest.mark.parametrize("rows", [1, 3, 100])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<f2", "<i8", ">u2", "|b1"])
@pytest.mark.parametrize(
    "arrange", [np.ascontiguousarray, np.asfortranarray, lambda values: np.repeat(values, 2, 0)[::2]]
)
def test_every_dtype_and_order(arrange: Callable[[Any], Any], dtype: str, rows: int) -> None:
    values = arrange(np.arange(14).reshape(7, 2).astype(dtype))
    reader = memory_reader({"prediction": values, "target": np.arange(7)})
    chunks = list(reader.chunks(rows))
    for chunk in chunks:
        assert chunk["prediction"].flags.c_contiguous
        assert chunk["prediction"].dtype == np.dtype("float32" if dtype == "<f2" else dtype).newbyteorder("=")
    assert np.array_equal(np.concatenate([chunk["prediction"] for chunk in chunks]), values)
    assert np.concatenate([chunk["target"] for chunk in chunks]).tolist() == list(range(7))


def test_native_rows_are_views() -> None:
    values = np.arange(10.0)
    (chunk,) = memory_reader({"prediction": values}).chunks(10)
    assert np.shares_memory(chunk["prediction"], values)


def test_what_is_told() -> None:
    with memory_reader({"prediction": np.zeros((3, 2), ">f4"), "target": [0, 1, 1]}) as reader:
        prediction, target = reader.arrays["prediction"], reader.arrays["target"]
        assert (prediction.shape, prediction.dtype, prediction.format, prediction.columns) == (
            (3, 2),
            ">f4",
            "memory",
            (),
        )
        assert (target.shape, target.dtype) == ((3,), "int64")
        assert reader.place("prediction", 2, 1) == "prediction array, row 2, column 1"
        assert reader.place("target", 2) == "target array, row 2"


@pytest.mark.parametrize("kind", [RuntimeError, TypeError])
def test_a_tensor_that_numpy_cannot_take(kind: type[Exception]) -> None:
    class Tensor:
        def __array__(self, *_: object, **__: object) -> Any:
            raise kind("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")

    with pytest.raises(
        DataError, match=r"the target array cannot be converted .* requires grad.*; for a PyTorch tensor"
    ):
        memory_reader({"target": Tensor()})


def test_no_rows() -> None:
    assert list(memory_reader({"prediction": np.zeros((0, 3))}).chunks(5)) == []


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (np.array([1, None]), "the target array holds object"),
        (np.array(["a"]), "the target array holds <U1"),
        (np.zeros(2, complex), "holds complex128"),
        (np.float64(3), "a single number"),
        (np.zeros((3, 0)), "no values: shape (3, 0)"),
        (np.ma.masked_array([1.0, 2.0], [False, True]), "masked array"),
        ([[1.0], [1.0, 2.0]], "its rows differ in length"),
    ],
)
def test_what_is_refused(values: Any, found: str) -> None:
    with pytest.raises(DataError) as caught:
        memory_reader({"target": values})
    assert found in caught.value.message


class _NothingIsEqual:
    """As of a lazy frame: what it is cannot be asked of its values."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        raise TypeError("comparison is not supported")


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ([0.5, None], "give NaN in place of None, and leave out its row with --nonfinite skip"),
        ([Decimal("0.5")], "convert it with array.astype(numpy.float64)"),
        (np.array([0.5, 1], object), "convert it with array.astype(numpy.float64)"),
        (np.zeros(2, "V2"), "convert it with array.astype(numpy.float64)"),  # bfloat16 of ml_dtypes
        (np.zeros(2, np.longdouble), "convert it with array.astype(numpy.float64)"),
        (["a"], "give numbers, or name the classes of targets with --classes, in the order of their indices"),
        (np.array(["a", "b"], object), "give numbers, or name the classes of targets with --classes"),
        (np.array([1, 2], "M8[s]"), "give an array of numbers"),
        ({"p": 1}, "give an array or a list, not a dict"),
        ((each for each in [0.5]), "give an array or a list, not a generator"),
        (_NothingIsEqual(), "give an array or a list, not a _NothingIsEqual"),
        (pd.Series([True, None], dtype="boolean"), "convert it with astype('Float64')"),
        (pa.array([[0.5, 0.5], [0.1, 0.9]]), "make one array of its rows, all of one length, with numpy.stack"),
        (np.array([b"a"]), "give an array of numbers"),
        (np.zeros(2, complex), "give its real part"),
        (np.ma.masked_array([1.0, 2.0], [False, True]), "or leave out their rows with --nonfinite skip"),
    ],
)
def test_what_is_in_memory_is_not_told_to_be_saved(values: Any, remedy: str) -> None:
    with pytest.raises(DataError) as caught:
        memory_reader({"target": values})
    assert remedy in str(caught.value.hint)
    assert "save" not in str(caught.value)


def test_a_single_number_is_a_row_or_missing_the_others() -> None:
    with pytest.raises(DataError, match=r"give an array of one element: \[value\]"):
        memory_reader({"prediction": 0.5})
    with pytest.raises(DataError, match="give a number for each row"):
        memory_reader({"weights": 2.0})


def test_a_masked_array_without_a_mask_is_an_array() -> None:
    (chunk,) = memory_reader({"prediction": np.ma.masked_array([1.0, 2.0])}).chunks(10)
    assert chunk["prediction"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("names", [["no", None, "yes"], ["no", 0.5, "yes"], ["no", b"yes"], ["no", 7]])
def test_what_is_not_the_name_of_a_class_is_shown(names: list[Any]) -> None:
    with pytest.raises(DataError) as caught:
        memory_reader({"target": np.array(names, object)}, {"target": Selection(classes=("no", "yes"))})
    assert f"the target array, row 1: {names[1]!r} is not the name of a class" in caught.value.message


def test_classes_that_are_floats_are_told_to_be_whole_numbers() -> None:
    with pytest.raises(DataError, match=r"row 0: 1\.0 is not the name of a class; .* array\.astype\(int\)"):
        memory_reader({"target": np.array([1.0, 0.0])}, {"target": Selection(classes=("0", "1"))})
    reader = memory_reader({"target": np.array([1, 0])}, {"target": Selection(classes=("0", "1"))})
    assert next(iter(reader.chunks(9)))["target"].tolist() == [1, 0]


def test_arrays_of_different_lengths() -> None:
    with pytest.raises(DataError, match=r"prediction \(3,\), target \(2, 2\)"):
        memory_reader({"prediction": np.zeros(3), "target": np.zeros((2, 2))})
