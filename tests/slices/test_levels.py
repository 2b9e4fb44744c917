"""Columns to codes: every kind of column, what is missing, and what is no value of a slice."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.errors import DataError
from lossctl.slices.levels import LONGEST_LABEL, MOST_DECIMALS, MOST_SLICES, Bins, Levels, Texts, encoder_of
from lossctl.slices.slicing import SliceColumn

COLUMNS: dict[str, tuple[Any, list[str | None]]] = {
    "text": (pa.array(["b", None, "a", "b", ""]), ["b", None, "a", "b", ""]),
    "large text": (pa.array(["b", None], pa.large_string()), ["b", None]),
    "integers": (pa.array([7, -1, None]), ["7", "-1", None]),
    "unsigned": (pa.array([2**64 - 1, 0], pa.uint64()), ["18446744073709551615", "0"]),
    "bools": (pa.array([True, None, False]), ["true", None, "false"]),
    "decimals": (pa.array([0.5, math.nan, None, -0.0, 0.0, 1.0]), ["0.5", None, None, "0", "0", "1"]),
    "half": (pa.array(np.array([0.5, 2.0], np.float16)), ["0.5", "2"]),
    "categories": (pa.array(["x", None, "y"]).dictionary_encode(), ["x", None, "y"]),
    "unused categories": (
        pa.DictionaryArray.from_arrays(pa.array([1, None, 1]), pa.array(["a", "b", "c"])),
        ["b", None, "b"],
    ),
    "categories of floats": (pa.array([0.5, math.nan, 0.5]).dictionary_encode(), ["0.5", None, "0.5"]),
    "dates": (pa.array([0, 1], pa.date32()), ["1970-01-01", "1970-01-02"]),
    "nothing": (pa.nulls(2), [None, None]),
    "no rows": (pa.array([], pa.string()), []),
}


def where(row: int) -> str:
    return f"t.csv, row {row}"


def labels_of(array: Any, encoder: Levels | Bins | None = None) -> list[str | None]:
    levels = encoder or Levels("c")
    return [levels.labels[code] for code in levels.encode(array, where).tolist()]


@pytest.mark.parametrize("name", COLUMNS)
def test_each_value_is_its_own_text(name: str) -> None:
    array, wanted = COLUMNS[name]
    assert labels_of(array) == wanted
    assert list(Texts().encode(array, where)) in (wanted, [str(each) for each in array.to_pylist()], _raw(array))


def _raw(array: Any) -> list[str | None]:
    plain = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    return list(plain.cast(pa.string()).to_pylist())


@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=30), st.integers(0, 30))
def test_codes_stand_for_the_values_whatever_they_hold(values: list[str | None], cut: int) -> None:
    values = [None if each is None else each.encode("utf-8", "ignore").decode() for each in values]
    levels = Levels("c")
    codes = [
        *levels.encode(pa.array(values[:cut], pa.string()), where),
        *levels.encode(pa.array(values[cut:], pa.string()), where),
    ]
    assert [levels.labels[code] for code in codes] == values
    assert len(set(levels.labels)) == len(levels.labels)


def test_threads_agree_about_the_codes() -> None:
    levels, found = Levels("c"), dict[int, list[str | None]]()

    def work(shift: int) -> None:
        values: list[str | None] = [f"v{(place * 7 + shift) % 500}" for place in range(5000)]
        codes = levels.encode(pa.array(values), where)
        assert [levels.labels[code] for code in codes] == values
        found[shift] = values

    threads = [threading.Thread(target=work, args=(shift,)) for shift in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert sorted(map(str, levels.labels)) == sorted(f"v{place}" for place in range(500))


def test_too_many_values_are_refused() -> None:
    values = [f"v{place}" for place in range(MOST_SLICES)]
    levels = Levels("some\ncolumn")
    levels.encode(pa.array(values), where)
    with pytest.raises(DataError, match=r"column 'some\\ncolumn' has more than 10000 different values"):
        levels.encode(pa.array(["one more"]), where)


@pytest.mark.parametrize("as_text", [False, True])
def test_decimals_are_for_intervals(as_text: bool) -> None:
    array = pa.array(np.arange(MOST_DECIMALS + 1) / 8.0)
    with pytest.raises(
        DataError, match=r"holds decimals, more than 100 .*; cut it in intervals, such as --by 'c:bins="
    ):
        Levels("c").encode(array.cast(pa.string()) if as_text else array, where)
    Levels("c").encode(array[:-1], where)
    Levels("c").encode(pa.array(np.arange(5000)).cast(pa.string()), where)


def test_long_text_is_no_slice() -> None:
    Levels("c").encode(pa.array(["x" * LONGEST_LABEL]), where)
    with pytest.raises(DataError, match=r"^t.csv, row 2: a value of 1001 characters; that of a slice has at most 1000"):
        Levels("c").encode(pa.array(["a", "b", "x" * (LONGEST_LABEL + 1)]), where)


@pytest.mark.parametrize(
    "array",
    [
        pa.array([-1, 0, 29, 30, 60, None]),
        pa.array([-1.0, 0.0, 29.9, 30.0, 60.0, math.nan]),
        pa.array(["-1", " 0", "29.9", "3e1", "60.", None]),
        pa.array([-1, 0, 29, 30, 60, None]).cast(pa.decimal128(20, 1)),
    ],
    ids=lambda array: str(array.type),
)
def test_intervals(array: Any) -> None:
    bins = encoder_of(SliceColumn("age", (0.0, 30.0, 60.0), ("0", "30", "60")))
    assert labels_of(array, bins) == ["(…,0)", "[0,30)", "[0,30)", "[30,60)", "[60,…)", None]


def test_intervals_of_infinities_and_of_nothing() -> None:
    bins = Bins("x", [1.5], ["1.5"])
    assert labels_of(pa.array(["-inf", "Infinity", "nan"]), bins) == ["(…,1.5)", "[1.5,…)", None]
    assert labels_of(pa.nulls(1), bins) == [None]


@pytest.mark.parametrize("text", ["x", "0x10", "1_0", "nan(7)", "", "1,5"])
def test_what_is_no_number_is_in_no_interval(text: str) -> None:
    with pytest.raises(DataError, match=r"^t.csv, row 1: '.*' is not a number, and :bins= is of numbers"):
        Bins("x", [0.0], ["0"]).encode(pa.array(["1", text]), where)


def test_truth_is_in_no_interval() -> None:
    with pytest.raises(DataError, match="a value of type bool is not a number"):
        Bins("x", [0.0], ["0"]).encode(pa.array([True]), where)
