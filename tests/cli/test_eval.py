"""`lossctl eval`: the worked examples, every format in and out, weights, and what is written beside the result."""

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
from tests.cli.commands import SAMPLES, Outcome, call, refused, scores, write_csv


def score(*arguments: str | Path) -> float:
    (only,) = scores(*arguments)
    return float(only)


def saved(folder: Path, **arrays: Any) -> None:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.asarray(array))


def document(*arguments: str | Path) -> dict[str, Any]:
    """The result document, which must be JSON without NaN or Infinity."""
    outcome = call("eval", *arguments, "--format", "json")
    assert outcome.code == 0, outcome.err

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    found: dict[str, Any] = json.loads(outcome.out, parse_constant=refuse)
    return found


# ---- worked examples


@pytest.mark.parametrize(
    ("label", "probability", "nats", "bits"), [(1, 0.8, "0.2231", "0.3219"), (0, 0.1, "0.1054", "0.1520")]
)
def test_binary_cross_entropy_of_one_prediction(
    here: Path, label: int, probability: float, nats: str, bits: str
) -> None:
    saved(here, p=[probability], y=[label])
    assert f"{score('p.npy', 'y.npy', '-l', 'bce'):.4f}" == nats
    assert f"{score('p.npy', 'y.npy', '-l', 'bce:log_base=2'):.4f}" == bits
    assert scores("p.npy", "y.npy", "-l", "bce", "--log-base", "2") == scores("p.npy", "y.npy", "-l", "bce:log_base=2")


def test_the_mean_of_three_predictions_is_the_mean_of_their_losses(here: Path) -> None:
    saved(here, p=[0.8, 0.8, 0.1], y=[1, 1, 0])
    expected = -(2 * math.log(0.8) + math.log(0.9)) / 3
    assert score("p.npy", "y.npy", "-l", "bce") == pytest.approx(expected, rel=1e-15)
    assert score("p.npy", "y.npy", "-l", "bce", "--log-base", "2") == pytest.approx(expected / math.log(2), rel=1e-15)
    assert score("p.npy", "y.npy", "-l", "bce", "--reduction", "sum") == pytest.approx(3 * expected, rel=1e-15)


def test_categorical_cross_entropy_of_a_row_and_of_its_class_index(here: Path) -> None:
    saved(here, p=[[0.7, 0.2, 0.1]], onehot=[[1, 0, 0]], index=[0])
    for base, shown in (("e", "0.3567"), ("2", "0.5146")):
        dense = scores("p.npy", "onehot.npy", "-l", "cce", "--log-base", base)
        assert f"{float(dense[0]):.4f}" == shown
        assert scores("p.npy", "index.npy", "-l", "scce", "--log-base", base) == dense


def test_squared_error_of_2_89_against_3_07(here: Path) -> None:
    saved(here, p=[2.89], y=[3.07])
    assert score("p.npy", "y.npy", "-l", "mse") == pytest.approx(0.0324, rel=1e-14)
    assert score("p.npy", "y.npy", "-l", "half_mse") == pytest.approx(0.0162, rel=1e-14)
    call("grad", "p.npy", "y.npy", "-l", "half_mse", "--reduction", "sum", "-o", "g.npy")
    assert np.load("g.npy") == pytest.approx([2.89 - 3.07], rel=1e-15)


def test_both_readings_of_cosine_proximity(here: Path) -> None:
    a, b = np.array([[1.0, 2.0], [3.0, -4.0]]), np.array([[2.0, 1.0], [3.0, 4.0]])
    saved(here, a=a, b=b)
    by_row = [math.fsum(x * y) / math.hypot(*x) / math.hypot(*y) for x, y in zip(a, b, strict=True)]
    whole = math.fsum((a * b).ravel()) / math.hypot(*a.ravel()) / math.hypot(*b.ravel())
    assert score("a.npy", "b.npy", "-l", "cosine_similarity") == pytest.approx(-math.fsum(by_row) / 2, rel=1e-14)
    assert score("a.npy", "b.npy", "-l", "cosine_proximity:sign=1") == pytest.approx(math.fsum(by_row) / 2, rel=1e-14)
    assert score("a.npy", "b.npy", "-l", "cosine_distance") == pytest.approx(1 - math.fsum(by_row) / 2, rel=1e-14)
    assert score("a.npy", "b.npy", "-l", "cosine_global") == pytest.approx(-whole, rel=1e-14)


