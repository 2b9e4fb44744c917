"""Decimals of Arrow: each the float64 that Python reads from its digits, whole ones exactly."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow.feather import write_feather
from pyarrow.parquet import write_table

from lossctl.errors import DataError
from lossctl.sources import Selection, arrow_decimals, open_reader
from lossctl.sources.arrow import from_arrow
from lossctl.sources.arrow_decimals import as_numbers, number_type
from tests.sources.conftest import ReadAll, Refusal

Write: TypeAlias = "Callable[[pa.Array[Any]], Path]"


@pytest.fixture(params=["parquet", "feather"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    def written(column: pa.Array[Any]) -> Path:
        path = tmp_path / f"t.{request.param}"
        table = pa.table({"p": column})
        if request.param == "parquet":
            write_table(table, path)
        else:
            write_feather(table, path)
        return path

    return written


def decimals(unscaled: list[int], precision: int, scale: int) -> pa.Array[Any]:
    return pa.array([Decimal(f"{number}e-{scale}") for number in unscaled], pa.decimal128(precision, scale))


@given(data=st.data(), precision=st.integers(1, 38))
def test_every_decimal_is_the_nearest_float(data: st.DataObject, precision: int) -> None:
    scale = data.draw(st.integers(1, precision))
    most = 10**precision - 1
    unscaled = data.draw(st.lists(st.integers(-most, most) | st.sampled_from((0, most, -most)), max_size=20))
    found = from_arrow(as_numbers(decimals(unscaled, precision, scale)))
    assert found.dtype == np.float64
    assert found.tolist() == [float(f"{number}e-{scale}") for number in unscaled]


@pytest.mark.parametrize("number", [2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**53) - 1, -(2**63)])
@pytest.mark.parametrize("scale", [1, 15, 22, 23])
def test_where_one_way_ends(number: int, scale: int) -> None:
    assert from_arrow(as_numbers(decimals([number, 1], 38, scale))).tolist() == [
        float(f"{number}e-{scale}"),
        float(f"1e-{scale}"),
    ]


@pytest.mark.parametrize("longer", [True, False])
@pytest.mark.parametrize("scale", [1, 9, 18, 22, 23, 27, 28])
def test_what_lies_in_the_middle_of_two_floats_or_beside_it(
    scale: int, longer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not longer:  # as where there are no longer floats
        monkeypatch.setattr(arrow_decimals, "_LONG_DIGITS", ())
    generator = np.random.default_rng(scale)
    odd = [2 * number + 1 for number in generator.integers(2**52, 2**53, 300).tolist()]
    # Half of an odd number of 54 binary digits stands in the middle; those of more than 38 decimal ones are left out.
    middles = [number * 5 * 10 ** (scale - 1) for number in odd if scale <= 22]
    unscaled = [middle + more for middle in middles for more in (-1, 0, 1)]
    unscaled += generator.integers(-(2**63), 2**63, 3000, endpoint=False).tolist()
    found = from_arrow(as_numbers(decimals(unscaled, 38, scale)))
    assert found.tolist() == [float(f"{number}e-{scale}") for number in unscaled]


def test_what_would_be_rounded_twice_beside_what_has_to_be() -> None:
    assert from_arrow(as_numbers(decimals([6958940675618, 2**62], 38, 10))).tolist() == [695.8940675618, 2**62 / 1e10]


@pytest.mark.parametrize("start", [0, 1, 7, 8, 9])
@pytest.mark.parametrize("scale", [0, 2, 30])
def test_parts_with_nulls(start: int, scale: int) -> None:
    values = [None if row % 3 == 0 else Decimal(f"{row}e-{scale}") for row in range(20)]
    part = pa.array(values, pa.decimal128(38, scale)).slice(start, 7)
    found = as_numbers(part)
    assert found.type == number_type(part.type)
    assert found.to_pylist() == [None if value is None else float(value) for value in values[start : start + 7]]


def test_files(write: Write, read_all: ReadAll) -> None:
    path = write(decimals([1, 10, -25, 10**17 + 1], 18, 2))
    assert read_all(path, 3, prediction="p")["prediction"].tolist() == [0.01, 0.1, -0.25, 1000000000000000.01]


def test_lists(write: Write, read_all: ReadAll) -> None:
    kind = pa.list_(pa.decimal128(5, 2))
    path = write(pa.array([[Decimal("0.10"), Decimal("0.90")], [Decimal("0.33"), Decimal("0.67")]], kind))
    assert read_all(path, prediction="p")["prediction"].tolist() == [[0.1, 0.9], [0.33, 0.67]]


def test_whole_ones_are_integers(write: Write, read_all: ReadAll) -> None:
    path = write(decimals([0, 1, -(2**63), 2**63 - 1], 38, 0))
    found = read_all(path, prediction="p")["prediction"]
    assert (found.dtype, found.tolist()) == (np.int64, [0, 1, -(2**63), 2**63 - 1])


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**37])
def test_whole_ones_beyond_64_bits(write: Write, number: int, gaps: bool) -> None:
    kind, one = pa.decimal128(38, 0), Decimal(1)
    flat = pa.array([one, None if gaps else one, Decimal(number)], kind)
    lists = pa.array([[one, one], None if gaps else [one, one], [one, Decimal(number)]], pa.list_(kind))
    for column in (flat, lists):
        path = write(column)
        with (
            open_reader(path, {"prediction": Selection(("p",), gaps=gaps)}) as reader,
            pytest.raises(DataError) as raised,
        ):
            list(reader.chunks(2))
        assert raised.value.message == f"{path}, row 2, column 'p': {number} does not fit in 64 bits"


def test_more_memory_than_there_are_decimals() -> None:
    words = np.array([1, 0, 2, 0], np.int64).tobytes()
    array = pa.Array.from_buffers(pa.decimal128(9, 2), 2, [None, pa.py_buffer(words + b"\xff")])
    assert from_arrow(as_numbers(array)).tolist() == [0.01, 0.02]


@pytest.mark.parametrize("scale", [-1, 39, 400, 2**31 - 1])
def test_powers_that_no_decimal_has(scale: int) -> None:
    assert number_type(pa.decimal128(18, scale)) is None


@pytest.mark.parametrize("scale", [0, 2])
def test_gaps(write: Write, scale: int) -> None:
    path = write(pa.array([Decimal(1), None, Decimal(3)], pa.decimal128(9, scale)))
    with open_reader(path, {"prediction": Selection(("p",), gaps=True)}) as reader:
        (chunk,) = reader.chunks(8)
    assert np.array_equal(chunk["prediction"], [1.0, np.nan, 3.0], equal_nan=True)


def test_keys_and_names_of_classes(write: Write) -> None:
    path = write(pa.array([Decimal(7), Decimal(-1), Decimal(2**62)], pa.decimal128(38, 0)))
    for selection, found in (
        (Selection(("p",), is_key=True), [7, -1, 2**62]),
        (Selection(("p",), classes=("-1", "7", str(2**62))), [1, 0, 2]),
    ):
        with open_reader(path, {"target": selection}) as reader:
            assert [row for chunk in reader.chunks(2) for row in chunk["target"].tolist()] == found


def test_a_key_beyond_64_bits(write: Write) -> None:
    path = write(pa.array([Decimal(7), Decimal(2**64)], pa.decimal128(38, 0)))
    with (
        open_reader(path, {"key id": Selection(("p",), is_key=True)}) as reader,
        pytest.raises(DataError, match=r"row 1, column 'p': 18446744073709551616 does not fit in 64 bits") as raised,
    ):
        list(reader.chunks(8))
    assert raised.value.hint == "write the column as text"


def test_keys_have_no_fraction(write: Write) -> None:
    with pytest.raises(DataError, match="holds decimal128"):
        open_reader(write(decimals([1, 2], 9, 2)), {"key id": Selection(("p",), is_key=True)})


def test_a_null_is_refused(write: Write, refusal: Refusal) -> None:
    path = write(pa.array([Decimal("0.5"), None], pa.decimal128(9, 2)))
    assert refusal(path, prediction="p").message == f"{path}, row 1, column 'p': null is not a number"


@pytest.mark.parametrize("kind", [pa.decimal256(40, 2), pa.decimal256(39, 0)], ids=str)
def test_those_of_more_digits(write: Write, refusal: Refusal, kind: pa.DataType) -> None:
    error = refusal(write(pa.array([Decimal(1)], kind)), prediction="p")
    assert (error.exit_code, error.hint) == (3, "convert the column to float64")
