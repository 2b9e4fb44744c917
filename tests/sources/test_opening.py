"""stdin, pipes and compressed files: the same as the plain file, and every way in which they fail."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lossctl.errors import EnvironmentFault
from lossctl.sources import spool
from tests.sources.conftest import ReadAll, Refusal
from tests.sources.test_formats import write_sample

SUM = (
    "import sys\nfrom lossctl.sources import *\n"
    "with open_reader('-', {'prediction': Selection()}, format=sys.argv[1] or None) as reader:\n"
    "    print(sum(chunk['prediction'].sum() for chunk in reader.chunks(9)), reader.place('prediction', 1))"
)


def compress(data: bytes, extension: str) -> bytes:
    if extension == ".gz":
        return gzip.compress(data)
    return pa.Codec("zstd").compress(data, asbytes=True)


@pytest.mark.parametrize(("compression", "redirected"), [("", False), ("", True), (".gz", False), (".zst", False)])
@pytest.mark.parametrize("format", ["npy", "npz", "csv", "jsonl", "parquet", "arrow", "safetensors", "hdf5"])
def test_stdin(tmp_path: Path, format: str, compression: str, redirected: bool) -> None:
    path = tmp_path / "sample"
    write_sample(path, format)
    data = path.read_bytes()
    path.write_bytes(compress(data, compression) if compression else data)
    command = [sys.executable, "-c", SUM, format if format in {"csv", "jsonl"} else ""]
    if redirected:
        with path.open("rb") as stream:
            done = subprocess.run(command, capture_output=True, check=True, stdin=stream)
    else:
        done = subprocess.run(command, capture_output=True, check=True, input=path.read_bytes())
    assert done.stdout.startswith(b"2.0 -, ")


@pytest.mark.parametrize("extension", [".gz", ".zst"])
def test_compressed_files(tmp_path: Path, read_all: ReadAll, refusal: Refusal, extension: str) -> None:
    plain = b"p\n" + b"".join(b"%d\n" % i for i in range(1000))
    data = compress(plain, extension)
    path = tmp_path / f"a.csv{extension}"
    path.write_bytes(data)
    assert read_all(path, 99, prediction=None)["prediction"].tolist() == list(range(1000))
    path.write_bytes(data + data)
    assert "line 1002" in refusal(path).message  # the second header
    path.write_bytes(data[:-5])
    assert "is truncated" in refusal(path).message
    path.write_bytes(data + b"more")
    assert "is damaged" in refusal(path).message
    path.write_bytes(plain)
    assert f"leave out {extension}" in (refusal(path).hint or "")


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("zeros", [0, 1, 8, 511])
def test_members_of_gzip(
    zeros: int, piece: int, tmp_path: Path, read_all: ReadAll, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gzip(1) and Python take zeros after a member for what fills up a block, and nothing else."""
    monkeypatch.setattr(spool, "_PIECE_BYTES", piece)
    path = tmp_path / "a.csv.gz"
    first, second = gzip.compress(b"p\n0.5\n"), gzip.compress(b"".join(b"%d\n" % i for i in range(100)))
    whole = first + bytes(zeros) + gzip.compress(b"") + second + bytes(zeros)
    path.write_bytes(whole)
    with gzip.open(path) as peer:
        assert read_all(path, 9, prediction=None)["prediction"].tolist() == [float(each) for each in list(peer)[1:]]
    path.write_bytes(whole + b"x")
    assert f"something else than gzip data stands from byte {len(whole)} on" in refusal(path).message
    path.write_bytes(whole + first[:1])
    assert "is truncated: its gzip data do not end" in refusal(path).message
    path.write_bytes(first[:-8] + bytes(4) + first[-4:] + bytes(zeros))
    assert refusal(path).message.endswith("is damaged: incorrect data check")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe(tmp_path: Path, read_all: ReadAll) -> None:
    write_sample(tmp_path / "plain", "parquet")
    data = (tmp_path / "plain").read_bytes()
    os.mkfifo(tmp_path / "pipe.parquet")
    writer = threading.Thread(target=(tmp_path / "pipe.parquet").write_bytes, args=(data,))
    writer.start()
    assert read_all(tmp_path / "pipe.parquet", 9, prediction=None)["prediction"].tolist() == [0.5, 1.5]
    writer.join()


def test_a_bomb(tmp_path: Path, refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_ALWAYS_READ", 1 << 20)
    (tmp_path / "a.npy.gz").write_bytes(gzip.compress(bytes(8 << 20)))
    assert "times its own size" in refusal(tmp_path / "a.npy.gz").message
    monkeypatch.setattr(spool, "_ALWAYS_READ", 1 << 30)
    monkeypatch.setattr(spool, "SPOOL_LIMIT", 1 << 20)
    assert "which is the most that is copied" in refusal(tmp_path / "a.npy.gz").message


def test_no_room_for_the_copy(tmp_path: Path, refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", np.zeros(9))
    (tmp_path / "a.npy.gz").write_bytes(gzip.compress((tmp_path / "a.npy").read_bytes()))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: io.FileIO("/dev/full", "r+"))
    error = refusal(tmp_path / "a.npy.gz")
    assert isinstance(error, EnvironmentFault)
    assert "no space left" in error.message


def test_empty_and_closed_stdin() -> None:
    done = subprocess.run([sys.executable, "-c", SUM, "npy"], input=b"", capture_output=True, check=False)
    assert b"- is empty (0 bytes)" in done.stderr
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -c "$0" npy <&-', SUM], capture_output=True, check=False
    )
    assert b"stdin is closed" in done.stderr


@pytest.mark.parametrize(
    ("descriptor", "found", "remedy"),
    [
        (b"\x00\x90", "needs a window of more than 128 MiB", "--long"),  # 256 MiB
        (b"\x01\x50\x07", "is compressed with a dictionary", "without one"),  # number 7
    ],
)
def test_frames_that_are_whole_and_not_read(
    tmp_path: Path, refusal: Refusal, descriptor: bytes, found: str, remedy: str
) -> None:
    block = b"p\n0.5\n"
    size = (len(block) << 3 | 1).to_bytes(3, "little")  # the last one, as it is
    (tmp_path / "a.csv.zst").write_bytes(b"\x28\xb5\x2f\xfd" + descriptor + size + block)
    error = refusal(tmp_path / "a.csv.zst")
    assert found in error.message
    assert remedy in str(error.hint)


def test_frames_to_be_skipped(tmp_path: Path, read_all: ReadAll) -> None:
    table = compress(b"p\n0.5\n0.25\n", ".zst")
    (tmp_path / "a.csv.zst").write_bytes(b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + table)
    assert read_all(tmp_path / "a.csv.zst", 9, prediction=None)["prediction"].tolist() == [0.5, 0.25]


@pytest.mark.parametrize(("extension", "head"), [(".gz", b"\x1f"), (".zst", b"\x28\xb5")])
def test_a_compressed_file_of_a_byte_or_two_is_truncated(
    tmp_path: Path, refusal: Refusal, extension: str, head: bytes
) -> None:
    (tmp_path / f"a.csv{extension}").write_bytes(head)
    assert "is truncated" in refusal(tmp_path / f"a.csv{extension}").message
