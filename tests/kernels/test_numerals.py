"""Numbers as text."""

from __future__ import annotations

import math

import pytest

from lossctl_kernels.numerals import number_of, whole_number_of

NEITHER = [
    *("", " ", "-", "+", ".", "e5", "1e", "1_0", "_1", "0x10", "--1", "1j", "1,5", "1 0"),
    *("٣", "１", "²", "1e٣", "\xa01"),
]


@pytest.mark.parametrize("text", ["0", "7", "-7", "+7", "007", " 7", "7\n", "9" * 30])
def test_whole_numbers(text: str) -> None:
    assert whole_number_of(text) == int(text)
    assert number_of(text) == float(text)


@pytest.mark.parametrize("text", ["0.5", ".5", "5.", "-1e-3", "+1E+3", " 0.5 ", "1e400", "inf", "-Infinity", "nan"])
def test_numbers_that_are_not_whole(text: str) -> None:
    number = number_of(text)
    assert number == float(text) or math.isnan(number)
    with pytest.raises(ValueError, match="no number"):
        whole_number_of(text)


@pytest.mark.parametrize("text", NEITHER)
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="no number"):
        whole_number_of(text)
    with pytest.raises(ValueError, match="no number"):
        number_of(text)


def test_more_digits_than_python_takes() -> None:
    with pytest.raises(ValueError, match="digits"):
        whole_number_of("9" * 5000)
