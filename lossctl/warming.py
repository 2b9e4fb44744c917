"""Compiling ahead: every block function that a loss can need with these options, into the cache."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import NamedTuple

from lossctl.backends import compiler_faults, usable_threads
from lossctl.catalogue.loss_spec import LossSpec, Shapes, find, parse, settle, spec_of
from lossctl.errors import EnvironmentFault, visible
from lossctl_kernels import LOSSES, Plan, Scope
from lossctl_kernels.domains import TargetKind
from lossctl_kernels.recipes import ACROSS_WIDTH, Recipe, all_recipes
from lossctl_kernels.row_functions import RowCode

# A process takes about as long to start as three functions to compile.
WORTH_A_PROCESS = 8


def every_spec() -> list[LossSpec]:
    """Every loss in every form. Numbers are no part of the code: where a loss needs one, any will do."""
    specs = []
    for loss in LOSSES.values():
        for form in loss.forms:
            forms = {"input": form} if "input" in loss.options else {}
            specs.append(parse(spec_of(loss.name, {**forms, **loss.required})))
    return specs


class _Task(NamedTuple):
    """Something to compile."""

    is_done: Callable[[], bool]
    run: Callable[[], object]


class Warmup:
    """What these losses need for values, gradients and per-sample losses, in every layout and precision.

    The parser of text tables is among it, and what hashes inputs. `missing` are the functions that are not in `folder`
    yet, `found` counts those that are. Raises UsageError for a spec that is wrong, EnvironmentFault where nothing can
    be kept.
    """

    def __init__(self, specs: Sequence[LossSpec]) -> None:
        from lossctl_kernels.cache import cache_folder

        folder = cache_folder()
        if folder is None:
            raise EnvironmentFault(
                "compiled code cannot be kept: no cache folder can be written", hint="set LOSSCTL_CACHE_DIR"
            )
        self.folder = folder
        self._texts = [spec.text for spec in specs]
        self._tasks = _tasks(specs)
        self.missing = [position for position, task in enumerate(self._tasks) if not task.is_done()]
        self.found = len(self._tasks) - len(self.missing)

    def run(self, progress: Callable[[int], None] | None = None) -> None:
        """Compiles what is missing; `progress` is called with how many functions are done.

        Raises EnvironmentFault where that cannot be done, or what was compiled could not be kept.
        """
        processes = min(usable_threads(), -(-len(self.missing) // WORTH_A_PROCESS))
        with closing(self._compiled_by(processes if processes > 1 else 0)) as done:
            for count, _ in enumerate(done, 1):
                if progress:
                    progress(count)
        lost = sum(not self._tasks[position].is_done() for position in self.missing)
        if lost:
            raise EnvironmentFault(
                f"{lost} of {len(self.missing)} compiled functions could not be kept in {visible(self.folder)}",
                hint="is there room on its disk? or have the sources of lossctl changed meanwhile?",
            )

    def _compiled_by(self, processes: int) -> Generator[None, None, None]:
        """By several processes: the compiler works for one thread at a time. What none has done is compiled here."""
        from lossctl.worker_processes import done_by

        left = set(self.missing)
        with closing(done_by(processes, f"from {__name__} import work; work({self._texts!r})", self.missing)) as done:
            for position in done:
                left.remove(position)
                yield
        for position in sorted(left):
            self._tasks[position].run()
            yield


def work(texts: Sequence[str]) -> None:
    """What a process that compiles works through: recipes hold functions, which do not travel."""
    from lossctl.worker_processes import work_through

    tasks = _tasks([parse(text) for text in texts])
    work_through(lambda position: tasks[position].run())


def _tasks(specs: Sequence[LossSpec]) -> list[_Task]:
    """What reads text and LZF, what matches, hashes and converts inputs, and each block function once."""
    from lossctl_kernels import conversions, decimals, key_tables, lzf, value_hashes
    from lossctl_kernels.objects import is_kept

    recipes: list[Recipe | RowCode] = [value_hashes.recipe_of(dtype) for dtype in value_hashes.DTYPES]
    recipes += [conversions.recipe_of(dtype) for dtype in conversions.FLOATS]
    recipes += [recipe for plan, dtype in _plans(specs) for recipe in all_recipes(plan, dtype)]
    readers = [_Task(module.is_kept, module.compile_ahead) for module in (decimals, lzf)]
    distinct = {recipe.key: recipe for recipe in recipes}.values()
    names = key_tables.ARGUMENTS
    tables = [_Task(partial(key_tables.is_kept, name), partial(key_tables.compile_ahead, name)) for name in names]
    return [*readers, *tables, *(_Task(partial(is_kept, recipe), partial(_compile, recipe)) for recipe in distinct)]


def _plans(specs: Sequence[LossSpec]) -> Iterator[tuple[Plan, str]]:
    """Each loss in both dtypes and every layout."""
    narrow_and_wide = (2, ACROSS_WIDTH + 1)
    widths = {Scope.ROW: narrow_and_wide, Scope.ELEMENT: (1, *narrow_and_wide), Scope.DATASET: (1,), Scope.PAIRS: (2,)}
    for spec in specs:
        for loss, _ in find(spec.name):
            for width in widths[loss.scope]:
                row = (width,) if width > 1 else ()
                target_row = () if loss.target_kind is TargetKind.INDEX else row
                settings = settle(spec, {}, Shapes(row, target_row))
                weights = settings["class_weight"]
                if weights is not None and len(weights) != width:
                    continue
                for dtype in ("float32", "float64"):
                    yield Plan(settings, width, dtype), dtype


def _compile(recipe: Recipe | RowCode) -> None:
    from lossctl_kernels.roads import compile_ahead

    with compiler_faults():
        compile_ahead(recipe)
