"""What is settled about a batch before any of its files is evaluated."""

from __future__ import annotations

from typing import Any

import pytest

from lossctl.batches import planning
from lossctl.batches.planning import check_request, chosen_jobs, sorting_loss, taken_names
from lossctl.catalogue.loss_spec import parse
from lossctl.errors import UsageError
from lossctl.requests import Request


def _request(*specs: str, **more: Any) -> Request:
    return Request([parse(spec) for spec in specs or ("bce", "brier")], **more)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (_request("bce", "bce"), "the loss 'bce' is given twice"),
        (_request("bce:nope=1"), "bce has no option 'nope'"),
        (_request("huber:delta=-1"), "delta"),
        (_request("bce", flags={"ignore_index": 3}), "ignore_index"),
        (_request(threads=0), "threads must be a whole number from 1 up"),
        (_request(backend="abacus"), "there is no backend 'abacus'"),
    ],
)
def test_what_no_file_could_make_right(asked: Request, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_request(asked)
    assert said in str(caught.value)


def test_requests_that_may_be_right() -> None:
    check_request(_request("bce", "bce:eps=1e-7", "CrossEntropyLoss", "huber:delta=2", threads=100_000))


def test_the_loss_that_ranks() -> None:
    specs = _request("bce", "huber:delta=1", "huber:delta=2").specs
    assert sorting_loss(None, specs) == 0
    assert sorting_loss("bce", specs) == 0
    assert sorting_loss("huber:delta=2", specs) == 2
    for wrong in ("huber", "mae", "huber:delta=3"):
        with pytest.raises(UsageError, match="is not one of the losses"):
            sorting_loss(wrong, specs)
    assert sorting_loss("huber", specs[:2]) == 1


def test_names_of_columns_are_taken() -> None:
    assert {"rank", "file", "value", "bce", "cce", "scce"} <= {*taken_names(_request("bce", "CrossEntropyLoss").specs)}


def test_jobs_are_bounded_by_files_processors_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "usable_threads", lambda: 16)
    monkeypatch.setattr(planning, "available_bytes", lambda: None)
    assert (chosen_jobs(None, 100), chosen_jobs(None, 3), chosen_jobs(7, 100), chosen_jobs(7, 2)) == (16, 3, 7, 2)
    monkeypatch.setattr(planning, "available_bytes", lambda: 8 * planning.BYTES_OF_A_JOB)
    assert (chosen_jobs(None, 100), chosen_jobs(7, 100)) == (4, 7)
    monkeypatch.setattr(planning, "available_bytes", lambda: 1)
    assert chosen_jobs(None, 100) == 1
    assert (chosen_jobs(None, 100, "cuda"), chosen_jobs(3, 100, "cuda")) == (1, 3)
    for wrong in (0, -1, planning.MOST_JOBS + 1):
        with pytest.raises(UsageError, match="--jobs must be from 1 to 64"):
            chosen_jobs(wrong, 3)
