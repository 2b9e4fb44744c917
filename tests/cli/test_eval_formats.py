"""`lossctl eval`: every format in and out, and what is written beside the result."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

import lossctl
from tests.cli.commands import SAMPLES, call, document, saved, score, scores, write_csv

# ---- formats in


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same numbers in every format: three classes with their index, a value and weights."""
    folder = tmp_path_factory.mktemp("mixture")
    rng = np.random.default_rng(11)
    columns: dict[str, Any] = {f"p_{c}": rng.normal(0, 2, 300) for c in range(3)}
    columns |= {"label": rng.integers(0, 3, 300), "value": rng.normal(0, 2, 300), "w": rng.uniform(0, 2, 300)}
    np.save(folder / "p.npy", np.stack([columns[f"p_{c}"] for c in range(3)], axis=1))
    np.save(folder / "fortran.npy", np.asfortranarray(np.load(folder / "p.npy")))
    for name in ("label", "value", "w"):
        np.save(folder / f"{name}.npy", columns[name])
        write_csv(folder / f"{name}.csv", {name: columns[name]})
    write_csv(folder / "table.csv", columns)
    write_csv(folder / "table.tsv", columns, separator="\t")
    parquet.write_table(pa.table(columns), folder / "table.parquet")
    return folder


def test_every_mixture_of_formats_gives_the_same_bits(mixture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mixture)
    loss = ("-l", "scce:input=logit", "--weights", "w.npy")
    expected = scores("p.npy", "label.npy", *loss)
    assert scores("fortran.npy", "label.csv", *loss) == expected
    for table in ("table.csv", "table.tsv", "table.parquet"):
        assert scores(table, "--pred-col", "p_*", "--target-col", "label", *loss) == expected
        assert (
            scores(table, "--pred-col", "p_0,p_1,p_2", "--target-col", "label", "--weight-col", "w", *loss[:2])
            == expected
        )
        assert scores(table, table, "--pred-col", "p_*", "--target-col", "label", *loss) == expected
        assert scores(table, "label.npy", "--pred-col", "p_?", *loss) == expected
        for other in ("table.csv", "table.parquet"):
            assert scores(table, other, "--pred-col", "p_*", "--target-col", "label", *loss) == expected
        assert scores("p.npy", table, "--target-col", "label", *loss) == expected
    assert scores("value.csv", "value.npy", "-l", "mse") == ["0.0"]


def test_the_format_can_be_named(mixture: Path, here: Path) -> None:
    (here / "data").write_bytes((mixture / "table.csv").read_bytes())
    (here / "pred.bin").write_bytes((mixture / "value.npy").read_bytes())
    columns = ("--pred-col", "value", "--target-col", "label", "-l", "mae")
    expected = scores(mixture / "table.csv", *columns)
    assert scores("data", *columns, "--pred-format", "csv") == expected
    named = ("--pred-format", "npy", "--target-format", "csv", "--target-col", "label", "-l", "mae")
    assert scores("pred.bin", "data", *named) == expected


def test_the_order_of_named_columns_is_the_order_of_the_classes(mixture: Path) -> None:
    table = mixture / "table.csv"
    forwards = scores(table, "--pred-col", "p_0,p_1,p_2", "--target-col", "label", "-l", "scce:input=logit")
    backwards = scores(table, "--pred-col", "p_2,p_1,p_0", "--target-col", "label", "-l", "scce:input=logit")
    assert forwards != backwards


SMALL_TYPES = ["bool", "int8", "uint8", "int16", "uint64", "float16", "float32", ">f8", ">i4"]


@pytest.mark.parametrize("dtype", SMALL_TYPES)
def test_every_dtype_is_exact(here: Path, dtype: str) -> None:
    p = np.array([0, 1, 1, 0, 1]).astype(dtype)
    y = np.array([1, 1, 0, 0, 1]).astype(dtype)
    saved(here, p=p, y=y)
    for backend in ("python", "cpu"):
        assert scores("p.npy", "y.npy", "-l", "mse", "--backend", backend) == ["0.4"]
        assert scores("y.npy", "p.npy", "-l", "mae", "--backend", backend) == ["0.4"]


def test_integers_do_not_wrap(here: Path) -> None:
    saved(here, p=np.array([-128, 127], np.int8), y=np.array([255, 0], np.uint8))
    assert score("p.npy", "y.npy", "-l", "mse") == (383**2 + 127**2) / 2


# ---- formats out


@pytest.mark.usefixtures("files")
def test_several_losses_in_one_pass_stand_in_the_order_given() -> None:
    specs = ["mse", "huber:delta=0.1", "rmse", "mae"]
    arguments = [part for spec in specs for part in ("-l", spec)]
    together = scores("p.npy", "y.npy", *arguments)
    assert together == [scores("p.npy", "y.npy", "-l", spec)[0] for spec in specs]
    assert [result["loss"] for result in document("p.npy", "y.npy", *arguments)["results"]] == [
        "mse",
        "huber",
        "rmse",
        "mae",
    ]


