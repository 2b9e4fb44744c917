"""Each part, at a size for a look: every table comes out, whichever peers are installed."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import csv, parquet

from benchmarks import children, compiling, files, growth, large, processes
from benchmarks.__main__ import PARTS, main, parser
from benchmarks.children import ProcessFailed, contest, held, peak, program
from benchmarks.machine import describe, one_line, peak_bytes
from benchmarks.options import Options
from benchmarks.peers.scripts import ARRAYS, TABLES
from benchmarks.report import Section, percent, times
from benchmarks.roofline import PlainRead
from benchmarks.targets import Targets

ROOT = Path(__file__).resolve().parents[2]
QUICK = Options(quick=True)
ON_LINUX = Path("/proc/self/status").exists()

# None in sys.modules is a module that is not found.
WITHOUT_PEERS = """
import sys
sys.modules.update(dict.fromkeys(["torch", "sklearn", "jax", "optax", "polars", "duckdb"]))
from benchmarks.__main__ import main
main(sys.argv[1:])
"""


def rows(section: Section) -> dict[str, list[str]]:
    assert all(len(row) == len(section.table.heads) for row in section.table.rows)
    return {row[0]: row[1:] for row in section.table.rows}


def is_figure(text: str) -> bool:
    return text[0].isdigit()


def test_the_command_writes_the_page_without_peers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    words = ["--quick", "--only", "kernels", "--losses", "mse,scce", "--output", str(page)]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PEERS, *words], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    text = page.read_text(encoding="utf-8")
    for title in ("Values, float32", "Gradients, float32", "Values, float64", "Gradients, float64"):
        assert f"## {title}" in text
        assert title in done.stdout
    for loss in ("mse", "scce, 10", "scce:input=logit, 10", "scce:input=log_prob, 10"):
        assert text.count(f"| {loss} |") == 4
    assert "NumPy: geometric mean" in text
    assert "PyTorch: geometric mean" not in text
    assert "| softmax cross-entropy, 3 and 10 classes: speed of the plain read | ≥ 25 % |" in text
    assert "differs" not in text
    assert "failed" not in text
    assert "not timed" not in text
    assert "Not installed: torch, scikit-learn, jax, optax, polars, duckdb (`pip install 'lossctl[bench]'`)" in text


def test_compiling() -> None:
    table, targets = compiling.sections(Options(quick=True, losses=("mse", "zero_one", "sparsemax")))
    found = rows(table)
    assert found.keys() == {"mse", "zero_one", "sparsemax, 10"}
    assert all(is_figure(cell) for name in found for cell in found[name] if name != "zero_one")
    assert found["zero_one"][3:] == ["-", "-"]  # it has no gradient
    assert list(rows(targets)) == ["a loss, CPU time", "a loss, time that passes"]
    assert {wanted for wanted, _, _ in rows(targets).values()} == {"≤ 0.5 s"}


def test_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "IMPORTS", ("numpy",))
    monkeypatch.setattr(processes, "ARRAYS", {"NumPy": ARRAYS["NumPy"], "absent": "import absent"})
    imports, evaluations, first, targets = processes.sections(QUICK)
    assert is_figure(rows(imports)["lossctl --version"][0])
    found = rows(evaluations)
    for name in ("lossctl eval", "lossctl eval, cache empty", "NumPy"):
        assert is_figure(found[name][0])
    assert found["absent"] == ["-"]
    assert is_figure(rows(first)["mse"][3])
    assert next(iter(rows(targets))) == "lossctl eval, 1,000 rows: import numpy"
    assert [note for section in (imports, evaluations, first) for note in section.notes] == []


def test_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "TABLES", {key: {"pyarrow": TABLES[key]["pyarrow"]} for key in [("CSV", "bce")]})
    speed, memory, targets = files.sections(QUICK)
    [(lossctl, numpy, pyarrow, *others)] = rows(speed).values()
    assert is_figure(lossctl)
    assert is_figure(pyarrow)
    assert {numpy, *others} == {"-"}
    assert (is_figure(rows(memory)["CSV"][1])) is ON_LINUX
    assert rows(targets) == {}  # neither polars nor duckdb ran


@pytest.mark.parametrize("key", [("NPY", "bce"), ("CSV", "mse"), ("Parquet", "bce")], ids=", ".join)
def test_programs_print_what_lossctl_prints(key: tuple[str, str], tmp_path: Path) -> None:
    commands = files.commands_for(files.write_tables(tmp_path, 500), *key)
    found = contest({name: commands[name] for name in ("lossctl", "NumPy", "pyarrow") if name in commands}, 0, 0.0)
    assert found.notes() == []
    assert [found.verdict(name, "lossctl", files.TOLERANCE) for name in commands] == [None] * len(commands)


def test_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "SCALED", growth.SCALED[:1])
    with_rows, with_threads, _ = growth.sections(QUICK)
    assert list(rows(with_rows)) == ["1,000", "100,000"]
    assert is_figure(rows(with_threads)["mse"][0])


def test_large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(large, "TABLES", {(kind, "bce"): {"polars": "print(7)"} for kind in ("CSV", "Parquet")})
    monkeypatch.setattr(large, "KEYED", {"polars": "print(8)"})
    monkeypatch.setattr(large, "available", dict)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tables, arrays, cached, keys, targets = large.sections(QUICK)
    assert [row[:2] for row in tables.table.rows] == [
        [kind, count] for kind in ("CSV", "Parquet") for count in ("20,000", "100,000")
    ]
    assert [row[-4:] for row in tables.table.rows] == [["-"] * 4] * 4  # a wrong answer is not shown
    assert len(tables.notes) == 4
    assert tables.notes[0].startswith("CSV, 20,000 rows: polars differs: 7.0, not 0.5")
    assert all(is_figure(row[5]) is ON_LINUX for row in tables.table.rows)
    assert list(rows(arrays)) == ["cpu", "python"]
    assert list(rows(cached)) == ["lossctl", "a loop that reads the files"]
    assert list(rows(keys)) == ["10,000", "50,000"]
    assert [row[-2:] for row in keys.table.rows] == [["-"] * 2] * 2
    assert [note.partition(" differs: 8.0, not ")[0] for note in keys.notes] == [
        f"keys, {count} rows: polars" for count in rows(keys)
    ]
    assert len(rows(targets)) == (3 if ON_LINUX else 2)
    assert list(tmp_path.iterdir()) == []


def test_a_long_table_is_the_rows_that_were_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "PIECE_ROWS", 300)
    tables = []
    for suffix in ("csv", "parquet"):
        large.write_long_table(tmp_path / f"t.{suffix}", 1000)
        read: Any = csv.read_csv if suffix == "csv" else parquet.read_table
        tables.append(read(tmp_path / f"t.{suffix}").to_pydict())
    assert tables[0] == tables[1]
    assert tables[0]["id"] == list(range(1000))
    assert set(tables[0]["label"]) == {0, 1}


# ---- what the parts are made of


def test_an_answer_that_differs_or_fails_takes_the_place_of_the_time() -> None:
    codes = {"a": "print(1.0)", "b": "print(1.0 + 1e-7)", "c": "raise SystemExit('no such file')", "d": "print('x')"}
    found = contest({name: program(code) for name, code in codes.items()}, 0, 0.0)
    assert [found.verdict(name, "a", 1e-9) for name in codes] == [None, "differs", "failed", None]
    assert found.notes() == ["c failed: no such file"]
    assert "c" not in found.times
    with pytest.raises(ProcessFailed, match="exit code 7"):
        program("raise SystemExit(7)")()
    if ON_LINUX:
        assert held(program("raise SystemExit(7)")) == "failed"


def test_a_cold_process_has_a_cache_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def record(self: object, more: dict[str, str]) -> float:
        seen.append((dict(more), [Path(folder).is_dir() for folder in more.values()]))
        return 0.0

    monkeypatch.setattr(children.Command, "_answer", record)
    for cold in (False, True, True):
        children.evaluation("p.npy", "y.npy", cold=cold)()
    (warm, _), (first, there), (second, _) = seen
    assert warm == {}
    assert there == [True]
    assert first.keys() == {"LOSSCTL_CACHE_DIR"}
    assert first != second
    assert not Path(first["LOSSCTL_CACHE_DIR"]).exists()


@pytest.mark.skipif(not ON_LINUX, reason="asks Linux for the peak")
def test_the_peak_is_that_of_the_process_itself() -> None:
    ballast = np.ones(40_000_000)  # 320 MB, which a child must not be charged with
    small, large = peak(program("pass")), peak(program("x = bytearray(100_000_000); x[::4096] = x[::4096]"))
    assert small is not None
    assert large is not None
    assert 5e6 < small < 100e6
    assert 95e6 < large - small < 120e6
    assert peak_bytes() is not None
    assert ballast.size


def test_everything_is_read_but_what_no_word_of_eight_bytes_holds() -> None:
    read = PlainRead(2)
    assert read([np.arange(1_001).reshape(7, 143), np.arange(10)]) == 500_500 + 45
    assert read([np.array([3, 0, 4, 0, 5], np.int32)]) == 7


def test_the_machine_is_described() -> None:
    facts = describe(2)
    assert [fact.partition(":")[0] for fact in facts] == ["Processor", "Memory", "System", "Versions", "Date"]
    assert f"numpy {np.__version__}" in facts[3]
    assert one_line()


def test_targets_are_about_the_worst_figure() -> None:
    targets = Targets("a part")
    targets.at_least("high", 0.8, {"a": 0.9, "b": 0.7, "c": math.nan}, percent)
    targets.at_most("low", 2.5, {"": 2.5}, times)
    targets.at_least("not measured", 1.0, {"a": math.nan}, times)
    assert rows(targets.section()) == {
        "high": ["≥ 80 %", "70 % (b)", "no"],
        "low": ["≤ 2.5 ×", "2.5 ×", "yes"],
    }


@pytest.mark.parametrize("words", [["--losses", "mse,mze"], ["--threads", "0"], ["--output", "none/page.md"]])
def test_what_cannot_be_run_is_a_usage_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert ("no such loss: mze" in capsys.readouterr().err) is (words[0] == "--losses")


def test_sizes_are_those_that_were_asked_for() -> None:
    assert Options().process_rows[-1] == Options().growth_rows[-1] == Options().file_rows == 10_000_000
    assert Options(long=True).growth_rows[-1] == 100_000_000
    assert QUICK.values < Options().values
    given = parser().parse_args(["--only", "files", "--only", "growth"])
    assert given.only == ["files", "growth"]
    assert parser().parse_args([]).only is None
    assert PARTS == ("kernels", "compiling", "processes", "files", "large", "growth")
