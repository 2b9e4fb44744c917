"""Where the columns of slices are found, in every format, beside whatever else is read of the same file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lossctl.catalogue.loss_spec import parse
from lossctl.errors import DataError, UsageError
from lossctl.evaluation import Evaluation
from lossctl.requests import Request
from lossctl.rows.inputs import InputFiles, open_feed
from lossctl.slices.levels import encoder_of
from lossctl.slices.slicing import Slicing, parse_columns
from lossctl.slices.streaming import SliceWatch

FRAME = pd.DataFrame(
    {"id": list("abcdef"), "p": range(6), "y": [0, 1, 0, 1, 0, 1], "c": ["x", None, "y", "x", "y", "x"]}
)
SUMS = {("x",): 0 + 2 + 4.0, (None,): 0.0, ("y",): 2 + 4.0}


def sums(
    by: str, predictions: Path, targets: Path | None = None, **options: object
) -> dict[tuple[str | None, ...], float]:
    """The sum of the absolute errors of each slice."""
    slicing = Slicing.of(parse_columns([by]), False, None)
    encoders = {column.name: encoder_of(column) for column in slicing.columns}
    files = InputFiles(
        str(predictions),
        None if targets is None else str(targets),
        **{"by": encoders, **options},  # type: ignore[arg-type]
    )
    with closing(open_feed(files)) as feed:
        evaluation = Evaluation(feed, Request([parse("mae")]))
        SliceWatch(evaluation, slicing, encoders)
        run = evaluation.run()
        assert {info.role for info in run.inputs} == {"prediction", "target"}
        return {each.key: each.sum for each in run.results[0].slices[0].slices}


def write(path: Path, frame: pd.DataFrame = FRAME) -> Path:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".tsv":
        frame.to_csv(path, index=False, sep="\t")
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif path.suffix == ".arrow":
        frame.to_feather(path)
    else:
        frame.to_parquet(path, row_group_size=2)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".arrow", ".parquet"])
def test_a_column_of_every_kind_of_table(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"t{suffix}")
    columns: Any = {"pred_columns": ("p",), "target_columns": ("y",)}
    assert sums("c", path, **columns) == SUMS
    assert sums("y", path, **columns) == {("0",): 0 + 2 + 4.0, ("1",): 0 + 2 + 4.0}
    assert sums("p:bins=3", path, **columns) == {("(…,3)",): 0 + 0 + 2.0, ("[3,…)",): 2 + 4 + 4.0}


def test_categories_of_parquet(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", FRAME.astype({"c": "category"}))
    assert sums("c", path, pred_columns=("p",), target_columns=("y",)) == SUMS


def test_numbers_of_json_that_go_over_into_decimals(tmp_path: Path) -> None:
    lines = "".join(f'{{"p": {row}, "y": 0, "c": {value}}}\n' for row, value in enumerate(["1", "null", "1.5", "1"]))
    (tmp_path / "t.jsonl").write_text(lines)
    found = sums("c", tmp_path / "t.jsonl", pred_columns=("p",), target_columns=("y",))
    assert found == {("1",): 3.0, (None,): 1.0, ("1.5",): 2.0}


def test_shards_and_the_keys_of_their_folders(tmp_path: Path) -> None:
    for kind in ("u", "v"):
        (tmp_path / "d" / f"kind={kind}").mkdir(parents=True)
        write(tmp_path / "d" / f"kind={kind}" / "part.parquet")
    columns: Any = {"pred_columns": ("p",), "target_columns": ("y",)}
    assert sums("kind", tmp_path / "d", **columns) == {("u",): 12.0, ("v",): 12.0}
    assert sums("c", tmp_path / "d", **columns) == {key: 2 * each for key, each in SUMS.items()}


def test_the_table_of_the_targets_and_one_of_its_own(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", FRAME["p"].to_numpy(np.float64))
    targets = write(tmp_path / "y.csv", FRAME[["y", "c"]])
    assert sums("c", tmp_path / "p.npy", targets, target_columns=("y",)) == SUMS
    np.save(tmp_path / "y.npy", FRAME["y"].to_numpy())
    other = write(tmp_path / "c.parquet", FRAME[["c"]])
    assert sums("c", tmp_path / "p.npy", tmp_path / "y.npy", by_file=str(other)) == SUMS
    np.save(tmp_path / "c.npy", np.array(list("uvuvuv")))
    assert sums("any", tmp_path / "p.npy", tmp_path / "y.npy", by_file=str(tmp_path / "c.npy")) == {
        ("u",): 0 + 2 + 4.0,
        ("v",): 0 + 2 + 4.0,
    }
    np.savez(tmp_path / "c.npz", c=np.array([2.5, 0.5, np.nan, 2.5, 2.5, 0.5]), b=FRAME["y"] > 0)
    found = sums("c", tmp_path / "p.npy", tmp_path / "y.npy", by_file=str(tmp_path / "c.npz"))
    assert found == {("2.5",): 0 + 2 + 4.0, ("0.5",): 0 + 4.0, (None,): 2.0}


def test_rows_that_are_matched_by_key(tmp_path: Path) -> None:
    predictions = write(tmp_path / "p.csv", FRAME[["id", "p"]])
    targets = write(tmp_path / "y.csv", FRAME[["id", "y", "c"]].iloc[::-1])
    other = write(tmp_path / "c.csv", FRAME[["id", "c"]].sample(frac=1.0, random_state=1))
    columns: Any = {"pred_columns": ("p",), "target_columns": ("y",), "on": ("id",)}
    assert sums("c", predictions, targets, **columns) == SUMS
    assert sums("c", predictions, targets, by_file=str(other), **columns) == SUMS
    assert sums("id", predictions, targets, **columns)[("d",)] == 2.0
    few = write(tmp_path / "few.csv", FRAME[["id", "y", "c"]].iloc[3:])
    found = sums("c", predictions, few, missing="drop", **columns)
    assert found == {("x",): 2 + 4.0, ("y",): 4.0}


def test_what_is_nowhere_or_in_two_tables(tmp_path: Path) -> None:
    predictions, targets = write(tmp_path / "p.csv", FRAME), write(tmp_path / "y.csv", FRAME)
    columns: Any = {"pred_columns": ("p",), "target_columns": ("y",)}
    with pytest.raises(
        UsageError, match=r"both .*p.csv and .*y.csv have the column 'c' of --by; say which with --by-f"
    ):
        sums("c", predictions, targets, **columns)
    assert sums("c", predictions, targets, by_file=str(targets), **columns) == SUMS
    with pytest.raises(
        UsageError, match=r"there is no column 'cc' \(--by\); did you mean 'c'\? .*p.csv has id, p, y, c"
    ):
        sums("cc", predictions, targets, **columns)
    np.save(tmp_path / "p.npy", np.ones(6))
    with pytest.raises(UsageError, match=r"p.npy has no columns"):
        sums("c", tmp_path / "p.npy", tmp_path / "p.npy")


def test_arrays_that_are_not_in_step(tmp_path: Path) -> None:
    for name, shape in (("p", 6), ("y", 6), ("few", 5), ("wide", (6, 2))):
        np.save(tmp_path / f"{name}.npy", np.ones(shape))
    files = (tmp_path / "p.npy", tmp_path / "y.npy")
    with pytest.raises(DataError, match=r"the numbers of rows differ: .*few.npy has 5 rows"):
        sums("g", *files, by_file=str(tmp_path / "few.npy"))
    with pytest.raises(DataError, match=r"wide.npy has more than one value a row: shape \(6, 2\)"):
        sums("g", *files, by_file=str(tmp_path / "wide.npy"))