@pytest.mark.usefixtures("files")
def test_a_pipe_gets_tsv_and_csv_is_the_same_table() -> None:
    plain = call("eval", "p.npy", "y.npy", "-l", "bce", "-l", "mse")
    assert plain.err == ""
    rows = list(csv.DictReader(io.StringIO(plain.out), delimiter="\t"))
    assert rows == list(
        csv.DictReader(io.StringIO(call("eval", "p.npy", "y.npy", "-l", "bce", "-l", "mse", "--format", "csv").out))
    )
    assert [row["loss"] for row in rows] == ["bce", "mse"]
    assert [row["value"] for row in rows] == scores("p.npy", "y.npy", "-l", "bce", "-l", "mse")
    assert rows[0]["signature"] == lossctl.evaluate("p.npy", "y.npy", "bce").signature
    assert call("eval", "p.npy", "y.npy", "-l", "bce", "-l", "mse", "--format", "tsv") == plain


@pytest.mark.usefixtures("files")
def test_the_result_document() -> None:
    found = document("p_float32.npy", "y.npy", "-l", "bce", "--weights", "w.npy")
    assert list(found) == [
        "schema",
        "version",
        "status",
        "inputs",
        "results",
        "gates",
        "backend",
        "threads",
        "seconds",
        "warnings",
    ]
    assert (found["schema"], found["version"], found["status"]) == ("lossctl.result/1", lossctl.__version__, "ok")
    assert [entry.pop("digest", "")[:10] for entry in found["inputs"]] == ["", "nh-sha256:", "nh-sha256:"]
    assert found["inputs"] == [
        {"role": "prediction", "path": "p_float32.npy", "format": "npy", "shape": [3], "dtype": "float32"},
        {"role": "target", "path": "y.npy", "format": "npy", "shape": [3], "dtype": "int64"},
        {"role": "weights", "path": "w.npy", "format": "npy", "shape": [3], "dtype": "float64"},
    ]
    assert (found["gates"], found["warnings"], found["backend"], found["threads"]) == ([], [], "python", 1)
    assert found["seconds"] >= 0.0
    (result,) = found["results"]
    expected = lossctl.evaluate("p_float32.npy", "y.npy", "bce", weights="w.npy")
    for name in ("loss", "reduction", "value", "unit", "sum", "weight", "samples", "nonfinite", "signature"):
        assert result[name] == getattr(expected, name)
    assert (result["weight"], result["samples"], result["unit"], result["status"]) == (6.0, 3, "nat", "ok")
    assert result["options"]["input"] == "prob"
    assert result["signature"].startswith("bce|input=prob|eps=0|")
    assert result["signature"].endswith(f"|reduction=mean|denom=weight|lossctl={lossctl.__version__}")


@pytest.mark.usefixtures("files")
def test_a_document_of_a_table_names_its_columns() -> None:
    inputs = document("table.csv", "--pred-col", "p", "--target-col", "y", "-l", "mse")["inputs"]
    assert [(entry["role"], entry["shape"], entry["columns"]) for entry in inputs] == [
        ("prediction", [3], ["p"]),
        ("target", [3], ["y"]),
    ]


@pytest.mark.parametrize("shown", ["table", "json", "csv", "tsv", "markdown"])
def test_the_result_goes_to_as_many_files_as_asked(files: Path, here: Path, shown: str) -> None:
    names = ["r.json", "r.csv", "r.tsv", "r.md", "r.txt", "R.JSON"]
    arguments = [part for name in names for part in ("-o", name)]
    outcome = call("eval", files / "p.npy", files / "y.npy", "-l", "mse", *arguments, "--format", shown)
    assert (outcome.code, outcome.err) == (0, "")
    texts = {name: (here / name).read_text() for name in names}
    assert sorted(path.name for path in here.iterdir()) == sorted(names)
    value = repr(lossctl.evaluate(files / "p.npy", files / "y.npy", "mse").value)
    assert json.loads(texts["r.json"])["results"][0]["value"] == float(value)
    assert texts["r.json"] == texts["R.JSON"]
    assert value in texts["r.csv"]
    assert value in texts["r.tsv"]
    assert texts["r.md"].startswith("| loss")
    assert "mse" in texts["r.txt"]
    shown_as = texts[f"r.{ {'table': 'txt', 'markdown': 'md'}.get(shown, shown) }"]
    if shown == "table":  # what is no file is drawn in the characters that it takes
        assert [word for word in outcome.out.split() if word.isalnum()] == [
            word for word in shown_as.split() if word.isalnum()
        ]
    else:
        assert outcome.out == shown_as


def test_score_only_prints_the_number_and_still_writes_files(files: Path, here: Path) -> None:
    outcome = call("eval", files / "p.npy", files / "y.npy", "-l", "mse", "-b", "-o", "r.json")
    assert outcome.out == f"{json.loads((here / 'r.json').read_text())['results'][0]['value']!r}\n"


