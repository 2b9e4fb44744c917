"""Numba's driver: the same bits as threads of our own that run kept object code; and its place in the cache."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossctl_kernels import LOSSES, Scope, drivers, objects, reduce
from lossctl_kernels import cpu as cpu_module
from lossctl_kernels.cpu import Cpu
from lossctl_kernels.kernels import Compiled, compile_recipe
from lossctl_kernels.recipes import SUM, Recipe
from tests.cache_folders import use_cache_folder
from tests.kernels.cases import Case, draw, forms, parametrize
from tests.kernels.engines import batch_of

numba = pytest.importorskip("numba")
pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="NUMBA_DISABLE_JIT leaves nothing to compile")

FORMS = forms()
SHAPES = [(rows, width) for rows in (1, 100, 700) for width in (1, 3, 40)]


@cache
def in_memory(key: str, recipe: Recipe) -> Any:
    """The block function as Numba has just compiled it, run by the driver."""
    return partial(drivers.drive_blocks, compile_recipe(recipe))


@cache
def linked(key: str, recipe: Recipe) -> Any:
    """The block function from its object code, kept or compiled, run by the driver."""
    code = objects.find(recipe) or compile_recipe(recipe).code
    address = objects.link(recipe, code)
    assert address
    return partial(drivers.drive_blocks, Compiled(address, code, None))


def outputs(engine: Cpu, case: Case, rows: int, width: int, dtype: str) -> list[bytes]:
    """All that a backend computes, as bytes."""
    plan = case.plan(width, dtype)
    prediction, target = draw(case, rows, width, dtype, seed=rows + width)
    random = np.random.default_rng(rows)
    batch = replace(batch_of(plan, prediction, target), weights=random.uniform(0.5, 2.0, rows))
    totals: dict[str, float] = {}
    if plan.scope is Scope.DATASET:
        found = [*engine.folds(plan, batch, dict.fromkeys(plan.scales, 1.0))]
        totals = {fold.name: 0.5 for fold in plan.definition.folds} | {"weight": float(rows)}
    else:
        found = [*engine.losses(plan, batch), engine.losses(plan, batch, wanted=False)[0]]
    if plan.definition.gradient is not None:
        found.append(engine.gradient(plan, batch, random.normal(size=rows), totals))
    return [array.tobytes() for array in found]


def check_both_roads(case: Case, by_the_driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes in turn, so that each road meets all of them; in both dtypes, on one thread and on two."""
    monkeypatch.setattr(reduce, "BLOCK_ROWS", 256)
    position = FORMS.index(case)
    for turn, dtype in enumerate(("float32", "float64")):
        rows, width = SHAPES[(position + 4 * turn) % len(SHAPES)]
        width = 3 if LOSSES[case.loss].scope is Scope.ROW and width == 1 else width
        kept = [outputs(Cpu(threads), case, rows, width, dtype) for threads in (1, 2)]
        with monkeypatch.context() as patch:
            patch.setattr(cpu_module, "block_function", lambda recipe: by_the_driver(recipe.key, recipe))
            driven = [outputs(Cpu(threads), case, rows, width, dtype) for threads in (1, 2)]
        assert kept[0] == kept[1] == driven[0] == driven[1]


@parametrize(FORMS)
def test_both_roads_give_the_same_bits(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    check_both_roads(case, linked, monkeypatch)


@parametrize(FORMS[::9])
def test_so_does_what_numba_has_in_memory(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    check_both_roads(case, in_memory, monkeypatch)


def test_the_number_of_threads_is_put_back() -> None:
    seen: list[int] = []
    before = numba.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drivers, "driver", lambda: lambda *_: seen.append(numba.get_num_threads()))
        drivers.drive_blocks(compile_recipe(SUM), 1, 1, 1, np.zeros((8, 2), np.int64), 1)
    assert seen == [1]
    assert numba.get_num_threads() == before


def test_the_driver_calls_the_loop_for_each_block() -> None:
    called: list[tuple[int, ...]] = []
    drive: Any = drivers.drive
    drive(lambda *arguments: called.append(tuple(map(int, arguments))), 10, 3, 4, 99)
    assert called == [(0, 1, 10, 3, 4, 99), (1, 2, 10, 3, 4, 99), (2, 3, 10, 3, 4, 99)]


def test_what_numba_compiled_is_found_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_cache_folder(monkeypatch, tmp_path, "of some sources")

    def triple(x: float) -> float:
        return 3.0 * x

    def compiled() -> tuple[float, int]:
        dispatcher = numba.njit(triple)
        dispatcher._cache = drivers.KernelCache("triple")
        dispatcher.compile((numba.float64,))
        return dispatcher(7.0), sum(dispatcher._cache_hits.values())

    assert compiled() == (21.0, 0)
    (file,) = tmp_path.iterdir()
    assert file.suffix == ".kernel"
    assert compiled() == (21.0, 1)
    file.write_bytes(file.read_bytes()[:-1])
    assert compiled() == (21.0, 0)
    assert compiled() == (21.0, 1)
