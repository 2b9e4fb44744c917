"""Files larger than the memory that is held: that time grows with the rows, that memory does not, and what peers need.

The tables are written to the folder for temporary files, one at a time: about 1.5 GB in a run of everything, and arrays
of 2 GB; those of 20 GB are sparse and take no room.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.children import Command, ProcessFailed, Weighed, contest, evaluation, program, weighed
from benchmarks.options import Options
from benchmarks.peers.scripts import KEYED, READ, TABLES, available
from benchmarks.processes import write_probabilities
from benchmarks.report import MISSING, Section, Table, megabytes, times
from benchmarks.targets import Targets

PEERS = ("polars", "duckdb")
BOUND = 500e6
"""Bytes that a process may hold, whatever the file."""

PIECE_ROWS = 1 << 20
COLUMNS = ("--pred-col", "pred", "--target-col", "label")
# Of the answers of those that sum in other orders.
TOLERANCE = 1e-9


def sections(options: Options) -> Iterator[Section]:
    """Tables, arrays, and rows that are matched by key."""
    targets = Targets("large")
    held: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="lossctl-bench-") as folder:
        yield _tables(Path(folder), targets, held, options)
        yield _arrays(Path(folder), held, options)
        yield _roofline(Path(folder), targets, options)
        yield _keys(Path(folder), options)
    targets.at_most("memory held, of a file of any size", BOUND, held, lambda held: f"{held / 1e6:.0f} MB")
    yield targets.section()


# ---- tables


def write_long_table(path: Path, rows: int) -> None:
    """Rows of id, pred (float64 probabilities) and label (int64, 0 or 1), written a million at a time."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    types: Any = {"id": pa.int64(), "pred": pa.float64(), "label": pa.int64()}
    schema = pa.schema(types)
    writer: Any = csv.CSVWriter if path.suffix == ".csv" else parquet.ParquetWriter
    random = np.random.default_rng(0)
    with writer(str(path), schema) as table:
        for start in range(0, rows, PIECE_ROWS):
            count = min(PIECE_ROWS, rows - start)
            prediction = random.random(count) * 0.98 + 0.01
            label = (random.random(count) < prediction).astype(np.int64)
            arrays: list[Any] = [np.arange(start, start + count), prediction, label]
            table.write_table(pa.table(arrays, schema=schema))


def _tables(folder: Path, targets: Targets, held: dict[str, float], options: Options) -> Section:
    heads = ["file", "rows", "size, MB", "lossctl, s", "ns a row", "MB held"]
    table = Table([*heads, *(head for name in PEERS for head in (name, f"{name}, MB held"))])
    notes: list[str] = []
    growth: dict[str, float] = {}
    for kind, suffix in (("CSV", "csv"), ("Parquet", "parquet")):
        a_row: list[float] = []
        for rows in options.large_rows:
            with _temporary(folder / f"table.{suffix}") as path:
                write_long_table(path, rows)
                _settle(path)
                size = path.stat().st_size
                found = _weighed_in_turn(f"{kind}, {rows:,} rows", _commands(path, kind), options, notes)
            own = found["lossctl"]
            a_row.append(own.seconds / rows)
            held[f"{kind}, {rows:,} rows"] = own.peak
            table.add(
                kind,
                f"{rows:,}",
                megabytes(size),
                f"{own.seconds:.2f}",
                f"{a_row[-1] * 1e9:.0f}",
                _held(own),
                *(cell for name in PEERS for cell in _cells(found.get(name), own)),
            )
        growth[kind] = a_row[-1] / a_row[0]
    first, last = min(options.large_rows), max(options.large_rows)
    targets.at_most(f"time a row, {last:,} rows: {first:,} rows", 1.1, growth, times)
    what = (
        "Binary cross-entropy of two columns of a table with three, as whole processes, next to polars (streaming) and "
        "duckdb: the better of two runs, and the most memory that it held. The peers' times are multiples of lossctl's."
    )
    return Section("Tables larger than the memory that is held", what, table, notes)


def _commands(path: Path, kind: str) -> dict[str, Command]:
    programs = available({name: code for name, code in TABLES[kind, "bce"].items() if name in PEERS})
    peers = {name: program(code, str(path)) for name, code in programs.items()}
    return {"lossctl": evaluation(str(path), *COLUMNS, "--loss", "bce"), **peers}


def _weighed_in_turn(
    what: str, commands: Mapping[str, Command], options: Options, notes: list[str]
) -> dict[str, Weighed]:
    """The faster of two runs of each; of a peer that fails or differs there is a note, and nothing else."""
    found: dict[str, Weighed] = {}
    for _ in range(options.large_rounds):
        for name, command in commands.items():
            try:
                run = weighed(command)
            except ProcessFailed as failure:
                if name == "lossctl":
                    raise
                notes.append(f"{what}: {name} failed: {failure}")
                continue
            found[name] = min(found.get(name, run), run, key=lambda each: each.seconds)
    answer = found["lossctl"].answer
    for name, run in list(found.items()):
        if not np.isclose(run.answer or np.nan, answer or np.nan, rtol=TOLERANCE, atol=0.0):
            notes.append(f"{what}: {name} differs: {run.answer}, not {answer}")
            del found[name]
    return found


