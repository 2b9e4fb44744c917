"""The compiled loop over blocks: from its first block to before its last, at the places it is given."""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
import sys

import numpy as np
import pytest

from lossctl_kernels import LOSSES, Plan, resolve
from lossctl_kernels.kernels import compile_recipe
from lossctl_kernels.recipes import SUM, Recipe, recipe_of


def recipes() -> dict[str, Recipe]:
    found = {}
    for loss, width in (("mse", 1), ("scce", 3), ("cosine_distance", 100)):
        plan = Plan(resolve(LOSSES[loss], {}), width)
        found[f"{loss}-value"] = recipe_of(plan, plan.value, "float32")
        found[f"{loss}-gradient"] = recipe_of(plan, plan.gradient, "float32")
    return found


RECIPES = recipes()


@pytest.fixture(scope="module")
def sum_of_blocks() -> ctypes._CFunctionType:
    compiled = compile_recipe(SUM)
    loop = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 6)(compiled.address)
    loop.library = compiled.library  # type: ignore[attr-defined]
    return loop


@pytest.mark.parametrize(("first", "last"), [(0, 4), (1, 3), (3, 4), (2, 2), (0, 1)])
def test_only_the_blocks_of_a_span_are_run(sum_of_blocks: ctypes._CFunctionType, first: int, last: int) -> None:
    """35 numbers in blocks of 10: the last one has five."""
    numbers, sums = np.arange(35.0), np.full(4, -1.0)
    places = np.zeros((8, 2), np.int64)
    places[0] = numbers.ctypes.data, 80
    places[1] = places[0]
    places[6] = sums.ctypes.data, 8
    sum_of_blocks(first, last, 35, 1, 10, places.ctypes.data)
    expected = np.full(4, -1.0)
    for k in range(first, last):
        expected[k] = numbers[10 * k : 10 * k + 10].sum()
    assert sums.tolist() == expected.tolist()


IN_ANOTHER_ORDER = """
import hashlib
from lossctl_kernels.kernels import compile_recipe
from tests.kernels.test_kernels import RECIPES

for name in sorted(RECIPES, reverse=True):
    print(name, hashlib.sha256(compile_recipe(RECIPES[name]).code).hexdigest())
"""


def test_every_process_compiles_the_same_bytes() -> None:
    """Whatever it compiled before: what one keeps is what another would have made."""
    done = subprocess.run([sys.executable, "-c", IN_ANOTHER_ORDER], capture_output=True, text=True, check=True)
    there = dict(line.split() for line in done.stdout.splitlines())
    here = {name: hashlib.sha256(compile_recipe(recipe).code).hexdigest() for name, recipe in RECIPES.items()}
    assert there == here
    assert len(set(here.values())) == len(RECIPES)
