"""The loops over keys of one or two words, compiled by Numba: see `key_tables.py`, which calls the compiled code.

Everything is an address or a number, so that the code needs nothing of Numba's to run. A table is looked into for
several keys at a time: first what each will need is asked for, then what has come is compared, so that the waits for
memory overlap. `size` is that of a key in bytes, 8 or 16: the last word of a key of one is its first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

from .memory_words import ask_for, byte_at, high_product, number_at, store_byte, store_word, word_at

AT_ONCE = 16
"""Keys whose places are asked for together."""

# Constants of one type with what they meet: Numba takes a mixture of signed and unsigned integers to float64.
_U0, _U1, _U8, _U13, _U16, _U17, _U21, _U27, _U30, _U31, _U32, _U56, _U64 = (
    np.uint64(number) for number in (0, 1, 8, 13, 16, 17, 21, 27, 30, 31, 32, 56, 64)
)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_ROW_BITS, _MARK_BITS = np.uint64(0xFFFFFFFF), np.uint64(0xFFFFFFFF00000000)

# Of SipHash: its start, and what tells its output of 128 bits, and the second half of that, from one of 64.
_WIDE, _SECOND_HALF = np.uint64(0xEE), np.uint64(0xDD)
_WORDS = tuple(np.uint64(number) for number in (
    0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573,
))  # fmt: skip


@njit(error_model="numpy", inline="always")
def _hash(key, seed, size):
    """Of all bits of the key at an address."""
    mixed = word_at(key) ^ np.uint64(seed)
    mixed = (mixed ^ (mixed >> _U30)) * _FIRST
    mixed = (mixed ^ (mixed >> _U27)) * _SECOND
    mixed = (mixed ^ (mixed >> _U31)) + word_at(key + size - 8)
    mixed = (mixed ^ (mixed >> _U30)) * _FIRST
    return mixed ^ (mixed >> _U31)


@njit(error_model="numpy", inline="always")
def _slot(hashed, table, slots):
    """The address of the slot where a search begins: the upper bits decide, the lower ones are the mark in a slot."""
    return table + 8 * np.int64(high_product(hashed, np.uint64(slots)))


@njit(error_model="numpy", inline="always")
def _named(held):
    """The row that the content of a slot names, counted from 1; 0 where the slot is free."""
    return np.int64(held & _ROW_BITS)


@njit(error_model="numpy", inline="always")
def _same(key, other, size):
    return word_at(key) == word_at(other) and word_at(key + size - 8) == word_at(other + size - 8)


@njit(error_model="numpy")
def _found(keys, key, hashed, table, slots, size):
    """The address of the slot that names the row of the key at an address, or of the one that is free for it."""
    slot, past = _slot(hashed, table, slots), table + 8 * slots
    mark = hashed << _U32
    while True:
        held = word_at(slot)
        if held == _U0 or ((held & _MARK_BITS) == mark and _same(key, keys + size * (_named(held) - 1), size)):
            return slot
        slot += 8
        if slot == past:
            slot = table


@njit(error_model="numpy")
def _ask_ahead(keys, key, past, table, slots, seed, size):
    """Asks for the keys that the slots of the next ones name, and for the slots of those after them."""
    last = min(past, key + size * AT_ONCE)
    _ask_for_slots(last, min(past, last + size * AT_ONCE), table, slots, seed, size)
    while key < last:
        row = _named(word_at(_slot(_hash(key, seed, size), table, slots)))
        if row:
            ask_for(keys + size * (row - 1))
        key += size


@njit(error_model="numpy")
def _ask_for_slots(key, last, table, slots, seed, size):
    while key < last:
        ask_for(_slot(_hash(key, seed, size), table, slots))
        key += size


def _entered(keys, first, last, table, slots, seed, repeats, size):
    """Enters the keys of rows `first` to `last` into a table; how many stand above already, which it marks."""
    found, past = np.int64(0), keys + size * last
    _ask_for_slots(keys + size * first, min(past, keys + size * (first + 2 * AT_ONCE)), table, slots, seed, size)
    while first < last:
        end = min(last, first + AT_ONCE)
        _ask_ahead(keys, keys + size * end, past, table, slots, seed, size)
        for row in range(first, end):
            key = keys + size * row
            hashed = _hash(key, seed, size)
            slot = _found(keys, key, hashed, table, slots, size)
            if word_at(slot):
                store_byte(repeats + row, _U1)
                found += 1
            else:
                store_word(slot, (hashed << _U32) | np.uint64(row + 1))
        first = end
    return found


def _looked_up(keys, rows, table, slots, seed, others, count, rows_of, size):
    """Writes the row of each of `count` other keys, -1 where there is none; how many are not there.

    A key is looked for in the row after that of the one before it while that is where it is: files are often in one
    order. Keys that stand twice have to be looked for in the table, which knows the first of them: `rows` is 0 then.
    """
    absent, done, next_row = np.int64(0), np.int64(0), number_at(rows_of)
    past = others + size * count
    while done < count:
        while done < count and 0 <= next_row < rows and _same(others + size * done, keys + size * next_row, size):
            store_word(rows_of + 8 * done, np.uint64(next_row))
            next_row += 1
            done += 1
        end = min(count, done + AT_ONCE)
        _ask_ahead(keys, others + size * end, past, table, slots, seed, size)
        while done < end:
            key = others + size * done
            next_row = _named(word_at(_found(keys, key, _hash(key, seed, size), table, slots, size)))
            absent += next_row == 0
            store_word(rows_of + 8 * done, np.uint64(next_row - 1))
            done += 1
    return absent


def _paired(rows_of, count, first, partners, statuses):
    """Notes rows `first` on of a file, by the rows that have their keys, as partners; how many have no place there.

    The status of one without a key is 1, that of one whose key stands above it is 2.
    """
    wrong = np.int64(0)
    for position in range(count):
        if position + AT_ONCE < count:
            ahead = number_at(rows_of + 8 * (position + AT_ONCE))
            if ahead >= 0:
                ask_for(partners + 8 * ahead)
        row = number_at(rows_of + 8 * position)
        status = np.int64(0)
        if row < 0:
            status = np.int64(1)
        elif number_at(partners + 8 * row) >= 0:
            status = np.int64(2)
        else:
            store_word(partners + 8 * row, np.uint64(first + position))
        store_byte(statuses + position, np.uint64(status))
        wrong += status != 0
    return wrong


@njit(error_model="numpy", inline="always")
def _turned(number, bits):
    return (number << bits) | (number >> (_U64 - bits))


@njit(error_model="numpy")
def _rounds(a, b, c, d, count):
    for _ in range(count):
        a = a + b
        c = c + d
        b = _turned(b, _U13) ^ a
        d = _turned(d, _U16) ^ c
        a = _turned(a, _U32) + d
        c = c + b
        d = _turned(d, _U21) ^ a
        b = _turned(b, _U17) ^ c
        c = _turned(c, _U32)
    return a, b, c, d


def _hashed(offsets, texts, count, low, high, found):
    """Writes SipHash-2-4 of 128 bits of each text; `offsets` are `count` + 1, `low` and `high` the key of the hash."""
    low, high = np.uint64(low), np.uint64(high)
    for position in range(count):
        start, end = number_at(offsets + 8 * position), number_at(offsets + 8 * position + 8)
        a, b = _WORDS[0] ^ low, _WORDS[1] ^ high ^ _WIDE
        c, d = _WORDS[2] ^ low, _WORDS[3] ^ high
        last = np.uint64(end - start) << _U56
        at, end = texts + start, texts + end
        while at + 8 <= end:
            word = word_at(at)
            a, b, c, d = _rounds(a, b, c, d ^ word, 2)
            a = a ^ word
            at += 8
        shift = np.uint64(0)
        while at < end:
            last = last | (np.uint64(byte_at(at)) << shift)
            shift = shift + _U8
            at += 1
        a, b, c, d = _rounds(a, b, c, d ^ last, 2)
        a, b, c, d = _rounds(a ^ last, b, c ^ _WIDE, d, 4)
        store_word(found + 16 * position, a ^ b ^ c ^ d)
        a, b, c, d = _rounds(a, b ^ _SECOND_HALF, c, d, 4)
        store_word(found + 16 * position + 8, a ^ b ^ c ^ d)
    return np.int64(count)


FUNCTIONS: dict[str, Callable[..., int]] = {
    "entered": _entered,
    "looked_up": _looked_up,
    "paired": _paired,
    "hashed": _hashed,
}
"""Each takes int64 numbers, as many as `key_tables.py` says."""