@pytest.mark.parametrize(
    ("folder", "targets", "loss"),
    [("binary", "labels", "bce"), ("multiclass", "labels", "scce"), ("multiclass", "onehot", "cce")],
)
def test_logits_have_the_loss_of_their_probabilities(folder: str, targets: str, loss: str) -> None:
    target = SAMPLES / folder / f"{targets}.npy"
    from_probabilities = score(SAMPLES / folder / "preds.npy", target, "-l", loss)
    from_logits = score(SAMPLES / folder / "logits.npy", target, "-l", loss, "--from-logits")
    assert from_logits == pytest.approx(from_probabilities, rel=1e-5)  # the files hold float32
    assert scores(SAMPLES / folder / "logits.npy", target, "-l", f"{loss}:input=logit") == [repr(from_logits)]


def test_names_of_other_frameworks_mean_the_loss_that_fits_the_shapes(here: Path) -> None:
    saved(here, p=[0.8, 0.1], y=[1, 0], rows=[[0.7, 0.3], [0.4, 0.6]], onehot=[[1, 0], [0, 1]], index=[0, 1])
    assert scores("p.npy", "y.npy", "-l", "log_loss") == scores("p.npy", "y.npy", "-l", "bce")
    assert scores("rows.npy", "onehot.npy", "-l", "log_loss") == scores("rows.npy", "onehot.npy", "-l", "cce")
    assert scores("rows.npy", "index.npy", "-l", "log_loss") == scores("rows.npy", "index.npy", "-l", "scce")
    logits = scores("rows.npy", "index.npy", "-l", "scce:input=logit")
    assert scores("rows.npy", "index.npy", "-l", "CrossEntropyLoss") == logits


# ---- what is accepted


@pytest.mark.usefixtures("files")
def test_a_column_of_one_value_is_a_vector() -> None:
    flat = scores("p.npy", "y.npy", "-l", "bce", "-l", "rmse")
    assert scores("column.npy", "y.npy", "-l", "bce", "-l", "rmse") == flat
    assert scores("p.npy", "column.npy", "-l", "mse") == ["0.0"]


@pytest.mark.usefixtures("files")
def test_whole_floats_are_class_indices() -> None:
    expected = scores("classes.npy", "index.npy", "-l", "scce")
    assert scores("classes.npy", "index_whole.npy", "-l", "scce") == expected


@pytest.mark.usefixtures("files")
def test_an_ignored_class_leaves_sum_and_denominator() -> None:
    expected = -(math.log(0.7) + math.log(0.6)) / 2
    for spec in (["scce:ignore_index=-1"], ["scce", "--ignore-index", "-1"]):
        assert score("classes.npy", "index_minus_1.npy", "-l", *spec) == pytest.approx(expected, rel=1e-15)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("empty", "value", "status"), [("nan", None, "nan"), ("zero", 0.0, "ok")])
def test_a_mean_of_nothing(empty: str, value: float | None, status: str) -> None:
    found = document("classes.npy", "index_zeros.npy", "-l", f"scce:ignore_index=0,empty={empty}")
    (result,) = found["results"]
    assert (result["value"], result["status"], result["samples"], result["weight"]) == (value, status, 0, 0.0)
    assert "nothing is left to average" in found["warnings"][0]


@pytest.mark.usefixtures("files")
def test_an_impossible_event_has_an_infinite_loss() -> None:
    found = document("impossible.npy", "y.npy", "-l", "bce")
    (result,) = found["results"]
    assert found["status"] == "nonfinite"
    assert (result["value"], result["sum"], result["status"], result["nonfinite"]) == (None, None, "inf", 1)
    assert scores("impossible.npy", "y.npy", "-l", "bce") == ["inf"]
    clipped = document("impossible.npy", "y.npy", "-l", "bce:eps=1e-7")["results"][0]
    assert (clipped["status"], clipped["clipped"]) == ("ok", 1)


@pytest.mark.usefixtures("files")
def test_a_sample_of_weight_0_is_absent_whatever_its_loss(here: Path) -> None:
    saved(here, p=[0.0, 0.5], y=[1, 1], w=[0.0, 2.0])
    for backend in ("python", "cpu"):
        found = document("p.npy", "y.npy", "-l", "bce", "--weights", "w.npy", "--backend", backend, "--grad", "g.npy")
        assert found["results"][0]["value"] == pytest.approx(math.log(2), rel=1e-15)
        assert np.load("g.npy").tolist() == [0.0, -2.0]