def _cells(run: Weighed | None, own: Weighed) -> tuple[str, str]:
    return (MISSING, MISSING) if run is None else (times(run.seconds / own.seconds), _held(run))


def _held(run: Weighed) -> str:
    return megabytes(None if np.isnan(run.peak) else int(run.peak))


# ---- arrays


def _arrays(folder: Path, held: dict[str, float], options: Options) -> Section:
    table = Table(["backend", "files, GB", "rows", "lossctl, s", "ns a row", "MB held"])
    for backend, rows in (("cpu", options.sparse_rows), ("python", options.sparse_rows // 10)):
        with _temporary(folder / "p.npy") as prediction, _temporary(folder / "y.npy") as target:
            for path in (prediction, target):
                # Zeros that the file system does not store.
                np.lib.format.open_memmap(path, "w+", np.float32, (rows,)).flush()
            run = weighed(evaluation(str(prediction), str(target), "--loss", "mse", "--backend", backend))
        held[f"NPY, {backend}"] = run.peak
        size, a_row = f"{8 * rows / 1e9:.3g}", f"{run.seconds / rows * 1e9:.2f}"
        table.add(backend, size, f"{rows:,}", f"{run.seconds:.2f}", a_row, _held(run))
    what = (
        "The mean squared error of two sparse float32 NPY files: what the system makes of a hole is read all the same."
    )
    return Section("Arrays larger than the memory that is held", what, table)


def _roofline(folder: Path, targets: Targets, options: Options) -> Section:
    """Whole processes less those on next to nothing: what loading code costs is timed elsewhere."""
    large, small = (write_probabilities(folder, rows) for rows in (options.cached_rows, 1_000))
    for path in large:
        _settle(Path(path))
    commands = {
        f"{name}, {size}": command
        for size, paths in (("large", large), ("small", small))
        for name, command in (
            ("lossctl", evaluation(*paths, "--loss", "mse", "--backend", "cpu")),
            ("read", program(READ, *paths)),
        )
    }
    found = contest(commands, options.process_rounds, options.process_share_seconds)
    for path in large:
        Path(path).unlink()
    own, read = (
        found.times.least(f"{name}, large") - found.times.least(f"{name}, small") for name in ("lossctl", "read")
    )
    size = 8 * options.cached_rows
    table = Table(["who", "s", "GB/s"])
    for name, seconds in (("lossctl", own), ("a loop that reads the files", read)):
        table.add(name, f"{seconds:.3f}", f"{size / seconds / 1e9:.1f}")
    targets.at_most("NPY from the page cache: a loop that reads it", 1.3, {"": own / read}, times)
    what = (
        f"The mean squared error of two float32 NPY files of {options.cached_rows:,} rows that are in the page cache, "
        f"next to a program that reads both, on two threads, into a buffer of 256 kB: {size / 1e9:.3g} GB. The start "
        "of each process, with files of 1,000 rows, is taken off."
    )
    return Section("Arrays from the page cache", what, table, found.notes())


# ---- keys


def _keys(folder: Path, options: Options) -> Section:
    heads = ["rows", "lossctl, s", "ns a row", "MB held", "bytes a row"]
    table = Table([*heads, *(head for name in KEYED for head in (name, f"{name}, MB held"))])
    notes: list[str] = []
    before: tuple[int, float] | None = None
    for rows in options.key_rows:
        with _temporary(folder / "p.parquet") as prediction, _temporary(folder / "y.parquet") as target:
            _write_keyed(prediction, target, rows)
            _settle(prediction)
            _settle(target)
            paths = str(prediction), str(target)
            peers = {name: program(code, *paths) for name, code in available(KEYED).items()}
            commands = {"lossctl": evaluation(*paths, *COLUMNS, "--loss", "bce", "--on", "id"), **peers}
            found = _weighed_in_turn(f"keys, {rows:,} rows", commands, options, notes)
        run = found["lossctl"]
        more = MISSING if before is None else f"{(run.peak - before[1]) / (rows - before[0]):.0f}"
        own = f"{rows:,}", f"{run.seconds:.2f}", f"{run.seconds / rows * 1e9:.0f}", _held(run), more
        table.add(*own, *(cell for name in KEYED for cell in _cells(found.get(name), run)))
        before = rows, run.peak
    what = (
        "Binary cross-entropy of two Parquet files whose rows are matched by a whole number (`--on id`), in another "
        "order in each, as whole processes, next to a join by polars (streaming): the better of two runs, and the most "
        "memory that it held. It is the one memory that grows with the rows: the bytes a row are what lossctl's grew "
        "by from the line above. The peer's times are multiples of lossctl's."
    )
    return Section("Rows matched by key", what, table, notes)


def _write_keyed(prediction: Path, target: Path, rows: int) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    random = np.random.default_rng(0)
    for path, name, values in (
        (prediction, "pred", random.random(rows) * 0.98 + 0.01),
        (target, "label", random.integers(0, 2, rows)),
    ):
        columns: dict[str, Any] = {"id": random.permutation(rows), name: values}
        parquet.write_table(pa.table(columns), path)


def _settle(path: Path) -> None:
    """Waits until a file is on the disk: the system would write it while others are timed."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A file that is gone afterwards: there is room for one at a time."""
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