def read_back(path: str) -> NDArray[Any]:
    """An array that lossctl wrote: (N,) or (N, M)."""
    if path.endswith(".npy"):
        return np.asarray(np.load(path))
    if path.endswith(".parquet"):
        columns = parquet.read_table(path).to_pydict()
    else:
        with open(path, newline="") as handle:
            rows = list(csv.DictReader(handle, delimiter="\t" if path.endswith(".tsv") else ","))
        columns = {name: [float(row[name]) for row in rows] for name in rows[0]}
    arrays = [np.array(column) for column in columns.values()]
    return arrays[0] if len(arrays) == 1 else np.stack(arrays, axis=1)


@pytest.mark.parametrize("extension", ["npy", "csv", "tsv", "parquet"])
def test_losses_and_gradients_are_those_of_the_python_api(here: Path, extension: str) -> None:
    folder = SAMPLES / "multiclass"
    data = folder / "logits.npy", folder / "labels.npy"
    spec = "scce:input=logit,label_smoothing=0.1"
    files = f"losses.{extension}", f"gradient.{extension}"
    outcome = call("eval", *data, "-l", spec, "--per-sample", files[0], "--grad", files[1])
    assert (outcome.code, outcome.err) == (0, "")
    assert np.array_equal(read_back(files[0]), lossctl.per_sample(*data, spec))
    gradient = lossctl.gradient(*data, spec)
    assert gradient.dtype == np.float32
    assert np.array_equal(read_back(files[1]).astype(np.float32), gradient)
    assert call("grad", *data, "-l", spec, "-o", f"alone.{extension}").code == 0
    assert (here / f"alone.{extension}").read_bytes() == (here / files[1]).read_bytes()


@pytest.mark.parametrize("extension", ["npy", "csv", "tsv", "parquet"])
def test_losses_of_each_row_by_several_losses_are_columns(here: Path, extension: str) -> None:
    rng = np.random.default_rng(2)
    saved(here, p=rng.uniform(0.01, 0.99, 9000), y=rng.integers(0, 2, 9000))
    specs, out = ("bce", "mse", "huber:delta=0.5"), f"losses.{extension}"
    losses = [word for spec in specs for word in ("--loss", spec)]
    outcome = call("eval", "p.npy", "y.npy", *losses, "--chunk-rows", "4096", "--per-sample", out, "--score-only")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == call("eval", "p.npy", "y.npy", *losses, "--score-only").out
    expected = np.stack([lossctl.per_sample("p.npy", "y.npy", spec) for spec in specs], axis=1)
    assert np.array_equal(read_back(out), expected)


def test_columns_of_losses_are_named_after_them(files: Path, here: Path) -> None:
    data = (files / "p.npy", files / "y.npy")
    call("eval", *data, "-l", "bce", "-l", "HuberLoss", "--per-sample", "a.csv")
    call("eval", *data, "-l", "huber:delta=1", "-l", "huber:delta=2", "--per-sample", "b.csv")
    headers = [(here / name).read_text().splitlines()[0] for name in ("a.csv", "b.csv")]
    assert headers == ["bce,huber", "huber:delta=1,huber:delta=2"]


def test_columns_of_a_gradient_are_named_after_those_of_the_predictions(files: Path, here: Path) -> None:
    call("eval", files / "table.csv", "--pred-col", "p,w", "--target-col", "y,id", "-l", "mse", "--grad", "g.csv")
    call("eval", files / "pair.npy", files / "pair.npy", "-l", "mse", "--grad", "h.csv", "--per-sample", "l.csv")
    headers = [(here / name).read_text().splitlines()[0] for name in ("g.csv", "h.csv", "l.csv")]
    assert headers == ["grad_p,grad_w", "grad_0,grad_1", "loss"]


def test_rows_that_are_ignored_have_no_loss_and_no_gradient(here: Path) -> None:
    saved(here, p=[[0.0, 1.0], [0.5, 0.5]], y=[-1, 1])
    for backend in ("python", "cpu"):
        arguments = ("-l", "scce:ignore_index=-1", "--backend", backend, "--per-sample", "l.npy", "--grad", "g.npy")
        assert call("eval", "p.npy", "y.npy", *arguments).code == 0
        losses = np.load("l.npy")
        assert math.isnan(losses[0])
        assert losses[1] == pytest.approx(math.log(2), rel=1e-15)
        assert np.load("g.npy").tolist() == [[0.0, 0.0], [0.0, -2.0]]


def test_an_existing_output_is_replaced_whole(files: Path, here: Path) -> None:
    (here / "r.json").write_text("old " * 10_000)
    (here / "l.npy").write_bytes(b"old" * 10_000)
    assert (
        call("eval", files / "p.npy", files / "y.npy", "-l", "mse", "-o", "r.json", "--per-sample", "l.npy").code == 0
    )
    assert json.loads((here / "r.json").read_text())["status"] == "ok"
    assert np.load(here / "l.npy").shape == (3,)


def test_spaces_may_belong_to_a_name(here: Path) -> None:
    (here / "t.csv").write_text("p,p ,y\n1,3,0\n2,4,0\n")
    assert scores("t.csv", "--pred-col", "p ", "--target-col", "y", "-l", "mae") == ["3.5"]
    assert scores("t.csv", "--pred-col", "p", "--target-col", " y", "-l", "mae") == ["1.5"]
