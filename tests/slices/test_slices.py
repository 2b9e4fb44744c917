"""Losses by slice: each is what an evaluation of the rows of the slice alone finds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lossctl
from lossctl.catalogue.loss_spec import parse
from lossctl.errors import DataError, UsageError
from lossctl.evaluation import Evaluation
from lossctl.requests import Request
from lossctl.results import LossResult
from lossctl.rows.inputs import InputFiles, open_feed
from lossctl.slices.levels import encoder_of
from lossctl.slices.results import SliceResult, SliceTable, slices_frame
from lossctl.slices.slicing import Slicing, parse_columns
from lossctl.slices.streaming import SliceWatch
from lossctl.worst import IdColumns, WorstWatch
from lossctl_kernels.spec import Scope
from tests.kernels.cases import Case, each, for_each_loss, forms
from tests.rows.test_nonfinite_registry import data_of

ROWS = 9000
COUNTRIES = np.array(["DE", "FR", "US", "a,b=]\"'", ""])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Predictions, targets, weights and what makes slices; more than one block of rows."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "p": random.uniform(0.01, 0.99, ROWS),
            "y": random.integers(0, 2, ROWS),
            "w": random.choice([0.0, 0.5, 3.0], ROWS),
            "country": random.choice([*COUNTRIES, None], ROWS),
            "sex": random.choice(["f", "m"], ROWS),
            "age": np.where(random.random(ROWS) < 0.05, np.nan, random.uniform(-5.0, 90.0, ROWS)),
            "rare": np.where(np.arange(ROWS) < 3, "few", "many"),
        }
    )
    path = tmp_path / "t.parquet"
    frame.to_parquet(path)
    return path


def evaluated(
    files: InputFiles,
    losses: Sequence[str],
    by: Sequence[str] = (),
    *,
    cross: bool = False,
    least: int | None = None,
    top: int | None = None,
    ids: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    **watching: Any,
) -> tuple[LossResult, ...]:
    """The results of an evaluation with these slices, and these worst rows."""
    from dataclasses import replace

    slicing = Slicing.of(parse_columns(by), cross, least)
    encoders = {column.name: encoder_of(column) for column in slicing.columns}
    given = replace(files, by=encoders, numbered=top is not None)
    with closing(open_feed(given)) as feed:
        evaluation = Evaluation(feed, Request([parse(each) for each in losses], **(options or {})))
        if by:
            SliceWatch(evaluation, slicing, encoders, **watching)
        if top is not None:
            WorstWatch(evaluation, top, IdColumns(given, ids) if ids else None)
        return evaluation.run().results


def of(table: SliceTable) -> dict[tuple[str | None, ...], SliceResult]:
    return {each.key: each for each in table.slices}


def close(found: float, wanted: float) -> bool:
    """Equal but for the last bit: sums of blocks are rounded, and another slice has other blocks."""
    return found == wanted or math.isclose(found, wanted, rel_tol=2.3e-16) or (math.isnan(found) and math.isnan(wanted))


SETTINGS = [
    ("bce", {}, None),
    ("bce", {}, "w"),
    ("bce", {"reduction": "sum"}, "w"),
    ("mae", {"flags": {"denom": "count"}}, "w"),
    ("mae", {"flags": {"denom": "valid"}}, "w"),
    ("hinge:labels=01", {"flags": {"denom": "nonzero"}}, None),
    ("mae", {"flags": {"denom": "elements"}}, "w"),
    ("rmse", {}, "w"),
    ("rmsle", {}, None),
    ("wape", {}, "w"),
    ("max_error", {}, None),
    ("median_ae", {}, None),
    ("dice:scope=all", {}, None),
]


@pytest.mark.parametrize(("loss", "options", "weight"), SETTINGS, ids=lambda each: str(each).replace(" ", "")[:40])
@pytest.mark.parametrize("chunk_rows", [None, 4096])
def test_a_slice_is_what_an_evaluation_of_its_rows_finds(
    table: Path, tmp_path: Path, loss: str, options: dict[str, Any], weight: str | None, chunk_rows: int | None
) -> None:
    files = InputFiles(str(table), None, ("p",), ("y",), weight_column=weight)
    given = {**options, "chunk_rows": chunk_rows}
    (result,) = evaluated(files, [loss], ["country"], options=given, statistics=True, confidence=0.9)
    frame = pd.read_parquet(table)
    (slices,) = result.slices
    assert len(slices.slices) == frame["country"].nunique(dropna=False)
    for (key,), found in of(slices).items():
        rows = frame[frame["country"].isna() if key is None else frame["country"] == key]
        alone = tmp_path / "alone.parquet"
        rows.to_parquet(alone)
        with closing(open_feed(InputFiles(str(alone), None, ("p",), ("y",), weight_column=weight))) as feed:
            evaluation = Evaluation(feed, Request([parse(loss)], **options))
            evaluation.observe(0.9)
            (wanted,) = evaluation.run().results
        assert close(found.value, wanted.value)
        assert close(found.sum, wanted.sum)
        assert close(found.weight, wanted.weight)
        assert found.samples == wanted.samples
        assert found.difference == found.value - result.value
        if wanted.stats is not None:
            assert found.std_error == pytest.approx(wanted.stats.std_error, rel=1e-11)
            assert found.ci_low == pytest.approx(wanted.stats.ci_low, rel=1e-11)
            assert found.ci_high == pytest.approx(wanted.stats.ci_high, rel=1e-11)
        else:
            assert found.std_error is None


@for_each_loss(forms())
def test_every_loss_has_slices_but_those_of_pairs(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        prediction, target, inputs = data_of(case)
        groups = np.arange(len(target)) % 3
        given: dict[str, Any] = {"inputs": inputs, "backend": "python"}
        if case.plan().scope is Scope.PAIRS:
            with pytest.raises(UsageError, match="it has no slices"):
                lossctl.evaluate(prediction, target, str(case), by={"g": groups}, **given)
            return
        result = lossctl.evaluate(prediction, target, str(case), by={"g": groups}, **given)
        for (key,), found in of(result.slices[0]).items():
            rows = groups == int(key or -1)
            few = {name: array[rows] for name, array in inputs.items()}
            wanted = lossctl.evaluate(prediction[rows], target[rows], str(case), inputs=few, backend="python")
            assert found.value == pytest.approx(wanted.value, rel=2e-15, nan_ok=True), (case, key)
            assert (found.samples, found.weight) == (wanted.samples, wanted.weight)

    each(cases, check)


@pytest.mark.parametrize("denom", ["weight", "count", "valid"])
def test_class_weights_ignored_rows_and_sample_weights(tmp_path: Path, denom: str) -> None:
    random = np.random.default_rng(3)
    arrays = {
        "p": random.dirichlet(np.ones(4), 500),
        "y": random.integers(-1, 4, 500),
        "w": random.choice([0.0, 1.0, 2.5], 500),
        "g": random.integers(0, 5, 500),
    }
    arrays["y"][arrays["g"] == 4] = -1
    options = {"flags": {"class_weight": (1.0, 2.0, 0.5, 3.0), "ignore_index": -1, "denom": denom}}

    def of_rows(name: str, rows: Any, by: Sequence[str] = ()) -> LossResult:
        np.savez(tmp_path / name, **{key: array[rows] for key, array in arrays.items()})
        path = str(tmp_path / name)
        (result,) = evaluated(InputFiles(path, path, ("p",), ("y",), path, "w"), ["scce"], by, options=options)
        return result

    table_of_all = of_rows("all.npz", slice(None), ["g"]).slices[0]
    found = of(table_of_all)
    assert (sorted(found), table_of_all.small) == ([(key,) for key in "0123"], 1)  # all of one are ignored
    for (key,), each_ in found.items():
        wanted = of_rows("few.npz", arrays["g"] == int(key or -1))
        assert close(each_.value, wanted.value)
        assert each_.samples == wanted.samples
        assert each_.weight == pytest.approx(wanted.weight, rel=1e-15)


def test_pandas_finds_the_same(table: Path) -> None:
    files = InputFiles(str(table), None, ("p",), ("y",), weight_column="w")
    (result,) = evaluated(files, ["bce"], ["country", "sex"], cross=True)
    frame = pd.read_parquet(table)
    losses = -np.where(frame["y"] == 1, np.log(frame["p"]), np.log1p(-frame["p"]))
    frame = frame.assign(weighted=losses * frame["w"])
    grouped = frame.groupby(["country", "sex"], dropna=False)[["weighted", "w"]].sum()
    wanted = (grouped["weighted"] / grouped["w"]).sort_values(ascending=False)
    assert [each.value for each in result.slices[0].slices] == pytest.approx(list(wanted), rel=1e-13)
    assert [each.key for each in result.slices[0].slices] == [
        tuple(None if pd.isna(part) else part for part in key) for key in wanted.index
    ]
    found = slices_frame([result])
    assert found["value"].tolist() == [each.value for each in result.slices[0].slices]
    assert list(found.columns)[:5] == ["loss", "signature", "by", "country", "sex"]


def test_intervals_hold_their_lower_edge(tmp_path: Path) -> None:
    ages = [-1.0, 0.0, 29.999, 30.0, 60.0, 1e300, math.inf, -math.inf, math.nan]
    frame = pd.DataFrame({"p": np.arange(9.0), "y": 0.0, "age": ages})
    for name, write in (("a.csv", frame.to_csv), ("a.parquet", frame.to_parquet)):
        write(tmp_path / name, index=False)
        files = InputFiles(str(tmp_path / name), None, ("p",), ("y",))
        (result,) = evaluated(files, ["mae"], ["age:bins=0, 30,60"])
        sums = {key: each.sum for (key,), each in of(result.slices[0]).items()}
        assert sums == {"(…,0)": 0.0 + 7.0, "[0,30)": 1.0 + 2.0, "[30,60)": 3.0, "[60,…)": 4.0 + 5.0 + 6.0, None: 8.0}


def test_the_bits_do_not_depend_on_chunks(table: Path) -> None:
    files = InputFiles(str(table), None, ("p",), ("y",), weight_column="w")
    found = [
        evaluated(files, ["bce", "rmse"], ["country", "age:bins=0,50"], cross=True, options={"chunk_rows": rows})
        for rows in (None, 4096)
    ]
    for whole, parted in zip(*found, strict=True):
        for one, other in zip(whole.slices[0].slices, parted.slices[0].slices, strict=True):
            assert one.key == other.key
            assert close(one.value, other.value)
            assert one.samples == other.samples


def test_small_slices_are_counted(table: Path) -> None:
    (result,) = evaluated(InputFiles(str(table), None, ("p",), ("y",)), ["bce"], ["rare"], least=4)
    (slices,) = result.slices
    assert [each.key for each in slices.slices] == [("many",)]
    assert (slices.small, slices.small_samples) == (1, 3)
    assert slices.gap == 0.0
    assert slices.to_document()["small"] == 1


def test_rows_that_are_skipped_are_in_no_slice(tmp_path: Path) -> None:
    frame = pd.DataFrame({"p": [1.0, math.nan, 3.0, 4.0], "y": 0.0, "g": ["a", "b", "a", "c"]})
    frame.to_parquet(tmp_path / "t.parquet")
    files = InputFiles(str(tmp_path / "t.parquet"), None, ("p",), ("y",), gaps=True)
    (result,) = evaluated(files, ["mae"], ["g"], top=2, ids=["g"], options={"nonfinite": "skip"})
    assert {key: each.value for (key,), each in of(result.slices[0]).items()} == {"c": 4.0, "a": 2.0}
    assert [(each.row, each.loss, each.ids) for each in result.worst] == [(3, 4.0, {"g": "c"}), (2, 3.0, {"g": "a"})]


def test_what_is_propagated_stays_in_its_slice(tmp_path: Path) -> None:
    frame = pd.DataFrame({"p": [1.0, math.nan, 3.0, 4.0], "y": 0.0, "g": list("abac"), "w": [1.0, 1.0, math.inf, 1.0]})
    frame.to_parquet(tmp_path / "t.parquet")
    files = InputFiles(str(tmp_path / "t.parquet"), None, ("p",), ("y",), gaps=True)
    mae, rmse = evaluated(files, ["mae", "rmse"], ["g"], options={"nonfinite": "propagate"})
    for result, wanted in ((mae, 2.0), (rmse, math.sqrt(5.0))):
        found = of(result.slices[0])
        assert math.isnan(result.value)
        assert math.isnan(found[("b",)].value)
        assert found[("c",)].value == 4.0
        assert found[("a",)].value == pytest.approx(wanted)
        assert result.slices[0].slices[0].key == ("b",)
        assert math.isnan(result.slices[0].gap)
    weighted = InputFiles(str(tmp_path / "t.parquet"), None, ("p",), ("y",), weight_column="w", gaps=True)
    (result,) = evaluated(weighted, ["mae"], ["g"], options={"nonfinite": "propagate"})
    found = of(result.slices[0])
    assert (math.isnan(found[("a",)].value), found[("c",)].value) == (True, 4.0)


def test_a_slice_of_weight_0_has_no_value(tmp_path: Path) -> None:
    pd.DataFrame({"p": [1.0, 2.0], "y": 0.0, "g": list("ab"), "w": [0.0, 1.0]}).to_parquet(tmp_path / "t.parquet")
    files = InputFiles(str(tmp_path / "t.parquet"), None, ("p",), ("y",), weight_column="w")
    for result in evaluated(files, ["mae", "rmse"], ["g"]):
        assert math.isnan(of(result.slices[0])[("a",)].value)
        assert of(result.slices[0])[("a",)].to_document(["g"])["status"] == "nan"
        assert of(result.slices[0])[("b",)].value == 2.0


def test_losses_that_float64_only_just_holds() -> None:
    prediction, groups = np.array([3e307, 3e307, 3e307, 1e-300, 3e-300]), [0, 0, 0, 1, 1]
    result = lossctl.evaluate(prediction, np.zeros(5), "mae", by={"g": groups})
    found = of(result.slices[0])
    assert found[("0",)].value == 3e307
    assert found[("1",)].value == pytest.approx(2e-300)


def test_a_median_of_more_than_a_million_values_in_each_slice() -> None:
    random = np.random.default_rng(0)
    prediction, groups = random.normal(size=2_300_000), np.arange(2_300_000) % 2
    result = lossctl.evaluate(prediction, np.zeros(prediction.size), "median_ae", by={"g": groups})
    for (key,), found in of(result.slices[0]).items():
        assert found.value == np.median(np.abs(prediction[groups == int(key or 0)]))


def test_many_slices_of_a_loss_that_takes_them_one_by_one() -> None:
    with pytest.raises(DataError, match="more than 1000 slices by g, and rmse takes them one by one"):
        lossctl.evaluate(np.ones(2000), np.zeros(2000), "rmse", by={"g": np.arange(2000)})


def test_crossed_columns_with_too_many_slices() -> None:
    a, b = np.arange(10_001) % 200, np.arange(10_001) // 200
    with pytest.raises(DataError, match="more than 10000 slices together"):
        lossctl.evaluate(np.ones(10_001), np.zeros(10_001), "mae", by={"a": a, "b": b}, cross=True)
    result = lossctl.evaluate(np.ones(10_000), np.zeros(10_000), "mae", by={"a": a[:-1], "b": b[:-1]}, cross=True)
    assert len(result.slices[0].slices) == 10_000


def test_columns_with_many_values_are_crossed() -> None:
    random = np.random.default_rng(0)
    a, b = random.integers(0, 3000, 9000), random.integers(0, 3000, 9000)
    result = lossctl.evaluate(np.arange(9000.0), np.zeros(9000), "mae", by={"a": a, "b": b}, cross=True)
    frame = pd.DataFrame({"a": a.astype(str), "b": b.astype(str), "p": np.arange(9000.0)})
    wanted = frame.groupby(["a", "b"])["p"].mean()
    assert {each.key: each.value for each in result.slices[0].slices} == pytest.approx(dict(wanted))


ARRAYS: dict[str, tuple[Any, list[str | None]]] = {
    "list": (["a", "b", None], ["a", "b", None]),
    "text": (np.array(["a", "b", "a"]), ["a", "b", "a"]),
    "objects": (np.array(["a", None, "b"], object), ["a", None, "b"]),
    "another byte order": (np.array([1, 2, 1], ">i4"), ["1", "2", "1"]),
    "bools": (np.array([True, False, True]), ["true", "false", "true"]),
    "series": (pd.Series(["a", "b", np.nan]), ["a", "b", None]),
    "categories": (pd.Categorical(["a", None, "b"]), ["a", None, "b"]),
    "masked": (np.ma.masked_array([1, 2, 3], [False, True, False]), ["1", None, "3"]),
    "arrow": (pa.chunked_array([["a"], ["b", "c"]]), ["a", "b", "c"]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_every_kind(name: str) -> None:
    values, wanted = ARRAYS[name]
    result = lossctl.evaluate([1.0, 2.0, 4.0], [0.0, 0.0, 0.0], "mae", by={"g": values})
    sums: dict[str | None, float] = {}
    for key, loss in zip(wanted, [1.0, 2.0, 4.0], strict=True):
        sums[key] = sums.get(key, 0.0) + loss
    assert {key: each.sum for (key,), each in of(result.slices[0]).items()} == sums


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no name": ({"by": 3}, UsageError, "by is not names of columns: found 3"),
    "no names": ({"by": [1]}, UsageError, "by is not names of columns"),
    "names of nothing": ({"by": "g"}, UsageError, "by names columns, and predictions and targets are arrays"),
    "nothing to cross": ({"cross": True}, UsageError, "cross= is of two columns or more"),
    "too few": ({"by": {"g": [1, 2]}}, DataError, "the numbers of rows differ: .*slice g"),
    "one text": ({"by": {"g": "abc"}}, DataError, "the numbers of rows differ"),
    "two axes": ({"by": {"g": np.ones((3, 2))}}, DataError, "by 'g' is no column of values"),
    "lists": ({"by": {"g": [[1], [2], [3]]}}, DataError, "more than one value a row"),
    "an object": ({"by": {"g": object()}}, DataError, "by 'g' is no column of values"),
    "mixed": ({"by": {"g": [1, "a", None]}}, DataError, "by 'g' is no column of values"),
    "text in intervals": ({"by": {"g:bins=1": list("xyz")}}, DataError, "by 'g', row 0: 'x' is not a number"),
    "twice": ({"by": {"g": [1, 2, 3], "g:bins=2": [1, 2, 3]}}, UsageError, "by= names 'g' twice"),
    "top of no number": ({"top": "3"}, UsageError, "top= must be from 1 to 10000, found '3'"),
    "a key": ({"by": {"g": [1, 2, 3]}, "on": "id"}, UsageError, "on"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_python_may_get_wrong(name: str) -> None:
    given, kind, told = WRONG[name]
    with pytest.raises(kind, match=told):
        lossctl.evaluate([1.0, 2.0, 4.0], [0.0, 0.0, 0.0], "mae", **given)


def test_columns_of_files_from_python(table: Path, tmp_path: Path) -> None:
    frame = pd.read_parquet(table)
    np.save(tmp_path / "p.npy", frame["p"].to_numpy())
    frame[["y"]].to_parquet(tmp_path / "y.parquet")
    result = lossctl.evaluate(tmp_path / "p.npy", tmp_path / "y.parquet", "bce", by=["y"], min_slice=10)
    wanted = lossctl.evaluate(tmp_path / "p.npy", tmp_path / "y.parquet", "bce", by={"y": frame["y"]})
    assert result.slices[0].slices == wanted.slices[0].slices
