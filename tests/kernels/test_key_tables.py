"""Tables of keys and hashes of texts: what a dictionary finds, and what the paper and plain Python say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl_kernels import key_tables
from lossctl_kernels.key_tables import ABSENT, ARGUMENTS, REPEATED, KeyTable, can_compile, hashed_texts, load, paired

SEED = int.from_bytes(bytes(range(16)), "little")
WORD = 2**64 - 1


@pytest.fixture(autouse=True)
def compiled() -> None:
    assert load(compiling=True)


def keys_of(numbers: Any) -> NDArray[np.uint64]:
    """Keys of which some share a half."""
    numbers = np.asarray(numbers, np.uint64)
    return np.stack([numbers % 7, numbers // 7 * 2**60 + numbers // 7], axis=1)


@pytest.mark.parametrize("seed", range(30))
def test_the_first_row_of_a_key_is_found(seed: int) -> None:
    random = np.random.default_rng(seed)
    own = random.integers(0, 200, random.integers(0, 120)) if seed % 2 else random.permutation(200)[: 10 * seed]
    others = random.integers(0, 250, random.integers(0, 200)) if seed % 3 else np.roll(own, seed // 3)
    first: dict[int, int] = {}
    for row, key in enumerate(own.tolist()):
        first.setdefault(key, row)
    table = KeyTable(keys_of(own), seed)
    repeats = [first[key] != row for row, key in enumerate(own.tolist())]
    assert table.repeats.tolist() == repeats
    assert table.repeated == sum(repeats)
    for near in (0, 1, 10**9):
        assert table.find(keys_of(others), near).tolist() == [first.get(key, -1) for key in others.tolist()]


@pytest.mark.parametrize("which", [0, 1])
def test_keys_of_which_one_half_is_the_same(which: int) -> None:
    keys = np.zeros((5000, 2), np.uint64)
    keys[:, which] = np.arange(5000) << 40
    places = np.random.default_rng(which).permutation(5000)
    table = KeyTable(keys, 2**64 - 1)
    assert table.repeated == 0
    assert np.array_equal(table.find(keys[places], 0), places)
    assert (table.find(keys + np.uint64(1), 0) == -1).all()


@pytest.mark.parametrize("seed", range(6))
def test_keys_of_one_word(seed: int) -> None:
    random = np.random.default_rng(seed)
    words = np.array([0, 1, 2**63 - 1, 2**63, 2**64 - 1], np.uint64)
    keys = np.concatenate([words, random.integers(0, 2**64, 500, np.uint64), words[: seed % 3]]).reshape(-1, 1)
    places = random.permutation(len(keys)) if seed % 2 else np.arange(len(keys))
    table = KeyTable(keys, 2**64 - 1 - seed)
    assert np.flatnonzero(table.repeats).tolist() == [505, 506][: seed % 3]
    assert np.array_equal(table.find(keys[places], 0), np.where(places < 505, places, places - 505))
    assert (table.find(np.setdiff1d(keys + np.uint64(1), keys).reshape(-1, 1), 3) == -1).all()


def test_more_keys_than_are_entered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_tables, "_SPAN", 7)
    table = KeyTable(keys_of([*range(40), 3, *range(50, 60)]), 1)
    assert np.flatnonzero(table.repeats).tolist() == [40]
    assert table.find(keys_of([3, 55, 45]), 0).tolist() == [3, 46, -1]


def test_partners_are_noted_once() -> None:
    partners = np.full(40, -1, np.int64)
    rows = np.arange(39, -1, -1)
    assert paired(rows[:20], 100, partners) is None
    found = np.array([19, -1, 19, 39, 18])
    statuses = paired(found, 120, partners)
    assert statuses is not None
    assert statuses.tolist() == [0, ABSENT, REPEATED, REPEATED, 0]
    assert partners[20:].tolist() == list(range(119, 99, -1))
    assert partners[[19, 18]].tolist() == [120, 124]
    assert (partners[:18] == -1).all()


def siphash(text: bytes, key: bytes) -> bytes:
    """SipHash-2-4 with 128 bits, in the words of its paper."""

    def rounds(count: int) -> None:
        for _ in range(count):
            v[0] = v[0] + v[1] & WORD
            v[1] = (v[1] << 13 | v[1] >> 51) & WORD ^ v[0]
            v[0] = (v[0] << 32 | v[0] >> 32) & WORD
            v[2] = v[2] + v[3] & WORD
            v[3] = (v[3] << 16 | v[3] >> 48) & WORD ^ v[2]
            v[0] = v[0] + v[3] & WORD
            v[3] = (v[3] << 21 | v[3] >> 43) & WORD ^ v[0]
            v[2] = v[2] + v[1] & WORD
            v[1] = (v[1] << 17 | v[1] >> 47) & WORD ^ v[2]
            v[2] = (v[2] << 32 | v[2] >> 32) & WORD

    low, high = (int.from_bytes(half, "little") for half in (key[:8], key[8:]))
    start = b"somepseudorandomlygeneratedbytes"
    v = [
        int.from_bytes(start[at : at + 8], "big") ^ half
        for at, half in zip((0, 8, 16, 24), (low, high) * 2, strict=True)
    ]
    v[1] ^= 0xEE
    padded = text + bytes(7 - len(text) % 8) + bytes([len(text) % 256])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    found = b""
    for place, mark in ((2, 0xEE), (1, 0xDD)):
        v[place] ^= mark
        rounds(4)
        found += (v[0] ^ v[1] ^ v[2] ^ v[3]).to_bytes(8, "little")
    return found


def hashes_of(texts: list[bytes], seed: int) -> list[bytes]:
    offsets = np.cumsum([0, *map(len, texts)])
    found = hashed_texts(offsets, np.frombuffer(b"".join(texts) + b"?", np.uint8), seed)
    return [row.astype("<u8").tobytes() for row in found]


def test_hashes_are_those_of_the_reference() -> None:
    """The first outputs of the vectors that the authors publish."""
    assert siphash(b"", bytes(range(16))).hex() == "a3817f04ba25a8e66df67214c7550293"
    assert [found.hex() for found in hashes_of([b"", b"\0"], SEED)] == [
        "a3817f04ba25a8e66df67214c7550293",
        "da87c1d86b99af44347659119b22fc45",
    ]


@pytest.mark.parametrize("seed", [0, SEED, 2**128 - 1])
def test_hashes_of_texts_of_any_length(seed: int) -> None:
    random = np.random.default_rng(4)
    texts = [random.bytes(length) for length in (*range(40), 255, 256, 257, 1000)]
    key = seed.to_bytes(16, "little")
    assert hashes_of(texts, seed) == [siphash(text, key) for text in texts]


def test_few_keys_do_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def load(compiling: bool) -> bool:
        asked.append(compiling)
        return True

    monkeypatch.setattr(key_tables, "load", load)
    assert not can_compile(key_tables.TABLE_ROWS - 1)
    assert asked == []
    assert can_compile(key_tables.TABLE_ROWS)
    assert can_compile(key_tables.COMPILING_ROWS)
    assert asked == [False, True]


def test_code_is_found_again() -> None:
    for name in ARGUMENTS:
        key_tables.compile_ahead(name)
        assert key_tables.is_kept(name)
