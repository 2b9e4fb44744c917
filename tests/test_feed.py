"""Feeds: readers in step, and what is said where they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lossctl.errors import DataError
from lossctl.feed import Feed
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
