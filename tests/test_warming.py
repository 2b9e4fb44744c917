"""Compiling ahead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lossctl import warming
from lossctl.catalogue.loss_spec import parse
from lossctl.errors import EnvironmentFault, UsageError
from lossctl.warming import Warmup, every_spec
from lossctl_kernels import LOSSES, Scope, cache
from lossctl_kernels.conversions import FLOATS
from lossctl_kernels.gpu import BackendUnavailable
from lossctl_kernels.key_tables import ARGUMENTS
from lossctl_kernels.recipes import EXTREMES, SUM, all_recipes, usual_recipes
from lossctl_kernels.value_hashes import DTYPES
from tests.cache_folders import use_cache_folder
from tests.kernels.cases import forms


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, for this process and those it starts."""
    use_cache_folder(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(warming, "usable_threads", lambda: 1)
    return tmp_path / "cache"


OF_ALL = 2 + len(ARGUMENTS) + len(DTYPES) + len(FLOATS)
"""What belongs to no loss: what reads text tables and looks into LZF, and what matches, hashes and converts inputs."""


def test_every_loss_in_every_form() -> None:
    specs = every_spec()
    assert len({spec.text for spec in specs}) == len(specs)
    assert {(spec.name, spec.options.get("input")) for spec in specs} == {
        (loss.name, form if "input" in loss.options else None) for loss in LOSSES.values() for form in loss.forms
    }


def test_every_function_that_a_loss_can_take(folder: Path) -> None:
    """mse: value and gradient, of one value a row, across rows and along them, in two precisions; what losses share."""
    keys = {recipe.key for plan, dtype in warming._plans([parse("mse")]) for recipe in all_recipes(plan, dtype)}
    assert len({key for key in keys if "mse" in key}) == 12
    assert {EXTREMES.key, SUM.key} <= keys
    assert len(Warmup([parse("mse")]).missing) == len(keys) + OF_ALL


def test_all_losses_with_their_defaults_are_covered() -> None:
    known = {recipe.key for plan, dtype in warming._plans(every_spec()) for recipe in all_recipes(plan, dtype)}
    for case in forms():
        wide = (3, 10, 1000)
        widths = {Scope.DATASET: (1,), Scope.ROW: wide, Scope.ELEMENT: (1, *wide), Scope.PAIRS: wide}
        for width in widths[LOSSES[case.loss].scope]:
            for dtype in ("float32", "float64"):
                recipes = usual_recipes(case.plan(width, dtype), dtype, gradient=True)
                assert {recipe.key for recipe in recipes} <= known, case


def test_what_is_warm_is_found_again(folder: Path) -> None:
    done: list[int] = []
    first = Warmup([parse("rmse")])
    assert (len(first.missing), first.found, first.folder) == (4 + OF_ALL, 0, str(folder))
    first.run(done.append)
    assert done == list(range(1, 5 + OF_ALL))
    second = Warmup([parse("rmse")])
    assert (len(second.missing), second.found) == (0, 4 + OF_ALL)
    second.run()


def test_several_processes_share_what_is_much(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "usable_threads", lambda: 2)
    monkeypatch.setattr(warming, "WORTH_A_PROCESS", 2)
    done: list[int] = []
    Warmup([parse("rmse")]).run(done.append)
    assert done == list(range(1, 5 + OF_ALL))
    assert not Warmup([parse("rmse")]).missing


EVALUATE = """
import sys
from lossctl.__main__ import run
for arguments in (["eval"], ["eval", "--per-sample", "each.npy"], ["grad", "-o", "gradient.npy"]):
    assert run([*arguments, "p.npy", "t.npy", "--loss", sys.argv[1], "--backend", "cpu"]) == 0
print(sorted(name for name in sys.modules if name.partition(".")[0] == "numba"))
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_warm_needs_no_compiler(folder: Path, tmp_path: Path, dtype: str) -> None:
    Warmup([parse("scce:input=logit")]).run()
    random = np.random.default_rng(0)
    np.save(tmp_path / "p.npy", random.normal(size=(50, 3)).astype(dtype))
    np.save(tmp_path / "t.npy", random.integers(0, 3, 50))
    command = [sys.executable, "-W", "error", "-c", EVALUATE, "scce:input=logit"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_is_damaged_is_compiled_again(folder: Path) -> None:
    Warmup([parse("rmse")]).run()
    damaged = sorted(folder.iterdir())[0]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    again = Warmup([parse("rmse")])
    assert (len(again.missing), again.found) == (1, 3 + OF_ALL)
    again.run()
    assert not Warmup([parse("rmse")]).missing


def test_what_could_not_be_kept_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warmup = Warmup([parse("rmse")])
    monkeypatch.setattr(cache, "write_whole", lambda *_: None)
    with pytest.raises(EnvironmentFault, match=f"{4 + OF_ALL} of {4 + OF_ALL} compiled functions could not be kept in"):
        warmup.run()


def test_nothing_can_be_kept_without_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossctl_kernels.cache.cache_folder", lambda: None)
    with pytest.raises(EnvironmentFault, match="LOSSCTL_CACHE_DIR"):
        Warmup([parse("mse")])


def test_a_compiler_that_does_not_load_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise BackendUnavailable("Numba cannot be loaded")

    monkeypatch.setattr("lossctl_kernels.roads.load_compiler", refuse)
    with pytest.raises(EnvironmentFault, match="pip install numba"):
        Warmup([parse("rmse")]).run()


def test_what_processes_did_not_do_is_compiled_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "usable_threads", lambda: 2)
    monkeypatch.setattr(warming, "WORTH_A_PROCESS", 2)
    monkeypatch.setattr(sys, "executable", str(folder / "not_there"))
    done: list[int] = []
    Warmup([parse("rmse")]).run(done.append)
    assert done == list(range(1, 5 + OF_ALL))
    assert not Warmup([parse("rmse")]).missing


def test_a_spec_that_is_wrong_is_told() -> None:
    for text in ("nope", "huber:delta=0"):
        with pytest.raises(UsageError):
            Warmup([parse(text)])
