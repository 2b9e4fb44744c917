"""Tables whose rows are in another order: warned of, with the flag that mends it; anything else is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from lossctl.matching.row_order import other_order
from lossctl.rows.inputs import InputFiles

IDS = ["a", "b", "c", "d"]


def files(folder: Path, first: list[str], second: list[str], format: str = "csv", column: str = "id") -> InputFiles:
    names = [str(folder / f"{side}.{format}") for side in ("p", "t")]
    for name, ids, values in zip(names, (first, second), ("p", "y"), strict=True):
        table = pa.table({column: ids, values: [0.5] * len(ids)})
        if format == "parquet":
            parquet.write_table(table, name)
        else:
            rows = "".join(f"{one},0.5\n" for one in ids)
            Path(name).write_text(f"{column},{values}\n{rows}")
    return InputFiles(names[0], names[1], ("p",), ("y",))


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_another_order(tmp_path: Path, format: str) -> None:
    found = other_order(files(tmp_path, IDS, IDS[::-1], format))
    assert found is not None
    assert "'id' in another order" in found
    assert found.endswith("match them with --on id")


def test_numbers_of_one_format_are_texts_of_another(tmp_path: Path) -> None:
    numbers, predictions, targets = [7, 8, 9], str(tmp_path / "p.csv"), str(tmp_path / "t.parquet")
    Path(predictions).write_text("id,p\n9,0.5\n8,0.5\n7,0.5\n")
    both = InputFiles(predictions, targets, ("p",), ("y",))
    parquet.write_table(pa.table({"id": numbers, "y": [0.5] * 3}), targets)
    assert "'id' in another order" in (other_order(both) or "")
    parquet.write_table(pa.table({"id": numbers[::-1], "y": [0.5] * 3}), targets)
    assert other_order(both) is None


@pytest.mark.parametrize(
    ("first", "second", "column"),
    [(IDS, IDS, "id"), (IDS, ["w", "x", "y", "z"], "id"), (IDS, IDS[::-1], "animal")],
)
def test_nothing_to_say(tmp_path: Path, first: list[str], second: list[str], column: str) -> None:
    assert other_order(files(tmp_path, first, second, column=column)) is None


def test_it_is_a_warning_of_the_command(tmp_path: Path) -> None:
    files(tmp_path, IDS, ["d", "a", "b", "c"])
    command = [sys.executable, "-m", "lossctl", "eval", "p.csv", "t.csv", "--pred-col", "p", "--target-col", "y"]
    done = subprocess.run([*command, "-l", "mse"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "lossctl: warning: p.csv and t.csv have the column 'id' in another order" in done.stderr
    done = subprocess.run(
        [*command, "-l", "mse", "--on", "id"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


@pytest.mark.parametrize("format", ["csv", "parquet"])
@pytest.mark.parametrize("column", ["id", "uid", "user_id", "userId"])
def test_ids_that_are_far_apart(tmp_path: Path, format: str, column: str) -> None:
    """Of those of the first rows, few are in the first rows of the other table."""
    ids = [f"u{number}" for number in range(20_000)]
    shuffled = [ids[7919 * place % len(ids)] for place in range(len(ids))]
    assert f"'{column}' in another order" in (other_order(files(tmp_path, ids, shuffled, format, column)) or "")
    assert other_order(files(tmp_path, ids, [f"x{each}" for each in shuffled], format, column)) is None
    assert other_order(files(tmp_path, ids, shuffled, format, "paid")) is None
