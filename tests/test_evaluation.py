"""The one road: chunks of whole blocks, how many values there are, progress, inputs as they were read."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl.catalogue.loss_spec import parse
from lossctl.errors import DataError, UsageError
from lossctl.evaluation import Evaluation
from lossctl.requests import Request
from lossctl.rows.feed import Feed
from lossctl.sources import memory_reader
from lossctl.sources.base import Array
from lossctl.values.conversion import exact


def feed(rows: int = 10_000, width: int = 1) -> Feed:
    array = np.linspace(0.0, 1.0, rows * width).reshape((rows, width) if width > 1 else (rows,))
    return Feed([memory_reader({"prediction": array}), memory_reader({"target": array[::-1]})])


@pytest.mark.parametrize(("wanted", "rows"), [(1, 4096), (4096, 4096), (4097, 8192), (10**9, 4096 * 244141)])
def test_chunks_are_whole_blocks(wanted: int, rows: int) -> None:
    assert Evaluation(feed(10), Request([parse("mse")], chunk_rows=wanted)).chunk_rows == rows


def test_wide_rows_make_short_chunks() -> None:
    narrow = Evaluation(feed(10, 10), Request([parse("mse")])).chunk_rows
    wide = Evaluation(feed(10, 100_000), Request([parse("mse")])).chunk_rows
    assert wide * 100_000 * 8 <= 32 << 20
    assert narrow > wide


def test_progress_is_told_after_every_chunk_of_every_pass() -> None:
    told: list[int] = []
    evaluation = Evaluation(feed(), Request([parse("mse")], chunk_rows=4096), told.append)
    evaluation.run()
    assert told == [4096, 8192, 10_000]
    evaluation.gradients({"prediction": lambda part: None})
    assert told == [4096, 8192, 10_000] * 2


def test_all_losses_share_one_pass() -> None:
    counted = feed()
    passes = []
    chunks = counted.chunks
    counted.chunks = lambda rows: passes.append(rows) or chunks(rows)  # type: ignore[method-assign, func-returns-value]
    Evaluation(counted, Request([parse(spec) for spec in ("mse", "mae", "rmse", "cosine_global")])).run()
    assert len(passes) == 1


def test_what_losses_convert_alike_is_converted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    def record(array: Array, dtype: str, path: str, role: str, threads: int) -> Array:
        done.append((path, dtype))
        return exact(array, dtype, path, role, threads)

    monkeypatch.setattr("lossctl.evaluation.exact", record)
    labels = np.arange(9000) % 2
    readers = [memory_reader({"prediction": np.full(9000, 0.25, np.float32)}), memory_reader({"target": labels})]
    specs = ("bce", "brier", "mse", "mae", "bce:log_base=2")
    run = Evaluation(Feed(readers), Request([parse(spec) for spec in specs], chunk_rows=8192)).run()
    assert [result.value for result in run.results[2:4]] == [0.3125, 0.5]
    each = {(f"{role} array", dtype) for role in ("prediction", "target") for dtype in ("float32", "float64")}
    assert sorted(done) == sorted([*each, *each])  # in two chunks


def test_losses_of_each_row_come_by_loss() -> None:
    parts: list[NDArray[np.float64]] = []
    specs = [parse(spec) for spec in ("mse", "mae", "huber")]
    together = Evaluation(feed(), Request(specs, chunk_rows=4096)).run(parts.append)
    assert [part.shape for part in parts] == [(4096, 3), (4096, 3), (1808, 3)]
    for column, spec in enumerate(specs):
        alone: list[NDArray[np.float64]] = []
        run = Evaluation(feed(), Request([spec])).run(alone.append)
        assert np.array_equal(np.concatenate(parts)[:, column], np.concatenate(alone))
        assert run.results == together.results[column : column + 1]


def test_a_run_says_what_it_read() -> None:
    run = Evaluation(feed(100, 3), Request([parse("mse")])).run()
    assert [(info.role, info.shape, info.dtype) for info in run.inputs] == [
        ("prediction", (100, 3), "float64"),
        ("target", (100, 3), "float64"),
    ]
    assert (run.backend, run.threads) == ("python", 1)


@pytest.mark.parametrize(
    "request_",
    [
        lambda: Request([]),
        lambda: Request([parse("mse")], reduction="none"),
        lambda: Request([parse("mse")], chunk_rows=0),
    ],
)
def test_a_request_that_makes_no_sense(request_: object) -> None:
    assert callable(request_)
    with pytest.raises(UsageError):
        request_()


def test_weights_of_0_alone_are_refused() -> None:
    readers = [memory_reader({role: np.zeros(3)}) for role in ("prediction", "target", "weights")]
    with pytest.raises(DataError, match=r"all weights .* are 0"):
        Evaluation(Feed(readers), Request([parse("mse")])).run()
