"""The rows with the largest losses: against sorting all of them, wherever chunks begin and whatever is left out."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lossctl
from lossctl.catalogue.loss_spec import parse
from lossctl.errors import DataError, LossctlWarning, UsageError
from lossctl.evaluation import Evaluation
from lossctl.requests import Request
from lossctl.results import LossResult
from lossctl.rows.inputs import InputFiles, open_feed
from lossctl.values.preparation import Prepared
from lossctl.worst import IdColumns, WorstWatch, _Worst
from lossctl_kernels.batch import Batch

ROWS = 10_000


def worst_of(files: InputFiles, count: int, ids: list[str] | None = None, **request: Any) -> tuple[LossResult, ...]:
    given = replace(files, numbered=True)
    with closing(open_feed(given)) as feed:
        evaluation = Evaluation(feed, Request([parse("mae")], **request))
        WorstWatch(evaluation, count, IdColumns(given, ids) if ids else None)
        return evaluation.run().results


@pytest.mark.parametrize("count", [1, 7, 5000, 10_000])
@pytest.mark.parametrize("chunk_rows", [None, 4096])
@pytest.mark.parametrize("levels", [3, 1000, 10**9])
def test_the_worst_rows_are_the_first_of_all_sorted(
    tmp_path: Path, count: int, chunk_rows: int | None, levels: int
) -> None:
    random = np.random.default_rng(levels)
    losses = random.integers(0, levels, ROWS).astype(np.float64)
    np.save(tmp_path / "p.npy", losses)
    np.save(tmp_path / "y.npy", np.zeros(ROWS))
    files = InputFiles(str(tmp_path / "p.npy"), str(tmp_path / "y.npy"))
    (result,) = worst_of(files, count, chunk_rows=chunk_rows)
    wanted = np.lexsort((np.arange(ROWS), -losses))[:count]
    assert [each.row for each in result.worst] == wanted.tolist()
    assert [each.loss for each in result.worst] == losses[wanted].tolist()
    assert [each.prediction for each in result.worst] == losses[wanted].tolist()
    assert {each.target for each in result.worst} == {0.0}


def test_nan_is_worse_than_infinity_which_is_worse_than_any_number(tmp_path: Path) -> None:
    prediction = [1.0, math.inf, 5.0, math.nan, 1e308, math.nan, math.inf]
    pd.DataFrame({"p": prediction, "y": 0.0}).to_parquet(tmp_path / "t.parquet")
    files = InputFiles(str(tmp_path / "t.parquet"), None, ("p",), ("y",), gaps=True)
    (result,) = worst_of(files, 6, nonfinite="propagate")
    assert [each.row for each in result.worst] == [3, 5, 1, 6, 4, 2]
    assert result.worst[0].to_document() == {
        "row": 3,
        "loss": None,
        "status": "nan",
        "prediction": None,
        "target": 0.0,
    }


@pytest.mark.parametrize("loss", ["mae", "cosine_similarity"])
@pytest.mark.parametrize("count", [1, 30, 4000])
def test_chunk_after_chunk_with_nan_and_infinities_among_them(loss: str, count: int) -> None:
    """The more there are, the fewer are looked at closely; a gain has its smallest first."""
    random, gain = np.random.default_rng(count), loss == "cosine_similarity"
    losses = np.round(random.normal(size=9 * 4096), 2)
    losses[random.integers(0, losses.size, 40)] = np.inf
    losses[random.integers(0, losses.size, 40)] = -np.inf
    losses[random.integers(0, losses.size, 12)] = np.nan
    keep, weights = random.random(losses.size) < 0.9, random.integers(0, 4, losses.size).astype(float)
    watch = _Rows()
    worst = _Worst(count, watch, gain)  # type: ignore[arg-type]
    for start in range(0, losses.size, 4096):
        part = slice(start, start + 4096)
        watch.first = start
        batch = Batch(losses[part], losses[part], weights[part], keep[part])
        worst.add_rows(losses[part], Prepared(batch, None, 4096), "weight")
    there = np.flatnonzero(keep & (weights > 0))
    badness = np.where(np.isnan(losses), -np.inf, np.where(gain, losses, -losses).clip(-1e300, 1e300))
    wanted = there[np.lexsort((there, badness[there]))][:count]
    assert worst.rows.tolist() == wanted.tolist()
    np.testing.assert_array_equal(worst.losses, losses[wanted])


class _Rows:
    """Stands for the rows of a chunk: their numbers, whatever is asked for."""

    first = 0

    def of_chunk(self, role: str, at: Any) -> list[Any]:
        return (at + self.first).tolist()  # type: ignore[no-any-return]


def test_rows_of_no_weight_and_ignored_ones_are_none() -> None:
    weights = [1.0, 0.0, 2.0]
    result = lossctl.evaluate([1.0, 9.0, 3.0], [0.0, 0.0, 0.0], "mae", weights=weights, top=5)
    assert [(each.row, each.loss) for each in result.worst] == [(2, 3.0), (0, 1.0)]
    prediction = np.array([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]])
    ignoring = lossctl.evaluate(prediction, [0, 0, -1], "scce:ignore_index=-1", top=5)
    assert [each.row for each in ignoring.worst] == [1, 0]
    assert [(each.prediction, each.target) for each in ignoring.worst] == [(None, 0), (None, 0)]


def test_several_losses_have_their_own(tmp_path: Path) -> None:
    with pytest.warns(LossctlWarning, match="rmse has no losses of single samples: there are no worst rows"):
        mae, rmse, hinge = lossctl.evaluate([0.5, -3.0], [1, -1], ["mae", "rmse", "hinge"], top=1)
    assert [each.row for each in mae.worst] == [1]
    assert rmse.worst == ()
    assert [(each.row, each.target) for each in hinge.worst] == [(0, 1)]
    with pytest.raises(UsageError, match="rmse has no losses of single samples: there are no worst rows"):
        lossctl.evaluate([0.5], [1.0], "rmse", top=1)
    for count in (0, -1, 10_001):
        with pytest.raises(UsageError, match="top= must be from 1 to 10000"):
            lossctl.evaluate([0.5], [1.0], "mae", top=count)


@pytest.fixture
def tables(tmp_path: Path) -> InputFiles:
    """Predictions and targets in another order, with keys; one of the targets is not there."""
    keys = [f"k{row}" for row in range(6)]
    frame = pd.DataFrame({"id": keys, "p": [5.0, 1.0, 4.0, 2.0, 3.0, 0.0], "note": [None, *"abcde"]})
    frame.to_csv(tmp_path / "p.csv", index=False)
    pd.DataFrame({"id": keys[:0:-1], "y": 0.0, "place": list("vwxyz")}).to_csv(tmp_path / "y.csv", index=False)
    return InputFiles(str(tmp_path / "p.csv"), str(tmp_path / "y.csv"), ("p",), ("y",), on=("id",), missing="drop")


def test_rows_are_those_of_the_file_where_some_are_left_out(tables: InputFiles) -> None:
    (result,) = worst_of(tables, 2, ["id", "note"])
    assert [(each.row, dict(each.ids)) for each in result.worst] == [
        (2, {"id": "k2", "note": "b"}),
        (4, {"id": "k4", "note": "d"}),
    ]
    with pytest.raises(UsageError, match=r"'place' of --id-col is in .*y.csv, whose rows are matched with --on"):
        worst_of(tables, 2, ["place"])


def test_ids_of_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", p=[1.0, 3.0, 2.0], y=[0.0, 0.0, 0.0], id=["a", "b", "c"], wide=np.ones((3, 2)))
    np.save(tmp_path / "ids.npy", np.array([10, 20, 30]))
    path = str(tmp_path / "t.npz")
    files = InputFiles(path, path, ("p",), ("y",))
    assert [each.ids for each in worst_of(files, 2, ["id"])[0].worst] == [{"id": "b"}, {"id": "c"}]
    named = replace(files, by_file=str(tmp_path / "ids.npy"))
    assert [each.ids for each in worst_of(named, 1, ["number"])[0].worst] == [{"number": "20"}]
    with pytest.raises(DataError, match=r"has more than one value a row: shape \(3, 2\)"):
        worst_of(files, 1, ["wide"])
    with pytest.raises(UsageError, match=r"there is no column 'ids' \(--id-col\); did you mean 'id'\?"):
        worst_of(files, 1, ["ids"])


def test_of_what_is_better_when_it_is_larger_the_smallest_is_the_worst() -> None:
    prediction = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 1.0]]
    target = [[1.0, 0.0]] * 4
    by = {"group": ["same", "across", "against", "between"]}
    gain = lossctl.evaluate(prediction, target, "cosine_similarity:sign=1", by=by, top=2)
    loss = lossctl.evaluate(prediction, target, "cosine_similarity", by=by, top=2)
    assert [each.row for each in gain.worst] == [each.row for each in loss.worst] == [2, 1]
    wanted = ["against", "across", "between", "same"]
    assert [each.key[0] for each in gain.slices[0].slices] == wanted
    assert [each.key[0] for each in loss.slices[0].slices] == wanted
