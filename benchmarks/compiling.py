"""What it costs to compile a loss for the first time, with the compiler loaded and nothing kept."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from benchmarks.kernels import Case, cases
from benchmarks.options import Options
from benchmarks.report import MISSING, Section, Table, milliseconds
from benchmarks.targets import Targets
from lossctl_kernels import Plan
from lossctl_kernels.recipes import Recipe, usual_recipes
from lossctl_kernels.row_functions import RowCode

DTYPE = "float32"
WANTED_SECONDS = 0.5


class Spent(NamedTuple):
    """Seconds."""

    wall: float
    processor: float


def sections(options: Options) -> Iterator[Section]:
    """Each loss in the forms of the kernel tables: what its mean takes, and what its gradient takes besides."""
    targets = Targets("compiling")
    table = Table(["loss", "functions", "value, ms", "CPU", "gradient, ms", "CPU"])
    spent: dict[str, Spent] = {}
    _compile(usual_recipes(_plan(next(cases(options))), DTYPE))  # what the first of all has to prepare
    gc.collect()
    gc.freeze()  # to look through all that the peers have loaded takes as long as a loss
    for case in cases(options):
        if case.soft:
            continue  # the same code
        options.progress(f"compiling {case}")
        plan = _plan(case)
        of_value = usual_recipes(plan, DTYPE)
        known = {recipe.key for recipe in of_value}
        of_gradient = [recipe for recipe in usual_recipes(plan, DTYPE, gradient=True) if recipe.key not in known]
        value, gradient = _compile(of_value), _compile(of_gradient)
        spent |= {f"{case}, value": value} | ({f"{case}, gradient": gradient} if of_gradient else {})
        slopes = tuple(map(milliseconds, gradient)) if of_gradient else (MISSING, MISSING)
        table.add(str(case), str(len(of_value) + len(of_gradient)), *map(milliseconds, value), *slopes)
    gc.unfreeze()
    what = (
        "Losses on float32 rows, whose functions are compiled in turn in one process: what the mean takes, and what "
        "the gradient takes besides, in time that passes and in processor time. Later processes find the code."
    )
    yield Section("Compiling for the first time", what, table)
    for name, clock in (("CPU time", "processor"), ("time that passes", "wall")):
        figures = {case: getattr(one, clock) for case, one in spent.items()}
        targets.at_most(f"a loss, {name}", WANTED_SECONDS, figures, _seconds)
    yield targets.section()


def _plan(case: Case) -> Plan:
    return Plan(case.settings, case.width, DTYPE)


def _compile(recipes: Iterable[Recipe | RowCode]) -> Spent:
    """Makes machine code of each, whatever is kept, and keeps nothing."""
    from lossctl_kernels.kernels import compile_recipe
    from lossctl_kernels.row_kernels import compile_row_code

    wall, processor = time.perf_counter(), time.process_time()
    for recipe in recipes:
        if isinstance(recipe, RowCode):
            compile_row_code(recipe)
        else:
            compile_recipe(recipe)
    return Spent(time.perf_counter() - wall, time.process_time() - processor)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s"
