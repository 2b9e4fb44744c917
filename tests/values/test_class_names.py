"""Names of classes: from a list or a file, and held against the columns that are called after them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossctl.errors import DataError, UsageError
from lossctl.sources import ArrayInfo
from lossctl.values.class_names import check_classes, class_names, read_classes

CLASSES = ("car", "cat", "dog")


def info(*columns: str, width: int | None = None) -> ArrayInfo:
    number = width or len(columns)
    return ArrayInfo("t.csv", "csv", columns, (None, number) if number > 1 else (None,), "float64")


def check(columns: ArrayInfo, *, glob: bool = True, classes: tuple[str, ...] = CLASSES) -> None:
    check_classes(classes, {"prediction": columns, "target": info("y")}, {"prediction": glob})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.txt", "car\ncat\ndog\n"),
        ("c.txt", "car\r\ncat\r\ndog"),
        ("c.json", '["car", "cat", "dog"]'),
        ("c.txt", "\ufeffcar\ncat\ndog\n\n"),
    ],
)
def test_a_file_of_names(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, newline="")
    assert read_classes(str(tmp_path / name)) == CLASSES


def test_a_list_of_names() -> None:
    assert read_classes("car, cat,dog") == CLASSES


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "names 0 classes"),
        (b"one\n", "names 1 class;"),
        (b"\n", "names 0 classes"),
        (b'{"cat": 0, "dog": 1}\n', "no JSON list"),
        (b'{\n  "cat": 0,\n  "dog": 1\n}\n', "no JSON list"),
        (b'["a", "a"]', "'a' twice"),
        (b"a\n\nb\n", "name 2 is empty"),
        (b"a\nb\na\n", "'a' twice"),
        (b"[1, null]", "no name of a class"),
        (b'["a", ', "no JSON list"),
        (b"[" * 100_000, "no JSON list"),
        (b"\xff\xfe", "not UTF-8"),
        (b'["\\ud800", "b"]', "name 1 is not Unicode"),
    ],
)
def test_a_file_that_is_wrong(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_bytes(content)
    with pytest.raises(DataError, match=says) as raised:
        read_classes(str(tmp_path / "c.txt"))
    assert "c.txt" in raised.value.message
    assert raised.value.hint


def test_lines_end_where_editors_end_them(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("a\u2028b\r\nc\x0bd\r\n", newline="", encoding="utf-8")
    assert read_classes(str(tmp_path / "c.txt")) == ("a\u2028b", "c\x0bd")


@pytest.mark.parametrize("text", ["absent.txt", "cat", "a,,b", "a,a", "", "a,\udcff"])
def test_a_list_that_is_wrong(text: str) -> None:
    with pytest.raises(UsageError):
        read_classes(text)


def test_names_from_python_are_texts() -> None:
    assert class_names(["a", "b"]) == ("a", "b")
    for wrong in ("ab", [1, 2]):
        with pytest.raises(UsageError, match="list of names"):
            class_names(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "columns",
    [
        ("car", "cat", "dog"),
        ("p_car", "p_cat", "p_dog"),
        ("car.p", "cat.p", "dog.p"),
        ("p_0", "p_1", "p_2"),
        ("p1x", "p2x", "p3x"),
    ],
)
def test_columns_in_the_order_of_the_classes(columns: tuple[str, ...]) -> None:
    check(info(*columns))


@pytest.mark.parametrize("glob", [True, False])
@pytest.mark.parametrize("columns", [("p_cat", "p_car", "p_dog"), ("dog", "cat", "car")])
def test_columns_in_another_order(columns: tuple[str, ...], glob: bool) -> None:
    with pytest.raises(UsageError) as raised:
        check(info(*columns), glob=glob)
    both = "cat, car, dog" if columns[0] == "p_cat" else "dog, cat, car"
    assert both in raised.value.message
    assert "car, cat, dog" in raised.value.message
    assert "--classes" in str(raised.value.hint)


@pytest.mark.parametrize("columns", [("p_a", "p_b", "p_c"), ("p_2", "p_1", "p_0"), ("p_1", "q_2", "p_3")])
def test_other_columns_must_be_listed(columns: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="not called after the classes"):
        check(info(*columns))
    check(info(*columns), glob=False)


def test_the_number_of_columns() -> None:
    with pytest.raises(DataError, match="2 predictions a row, and --classes names 3 classes"):
        check(info("p_car", "p_cat"))
    with pytest.raises(DataError, match="4 predictions"):
        check(info(width=4))
    with pytest.raises(DataError, match="one prediction a row, and --classes names 3 classes"):
        check(info("p"))
    check(info("p"), classes=("no", "yes"))


def test_targets_of_a_column_for_each_class_are_held_to_the_same_order() -> None:
    arrays = {"prediction": info("p_a", "p_b"), "target": info("t_b", "t_a")}
    with pytest.raises(UsageError, match=r"target columns of t\.csv are in the order b, a"):
        check_classes(("a", "b"), arrays, {})
