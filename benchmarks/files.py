"""Files end to end: from a table on disk to a number, as whole processes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.children import Command, Contest, contest, evaluation, held, program
from benchmarks.options import Options
from benchmarks.peers.scripts import TABLES, available
from benchmarks.report import MISSING, Section, Table, megabytes, milliseconds, times
from benchmarks.targets import Targets

PEERS = ("NumPy", "pyarrow", "pandas", "polars", "duckdb")
# All of them compute in float64; they sum in different orders.
TOLERANCE = 1e-9

Paths = Mapping[str, tuple[str, ...]]


def sections(options: Options) -> Iterator[Section]:
    """Times, and the most memory that was held."""
    with tempfile.TemporaryDirectory(prefix="lossctl-bench-") as folder:
        paths = write_tables(Path(folder), options.file_rows)
        sizes = {kind: sum(Path(path).stat().st_size for path in files) for kind, files in paths.items()}
        held = ", ".join(f"{kind} {size / 1e6:.0f} MB" for kind, size in sizes.items())
        commands = {key: commands_for(paths, *key) for key in TABLES}
        targets = Targets("files")
        yield _times(commands, held, targets, options)
        yield _memory(commands, sizes)
        yield targets.section()


def write_tables(folder: Path, rows: int) -> Paths:
    """The same rows of id, pred (float64 probabilities) and label (int64, 0 or 1) in every format."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    random = np.random.default_rng(0)
    prediction = random.random(rows) * 0.98 + 0.01
    label = (random.random(rows) < prediction).astype(np.int64)
    arrays: dict[str, Any] = {"id": np.arange(rows), "pred": prediction, "label": label}
    paths = {
        "NPY": (str(folder / "pred.npy"), str(folder / "label.npy")),
        "CSV": (str(folder / "table.csv"),),
        "Parquet": (str(folder / "table.parquet"),),
    }
    for path, name in zip(paths["NPY"], ("pred", "label"), strict=True):
        np.save(path, arrays[name])
    table = pa.table(arrays)
    csv.write_csv(table, paths["CSV"][0])
    parquet.write_table(table, paths["Parquet"][0])
    return paths


def commands_for(paths: Paths, kind: str, loss: str) -> dict[str, Command]:
    """This project, and the peers that read such files and are installed."""
    columns = () if kind == "NPY" else ("--pred-col", "pred", "--target-col", "label")
    commands = {"lossctl": evaluation(*paths[kind], *columns, "--loss", loss)}
    for name, code in available(TABLES[kind, loss]).items():
        commands[name] = program(code, *paths[kind])
    return commands


def _times(
    commands: Mapping[tuple[str, str], Mapping[str, Command]], held: str, targets: Targets, options: Options
) -> Section:
    table = Table(["file", "lossctl, ms", *PEERS])
    notes: list[str] = []
    for (kind, loss), contenders in commands.items():
        found = contest(contenders, options.process_rounds, options.process_share_seconds)
        table.add(
            f"{kind}, {loss}", milliseconds(found.times.median("lossctl")), *(_cell(name, found) for name in PEERS)
        )
        notes += found.notes()
        if kind != "NPY":
            rivals = {name: found.times.ratio(name, "lossctl") for name in ("polars", "duckdb")}
            targets.at_least(f"{kind}, {loss}: polars and duckdb", 1.0, rivals, times)
    what = (
        f"{options.file_rows:,} rows of id, pred and label ({held}), from the file to the printed loss, as whole "
        "processes; files are in the system's memory. The peers' times are multiples of lossctl's, and their answers "
        "agree with its answer to nine digits."
    )
    return Section("Files end to end", what, table, notes)


def _cell(name: str, found: Contest) -> str:
    return found.verdict(name, "lossctl", TOLERANCE) or times(found.times.ratio(name, "lossctl"))


def _memory(commands: Mapping[tuple[str, str], Mapping[str, Command]], sizes: Mapping[str, int]) -> Section:
    table = Table(["file", "size, MB", "lossctl, MB", *(f"{name}, MB" for name in PEERS)])
    for kind, contenders in {kind: contenders for (kind, _), contenders in commands.items()}.items():
        table.add(
            kind,
            megabytes(sizes[kind]),
            *(held(contenders[name]) if name in contenders else MISSING for name in ("lossctl", *PEERS)),
        )
    return Section(
        "Memory for files", "The most memory that each of these processes held, for the last of these losses.", table
    )
