"""Many files against one: the numbers of `eval`, whatever the number of jobs; what fails harms nothing else."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossctl import backends
from lossctl.batches import batch
from lossctl.batches.batch import Batch
from lossctl.batches.inputs import EACH_FILE, SharedInputs
from lossctl.batches.patterns import BatchFile, find_files
from lossctl.batches.results import Leaderboard, Row, value_of
from lossctl.catalogue.loss_spec import parse
from lossctl.evaluation import Evaluation
from lossctl.requests import Request
from lossctl.rows.inputs import InputFiles, open_feed

ROWS = 9000
FACTS: dict[str, Any] = {"fields": (), "request": {"command": "", "inputs": None}}


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(11)
    np.save("y.npy", random.integers(0, 2, ROWS))
    for number in range(7):
        np.save(f"p{number}.npy", random.random(ROWS).astype([np.float32, np.float64][number % 2]))


def request(*specs: str, **more: Any) -> Request:
    return Request([parse(spec) for spec in specs or ("bce", "brier")], **more)


def done(asked: Request, jobs: int = 1, *patterns: str, **more: Any) -> Leaderboard:
    files, _ = find_files(patterns or ["p*.npy"], [])
    with closing(SharedInputs(InputFiles(EACH_FILE, "y.npy"))) as shared:
        work = Batch(files, shared, asked, jobs=jobs, **more)
        work.run()
        return work.board(0, **FACTS)


def alone(path: str, asked: Request) -> list[float]:
    with closing(open_feed(InputFiles(path, "y.npy"))) as feed:
        return [result.value for result in Evaluation(feed, asked).run().results]


@pytest.mark.parametrize("backend", ["python", "cpu"])
@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_values_have_the_bits_of_an_evaluation(backend: str, jobs: int) -> None:
    asked = request(backend=backend)
    found = done(asked, jobs)
    assert len(found.rows) == 7
    for row in found.rows:
        assert [value_of(result) for result in row.results] == alone(row.path, asked)
        assert row.backend == backend


def test_nothing_depends_on_the_number_of_jobs() -> None:
    np.save("p7.npy", np.load("p3.npy"))
    np.save("p8.npy", np.ones(3))

    def told(found: Leaderboard) -> list[dict[str, Any]]:
        return [{**row.to_document(), "seconds": 0} for row in found.rows]

    assert told(done(request(), 1)) == told(done(request(), 4))


def test_a_file_that_fails_harms_no_other() -> None:
    np.save("p7.npy", np.ones(3))
    np.save("p8.npy", np.full(ROWS, np.nan))
    Path("p9.npy").write_bytes(b"words")
    for jobs in (1, 3):
        found = done(request(), jobs, "p*.npy", "nope.npy")
        assert [row.path for row in found.failed] == ["p7.npy", "p8.npy", "p9.npy", "nope.npy"]
        errors = [row.error["message"] for row in found.failed if row.error]
        assert "numbers of rows differ" in errors[0]
        assert "p8.npy, row 0" in errors[1]
        assert "p9.npy is not npy" in errors[2]
        assert errors[3] == "no such file: nope.npy"
        assert len([row for row in found.rows if row.rank]) == 7


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_mistake_of_ours_is_not_a_row(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(batch, "labelled", broken)
    with pytest.raises(ZeroDivisionError):
        done(request(), jobs)


def test_no_memory_for_a_file_is_a_fault_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(batch, "labelled", full)
    assert {row.error["kind"] for row in done(request()).rows if row.error} == {"environment"}


def test_progress_counts_files() -> None:
    for jobs in (1, 3):
        counts: list[int] = []
        done(request(), jobs, progress=counts.append)
        assert counts == list(range(8))


def test_threads_are_shared_among_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "usable_processors", lambda: 4)
    for files, expected in ((1, (1, 4)), (2, (2, 2)), (7, (3, 1))):
        found = [BatchFile(f"p{number}.npy") for number in range(files)]
        work = Batch(found, None, request(threads=4), jobs=3)  # type: ignore[arg-type]
        assert (work.jobs, work._request.threads) == expected


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_was_done_is_kept_where_the_work_is_interrupted(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    files, _ = find_files(["p*.npy"], [])
    evaluate = Batch._evaluate

    def last_ones_later(work: Batch, row: Row) -> Row:
        if row.path in {file.path for file in files[5:]}:
            work._stop.wait(60)  # other threads could have done them all before the interrupt
        return evaluate(work, row)

    def progress(count: int) -> None:
        if count == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Batch, "_evaluate", last_ones_later)
    with closing(SharedInputs(InputFiles(EACH_FILE, "y.npy"))) as shared:
        work = Batch(files, shared, request(), jobs=jobs, progress=progress)
        with pytest.raises(KeyboardInterrupt):
            work.run()
        found = work.board(0, **FACTS)
    assert found.status == "interrupted"
    assert len(found.rows) >= 3
    assert len(found.rows) + found.pending == 7
    assert all(row.error is None for row in found.rows)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batch")]


def test_what_is_done_is_kept_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    files, _ = find_files(["p*.npy"], [])
    for seconds, expected in ((0.0, [1, 2, 3, 4, 5, 6, 7]), (3600.0, [])):
        monkeypatch.setattr(batch, "KEEP_SECONDS", seconds)
        kept: list[int] = []
        with closing(SharedInputs(InputFiles(EACH_FILE, "y.npy"))) as shared:
            work = Batch(files, shared, request(), jobs=2)
            work.run(lambda: kept.append(len(work.board(0, **FACTS).rows)))  # noqa: B023
        assert kept == expected


def test_code_that_many_files_repay_is_compiled_whatever_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a file would be interpreted or not by whether another one has been compiled for by then."""
    monkeypatch.setattr("lossctl.backends._are_compiled", lambda *_: False)
    assert {row.backend for row in done(request()).rows} == {"python"}
    monkeypatch.setattr(batch, "INTERPRETED_VALUES", 1000)
    assert {row.backend for row in done(request()).rows} == {"python"}
    monkeypatch.setattr(batch, "INTERPRETED_VALUES_UNCOMPILED", 10_000)
    assert {row.backend for row in done(request()).rows} == {"cpu"}
    assert {row.backend for row in done(replace(request(), backend="python")).rows} == {"python"}
