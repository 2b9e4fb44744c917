"""Object code: what it refers to, and what becomes of code that LLVM does not take."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lossctl_kernels import LOSSES, Plan, objects, resolve
from lossctl_kernels.recipes import EXTREMES, SUM, Recipe, recipe_of
from tests.cache_folders import use_cache_folder
from tests.kernels import block_code
from tests.kernels.block_code import OF_THE_C_LIBRARY, undefined_symbols

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads ELF")


@linux
def test_an_undefined_symbol_would_be_seen() -> None:
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine()
    text = "declare void @elsewhere()\ndefine void @here() {\ncall void @elsewhere()\nret void\n}"
    assert undefined_symbols(machine.emit_object(binding.parse_assembly(text))) == {"elsewhere"}


@linux
@pytest.mark.parametrize("recipe", [EXTREMES, SUM], ids=["extremes", "sum"])
def test_object_code_of_what_all_losses_share_stands_alone(recipe: Recipe) -> None:
    assert undefined_symbols(block_code.compiled(recipe).compiled.code) <= OF_THE_C_LIBRARY


def mse() -> Recipe:
    plan = Plan(resolve(LOSSES["mse"], {}), 1)
    return recipe_of(plan, plan.value, "float64")


def test_what_is_kept_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_cache_folder(monkeypatch, tmp_path, "of some sources")
    recipe = mse()
    assert not objects.is_kept(recipe)
    assert objects.find(recipe) is None
    objects.keep(recipe, b"code")
    assert objects.is_kept(recipe)
    assert objects.find(recipe) == b"code"


@pytest.mark.parametrize("change", ["processor", "setting"])
def test_the_code_of_another_processor_is_not_found(
    change: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_cache_folder(monkeypatch, tmp_path, "of some sources")
    objects.keep(mse(), b"code")
    if change == "processor":
        monkeypatch.setattr(objects, "_machine", lambda: ("x86_64-unknown-linux-gnu", "other", "+sse2"))
    else:
        monkeypatch.setenv("NUMBA_CPU_FEATURES", "+sse2")
    assert objects.find(mse()) is None
