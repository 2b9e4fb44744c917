"""What `--by` says, and how slices are spelled."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lossctl.errors import UsageError
from lossctl.gates.grammar import parse_gate
from lossctl.gates.trees import Comparison, Measure
from lossctl.slices.slicing import SliceColumn, Slicing, parse_columns, spelled_key


def test_columns_and_intervals() -> None:
    assert parse_columns(["country", "age:bins=0, 30,6e1", "a:b", "odd:bins=:bins=-1"]) == [
        SliceColumn("country"),
        SliceColumn("age", (0.0, 30.0, 60.0), ("0", "30", "6e1")),
        SliceColumn("a:b"),
        SliceColumn("odd:bins=", (-1.0,), ("-1",)),
    ]


WRONG = {
    "": "names no column",
    " ": "names no column",
    ":bins=1": "names no column",
    "age:bins=": "'' is not a finite number",
    "age:bins=a": "'a' is not a finite number",
    "age:bins=1_0": "'1_0' is not a finite number",
    "age:bins=nan": "'nan' is not a finite number",
    "age:bins=inf": "'inf' is not a finite number",
    "age:bins=0,0": "the edge 0 is not above",
    "age:bins=1,0": "the edge 0 is not above",
    "age:bins=" + ",".join(map(str, range(1001))): "has 1001 edges",
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:20])
def test_what_means_nothing(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_columns([text])
    assert WRONG[text] in str(raised.value)


def test_a_column_stands_once() -> None:
    with pytest.raises(UsageError, match="names 'age' twice"):
        parse_columns(["age", "age:bins=1"])


def test_slicings_of_options_and_of_gates() -> None:
    columns = parse_columns(["a", "b:bins=1"])
    plain = Slicing.of(columns, False, None)
    assert (plain.slicings, plain.least) == ((("a",), ("b",)), 1)
    assert Slicing.of(columns, True, 7).slicings == (("a", "b"),)
    more = plain.with_slicings([("b", "a"), ("c",), ("a", "b"), ("a",)])
    assert more.slicings == (("a",), ("b",), ("b", "a"), ("c",))
    assert [column.name for column in more.columns] == ["a", "b", "c"]
    with pytest.raises(UsageError, match="--cross is of two columns or more"):
        Slicing.of(columns[:1], True, None)
    with pytest.raises(UsageError, match="--min-slice must be 1 or more, found 0"):
        Slicing.of(columns, False, 0)
    with pytest.raises(UsageError, match="5 columns are crossed"):
        plain.with_slicings([tuple("abcde")])


@given(st.text("aB_0159.-+\"' =,]*[()ü…", max_size=12))
@example("and")
@example("2024-01-01")
@example("v1.2")
@example("-07")
@example("")
def test_a_slice_is_spelled_as_gates_read_it(value: str) -> None:
    parsed = parse_gate(f"bce[{spelled_key(['a b'], [value])}] > 0", {"bce": 0}.get, ("bce",))
    assert isinstance(parsed, Comparison)
    assert parsed.left == Measure("", 0, "bce", ("a b",), (value,))


def test_what_is_missing_has_a_name() -> None:
    assert spelled_key(["country", "sex"], [None, "f"]) == 'country="(missing)",sex=f'
