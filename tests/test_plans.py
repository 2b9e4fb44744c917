"""What follows from a request and the shapes of the data."""

from __future__ import annotations

import numpy as np
import pytest

from lossctl.catalogue.loss_spec import parse
from lossctl.plans import STEP_VALUES, planned, work_of
from lossctl.requests import Request
from lossctl.rows.feed import Feed
from lossctl.sources import memory_reader
from lossctl_kernels import LOSSES, Plan, resolve
from lossctl_kernels.records import replace


@pytest.mark.parametrize(
    ("loss", "work"),
    [("mse", 30 * 4), ("sparsemax", STEP_VALUES * 30 * 4), ("circle", STEP_VALUES * 30 * 30 * 4)],
)
def test_row_functions_are_interpreted_step_by_step(loss: str, work: int) -> None:
    """Of pairs, each row meets all others."""
    feed = Feed([memory_reader({"prediction": np.ones((30, 4))})])
    assert work_of(Plan(resolve(LOSSES[loss], {}), 4), feed) == work


@pytest.mark.parametrize(
    ("part", "asked", "rows"),
    [
        (None, None, 524_288),
        (1 << 20, None, 524_288),
        (491_520, None, 491_520),
        (30 * 4096 * 9, None, 368_640),
        (1000, None, 524_288),  # no whole blocks
        (491_520, 5000, 8192),
    ],
)
def test_chunks_are_of_whole_blocks_that_are_read_together(
    monkeypatch: pytest.MonkeyPatch, part: int | None, asked: int | None, rows: int
) -> None:
    reader = memory_reader({"prediction": np.ones(9), "target": np.ones(9)})
    reader.arrays = {role: replace(info, format="parquet") for role, info in reader.arrays.items()}
    monkeypatch.setattr(type(reader), "part_rows", part)
    chunk_rows, _ = planned(Feed([reader]), Request([parse("mse")], chunk_rows=asked))
    assert chunk_rows == rows
