"""Lengths of LZF: those of what a plain reading of the same tokens unpacks, by both roads."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossctl_kernels import lzf
from lossctl_kernels.bare_functions import BareFunction
from lossctl_kernels.lzf import COMPILING_BYTES, LINKING_BYTES, NO_STREAM, measure_for

ROADS = {"interpreted": 0, "compiled": COMPILING_BYTES}


@pytest.fixture(scope="module", params=ROADS)
def length(request: pytest.FixtureRequest) -> Callable[[bytes], int]:
    return measure_for(ROADS[request.param])


def unpacked(packed: bytes) -> bytes | None:
    """What a stream holds; None where it is none."""
    left, found = list(packed), bytearray()
    try:
        while left:
            token = left.pop(0)
            if token < 32:
                found += bytes(left.pop(0) for _ in range(token + 1))
                continue
            count = (token >> 5) + 2
            if count == 9:
                count += left.pop(0)
            place = len(found) - (((token & 31) << 8) | left.pop(0)) - 1
            if place < 0:
                return None
            for _ in range(count):
                found.append(found[place])
                place += 1
    except IndexError:
        return None
    return bytes(found)


def test_much_is_left_to_compiled_code() -> None:
    assert measure_for(COMPILING_BYTES) is not measure_for(LINKING_BYTES - 1)
    assert lzf.is_kept()
    assert measure_for(LINKING_BYTES) is not measure_for(LINKING_BYTES - 1)


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> NoReturn:
        raise ImportError

    monkeypatch.setattr(lzf, "_WALK", BareFunction("lzf of nobody", 2, missing))
    assert measure_for(COMPILING_BYTES)(b"\x00a\x20\x00") == 4


@pytest.mark.parametrize(
    ("packed", "found"),
    [
        (b"", 0),
        (b"\x00a", 1),
        (b"\x02abc", 3),
        (b"\x02ab", NO_STREAM),  # a byte is missing
        (b"\x00a\x20\x00", 4),  # repeated three times
        (b"\x00a\xe0\x05\x00", 1 + 14),
        (b"\x00a\xe0\xff\x00", 1 + 264),
        (b"\x00a\x20\x01", NO_STREAM),  # from before the start
        (b"\x20\x00", NO_STREAM),
        (b"\x00a\x20", NO_STREAM),
        (b"\x00a\xe0\x05", NO_STREAM),
        (b"\x00a\xe0", NO_STREAM),
    ],
)
def test_tokens(length: Callable[[bytes], int], packed: bytes, found: int) -> None:
    assert length(packed) == found


tokens = st.one_of(
    st.binary(min_size=1, max_size=32).map(lambda literals: bytes([len(literals) - 1]) + literals),
    st.tuples(st.integers(32, 223), st.integers(0, 255)).map(bytes),
    st.tuples(st.integers(224, 255), st.integers(0, 255), st.integers(0, 40)).map(bytes),
)


@settings(max_examples=300)
@given(parts=st.lists(tokens, max_size=40), cut=st.integers(0, 3))
def test_streams(length: Callable[[bytes], int], parts: list[bytes], cut: int) -> None:
    """Of which many refer to what is not there, or end in the midst of a token."""
    packed = b"".join([b"\x1f" + bytes(range(32)), *parts])
    packed = packed[: len(packed) - cut]
    held = unpacked(packed)
    assert length(packed) == (NO_STREAM if held is None else len(held))
