"""Valid files of every format with a few bytes changed, cut out, put in or moved."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lossctl.errors import LossctlError
from tests.fuzz.reading import outcome
from tests.fuzz.seeds import PREDICTION, TARGET, seeds

SEEDS = seeds()

# Sizes and signs that arithmetic on lengths goes wrong with.
NUMBERS = [0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1]
TEXTS = [b"", b"\0", b"nan", b"-", b"1e999", b"'", b'"', b",", b"\r", b"\n", b"\r\n", b"9" * 30, b"(", b"{", b"["]


def mutated(data: bytes, random: Random) -> bytes:
    """One to three changes, each of a kind that a damaged or a forged file has."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(changed) + 1)
        size = random.randint(1, 16)
        match random.randrange(8):
            case 0 if changed:
                changed[place % len(changed)] ^= 1 << random.randrange(8)
            case 1:
                width = random.choice([1, 2, 4, 8])
                number = random.choice(NUMBERS) % 2 ** (8 * width)
                changed[place : place + width] = number.to_bytes(width, random.choice(["little", "big"]))
            case 2:
                text = random.choice(TEXTS)
                changed[place : place + random.choice([0, len(text)])] = text
            case 3:
                del changed[place : place + size]
            case 4:
                changed[place:place] = changed[place : place + size]
            case 5:
                del changed[place:]
            case 6:
                other = random.randrange(len(changed) + 1)
                changed[place : place + size] = changed[other : other + size]
            case _:
                changed += random.randbytes(size)
    return bytes(changed)


@pytest.mark.parametrize("name", SEEDS)
@given(random=st.randoms(use_true_random=False))
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_bytes_are_data_or_a_clear_error(name: str, random: Random, tmp_path: Path) -> None:
    seed = SEEDS[name]
    outcome(tmp_path / f"f{seed.extension}", mutated(seed.data, random), named=seed.named)


@pytest.mark.parametrize("name", SEEDS)
def test_a_file_that_is_cut_anywhere_is_refused_or_as_long_as_it_looks(name: str, tmp_path: Path) -> None:
    seed = SEEDS[name]
    path = tmp_path / f"f{seed.extension}"
    text = seed.extension in {".csv", ".tsv", ".jsonl"}
    for size in range(0, len(seed.data), max(1, len(seed.data) // 200)):
        found = outcome(path, seed.data[:size], named=seed.named)
        if not isinstance(found, LossctlError):
            # A text that is cut is a shorter text, and a stream may end after any batch.
            assert text or np.array_equal(found["prediction"], PREDICTION)


@pytest.mark.parametrize("name", [name for name, seed in SEEDS.items() if seed.checked])
def test_a_flipped_bit_never_changes_a_value_that_a_checksum_covers(name: str, tmp_path: Path) -> None:
    seed = SEEDS[name]
    path = tmp_path / f"f{seed.extension}"
    for place in range(len(seed.data)):
        changed = bytearray(seed.data)
        changed[place] ^= 1 << place % 8
        found = outcome(path, bytes(changed), named=seed.named)
        if not isinstance(found, LossctlError):
            assert np.array_equal(found["prediction"], PREDICTION)
            assert np.array_equal(found["target"], TARGET)


@pytest.mark.parametrize("name", [name for name, seed in SEEDS.items() if seed.payload])
def test_a_flipped_bit_of_a_value_changes_that_value_alone(name: str, tmp_path: Path) -> None:
    seed = SEEDS[name]
    assert seed.payload is not None
    for place in range(seed.payload.start, seed.payload.stop):
        changed = bytearray(seed.data)
        changed[place] ^= 0x01
        found = outcome(tmp_path / f"f{seed.extension}", bytes(changed), named=seed.named)
        assert not isinstance(found, LossctlError)
        differs = np.flatnonzero(found["prediction"] != PREDICTION)
        assert differs.tolist() == [(place - seed.payload.start) // 8]
