"""Rows of decimal numbers in text, compiled by Numba: the correctly rounded float64, or the exact int64, of each cell.

What is not plainly a number is left to a slower and more patient reader: the function stops and says so. Imported to
compile; `decimals.py` calls the compiled code. Everything is an address, so that the code needs nothing of Numba's to
run.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .decimals import FLOAT, LARGEST_POWER, SKIPPED, SMALLEST_POWER
from .memory_words import byte_at, high_product, leading_zeros, number_at, store_word, word_at

_MINUS, _PLUS, _POINT, _RETURN, _LINE_FEED, _ZERO, _EXPONENT, _QUOTE = b'-+.\r\n0e"'
_LOWER_CASE = 0x20

# Constants of one type with what they meet: Numba takes a mixture of signed and unsigned integers to float64.
_U0, _U1, _U3, _U9, _U10 = (np.uint64(number) for number in (0, 1, 3, 9, 10))
_U48, _U52, _U63 = (np.uint64(number) for number in (48, 52, 63))
_HIDDEN_BIT = np.uint64(1 << 52)
_CARRIED_BIT = np.uint64(1 << 53)
_LAST_NINE_BITS = np.uint64(0x1FF)
_ALL_BUT_LAST = np.uint64(2**64 - 2)
_NO_NUMBER = np.uint64(2**64 - 1)
_U8, _U16, _U32, _U4 = (np.uint64(number) for number in (8, 16, 32, 4))
_HIGH_HALVES = np.uint64(0xF0F0F0F0F0F0F0F0)
_SIXES = np.uint64(0x0606060606060606)
_THREES = np.uint64(0x3333333333333333)
_ZEROS = np.uint64(0x3030303030303030)
_PAIRS = np.uint64(0x000000FF000000FF)
_OUTER = np.uint64(100 + (1_000_000 << 32))
_INNER = np.uint64(1 + (10_000 << 32))
_EIGHT_DIGITS = np.uint64(100_000_000)


@njit(error_model="numpy", inline="never")
def _float_bits(digits, power, powers):
    """The bits of the float64 nearest to digits · 10**power, ties to even; `_NO_NUMBER` where it is not normal.

    Lemire, "Number parsing at a gigabyte per second" (2021); Mushtak and Lemire (2023) prove that 128 bits of the power
    decide every case of at most 19 digits. `digits` is not 0.
    """
    shift = leading_zeros(digits)
    digits = digits << shift
    entry = powers + 16 * (power - SMALLEST_POWER)
    upper = word_at(entry)
    high, low = high_product(digits, upper), digits * upper
    if high & _LAST_NINE_BITS == _LAST_NINE_BITS:
        more = high_product(digits, word_at(entry + 8))
        low = low + more
        if more > low:
            high = high + _U1
    carry = high >> _U63
    dropped = carry + _U9
    mantissa = high >> dropped
    # 217706 / 2**16 is log2(10).
    exponent = ((217706 * power) >> 16) + 1086 + np.int64(carry) - np.int64(shift)
    # Only these powers have a product that lies exactly between two numbers.
    exactly_between = low <= _U1 and -4 <= power <= 23 and mantissa & _U3 == _U1 and mantissa << dropped == high
    if exactly_between:
        mantissa = mantissa & _ALL_BUT_LAST
    mantissa = (mantissa + (mantissa & _U1)) >> _U1
    if mantissa >= _CARRIED_BIT:
        mantissa = _HIDDEN_BIT
        exponent += 1
    if exponent <= 0 or exponent >= 2047:
        return _NO_NUMBER
    return (mantissa - _HIDDEN_BIT) | (np.uint64(exponent) << _U52)


@njit(error_model="numpy", inline="always")
def _few_digits(at, number):
    """(where the digits from `at` on end, `number` with them appended, modulo 2**64): one at a time."""
    while True:
        digit = np.uint64(byte_at(at)) - _U48
        if digit > _U9:
            break
        number = number * _U10 + digit
        at += 1
    return at, number


@njit(error_model="numpy", inline="always")
def _digits(at, end, number):
    """The same, eight at a time."""
    while at + 8 <= end:
        word = word_at(at)
        if (word & _HIGH_HALVES) | (((word + _SIXES) & _HIGH_HALVES) >> _U4) != _THREES:
            break
        # Pairs, then the four pairs by two multiplications.
        word = word - _ZEROS
        word = word * _U10 + (word >> _U8)
        word = ((word & _PAIRS) * _OUTER + ((word >> _U16) & _PAIRS) * _INNER) >> _U32
        number = number * _EIGHT_DIGITS + word
        at += 8
    return _few_digits(at, number)


@njit(error_model="numpy", inline="never")
def _significant(start, end):
    """How many digits there are from the first that is not 0 on; a point between them does not count."""
    at = start
    while at < end and (byte_at(at) == _ZERO or byte_at(at) == _POINT):
        at += 1
    count = end - at
    while at < end:
        if byte_at(at) == _POINT:
            count -= 1
        at += 1
    return count


@njit(error_model="numpy", inline="always")
def _integer_cell(at, place):
    """Stores the int64 of the cell; where it ends, or -1 where it is not plain."""
    negative = byte_at(at) == _MINUS
    start = at + 1 if negative else at
    at, number = _few_digits(start, _U0)
    if at == start or at - start > 18:
        return -1
    store_word(place, _U0 - number if negative else number)
    return at


@njit(error_model="numpy", inline="always")
def _float_cell(at, end, place, powers):
    """Stores the float64 of the cell; where it ends, or -1 where it is not plain."""
    negative = byte_at(at) == _MINUS
    start = at + 1 if negative else at
    at, number = _few_digits(start, _U0)
    count, power = at - start, np.int64(0)
    if byte_at(at) == _POINT:
        fraction = at + 1
        at, number = _digits(fraction, end, number)
        power = fraction - at
        count -= power
    if count == 0 or (count > 19 and _significant(start, at) > 19):
        return -1
    if (byte_at(at) | _LOWER_CASE) == _EXPONENT:
        at += 1
        down = byte_at(at) == _MINUS
        if down or byte_at(at) == _PLUS:
            at += 1
        first = at
        at, exponent = _few_digits(first, _U0)
        if at == first or at - first > 4:
            return -1
        power = power - np.int64(exponent) if down else power + np.int64(exponent)
    bits = _U0
    if number != _U0:
        if power < SMALLEST_POWER or power > LARGEST_POWER:
            return -1
        bits = _float_bits(number, power, powers)
        if bits == _NO_NUMBER:
            return -1
    store_word(place, bits | (_U1 << _U63) if negative else bits)
    return at


@njit(error_model="numpy", inline="never")
def _end_of_quoted(at, end):
    """Where a cell ends whose first quote is at `at`, or -1 where it does not; a doubled quote is part of the cell."""
    at += 1
    while at < end:
        if byte_at(at) == _QUOTE:
            at += 1
            if byte_at(at) != _QUOTE:
                return at
        at += 1
    return -1


@njit(error_model="numpy", inline="always")
def _end_of_text(at, end, delimiter):
    """Where a cell ends that is not looked at, or -1 where it does not."""
    if byte_at(at) == _QUOTE:
        return _end_of_quoted(at, end)
    # Most bytes are above all three that end a cell.
    highest = max(delimiter, _RETURN)
    while True:
        byte = byte_at(at)
        if byte <= highest and byte in (delimiter, _LINE_FEED, _RETURN):
            return at
        at += 1


def parse(at, end, columns, kinds, places, powers, delimiter):
    """The rows from address `at` to `end`, or -1 where a row or a cell is not plain: see `decimals.RowParser`.

    `kinds` and `places` are the addresses of `columns` int64 each: the kind of a column, and where its numbers go. The
    last byte is a line feed: every loop over bytes stops there without a look at where it is, but those in quotes.
    """
    row = 0
    while at < end:
        for column in range(columns):
            kind = number_at(kinds + 8 * column)
            if kind == SKIPPED:
                at = _end_of_text(at, end, delimiter)
                if at < 0:
                    return -1
            else:
                quoted = byte_at(at) == _QUOTE
                if quoted:
                    at += 1
                place = number_at(places + 8 * column) + 8 * row
                at = _float_cell(at, end, place, powers) if kind == FLOAT else _integer_cell(at, place)
                if at < 0:
                    return -1
                if quoted:
                    if byte_at(at) != _QUOTE:
                        return -1
                    at += 1
            if column == columns - 1 and byte_at(at) == _RETURN:
                at += 1
            if byte_at(at) != (_LINE_FEED if column == columns - 1 else delimiter):
                return -1
            at += 1
        row += 1
    return row
