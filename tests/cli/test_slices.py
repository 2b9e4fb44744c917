"""`lossctl eval` with slices, worst rows and gates about them, as a shell sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.cli.commands import Outcome, call, command, refused

TABLE = ("t.csv", "--pred-col", "p", "--target-col", "y", "--loss", "mae")


@pytest.fixture(autouse=True)
def _table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(
        {
            "id": [f"u{row}" for row in range(8)],
            "p": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
            "y": [0.0] * 8,
            "country": ["DE", "DE", "FR", "FR", "FR", None, "New York", "New York"],
            "sex": list("fmfmfmfm"),
            "age": [5, 35, 65, 5, 35, 65, 5, 35],
        }
    )
    frame.to_csv("t.csv", index=False)


def document(*arguments: str) -> dict[str, Any]:
    outcome = call("eval", *TABLE, *arguments, "--format", "json")
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def values(table: dict[str, Any]) -> dict[tuple[str | None, ...], float]:
    return {tuple(each["key"].values()): each["value"] for each in table["slices"]}


def test_slices_of_each_column_the_worst_first() -> None:
    country, age = document("--by", "country", "--by", "age:bins=30,60")["results"][0]["slices"]
    assert country["by"] == ["country"]
    assert list(values(country).items()) == [(("New York",), 7.5), ((None,), 6.0), (("FR",), 4.0), (("DE",), 1.5)]
    assert values(age) == {("[60,…)",): 4.5, ("[30,60)",): 5.0, ("(…,30)",): 4.0}
    assert (country["gap"], country["slices"][0]["difference"]) == (6.0, 3.0)


def test_crossed_columns_and_small_slices() -> None:
    (table,) = document("--by", "country", "--by", "sex", "--cross", "--min-slice", "2")["results"][0]["slices"]
    assert (table["by"], values(table)) == (["country", "sex"], {("FR", "f"): 4.0})
    assert (table["small"], table["small_samples"], table["min_slice"]) == (6, 6, 2)


def test_the_worst_rows_and_their_ids() -> None:
    (result,) = document("--top", "2", "--id-col", "id,country")["results"]
    assert result["worst"] == [
        {
            "row": 7,
            "loss": 8.0,
            "status": "ok",
            "ids": {"id": "u7", "country": "New York"},
            "prediction": 8.0,
            "target": 0,
        },
        {
            "row": 6,
            "loss": 7.0,
            "status": "ok",
            "ids": {"id": "u6", "country": "New York"},
            "prediction": 7.0,
            "target": 0,
        },
    ]


def gated(*arguments: str) -> Outcome:
    return call("eval", *TABLE, "--score-only", *arguments)


def test_a_gate_names_its_column_itself() -> None:
    outcome = gated("--fail-if", "mae[country=*] > 7", "--fail-if", "gap(mae, by=sex) > 2")
    assert outcome.code == 1
    assert outcome.err.splitlines() == [
        'FAIL mae[country=*] > 7 (1 of 4 slices failed; worst country="New York"; mae[country=*] = 7.5)',
        "ok gap(mae, by=sex) > 2 (gap(mae, by=sex) = 1)",
        "lossctl: 1 of 2 gates failed: mae[country=*] > 7",
    ]
    assert gated("--fail-if", "mae[country=FR,sex=f] > 5").code == 0
    assert gated("--fail-if", "mae[country='New York'] > 5").code == 1
    assert gated("--fail-if", "mae[country='(missing)'] > 5").code == 1
    assert gated("--fail-if", "mae[country=XX] > 5").code == 1
    assert gated("--warn-if", "mae[country=*] > 5").code == 0


def test_intervals_decide_gates_about_slices() -> None:
    outcome = gated("--confidence", "0.95", "--fail-if", "mae[sex=*] > 4", "--strict-gates")
    assert outcome.code == 5
    assert "0 of 2 slices failed, 2 cannot be decided" in outcome.err
    assert gated("--fail-if", "ci_low(mae[sex=*]) > 4").code == 0
    assert gated("--fail-if", "ci_high(mae[sex=*]) > 8").code == 1


def test_each_slice_against_its_own_in_a_baseline() -> None:
    assert call("eval", *TABLE, "--by", "country", "-o", "base.json").code == 0
    assert gated("--baseline", "base.json", "--fail-if", "mae[country=*] > base * 1.01").code == 0
    base = json.loads(Path("base.json").read_text())
    base["results"][0]["slices"][0]["slices"][2]["value"] = 3.0
    Path("lower.json").write_text(json.dumps(base))
    outcome = gated("--baseline", "lower.json", "--fail-if", "mae[country=*] > base * 1.01")
    assert (outcome.code, "worst country=FR" in outcome.err) == (1, True)
    del base["results"][0]["slices"][0]["slices"][0]
    Path("fewer.json").write_text(json.dumps(base))
    told = refused(3, "eval", *TABLE, "--score-only", "--baseline", "fewer.json", "--fail-if", "mae[country=*] > base")
    assert told.startswith('the baseline has no slice country="New York"; make the baseline anew')
    told = refused(3, "eval", *TABLE, "--score-only", "--baseline", "base.json", "--fail-if", "mae[sex=*] > base")
    assert told.startswith("the baseline has no slices by sex of mae")


WRONG = {
    ("--cross",): "--cross is of slices, and there are none",
    ("--min-slice", "5"): "--min-slice is of slices",
    ("--worst", "5"): "--worst is of slices",
    ("--by-file", "t.csv"): "--by-file is for the columns of --by",
    ("--id-col", "id"): "--id-col names the rows of --top",
    ("--by", "sex", "--id-col", "id"): "--id-col names the rows of --top",
    ("--by", "sex", "--worst", "0"): "--worst must be 1 or more",
    ("--by", "sex", "--min-slice", "0"): "--min-slice must be 1 or more",
    ("--by", "sex", "--cross"): "--cross is of two columns or more",
    ("--by", "sex", "--by", "sex"): "--by names 'sex' twice",
    ("--by", "set"): "there is no column 'set' (--by); did you mean 'sex'?",
    ("--fail-if", "mae[set=*] > 1"): "there is no column 'set' (--by)",
    ("--top", "0"): "--top must be from 1 to 10000",
    ("--top", "3", "--id-col", "nope"): "there is no column 'nope' (--id-col)",
    ("--loss", "rmse", "--fail-if", "ci_low(rmse[sex=*]) > 1"): "rmse has no losses of single samples",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_what_makes_no_sense(arguments: tuple[str, ...]) -> None:
    assert WRONG[arguments] in refused(2, "eval", *TABLE, *arguments)


def test_output_without_slices_is_what_it_was() -> None:
    plain, sliced = (call("eval", *TABLE, *each, "--format", "tsv").out.splitlines() for each in ((), ("--by", "sex")))
    assert len(plain) == 2
    assert "by" not in plain[0].split("\t")
    assert sliced[0] == f"{plain[0]}\tby\tby.sex\tdifference"
    assert sliced[1].rstrip("\t") == plain[1]
    assert [line.split("\t")[-3:] for line in sliced[2:]] == [["sex", "m", "0.5"], ["sex", "f", "-0.5"]]


def test_a_stream_is_read_once() -> None:
    text = Path("t.csv").read_bytes()

    def piped(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        words = command("eval", "-", "--pred-format", "csv", *TABLE[1:], "--format", "json", *arguments)
        return subprocess.run(words, input=text, capture_output=True, check=False, timeout=60)

    found = json.loads(piped("--by", "country", "--top", "1").stdout)["results"][0]
    assert values(found["slices"][0])[("FR",)] == 4.0
    assert found["worst"][0]["row"] == 7
    failed = piped("--top", "1", "--id-col", "id")
    assert (failed.returncode, b"which is read only once; save it to a file" in failed.stderr) == (2, True)
    failed = piped("--by", "y")
    assert (failed.returncode, b"save the stream to a file" in failed.stderr) == (2, True)


HOSTILE = [
    "a\nb",
    "\x1b[31mred",
    "=1+1",
    "a,b",
    "x]y",
    '"q"',
    "'s'",
    "both'\"",
    "(missing)",
    "::error::x",
    "##[error]y",
    "%0A",
    "<b>&|`",
]


def test_hostile_values_in_every_format(tmp_path: Path) -> None:
    frame = pd.DataFrame({"p": np.arange(float(len(HOSTILE))), "y": 0.0, "c\n|": HOSTILE})
    frame.to_parquet("h.parquet")
    arguments = (
        "h.parquet",
        *TABLE[1:],
        "--by",
        "c\n|",
        "--top",
        "3",
        "--id-col",
        "c\n|",
        "--fail-if",
        '"mae"["c\n|"=*] > 100',
    )
    for format in ("table", "json", "jsonl", "csv", "tsv", "markdown", "latex", "junit", "openmetrics", "github"):
        outcome = call("eval", *arguments, "--format", format)
        assert outcome.code == 0, outcome.err
        assert "\x1b" not in outcome.out + outcome.err
        lines = [line.lstrip() for line in (outcome.out + outcome.err).splitlines()]
        assert not any(line.startswith(("::error", "::x")) for line in lines)
        assert "##[" not in outcome.out + outcome.err or format in ("json", "jsonl", "openmetrics", "junit")
        if format == "json":
            (table,) = json.loads(outcome.out)["results"][0]["slices"]
            assert [each["key"] for each in table["slices"]] == [{"c\n|": value} for value in reversed(HOSTILE)]
        if format in ("csv", "tsv"):
            assert len(outcome.out.splitlines()) == 2 + len(HOSTILE) + 3
    for value in HOSTILE:
        quoted = value.replace("'", "''")
        outcome = call(
            "eval", *arguments[:-2], "--fail-if", f"mae['c\n|'='{quoted}'] > {HOSTILE.index(value) - 0.5}", "-q"
        )
        assert outcome.code == 1, (value, outcome.err)
        assert "there is no such slice" not in outcome.err


def test_too_many_values_are_refused() -> None:
    pd.DataFrame({"p": 1.0, "y": 0.0, "k": [f"v{row}" for row in range(100_000)]}).to_csv("many.csv", index=False)
    told = refused(3, "eval", "many.csv", *TABLE[1:], "--by", "k")
    assert told.startswith("column 'k' has more than 10000 different values; name a coarser column")
    assert call("eval", "many.csv", *TABLE[1:], "--top", "2", "--id-col", "k").code == 0


def test_a_plain_evaluation_loads_nothing_of_it() -> None:
    check = (
        "import sys; from lossctl.__main__ import run; run(sys.argv[1:]); "
        "print([name for name in sys.modules if 'slice' in name or name == 'lossctl.worst'])"
    )
    words = [sys.executable, "-c", check, "eval", *TABLE, "--score-only"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["4.5", "[]"]
