"""Which road the cells of a table take: the compiled parser where it is kept, or worth compiling; else Arrow."""

from __future__ import annotations

import pytest

from lossctl.sources import cells
from lossctl_kernels import decimals


def test_the_parser_is_compiled_for_large_tables_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def nothing(compiling: bool) -> None:
        asked.append(compiling)

    monkeypatch.setattr(decimals, "row_parser", nothing)
    for size in (1, cells.COMPILED_BYTES - 1, cells.COMPILED_BYTES):
        assert cells._row_parser(size) is None
    assert asked == [False, False, True]


def test_no_compiler_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(compiling: bool) -> None:
        raise ImportError("no Numba")

    monkeypatch.setattr(decimals, "row_parser", missing)
    assert cells._row_parser(cells.COMPILED_BYTES) is None
