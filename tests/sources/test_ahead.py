"""Working ahead: results in order, errors in their place, no more begun than may be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from lossctl.sources import ahead
from lossctl.sources.ahead import WorkedAhead


def test_results_come_in_the_order_of_their_items() -> None:
    """The first is held back until the second is done."""
    second_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_done.wait(60)
        if item == 1:
            second_done.set()
        return item * item

    assert list(WorkedAhead(work, iter(range(50)), 2, 4)) == [(item, item * item) for item in range(50)]


def test_no_more_is_begun_than_may_be() -> None:
    begun = 0

    def items() -> Iterator[int]:
        nonlocal begun
        while begun < 100:
            begun += 1
            yield begun

    for taken, (item, _) in enumerate(WorkedAhead(str, items(), 2, 3)):
        assert item == taken + 1
        assert begun <= taken + 3


def results_before_the_error(work: Callable[[int], object], items: Iterator[int], error: str) -> list[int]:
    taken = []

    def take() -> None:
        for item, _ in WorkedAhead(work, items, 2, 9):
            taken.append(item)

    with pytest.raises(ArithmeticError, match=error):
        take()
    return taken


def test_errors_are_raised_in_their_place() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise OverflowError("of the items")

    assert results_before_the_error(str, items(), "of the items") == [0, 1, 2]
    assert results_before_the_error(lambda item: 1 // (item - 2), items(), "division") == [0, 1]


def test_threads_end_with_the_one_who_takes() -> None:
    before = threading.active_count()
    results = iter(WorkedAhead(str, iter(range(100)), 2, 4))
    assert next(results) == (0, "0")
    del results
    assert threading.active_count() == before


def test_work_begins_before_anybody_takes_a_result_and_ends_where_nobody_does() -> None:
    done = threading.Event()
    before = threading.active_count()
    begun = WorkedAhead(lambda _: done.set(), iter(range(100)), 2, 4)
    assert done.wait(60)
    begun.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("asked", [None, 130])
def test_what_has_not_begun_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, asked: int | None) -> None:
    monkeypatch.setattr(ahead, "asked_to_end", lambda: asked)
    monkeypatch.setattr(ahead, "_PATIENCE", None)
    begun, go_on = threading.Event(), threading.Event()

    def work(_: int) -> None:
        begun.set()
        go_on.wait()

    working = WorkedAhead(work, iter(range(9)), threads=1, ahead=9)
    assert begun.wait(60)
    closing = threading.Thread(target=working.close, daemon=True)
    closing.start()
    go_on.set()
    closing.join(60)
    assert not closing.is_alive()
