"""Rows of decimal text: every number as Python reads it, and nothing read that is not plainly a number."""

from __future__ import annotations

import math
import struct
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossctl_kernels import decimals, objects
from lossctl_kernels.decimals import FLOAT, INTEGER, SKIPPED, RowParser


@pytest.fixture(scope="module")
def parser() -> RowParser:
    found = decimals.row_parser(compiling=True)
    assert found is not None
    return found


def floats(parser: RowParser, cells: list[str]) -> list[float] | None:
    columns = parser.parse("".join(f"{cell}\n" for cell in cells).encode(), ",", [FLOAT])
    return None if columns is None else [float(value) for value in columns[0]]


def same(found: list[float] | None, cells: list[str]) -> bool:
    """To the last bit, and the sign of 0."""
    return found is not None and struct.pack(f"{len(cells)}d", *found) == struct.pack(
        f"{len(cells)}d", *map(float, cells)
    )


PLAIN = [
    "0", "-0", "0.0", "-0.000", "1", "-1", "7.", ".5", "-.25", "007", "000.1250", "1e5", "1E-3", "1e+22", "1e0005",
    "9007199254740993", "9007199254740992.5", "9007199254740993.0",
    "1.7976931348623157e308", "-8.98846567431158e307", "1.7976931348623158e308",
    "2.2250738585072014e-308", "0.1", "0.2", "0.30000000000000004", "123456789012345678", "9999999999999999999",
    "0.0000000000000000000001234567890123456789", "4e-300", "0e9999",
]  # fmt: skip


@pytest.mark.parametrize("cell", PLAIN)
def test_plain_numbers(parser: RowParser, cell: str) -> None:
    assert same(floats(parser, [cell]), [cell])
    assert same(floats(parser, [f'"{cell}"']), [cell])


@pytest.mark.parametrize(
    "cell",
    ["", " ", " 1", "1 ", "+1", "-", ".", "-.", "e5", "1e", "1e+", "1e-", "--1", "1.2.3", "0x10", "1_0", "nan", "inf",
     "1e400", "1.7976931348623159e308", "1e-400", "5e-324",
     "2.2250738585072011e-308", "12345678901234567890", "1.2345678901234567890", "1e99999",
     "1:5", "1/5", "١", '"1', '1"', '""', '"1"2', "1\r2", "1,5"],
)  # fmt: skip
def test_what_is_not_plain_is_left_alone(parser: RowParser, cell: str) -> None:
    assert floats(parser, [cell]) is None
    assert floats(parser, ["1", cell, "2"]) is None


@pytest.mark.parametrize("cell", ["", "-", "+1", "1.0", "1e3", "1234567890123456789", "0x1", " 1", "true"])
def test_what_is_no_plain_integer(parser: RowParser, cell: str) -> None:
    assert parser.parse(f"1\n{cell}\n".encode(), ",", [INTEGER]) is None


@settings(max_examples=300)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not 0 < abs(x) < 3e-308), min_size=1))
def test_what_python_writes_of_a_float(parser: RowParser, values: list[float]) -> None:
    cells = [repr(value) for value in values]
    found = floats(parser, cells)
    assert same(found, cells)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 10**19 - 1), st.integers(-290, 270)), min_size=1, max_size=20))
def test_any_nineteen_digits_and_power(parser: RowParser, numbers: list[tuple[int, int]]) -> None:
    cells = [f"{digits}e{power}" for digits, power in numbers]
    assert same(floats(parser, cells), cells)


@given(st.integers(2**52, 2**53 - 1), st.integers(-20, 8), st.integers(-1, 1))
def test_halfway_between_two_floats_goes_to_the_even_one(
    parser: RowParser, mantissa: int, exponent: int, off: int
) -> None:
    """The midpoint above a float, as far as 19 digits write it exactly, and what is nearest to it on both sides."""
    middle = Fraction(2 * mantissa + 1) * Fraction(2) ** (exponent - 1)
    scale = 0
    while middle.denominator != 1:
        middle, scale = middle * 10, scale + 1
    digits = middle.numerator + off
    cell = f"{digits}e-{scale}"
    found = floats(parser, [cell])
    assert same(found, [cell]) if digits < 10**19 else found is None