@pytest.mark.usefixtures("files")
def test_logits_that_look_like_probabilities_are_warned_of() -> None:
    outcome = call("eval", "p.npy", "y.npy", "-l", "bce", "--from-logits")
    assert outcome.code == 0
    assert outcome.err.startswith("lossctl: warning: p.npy: the logits of bce all look like probabilities")
    assert outcome.err.count("\n") == 1
    assert call("eval", "p.npy", "y.npy", "-l", "bce", "--from-logits", "--quiet") == Outcome(0, outcome.out, "")


# ---- weights


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_weights_come_from_a_file_or_a_column(here: Path, backend: str) -> None:
    p, y, w = np.array([0.8, 0.7, 0.1]), np.array([1, 1, 0]), np.array([1.0, 0.25, 3.0])
    saved(here, p=p, y=y, w=w)
    write_csv(here / "all.csv", {"p": p, "y": y, "w": w})
    both: dict[str, Any] = {"w": w, "other": w + 1}
    parquet.write_table(pa.table(both), here / "w.parquet")
    losses = [-math.log(0.8), -math.log(0.7), -math.log1p(-0.1)]
    expected = math.fsum(w * losses) / math.fsum(w)
    from_file = scores("p.npy", "y.npy", "-l", "bce", "--weights", "w.npy", "--backend", backend)
    assert float(from_file[0]) == pytest.approx(expected, rel=1e-15)
    table = ("all.csv", "--pred-col", "p", "--target-col", "y", "-l", "bce", "--backend", backend)
    assert scores(*table, "--weight-col", "w") == from_file
    assert scores(*table, "--weights", "w.npy") == from_file
    assert scores(*table, "--weights", "w.parquet", "--weight-col", "w") == from_file


def test_denominators_of_a_weighted_mean(here: Path) -> None:
    saved(here, p=[1.0, 3.0, 2.0], y=[0.0, 1.0, 2.0], w=[1.0, 2.0, 5.0])
    for denominator, divisor in (("weight", 8.0), ("count", 3.0), ("nonzero", 2.0)):
        for backend in ("python", "cpu"):
            arguments = ("p.npy", "y.npy", "-l", "mse", "--weights", "w.npy", "--denom", denominator)
            assert score(*arguments, "--backend", backend) == 9.0 / divisor


def test_class_weights_come_from_a_file_or_the_spec(here: Path) -> None:
    saved(here, p=[[0.7, 0.3], [0.4, 0.6]], y=[0, 1], w=[1.0, 3.0])
    expected = (-math.log(0.7) - 3 * math.log(0.6)) / 4
    from_file = scores("p.npy", "y.npy", "-l", "scce", "--class-weights", "w.npy")
    assert float(from_file[0]) == pytest.approx(expected, rel=1e-15)
    assert scores("p.npy", "y.npy", "-l", "scce:class_weight=1|3") == from_file


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


@pytest.mark.usefixtures("files")
def test_a_forced_gpu_that_is_not_there_is_the_machines_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossctl.backends.find_spec", lambda name: None)
    message = refused(4, "eval", "p.npy", "y.npy", "-l", "mse", "--backend", "cuda")
    assert "pip install 'lossctl[cuda]'" in message


@pytest.mark.usefixtures("files")
def test_environment_variables_are_defaults_and_flags_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSCTL_REDUCTION", "sum")
    monkeypatch.setenv("LOSSCTL_LOG_BASE", "2")
    in_bits = scores("p.npy", "y.npy", "-l", "bce:log_base=2", "--reduction", "sum", "--log-base", "2")
    assert scores("p.npy", "y.npy", "-l", "bce") == in_bits
    monkeypatch.delenv("LOSSCTL_LOG_BASE")
    monkeypatch.delenv("LOSSCTL_REDUCTION")
    plain = scores("p.npy", "y.npy", "-l", "bce")
    monkeypatch.setenv("LOSSCTL_REDUCTION", "sum")
    assert scores("p.npy", "y.npy", "-l", "bce", "--reduction", "mean") == plain
