"""What each command imports: time at the start is mostly that of imports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import lossctl_kernels
from tests.cli.commands import BINARY, EVAL, SAMPLES, process

HEAVY = {"numpy", "numba", "pandas", "pyarrow", "rich", "scipy"}

# What a small evaluation of NPY files does without, and what it would be imported for.
SPARED = {
    "numba": "compiling, which little data does not repay",
    "llvmlite": "compiling",
    "pandas": "joins and tables of groups",
    "pyarrow": "CSV and Parquet",
    "rich": "tables on a terminal",
    "typer": "help, completion and mistakes on the command line",
    "pydantic": "what Typer checks values with",
    "asyncio": "nothing: some libraries import it",
    "concurrent.futures": "reading text in parallel",
    "csv": "writing tables, and a bare number is none",
    "json": "the document, and a table is none",
    "hashlib": "digests, of the targets in a document and of long vectors of options",
    "importlib.metadata": "the versions of packages, in `doctor`",
    "email": "importlib.metadata",
    "numpy.ma": "numpy.unique",
    "numpy.random": "nothing: results are not left to chance",
    "unittest": "numpy.testing",
    "traceback": "an internal fault, with --debug",
    "dataclasses": "nothing: records are cheaper",
    "pathlib": "the cache of compiled code, and sources that are many files",
    "difflib": "what a word that is not known may have meant",
    "tempfile": "the cache of compiled code, and outputs that are files",
}

# Runs the command line, then says on stderr which modules it has imported.
SPY = """
import sys
before = set(sys.modules)  # where the coverage is measured, that has brought some
from lossctl.__main__ import run
from lossctl.process import own
own()
try:
    code = run(sys.argv[1:])
except SystemExit:
    code = 0
sys.stderr.write(" ".join(sorted(set(sys.modules) - before)))
sys.exit(code)
"""


def modules(*arguments: str, environment: Mapping[str, str] | None = None) -> set[str]:
    """The modules that a command line has imported when it ends well."""
    # Without what installed packages make every process import, as those that are installed to be edited do.
    places = [*sys.path, str(Path(lossctl_kernels.__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-S", "-c", SPY, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places), **(environment or {})},
    )
    return set(done.stderr.splitlines()[-1].split())


def imports(*arguments: str, environment: Mapping[str, str] | None = None) -> set[str]:
    """The packages of these modules."""
    return {name.partition(".")[0] for name in modules(*arguments, environment=environment)}


@pytest.mark.parametrize(
    "arguments", [("--version",), ("--help",), ("eval", "--help"), ("warmup", "--help"), ()], ids=" ".join
)
def test_light_commands_import_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert not imports(*arguments) & HEAVY


def test_completion_imports_nothing_heavy() -> None:
    asked = {"_LOSSCTL_COMPLETE": "complete_bash", "COMP_WORDS": "lossctl ev", "COMP_CWORD": "1"}
    assert not imports(environment=asked) & HEAVY
    done = process(env={**os.environ, **asked})
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["eval"], "")


def test_import_of_the_package_imports_nothing_heavy() -> None:
    spied = "import lossctl, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", spied], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & HEAVY
    assert "lossctl" in done.stdout


def test_a_small_evaluation_imports_what_it_needs() -> None:
    assert set(SPARED) & modules(*EVAL, "--score-only") == set()
    assert set(SPARED) & modules(*EVAL) == {"csv"}
    assert set(SPARED) & modules(*EVAL, "--format", "json") <= {"json", "hashlib"}


def test_a_gradient_of_little_data_imports_what_it_needs(tmp_path: Path) -> None:
    wanted = ("grad", *BINARY, "--loss", "bce", "-o", str(tmp_path / "gradient.npy"))
    assert set(SPARED) & modules(*wanted) == {"csv"}


def test_code_that_is_kept_is_called_without_what_compiles(tmp_path: Path) -> None:
    cache = {"LOSSCTL_CACHE_DIR": str(tmp_path)}
    wanted = (*EVAL, "--backend", "cpu", "--score-only")
    assert {"numba", "llvmlite.binding"} <= modules(*wanted, environment=cache)
    assert set(SPARED) & modules(*wanted, environment=cache) == {"llvmlite", "hashlib"}
    assert "llvmlite.binding" not in modules(*wanted, environment=cache)


def test_typer_is_there_for_what_is_not_ordinary() -> None:
    wanted = modules(*EVAL, environment={"LOSSCTL_REDUCTION": "sum"})
    assert "typer" in wanted
    assert not wanted & HEAVY - {"numpy"}


def test_the_interpreted_road_imports_neither_numba_nor_pandas(tmp_path: Path) -> None:
    wanted = (*EVAL, "--backend", "python", "--format", "json")
    assert not imports(*wanted, "--per-sample", str(tmp_path / "l.npy")) & (HEAVY - {"numpy"})
    for extension in ("csv", "parquet"):
        table = str(SAMPLES / "binary" / f"table.{extension}")
        columns = (
            "--pred-col",
            "prediction",
            "--target-col",
            "label",
            "--per-sample",
            str(tmp_path / f"l.{extension}"),
        )
        found = imports("eval", table, *columns, "--loss", "bce", "--backend", "python")
        assert found & HEAVY == {"numpy", "pyarrow"}


TABLE = "eval", str(SAMPLES / "multiclass" / "table.parquet"), "--pred-col", "p_*", "--target-col", "label"


def test_what_can_be_read_in_its_place_needs_no_temporary_files() -> None:
    assert not {"tempfile", "shutil", "random"} & modules(*TABLE, "--loss", "scce", "--score-only")


@pytest.mark.parametrize(
    "arguments",
    [
        (*TABLE, "--loss", "scce", "--classes", ",".join("0123456789")),
        (*TABLE, "--loss", "scce", "--by", "label"),
        (*TABLE, "--loss", "scce", "--output", "scores.parquet"),
    ],
    ids=lambda arguments: " ".join(arguments[-2:]),
)
def test_arrow_does_not_bring_pandas(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It imports it to ask whether what it is given is of pandas."""
    monkeypatch.chdir(tmp_path)
    assert imports(*arguments) & {"pyarrow", "pandas"} == {"pyarrow"}
