"""safetensors: arrays by name, bfloat16, and headers that break the format's rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.sources.conftest import ReadAll, Refusal


def write(path: Path, tensors: dict[str, Any], data: bytes) -> None:
    header = json.dumps(tensors).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)


def entry(dtype: str, shape: list[int], first: int, last: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}


def test_arrays_by_name(tmp_path: Path, read_all: ReadAll) -> None:
    p, t = np.arange(6, dtype=np.float32).reshape(3, 2), np.array([1, 0, 1])
    tensors = {"__metadata__": {"by": "test"}, "t": entry("I64", [3], 24, 48), "p": entry("F32", [3, 2], 0, 24)}
    write(tmp_path / "a.safetensors", tensors, p.tobytes() + t.tobytes())
    found = read_all(tmp_path / "a.safetensors", 2, prediction="p", target="t")
    np.testing.assert_array_equal(found["prediction"], p)
    np.testing.assert_array_equal(found["target"], t)


def test_bfloat16_is_exact(tmp_path: Path, read_all: ReadAll) -> None:
    values = np.array([1.0, -2.5, 3.140625, 1e30, 2.0**-130], np.float32)
    halves = (values.view(np.uint32) >> 16).astype(np.uint16)
    write(tmp_path / "a.safetensors", {"p": entry("BF16", [5], 0, 10)}, halves.tobytes())
    found = read_all(tmp_path / "a.safetensors", 2, prediction=None)["prediction"]
    assert found.dtype == np.float32
    assert found.tolist() == (halves.astype(np.uint32) << 16).view(np.float32).tolist()
    assert found[:3].tolist() == [1.0, -2.5, 3.140625]


@pytest.mark.parametrize(
    ("tensors", "data", "says"),
    [
        ({"p": entry("F32", [2], 0, 8)}, 4, "truncated"),
        ({"p": entry("F32", [2], 0, 8)}, 12, "the arrays end at byte 8"),
        ({"p": entry("F32", [2], 4, 12)}, 12, "begins at byte 4"),
        ({"p": entry("F32", [2], 0, 8), "q": entry("F32", [2], 4, 12)}, 12, "begins at byte 4"),
        ({"p": entry("F32", [3], 0, 8)}, 8, "does not take 8 bytes"),
        ({"p": entry("F32", [2**62, 2**62], 0, 8)}, 8, "does not take 8 bytes"),
        ({"p": entry("F32", [-2], 0, 8)}, 8, "its shape is [-2]; allowed are up to 32 whole numbers from 0 up"),
        ({"p": entry("F32", [1] * 33, 0, 4)}, 4, "1, 1]; allowed are up to 32 whole numbers from 0 up"),
        ({"p": entry("F32", [2], -8, 8)}, 8, "its data_offsets are [-8, 8]; allowed are two whole numbers from 0 up"),
        ({"p": entry("C64", [1], 0, 8)}, 8, "holds C64; allowed are"),
        ({"p": entry("F32", [2], 8, 0)}, 8, "end before they begin"),
        ({"p": {"dtype": "F32"}}, 8, "lacks"),
        ({"p": entry("F8_E4M3", [8], 0, 8)}, 8, "holds F8_E4M3; allowed are"),
        ({"p": entry("F32", [], 0, 4)}, 4, "a single number"),
        ({"p": entry("F32", [2, 0], 0, 0)}, 0, "no values"),
        ({}, 0, "no arrays"),
        ({"__metadata__": 5, "p": entry("F32", [2], 0, 8)}, 8, "__metadata__ is no table of texts"),
        ({"__metadata__": {"step": 5}, "p": entry("F32", [2], 0, 8)}, 8, "__metadata__ is no table of texts"),
    ],
)
def test_malformed(tmp_path: Path, refusal: Refusal, tensors: dict[str, Any], data: int, says: str) -> None:
    write(tmp_path / "a.safetensors", tensors, bytes(data))
    error = refusal(tmp_path / "a.safetensors")
    assert error.exit_code == 3
    assert says in error.message


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b'{"p": ' + b"[" * 100_000, "it is nested too deeply"),
        (b'{"p": {"dtype": "F32", "shape": [1%b], "data_offsets": [0, 4]}}' % (b"0" * 5000), "its shape is [inf]"),
    ],
)
def test_headers_that_python_does_not_read(tmp_path: Path, refusal: Refusal, header: bytes, says: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    message = refusal(tmp_path / "a.safetensors").message
    assert "malformed safetensors header" in message
    assert says in message


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32-le", "utf-8-sig"])
def test_a_header_is_utf_8_without_a_mark(tmp_path: Path, refusal: Refusal, encoding: str) -> None:
    header = json.dumps({"p": entry("F32", [2], 0, 8)}).encode(encoding)
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    error = refusal(tmp_path / "a.safetensors")
    assert error.exit_code == 3
    assert "malformed safetensors header" in error.message


@pytest.mark.parametrize(
    "content",
    [
        b"\x00" * 4,
        (2**63).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (3).to_bytes(8, "little") + b"{]}",
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
        (60).to_bytes(8, "little") + b'{"p":{},"p":{}}'.ljust(60),
        (60).to_bytes(8, "little") + b' {"p":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}'.ljust(60) + b"ab",
    ],
)
def test_headers_that_are_none(tmp_path: Path, refusal: Refusal, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    assert refusal(tmp_path / "a.safetensors").exit_code == 3
