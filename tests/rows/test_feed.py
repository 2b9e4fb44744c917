"""Feeds: readers in step, and what is said where they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lossctl.errors import DataError
from lossctl.rows.feed import Feed
from lossctl.sources import Selection, memory_reader, open_reader


def feed(**shapes: tuple[int, ...]) -> Feed:
    return Feed([memory_reader({role: np.zeros(shape)}) for role, shape in shapes.items()])


def test_chunks_hold_every_role_in_step_and_can_be_read_again() -> None:
    together = Feed([memory_reader({"prediction": np.arange(10.0)}), memory_reader({"target": np.arange(10)})])
    for _ in range(2):
        chunks = list(together.chunks(4))
        assert [len(chunk["prediction"]) for chunk in chunks] == [4, 4, 2]
        assert all((chunk["prediction"] == chunk["target"]).all() for chunk in chunks)
    assert together.rows == 10
    assert together.place("target", 3) == "target array, row 3"


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ({"prediction": (3, 5), "target": (5,)}, "transposed"),
        ({"prediction": (4,), "target": (3,)}, "a header row read as data"),
        ({"prediction": (3, 4), "target": (12,)}, "4 times as many rows"),
        ({"prediction": (7,), "target": (3,)}, "in the same order"),
        ({"prediction": (3,), "target": (3,), "weights": (2,)}, "its own weight"),
        ({"prediction": (3,), "target": (3,), "var": (2,)}, "each row needs its own var"),
        ({"prediction": (3,), "target": (3,), "weights": (3,), "var": (6,)}, "each row needs its own var"),
        ({"prediction": (3,), "target": (0,)}, "in the same order"),
    ],
)
def test_numbers_of_rows_that_differ_are_told_with_the_likely_cause(
    shapes: dict[str, tuple[int, ...]], says: str
) -> None:
    with pytest.raises(DataError) as caught:
        feed(**shapes)
    assert says in str(caught.value)
    for role, shape in shapes.items():
        assert f"{role} array has {shape[0]} rows (shape {shape}, float64)" in str(caught.value)


def test_a_text_that_ends_early_is_found_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("p\n" + "0.5\n" * 7)
    for rows in (5, 9):
        readers = [
            open_reader(tmp_path / "p.csv", {"prediction": Selection(None)}),
            memory_reader({"target": np.zeros(rows)}),
        ]
        uneven = Feed(readers)
        with pytest.raises(DataError, match=rf"p.csv has 7 rows .* target array has {rows} rows"):
            list(uneven.chunks(2))
        uneven.close()


def test_a_feed_of_texts_does_not_know_its_rows(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("p\n0.5\n")
    unknown = Feed([open_reader(tmp_path / "p.csv", {"prediction": Selection(None)})])
    assert unknown.rows is None
    unknown.close()


def test_what_is_whole_is_in_no_step_with_the_rows() -> None:
    in_step = memory_reader({"prediction": np.arange(5.0)})
    together = Feed([in_step], [memory_reader({"reference": np.arange(6).reshape(3, 2)})])
    assert together.rows == 5
    assert together.whole == {"reference"}
    for _ in range(2):
        chunks = list(together.chunks(2))
        assert [len(chunk["prediction"]) for chunk in chunks] == [2, 2, 1]
        assert all(chunk["reference"].tolist() == [[0, 1], [2, 3], [4, 5]] for chunk in chunks)
    assert together.place("reference", 1, 0) == "reference array, row 1, column 0"


def test_a_whole_array_without_rows_is_refused() -> None:
    together = Feed([memory_reader({"prediction": np.zeros(2)})], [memory_reader({"reference": np.zeros(0)})])
    with pytest.raises(DataError, match="reference array has no rows"):
        list(together.chunks(2))
