"""Names and globs against the columns of a table."""

from __future__ import annotations

import pytest

from lossctl.errors import UsageError
from lossctl.sources import Selection
from lossctl.sources.selection import select_columns

NAMES = ("id", "p_1", "p_0", "p_10", "P_2", "a*b", "axb")


def select(*wanted: str) -> tuple[str, ...]:
    return select_columns("t.csv", NAMES, {"prediction": Selection(wanted)})["prediction"]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (("id",), ("id",)),
        (("p_0", "p_1"), ("p_0", "p_1")),
        (("p_*",), ("p_1", "p_0", "p_10")),
        (("p_?", "id"), ("p_1", "p_0", "id")),
        (("[pP]_[0-2]",), ("p_1", "p_0", "P_2")),
        (("a*b",), ("a*b",)),
        (("a?b",), ("a*b", "axb")),
    ],
)
def test_names_and_globs(wanted: tuple[str, ...], chosen: tuple[str, ...]) -> None:
    assert select(*wanted) == chosen


def test_spaces_around_a_name_need_not_be_given() -> None:
    roles = {"prediction": Selection(("p",))}
    assert select_columns("t.csv", ["id", " p"], roles) == {"prediction": (" p",)}
    assert select_columns("t.csv", [" p", "p"], roles) == {"prediction": ("p",)}
    with pytest.raises(UsageError, match="has no column 'p'"):
        select_columns("t.csv", [" p", "p "], roles)


def test_accents_may_be_encoded_another_way() -> None:
    roles = {"prediction": Selection(("e\u0301t\u00e9",))}
    assert select_columns("t.csv", ["id", "\u00e9te\u0301"], roles) == {"prediction": ("\u00e9te\u0301",)}
    with pytest.raises(UsageError, match="has no column"):
        select_columns("t.csv", ["\u00e9t\u00e9", "\u00e9te\u0301"], roles)


def test_a_column_without_a_name_is_in_no_glob() -> None:
    assert select_columns("t.csv", ["", "p"], {"prediction": Selection(("*",))}) == {"prediction": ("p",)}
    assert select_columns("t.csv", ["", "p"], {"prediction": Selection(("",))}) == {"prediction": ("",)}


def test_a_column_twice() -> None:
    with pytest.raises(UsageError, match="--pred-col selects the column 'p_1' 2 times"):
        select("p_*", "p_1")


def test_no_column() -> None:
    with pytest.raises(UsageError, match="--pred-col names no column"):
        select()


def test_two_roles_may_share_a_column() -> None:
    roles = {"prediction": Selection(("id",)), "target": Selection(("id",))}
    assert select_columns("t.csv", NAMES, roles) == {"prediction": ("id",), "target": ("id",)}


def test_long_lists_are_cut_and_names_made_visible() -> None:
    names = ["\x1b[31mred\n", *(f"column {each}" for each in range(500))]
    with pytest.raises(UsageError) as caught:
        select_columns("t.csv", names, {"target": Selection(("nothing",))})
    hint = str(caught.value.hint)
    assert r"\x1b[31mred\n" in hint
    assert hint.isprintable()
    assert hint.endswith("column 18 and 481 more")


def test_a_name_with_commas() -> None:
    """As pandas writes the names of columns that are tuples."""
    names = ["('a', 'p')", "('a', 'q')", "p", "q", "p,r"]
    assert select_columns("t", names, {"prediction": Selection(("('a'", "'q')"))}) == {"prediction": ("('a', 'q')",)}
    assert select_columns("t", names, {"prediction": Selection(("p", "r"))}) == {"prediction": ("p,r",)}
    assert select_columns("t", [*names, "r"], {"prediction": Selection(("p", "r"))}) == {"prediction": ("p", "r")}
    with pytest.raises(UsageError, match="no column 's'"):
        select_columns("t", names, {"prediction": Selection(("p", "s"))})
