"""Records against data classes of the same fields: what is said of them must hold of both."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from dataclasses import field as data_field
from dataclasses import replace as data_replace
from typing import Any, ClassVar

import pytest

from lossctl_kernels.records import Record, field, field_names, replace


class Point(Record):
    """A point of some kind."""

    x: int
    y: int = 0
    kind: ClassVar[str] = "point"
    tags: dict[str, int] = field(default_factory=dict)
    note: str = field(default="", compare=False)


@dataclass(frozen=True)
class DataPoint:
    """The same as a data class."""

    x: int
    y: int = 0
    kind: ClassVar[str] = "point"
    tags: dict[str, int] = data_field(default_factory=dict)
    note: str = data_field(default="", compare=False)


class Named(Record, kw_only=True):
    """Fields that are given by name."""

    first: str = "1"
    second: str


class Corner(Point):
    """A point with one more field."""

    angle: float = 90.0


class Counter(Record, frozen=False):
    """A record that changes."""

    count: int = 0


class Positive(Record):
    """A record that checks its fields."""

    number: int

    def __post_init__(self) -> None:
        if self.number <= 0:
            raise ValueError("not positive")


both = pytest.mark.parametrize("kind", [Point, DataPoint])


@both
def test_fields_are_given_by_place_or_name_or_have_defaults(kind: Callable[..., Any]) -> None:
    point = kind(1, tags={"a": 1})
    assert (point.x, point.y, point.tags, point.note, point.kind) == (1, 0, {"a": 1}, "", "point")
    assert kind(1, 2) == kind(y=2, x=1) != kind(2, 1)
    assert kind(1).tags is not kind(1).tags
    assert kind(1, note="a") == kind(1, note="b")


@both
@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), ((1, 2, {}, "", 5), {}), ((1,), {"x": 1}), ((1,), {"z": 1}), ((), {"y": 1}), ((), {"y": 1, "z": 2})],
)
def test_wrong_fields_are_refused(kind: Callable[..., Any], values: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        kind(*values, **named)


@both
def test_nothing_changes_what_is_frozen(kind: Callable[..., Any]) -> None:
    point = kind(1)
    with pytest.raises(AttributeError):
        point.x = 2
    with pytest.raises(AttributeError):
        del point.x
    with pytest.raises(AttributeError):
        point.other = 2
    assert point == kind(1)


@both
def test_the_ways_to_copy(kind: Callable[..., Any]) -> None:
    point = kind(1, 2, {"a": 3}, "note")
    for made in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point)), data_replace(point)):
        assert (made, made.note) == (point, "note")
    assert data_replace(point, x=5) == kind(5, 2, {"a": 3})
    assert asdict(point) == {"x": 1, "y": 2, "tags": {"a": 3}, "note": "note"}
    assert [each.name for each in fields(point)] == ["x", "y", "tags", "note"]


def test_they_are_written_as_data_classes_are() -> None:
    assert repr(Point(1, tags={"a": 1})) == repr(DataPoint(1, tags={"a": 1})).replace("DataPoint", "Point")


def test_one_with_other_fields() -> None:
    assert replace(Point(1, 2), y=3) == Point(1, 3)
    assert replace(Positive(1), number=2) == Positive(2)
    with pytest.raises(TypeError, match=r"other fields.*: z"):
        replace(Point(1), z=3)
    with pytest.raises(ValueError, match="not positive"):
        replace(Positive(1), number=0)


def test_hashes_are_of_what_is_compared() -> None:
    one, other = (Comparable(1.5, note) for note in ("one", "other"))
    assert (hash(one), one) == (hash(other), other)
    assert {one: 1}[other] == 1
    with pytest.raises(TypeError):
        hash(Point(1))


class Comparable(Record):
    """A record of which all that is compared has a hash."""

    value: float
    note: str = field(default="", compare=False)


def test_records_of_other_classes_differ() -> None:
    assert Corner(1) != Point(1)
    assert Point(1) != 1


def test_by_name_alone() -> None:
    assert (Named(second="2").first, Named(second="2", first="3").first) == ("1", "3")
    with pytest.raises(TypeError):
        Named("1", "2")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="second"):
        Named()  # type: ignore[call-arg]


def test_a_subclass_has_the_fields_before_its_own() -> None:
    assert field_names(Corner) == ("x", "y", "tags", "note", "angle")
    assert (Corner(1, angle=45.0).angle, Corner(1, 2, {}, "", 30.0).angle) == (45.0, 30.0)


def test_one_that_changes_has_no_hash() -> None:
    counter = Counter()
    counter.count += 1
    assert counter == Counter(1)
    del counter.count
    with pytest.raises(TypeError):
        hash(counter)


def test_fields_by_place_in_a_pattern() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_it_loads_neither_dataclasses_nor_numpy() -> None:
    spied = "import sys, lossctl_kernels.records; print({'dataclasses', 'inspect', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", spied], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "set()\n"
