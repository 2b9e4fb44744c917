"""Rivals take turns, and ratios are those of runs that followed one another."""

from __future__ import annotations

import math

import pytest

from benchmarks.timing import Times, geometric_mean, race


class Clock:
    """Time that passes only when a task says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_rivals_take_turns_forwards_and_backwards() -> None:
    ran: list[str] = []
    race({name: lambda name=name: ran.append(name) for name in "abc"}, rounds=3)  # type: ignore[misc]
    assert ran == list("abc" + "cba" + "abc")


def test_all_find_what_the_same_task_has_left() -> None:
    clock = Clock()
    ran: list[str] = []

    def leave() -> None:
        ran.append("-")
        clock.now += 5.0

    tasks = {name: lambda name=name: ran.append(name) for name in "ab"}
    found = race(tasks, rounds=2, clock=clock, before=leave)
    assert ran == list("-a-b-b-a")
    assert found.seconds == {"a": [0.0, 0.0], "b": [0.0, 0.0]}


def test_a_rival_that_has_used_its_share_rests() -> None:
    clock = Clock()

    def takes(seconds: float) -> None:
        clock.now += seconds

    tasks = {"slower": lambda: takes(11.0), "slow": lambda: takes(3.0), "fast": lambda: takes(0.5)}
    found = race(tasks, rounds=5, share=2.0, clock=clock)
    assert found.seconds == {"slower": [11.0], "slow": [3.0, 3.0], "fast": [0.5] * 4}


def test_ratios_are_of_rounds_in_which_both_ran() -> None:
    found = Times({"a": [2.0, 30.0, 5.0], "b": [1.0, 10.0], "none": []})
    assert found.ratio("a", "b") == 2.5
    assert (found.median("a"), found.least("a")) == (5.0, 2.0)
    assert math.isnan(found.ratio("none", "b"))
    assert math.isnan(found.median("absent"))
    assert "none" not in found


def test_geometric_mean() -> None:
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert geometric_mean([2.0, math.nan, 8.0]) == pytest.approx(4.0)
    assert math.isnan(geometric_mean([]))
