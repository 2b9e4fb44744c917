"""How many bytes a stream of LZF unpacks to, by its tokens: it has neither a checksum nor a length of its own.

A token below 32 is followed by one byte more than it says. Any other repeats bytes that stand before: its upper three
bits say how many, less 2, and 7 that a byte follows with the rest; its lower five and one more byte say from how far
back, less 1 (LibLZF, lzf_d.c).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np

from .addresses import address_of
from .bare_functions import BareFunction

LINKING_BYTES = 1 << 16
"""Packed: from here on compiled code is linked where it is kept."""

COMPILING_BYTES = 1 << 24
"""From here on what it saves is more than it takes to compile."""

NO_STREAM = -1

Walk = Callable[[int, int], int]

_LITERALS = 32
_EXTENDED = 7


def _walk_by(byte: Callable[[int], int]) -> Walk:
    """What walks over the tokens of so many bytes from a place on, where `byte` gives the one at a place."""

    def walk(start: int, size: int) -> int:
        at, end, length = start, start + size, 0
        while at < end:
            token = byte(at)
            at += 1
            if token < _LITERALS:
                at += token + 1
                length += token + 1
                continue
            run = token >> 5
            if at + (run == _EXTENDED) >= end:
                return NO_STREAM
            if run == _EXTENDED:
                run += byte(at)
                at += 1
            if ((token & 31) << 8) + byte(at) >= length:
                return NO_STREAM
            at += 1
            length += run + 2
        return length if at == end else NO_STREAM

    return walk


def _definition() -> Walk:
    from .memory_words import octet_at

    return _walk_by(octet_at)


_WALK = BareFunction("lzf", 2, _definition)


def measure_for(size: int) -> Callable[[bytes], int]:
    """What tells the length of what a stream holds, `NO_STREAM` where it is none; any thread may call it.

    `size`: how many bytes it will be given, in all streams together. With many, they are walked over by compiled code.
    """
    walk = None
    if size >= LINKING_BYTES:
        # Which of these errors it is where llvmlite is broken is up to the system.
        with suppress(ImportError, OSError):
            walk = _WALK.load(compiling=size >= COMPILING_BYTES)
    return _interpreted if walk is None else partial(_compiled, walk)


def _interpreted(packed: bytes) -> int:
    return _walk_by(packed.__getitem__)(0, len(packed))


def _compiled(walk: Walk, packed: bytes) -> int:
    return walk(address_of(np.frombuffer(packed, np.uint8)), len(packed)) if packed else 0


def is_kept() -> bool:
    """Whether an earlier process has left the compiled function."""
    return _WALK.is_kept()


def compile_ahead() -> None:
    """Leaves the compiled function for later processes. Raises ImportError where Numba is not there."""
    _WALK.compile_ahead()
