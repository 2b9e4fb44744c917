"""What is printed aside: stdout comes back whatever the threads do."""

from __future__ import annotations

import sys
import threading

import pytest

from lossctl.own.prints import printing_aside


def test_stdout_comes_back_whoever_of_several_threads_ends_first(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    first_is_in, second_is_in, second_may_end = threading.Event(), threading.Event(), threading.Event()

    def second() -> None:
        first_is_in.wait(10)
        with printing_aside:
            second_is_in.set()
            second_may_end.wait(10)
            sys.stdout.write("second\n")

    thread = threading.Thread(target=second)
    thread.start()
    with printing_aside:
        first_is_in.set()
        second_is_in.wait(10)
        sys.stdout.write("first\n")
    second_may_end.set()
    thread.join()
    assert sys.stdout is before
    assert capsys.readouterr() == ("", "first\nsecond\n")


def test_stdout_comes_back_after_an_error() -> None:
    before = sys.stdout
    with pytest.raises(ValueError, match="of somebody else"), printing_aside:
        raise ValueError("of somebody else")
    assert sys.stdout is before
