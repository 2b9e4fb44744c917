"""Where a block function comes from: what was kept, then the compiler, then Numba's driver; never an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossctl_kernels import LOSSES, Plan, drivers, kernels, objects, resolve, roads
from lossctl_kernels.batch import Batch
from lossctl_kernels.cpu import Cpu
from lossctl_kernels.gpu import BackendUnavailable
from lossctl_kernels.recipes import Recipe, recipe_of
from tests.cache_folders import NOWHERE, use_cache_folder

PLAN = Plan(resolve(LOSSES["mse"], {}), 1)
RECIPE = recipe_of(PLAN, PLAN.value, "float64")
BATCH = Batch(np.array([3.0, 1.0]), np.array([1.0, 1.0]))


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The keys of what was compiled, in a process that has nothing yet and a folder that is empty."""
    keys: list[str] = []
    compile_recipe = kernels.compile_recipe

    def remembered(recipe: Recipe) -> Any:
        keys.append(recipe.key)
        return compile_recipe(recipe)

    monkeypatch.setattr(kernels, "compile_recipe", remembered)
    use_cache_folder(monkeypatch, tmp_path, "of some sources")
    monkeypatch.setattr(roads, "_functions", {})
    return keys


def losses() -> list[float]:
    found = Cpu().losses(PLAN, BATCH)[1]
    return [float(loss) for loss in found]


def test_what_was_compiled_is_kept_and_found_and_held(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first = roads.block_function(RECIPE)
    assert compiled == [RECIPE.key]
    assert roads.block_function(RECIPE) is first
    monkeypatch.setattr(roads, "_functions", {})
    assert losses() == [4.0, 0.0]
    assert compiled.count(RECIPE.key) == 1


def test_the_driver_runs_what_cannot_be_linked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(objects, "link", lambda recipe, code: None)
    driven: list[int] = []
    drive_blocks = drivers.drive_blocks

    def remembered(*arguments: Any) -> None:
        driven.append(arguments[1])
        drive_blocks(*arguments)

    monkeypatch.setattr(drivers, "drive_blocks", remembered)
    assert losses() == [4.0, 0.0]
    assert driven
    assert not list(tmp_path.glob("*.object"))


def test_kept_code_that_cannot_be_linked_is_compiled_again(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    link, old = objects.link, b"of a linker that is gone"
    monkeypatch.setattr(objects, "link", lambda recipe, code: None if code == old else link(recipe, code))
    objects.keep(RECIPE, old)
    assert losses() == [4.0, 0.0]
    assert RECIPE.key in compiled
    compiled.clear()
    monkeypatch.setattr(roads, "_functions", {})
    assert losses() == [4.0, 0.0]
    assert RECIPE.key not in compiled


def test_nothing_is_kept_without_a_folder(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    use_cache_folder(monkeypatch, NOWHERE)
    for _ in range(2):
        monkeypatch.setattr(roads, "_functions", {})
        assert losses() == [4.0, 0.0]
    assert compiled.count(RECIPE.key) == 2


def test_what_is_compiled_ahead_is_found(compiled: list[str]) -> None:
    assert not roads.are_kept([RECIPE])
    assert roads.compile_ahead(RECIPE)
    assert not roads.compile_ahead(RECIPE)
    assert roads.are_kept([RECIPE])
    roads.block_function(RECIPE)
    assert compiled == [RECIPE.key]


def test_what_this_process_holds_counts_as_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    use_cache_folder(monkeypatch, NOWHERE)
    assert not roads.are_kept([RECIPE])
    roads.block_function(RECIPE)
    assert roads.are_kept([RECIPE])


def test_a_compiler_that_does_not_load_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lossctl_kernels.kernels", None)
    monkeypatch.delattr("lossctl_kernels.kernels")
    for make in (roads.block_function, roads.compile_ahead):
        with pytest.raises(BackendUnavailable, match="Numba cannot be loaded"):
            make(RECIPE)


WARM = """
import sys
import numpy as np
from lossctl_kernels import LOSSES, Plan, resolve
from lossctl_kernels.batch import Batch
from lossctl_kernels.cpu import Cpu

for name, width in (("mse", 1), ("scce", 3), ("rmse", 1)):
    plan = Plan(resolve(LOSSES[name], {}), width)
    prediction = np.full((9, width) if width > 1 else 9, 1 / width)
    target = np.zeros(9, np.int64) if plan.sparse else prediction
    batch, totals = Batch(prediction, target), {}
    if name == "rmse":
        Cpu().folds(plan, batch, dict.fromkeys(plan.scales, 1.0))
        totals = {fold.name: 1.0 for fold in plan.definition.folds} | {"weight": 1.0}
    else:
        Cpu().losses(plan, batch)
    Cpu().gradient(plan, batch, np.ones(9), totals)
print(sorted(name for name in sys.modules if name.partition(".")[0] == "numba"))
"""


def test_a_process_that_finds_its_code_never_imports_numba(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOSSCTL_CACHE_DIR", str(tmp_path / "cache"))
    command = [sys.executable, "-W", "error", "-c", WARM]
    cold, warm = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert "numba" in cold
    assert warm == "[]\n"