@given(st.lists(st.integers(-(10**18) + 1, 10**18 - 1), min_size=1))
def test_integers(parser: RowParser, values: list[int]) -> None:
    columns = parser.parse("".join(f"{value}\n" for value in values).encode(), ",", [INTEGER])
    assert columns is not None
    assert columns[0].dtype == np.int64
    assert columns[0].tolist() == values


def test_columns_are_skipped_and_rows_end_in_either_way(parser: RowParser) -> None:
    data = b'a,1,0.5,x\r\n"b,""\n""",-2,"1.5",\n,3,2.5,""\n'
    columns = parser.parse(data, ",", [SKIPPED, INTEGER, FLOAT, SKIPPED])
    assert columns is not None
    assert [column.tolist() for column in columns] == [[1, -2, 3], [0.5, 1.5, 2.5]]
    tabs = parser.parse(data.replace(b",", b"\t"), "\t", [SKIPPED, INTEGER, FLOAT, SKIPPED])
    assert tabs is not None
    assert [column.tolist() for column in tabs] == [[1, -2, 3], [0.5, 1.5, 2.5]]


@pytest.mark.parametrize(
    "data",
    [b"1,2\n3\n", b"1,2\n3,4,5\n", b"1,2\n\n", b"1,2", b"1,2\n3", b"1,2\n3,", b"1", b"1,2\r", b'1,"2\n', b"\n", b",\n"],
)
def test_rows_of_another_shape(parser: RowParser, data: bytes) -> None:
    assert parser.parse(data, ",", [FLOAT, FLOAT]) is None
    assert parser.parse(data, ",", [FLOAT, SKIPPED]) is None or data.endswith(b"\n")


def test_no_rows(parser: RowParser) -> None:
    columns = parser.parse(b"", ",", [FLOAT, INTEGER])
    assert columns is not None
    assert [len(column) for column in columns] == [0, 0]


@settings(max_examples=300)
@given(st.binary(max_size=60), st.lists(st.sampled_from([SKIPPED, FLOAT, INTEGER]), min_size=1, max_size=4))
def test_any_bytes_are_read_or_refused(parser: RowParser, data: bytes, kinds: list[int]) -> None:
    columns = parser.parse(data, ",", kinds)
    if columns is not None:
        assert len(columns) == len(kinds) - kinds.count(SKIPPED)
        assert len({len(column) for column in columns}) <= 1


def test_threads_do_not_share_what_they_work_with(parser: RowParser) -> None:
    def read(offset: int) -> float:
        data = "".join(f"{offset + row}.5\n" for row in range(500)).encode()
        columns = parser.parse(data, ",", [FLOAT])
        return math.nan if columns is None else float(columns[0].sum())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, range(40))) == [500 * offset + 125_000.0 for offset in range(40)]


def test_the_parser_is_kept_for_later_processes(parser: RowParser, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, bytes] = {}
    monkeypatch.setattr(decimals, "_made", [])
    monkeypatch.setattr(objects, "find", lambda wanted: kept.get(wanted.key))
    monkeypatch.setattr(objects, "keep", lambda wanted, code: kept.update({wanted.key: code}))
    assert decimals.row_parser() is None
    assert decimals.row_parser(compiling=True) is not None
    assert len(kept) == 1
    monkeypatch.setattr(decimals, "_made", [])
    found = decimals.row_parser()
    assert found is not None
    assert same(floats(found, ["0.1"]), ["0.1"])
    monkeypatch.setattr(decimals, "_made", [])
    monkeypatch.setattr(objects, "link", lambda wanted, code: None)
    assert decimals.row_parser(compiling=True) is None
