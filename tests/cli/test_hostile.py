"""Hostile files, as a user would meet them: exit 3 and one line that names file and place, or the right number."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lossctl.sources import spool
from tests.cli.commands import call, refused, scores

DATA = 3
PREDICTION = np.array([0.8, 0.7, 0.1, 0.4])
TARGET = np.array([1, 1, 0, 0])
VALUE = repr(0.07500000000000001)

TABLE = ("--pred-col", "p", "--target-col", "y", "-l", "mse")


@pytest.fixture(autouse=True)
def _here(here: Path) -> None:
    np.save(here / "y.npy", TARGET)


def npy(header: str | bytes, version: tuple[int, int] = (1, 0)) -> bytes:
    """An NPY file with this header, and the bytes of `PREDICTION`."""
    text = header.encode() if isinstance(header, str) else header
    width = 2 if version == (1, 0) else 4
    text += b" " * (-(8 + width + len(text) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + bytes(version) + len(text).to_bytes(width, "little") + text + PREDICTION.tobytes()


def described(shape: str, descr: str = "'<f8'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


HEADERS = [
    described("(2500000000,)"),
    described("(99999999999999999999999,)"),
    described(f"({'9' * 5000},)"),
    described("(-4,)"),
    described("(-1, -4)"),
    described("(4, 4611686018427387904)"),
    described("(4.0,)"),
    described("(True, 4)"),
    described("4"),
    described("[4]"),
    described("()"),
    described("(4, 0)"),
    described("(1e400,)"),
    described(f"({'1, ' * 33}4)"),
    described("(4,)", order="0"),
    *(described("(4,)", descr) for descr in ["'<f9'", "'|O'", "'|V8'", "'<M8[ns]'", "'|S8'", "'<U2'", "None", "''"]),
    described("(2,)", "'<f16'"),
    described("(2,)", "'<c16'"),
    described("(4,)", "[('a', '<f4'), ('b', '<f4')]"),
    described("(4,)", "__import__('os').system('touch owned')"),
    "{'descr': '<f8', 'shape': (4,), }",
    "(" * 3000,
    "[" * 4000 + "]" * 4000,
    "\0" * 10,
    "",
]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)], ids=str)
@pytest.mark.parametrize("header", HEADERS, ids=lambda text: ascii(text)[:40])
def test_headers_of_npy(header: str, version: tuple[int, int], here: Path) -> None:
    (here / "p.npy").write_bytes(npy(header, version))
    assert "p.npy" in refused(DATA, "eval", "p.npy", "y.npy", "-l", "mse")


def test_no_pickle_is_loaded(here: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return open, ("owned", "w")

    (here / "raw.npy").write_bytes(pickle.dumps(Evil()))
    np.save(here / "object.npy", np.array([Evil()], object), allow_pickle=True)
    np.savez(here / "object.npz", p=np.array([Evil()], object))
    for name in ("raw.npy", "object.npy", "object.npz"):
        assert name in refused(DATA, "eval", name, "y.npy", "-l", "mse")
    assert not (here / "owned").exists()


@pytest.mark.parametrize(
    "dtype", ["<f2", ">f2", ">f4", ">f8", "?", "i1", "u1", "<i2", ">i2", ">i4", ">i8", "<u8", ">u8"]
)
def test_every_dtype_is_the_same_number(dtype: str, here: Path) -> None:
    np.save(here / "p.npy", PREDICTION)
    np.save(here / "t.npy", TARGET.astype(dtype))
    assert scores("p.npy", "t.npy", "-l", "mse") == [VALUE]
    assert scores("p.npy", "t.npy", "-l", "bce") == scores("p.npy", "y.npy", "-l", "bce")


CELLS = [
    "0x10 1_000 1e400 -1e400 NA null - + . 1e 1e+ e5 1d5 yes 1f １ ٣ =1+1 #1 1% $1 1e5_0 0b1 1j nan(1)",
    "2**53 --1 ++1 1e1e1 1..2 0xp1 infinit ∞ −1 1;2 '1' \ufeff1 1\u00a0 1\0 \x1b[31m",
]


@pytest.mark.parametrize("cell", ["", "1 5", '""', '"1""2"', '"1', '1"', *" ".join(CELLS).split(" ")], ids=ascii)
@pytest.mark.parametrize("column", ["p", "y"])
@pytest.mark.parametrize("extension", ["csv", "tsv"])
def test_cells_that_are_no_number(cell: str, column: str, extension: str, here: Path) -> None:
    separator = "," if extension == "csv" else "\t"
    row = (cell, "1") if column == "p" else ("0.5", cell)
    rows = ["p y", "0.8 1", "0.1 0"]
    lines = [separator.join(each.split()) for each in rows]
    lines.insert(2, separator.join(row))
    (here / f"t.{extension}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert f"t.{extension}, line 3" in refused(DATA, "eval", f"t.{extension}", *TABLE)


TEXTS: list[tuple[bytes, str]] = [
    (b"p,y\n0.8,1\n0.7\n", "line 3"),
    (b"p,y\n0.8,1\n0.7,1,2\n", "line 3"),
    (b"p,y\n0.8,1\n\n0.7,1\n", "line 3"),
    (b"p,y\n0.8,1\n  \n", "line 3"),
    (b"p,y\r0.8,1\r", "line 1"),
    (b"p,y\n0.8,1\r0.7,1\n", "line 2"),
    (b'p,y\n"0.8,1\n0.7,1\n', "line 2"),
    (b"p,y\n" + b"\0" * 100, "line 2"),
    (b"p,y\n0.8,1\n0.7,\xe9\n", "line 3"),
    (b"p,p\n1,2\n", "2 columns"),
    (b",p,,y\n0,1,2,3\n", "2 columns have no name"),
    (b"p,y\n[0.1 0.9],1\n", "line 2"),
    (b"p,y\n" + b"1" * (9 << 20) + b",1\n", "line 2"),
    (b"p,y\n" + b"0.5,1\n" * 3000 + b"0.5,x\n", "line 3002"),
    (b"p,y\n1,9007199254740993\n", "9007199254740993"),
    (b"p,y\n1,18446744073709551616\n", "line 2"),
    (b"\xff\xfep\0,\0y\0\n\0", "UTF-8"),
]


@pytest.mark.parametrize(("text", "place"), TEXTS, ids=lambda part: ascii(part)[:30])
def test_tables_that_are_malformed(text: bytes, place: str, here: Path) -> None:
    (here / "t.csv").write_bytes(text)
    message = refused(DATA, "eval", "t.csv", *TABLE)
    assert "t.csv" in message
    assert place in message


LINES = [
    *('{"p": ' + value + ', "y": 1}' for value in ('"0.5"', "null", "1e400", "0x10", "1_0", ".5", "+5", "05", "[0.5]")),
    *(
        '{"p": ' + value + ', "y": 1}'
        for value in ('{"a": 1}', "true", "NaN", "Infinity", "nan", "9" * 400, "[" * 9999)
    ),
    *('{"p": 0.5, "y": ' + value + "}" for value in ("18446744073709551616", "true", '"1"', "[1]", "NaN")),
    *('{"p": 0.5, "y": 1' + end for end in ("", "}}", '}{"p": 0.5, "y": 1}', "},", ",}", "} x", ', "p": 0.7}')),
    *(
        "[0.5, 1]",
        "0.5",
        "null",
        "{",
        "}",
        "\0",
        "# c",
        '{"y": 1}',
        "{'p': 0.5, 'y': 1}",
        '{"p": 0.5, "y": 1, "z": "\\ud800"}',
    ),
    '{"p": 0.5, "y": 1, "z": ' + '{"a":' * 9999 + "1" + "}" * 10_000,
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: ascii(line)[:40])
def test_lines_of_json_that_are_none(line: str, here: Path) -> None:
    (here / "t.jsonl").write_text(f'{{"p": 0.8, "y": 1}}\n{line}\n{{"p": 0.1, "y": 0}}\n')
    assert "t.jsonl, line 2" in refused(DATA, "eval", "t.jsonl", *TABLE)


def entry(shape: object, begin: int, end: int, dtype: object = "F64") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "entries",
    [
        {"p": entry([4], 0, 32), "y": entry([4], 0, 32)},
        {"p": entry([4], 8, 40), "y": entry([4], 40, 72)},
        {"p": entry([4], 0, 32), "y": entry([5], 32, 64)},
        {"p": entry([4], 0, 32), "y": entry([4], 32, 2**62)},
        {"p": entry([-4], 0, 32), "y": entry([4], 32, 64)},
        {"p": entry([2**32, 2**32], 0, 32), "y": entry([4], 32, 64)},
        {"p": entry([10**400], 0, 32), "y": entry([4], 32, 64)},
        {"p": entry([4.0], 0, 32), "y": entry([4], 32, 64)},
        {"p": entry([4], 0, 32, "F8_E4M3"), "y": entry([4], 32, 64)},
        {"p": entry([4], 0, 32, ["F64"]), "y": entry([4], 32, 64)},
        {"p": 1, "y": 2},
        [],
        "[" * 100_000,
    ],
    ids=lambda entries: ascii(entries)[:40],
)
def test_headers_of_safetensors(entries: object, here: Path) -> None:
    text = (entries if isinstance(entries, str) else json.dumps(entries)).encode()
    (here / "t.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(64))
    assert "t.safetensors" in refused(DATA, "eval", "t.safetensors", *TABLE)


def test_bombs_are_not_unpacked(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_ALWAYS_READ", 2 << 20)
    (here / "t.csv.gz").write_bytes(gzip.compress(b"p,y\n" + b"0.5,1\n" * (1 << 19)))
    assert "300 times its own size" in refused(DATA, "eval", "t.csv.gz", *TABLE)
    np.savez_compressed(here / "t.npz", p=np.zeros(1 << 19))
    assert "300 times its own size" in refused(DATA, "eval", "t.npz", "y.npy", "-l", "mse")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_of_every_method_are_held_to_their_checksums(method: int, here: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, array in (("p", PREDICTION), ("y", TARGET)):
            member = io.BytesIO()
            np.save(member, array)
            archive.writestr(f"{name}.npy", member.getvalue())
    whole = out.getvalue()
    (here / "t.npz").write_bytes(whole)
    assert scores("t.npz", *TABLE) == [VALUE]
    for place in range(0, len(whole), 29):
        changed = bytearray(whole)
        changed[place] ^= 0x55
        (here / "t.npz").write_bytes(changed)
        outcome = call("eval", "t.npz", *TABLE, "-b")
        assert (outcome.code, outcome.out) == (0, f"{VALUE}\n") or (
            outcome.code in {2, DATA} and "t.npz" in outcome.err
        )


@pytest.mark.parametrize("cut", [0, 1, 9, 20, -8, -1])
def test_compressed_files_that_are_cut(cut: int, here: Path) -> None:
    whole = gzip.compress(b"p,y\n0.8,1\n0.7,1\n")
    (here / "t.csv.gz").write_bytes(whole[:cut])
    assert "t.csv.gz" in refused(DATA, "eval", "t.csv.gz", *TABLE)


def test_what_is_no_file(here: Path) -> None:
    (here / "folder.npy").mkdir()
    (here / "circle.npy").symlink_to("circle.npy")
    (here / "dangling.npy").symlink_to("nowhere.npy")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.npy")
        for name in ("folder.npy", "circle.npy", "dangling.npy", "socket.npy", "y.npy/x.npy", "x" * 300 + ".npy"):
            assert name[:100] in refused(DATA, "eval", name, "y.npy", "-l", "mse")
    for device in ("/dev/null", "/dev/zero"):
        assert device in refused(DATA, "eval", device, "y.npy", "-l", "mse", "--pred-format", "npy")
