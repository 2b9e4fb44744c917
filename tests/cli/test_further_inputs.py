"""`--input`, `--input-col`, `--input-format` and `--grad-input`: further arrays of a loss, from files and columns."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lossctl
from tests.cli.commands import call, refused, scores, write_csv

USAGE, DATA = 2, 3
P, Y, V = np.array([0.5, 1.0, -2.0, 0.25]), np.array([0.0, 1.5, 1.0, 0.25]), np.array([1.0, 0.5, 2.0, 4.0])
NLL = ("-l", "gaussian_nll")


@pytest.fixture
def files(here: Path) -> Path:
    """Predictions, targets and variances, as arrays and as a table."""
    for name, array in {"p": P, "y": Y, "v": V, "v_short": V[:2], "v_zero": V - 0.5, "pair": np.ones((4, 2))}.items():
        np.save(here / f"{name}.npy", array)
    write_csv(here / "t.csv", {"p": P, "y": Y, "var_iance": V})
    (here / "v.data").write_bytes((here / "v.npy").read_bytes())
    return here


@pytest.mark.usefixtures("files")
def test_the_array_may_come_from_any_file() -> None:
    expected = [repr(lossctl.evaluate(P, Y, "gaussian_nll", inputs={"var": V}).value)]
    table = ("t.csv", "--pred-col", "p", "--target-col", "y")
    assert scores("p.npy", "y.npy", *NLL, "--input", "var=v.npy") == expected
    assert scores("p.npy", "y.npy", *NLL, "--input=var=v.npy") == expected
    assert scores("p.npy", "y.npy", *NLL, "--input", "var=t.csv", "--input-col", "var=var_iance") == expected
    assert scores(*table, *NLL, "--input", "var=v.npy") == expected
    assert scores(*table, *NLL, "--input-col", "var=var_*") == expected
    assert scores("p.npy", "y.npy", *NLL, "--input", "var=v.data", "--input-format", "var=npy") == expected
    both = scores("p.npy", "y.npy", "-l", "mse", *NLL, "--input", "var=v.npy")
    assert both == [repr(lossctl.evaluate(P, Y, "mse").value), *expected]


@pytest.mark.usefixtures("files")
def test_the_document_lists_it_by_its_name() -> None:
    outcome = call("eval", "p.npy", "y.npy", *NLL, "--input", "var=v.npy", "--format", "json")
    inputs: list[dict[str, Any]] = json.loads(outcome.out)["inputs"]
    assert [entry["role"] for entry in inputs] == ["prediction", "target", "var"]
    assert inputs[2].pop("digest").startswith("nh-sha256:")
    assert inputs[2] == {"role": "var", "path": "v.npy", "format": "npy", "shape": [4], "dtype": "float64"}


@pytest.mark.usefixtures("files")
def test_gradients_by_several_arrays_in_one_run() -> None:
    given = ("p.npy", "y.npy", *NLL, "--input", "var=v.npy")
    expected = {of: lossctl.gradient(P, Y, "gaussian_nll", inputs={"var": V}, of=of) for of in ("prediction", "var")}
    scores(*given, "--grad", "g.npy", "--grad-input", "var=gv.npy")
    assert np.array_equal(np.load("g.npy"), expected["prediction"])
    assert np.array_equal(np.load("gv.npy"), expected["var"])
    scores(*given, "--grad-input", "var=alone.csv")
    assert Path("alone.csv").read_text().splitlines() == ["grad", *(repr(float(g)) for g in expected["var"])]
    table = ("t.csv", "--pred-col", "p", "--target-col", "y", *NLL, "--input-col", "var=var_iance")
    scores(*table, "--grad-input", "var=named.csv")
    assert Path("named.csv").read_text().startswith("grad_var_iance\n")


@pytest.mark.usefixtures("files")
def test_grad_tells_of_each_gradient() -> None:
    given = ("p.npy", "y.npy", *NLL, "--input", "var=v.npy")
    outcome = call("grad", *given, "-o", "g.npy", "--grad-input", "var=gv.npy")
    assert (outcome.code, outcome.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(outcome.out), delimiter="\t"))
    assert [(row["wrt"], row["path"]) for row in rows] == [("value", "g.npy"), ("var", "gv.npy")]
    assert float(rows[1]["max"]) == np.load("gv.npy").max()
    alone = call("grad", *given, "--grad-input", "var=only.npy")
    assert (alone.code, alone.err) == (0, "")
    assert np.array_equal(np.load("only.npy"), np.load("gv.npy"))


@pytest.mark.usefixtures("files")
def test_the_gradient_by_the_target_is_a_column_of_its_own() -> None:
    a, b = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([[2.0, 1.0], [1.0, 1.0]])
    np.save("a.npy", a)
    np.save("b.npy", b)
    np.save("s.npy", [1, -1])
    scores("a.npy", "b.npy", "-l", "cosine_embedding", "--input", "sign=s.npy", "--grad-input", "target=g.npy")
    assert np.array_equal(
        np.load("g.npy"), lossctl.gradient(a, b, "cosine_embedding", inputs={"sign": [1, -1]}, of="target")
    )


WRONG: list[tuple[str, int, tuple[str, ...]]] = [
    ("-l gaussian_nll", USAGE, ("needs an input 'var': the variance of each prediction", "--input var=FILE")),
    ("-l gaussian_nll --input v.npy", USAGE, ("--input 'v.npy' is not NAME=VALUE", "--input var=variances.npy")),
    ("-l gaussian_nll --input =v.npy", USAGE, ("'=v.npy' is not NAME=VALUE",)),
    ("-l gaussian_nll --input var=", USAGE, ("--input var has an empty name", "shell variable")),
    ("-l gaussian_nll --input var=v.npy --input var=p.npy", USAGE, ("--input var is given twice", "give it once")),
    ("-l gaussian_nll --input vra=v.npy", USAGE, ("does not take an input 'vra'", "did you mean var?")),
    ("-l mse --input var=v.npy", USAGE, ("mse takes no further input",)),
    ("-l mse --input prediction=v.npy", USAGE, ("mse takes no further input",)),
    ("-l gaussian_nll --input var=absent.npy", DATA, ("no such file: absent.npy",)),
    ("-l gaussian_nll --input var=v_short.npy", DATA, ("v_short.npy has 2 rows", "each row needs its own var")),
    ("-l gaussian_nll --input var=v_zero.npy", DATA, ("v_zero.npy, row 1: var 0 is outside (0, inf)", "1 of 4")),
    ("-l gaussian_nll --input var=pair.npy", DATA, ("pair.npy (4, 2) float64", "p.npy (4,) float64", "broadcast")),
    ("-l gaussian_nll --input-col var=x", USAGE, ("p.npy is an array", "--input-col var=…")),
    ("-l gaussian_nll --input var=t.csv", USAGE, ("3 columns", "which is the var?", "--input-col var=…")),
    ("-l gaussian_nll --input var=t.csv --input-col var=x", USAGE, ("t.csv has no column 'x'", "--input-col var=…")),
    ("-l gaussian_nll --input var=t.csv --input-col var=p,,y", USAGE, ("'p,,y' is not a list of columns",)),
    ("-l gaussian_nll --input var=v.npy --input-format sign=npy", USAGE, ("--input-format names 'sign'",)),
    ("-l gaussian_nll --input var=v.npy --input-format var=xml", USAGE, ("'xml'",)),
    ("-l gaussian_nll --input var=v.npy --grad-input g.npy", USAGE, ("--grad-input 'g.npy' is not NAME=VALUE",)),
    ("-l gaussian_nll --input var=v.npy --grad-input va=g.npy", USAGE, ("no gradient by 'va'", "did you mean var?")),
    ("-l gaussian_nll --input var=v.npy --grad-input prediction=g.npy", USAGE, ("not a further input",)),
    ("-l mse --grad-input target=g.npy", USAGE, ("mse has no gradient by 'target'", "it has one by prediction")),
    ("-l mse -l gaussian_nll --input var=v.npy --grad-input var=g.npy", USAGE, ("gradient of one loss",)),
    ("-l gaussian_nll --input var=v.npy --grad-input var=./v.npy", USAGE, ("same file as the input 'v.npy'",)),
    (
        "-l gaussian_nll --input var=v.npy -o v.npy.json --grad-input var=v.npy.json",
        USAGE,
        ("same file as the output",),
    ),
    ("-l gaussian_nll --input var=v.npy --grad-input var=absent/g.npy", USAGE, ("no folder",)),
]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("line", "code", "says"), WRONG, ids=lambda part: str(part)[:70])
def test_what_is_wrong(line: str, code: int, says: tuple[str, ...]) -> None:
    message = refused(code, "eval", "p.npy", "y.npy", *line.split())
    for part in says:
        assert part in message


@pytest.mark.usefixtures("files")
def test_grad_needs_one_file_at_least() -> None:
    assert "none is named" in refused(USAGE, "grad", "p.npy", "y.npy", *NLL, "--input", "var=v.npy")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("text", ["\x1b[31mred=v.npy", "a\nb=v.npy", "x" * 100_000, "\udcff=v.npy", "::error::=v.npy"])
def test_what_the_user_wrote_cannot_speak_to_the_terminal(text: str) -> None:
    for option in ("--input", "--input-col", "--input-format", "--grad-input"):
        outcome = call("eval", "p.npy", "y.npy", *NLL, "--input", "var=v.npy", option, text)
        assert outcome.code == USAGE
        assert outcome.err[:-1].isprintable()
        assert len(outcome.err) < 3000
