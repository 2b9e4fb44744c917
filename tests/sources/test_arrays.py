"""Parts of any length into chunks of one length."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lossctl.sources.arrays import rechunk


@given(sizes=st.lists(st.integers(0, 9), max_size=8), rows=st.integers(1, 12))
def test_rechunk(sizes: list[int], rows: int) -> None:
    whole = np.arange(sum(sizes))
    ends = np.cumsum(sizes, dtype=int)
    parts = [
        {"a": whole[end - size : end], "b": -whole[end - size : end]} for size, end in zip(sizes, ends, strict=True)
    ]
    chunks = list(rechunk(parts, rows))
    assert [len(chunk["a"]) for chunk in chunks[:-1]] == [rows] * (len(chunks) - 1)
    assert all(0 < len(chunk["a"]) <= rows for chunk in chunks)
    assert [value for chunk in chunks for value in chunk["a"]] == whole.tolist()
    assert [value for chunk in chunks for value in chunk["b"]] == (-whole).tolist()


def test_chunks_within_a_part_are_views() -> None:
    part = np.arange(10)
    assert all(np.shares_memory(chunk["a"], part) for chunk in rechunk([{"a": part}], 3))
