"""Losses that no fold expresses: functions of a whole row, or of all rows, the same on every backend.

A *row function* is written in `losses/` in the part of Python that `row_writer.py` compiles for processors and Numba
for GPUs: loops over numbers and over arrays that are given. It calls other plain functions, which are written in place:
small ones cost nothing. The names of its arguments say what it needs. It is made a definition as any other function:

    @loss(scope=Scope.ROW, target_kind=..., options=..., formula=...)
    @row_function(scratch=lambda prediction: 2 * prediction[1])
    def some_loss(row, prediction, target, scratch, margin: Margin = 1.0) -> float: ...

    @gradient_of(some_loss)
    def some_loss_gradient(row, prediction, target, scale, scratch, gradient, margin) -> None:  # fills gradient[row]

Arguments come in this order: where, arrays, `scale`, `scratch`, what is filled, numbers. They are
- where: `row`, the row that is asked for. In its place `first` and `last` ask for a few rows at once, from `first` to
  before `last`, at most `LANES` of them: what is the same for all is then done once, and loops over them vectorise.
- arrays: `prediction` of shape (rows, width), or of as many `dimensions` as its `row_function` says, in float32 or
  float64; `target` and further inputs as `Batch` has them; an optional input that was not given is an empty array of
  its kind, or the array that `instead` names; `state`, of shape (rows, state_columns), which the `states` have filled;
  of a gradient `scales` of shape (rows,), by which each row's loss is multiplied.
- `scale`: the scale of this row, of a gradient by `row`.
- `scratch`: float64 of shape (n,), this call's own, with n by the function `scratch` of the shapes; it holds anything.
- what is filled: `gradient`, in the shape and dtype of what it is with respect to, or `state`; it begins as zeros. A
  loss is returned.
- numbers, all float64: parameters, options such as `kink`, and `<input>_given`, which is 1 where an optional input was
  given and else 0.

Arithmetic is in float64: `float(prediction[row, i])` before anything else. Elementary functions are those of `math`,
which must not raise (`math.exp` only of what is not positive); nothing may be divided by 0. Passes over many numbers
are best left to the functions of `row_vectors.py`. What a row function sees lies in its domain: the other rows have
loss NaN and are not computed (with `Scope.PAIRS` no row is).

With `Scope.ROW` a batch is any few blocks, as for other losses. With `Scope.PAIRS` it is the whole data set: the caller
gathers it (predictions, targets, weights, further inputs), calls `Backend.losses` and `Backend.gradient` once each with
all of it, and reduces the losses as it does others, with `shares(plan, batch)` as the share of each row in the
denominator (None: 1 each), such as the number of its positive pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from .arguments import argument_names
from .batch import Array, Batch, Column, Floats
from .domains import TargetKind
from .facts import Input, InputShape
from .plan import Plan
from .records import Record, replace
from .reports import Mask, blocks, report, report_of_losses, table
from .row_domains import are_inside_here_and_there, computable, inside_of
from .spec import RowFunction, Scope

LANES = 32
"""Rows that a function computes at once on a processor: four to eight vectors of float64."""
STEPS_OF_A_READ = 4
"""Of a loss that reads few of the predictions."""
WHERE = ("row", "first", "last")
FILLED = ("gradient", "state")
_DTYPES = {"f": "float32", "d": "float64"}
"""NumPy takes longer to say the name of a dtype."""
Kinds = Mapping[str, tuple[str, int]]
"""(dtype, dimensions) of arrays by name."""


class RowCode(Record):
    """A row function for arrays of certain kinds: what machine code is made of and found by."""

    function: Callable[..., Any]
    arrays: tuple[tuple[str, str, int], ...]
    """(name, dtype, dimensions), in the order of the arguments."""
    filled: tuple[str, str, int]
    """The same of what is filled: the losses, a state, or a gradient."""
    numbers: tuple[str, ...]

    @cached_property
    def grouped(self) -> bool:
        """Whether it is called for a few rows at once."""
        return "first" in argument_names(self.function)

    @cached_property
    def scaled(self) -> bool:
        """Whether it takes the scale of its row."""
        return "scale" in argument_names(self.function)

    @cached_property
    def key(self) -> str:
        name = f"{self.function.__module__}.{self.function.__qualname__}"
        return f"row|{name}|{self.arrays}|{self.filled}|{len(self.numbers)}"

    @property
    def symbol(self) -> str:
        import hashlib  # which small inputs do without

        return "lossctl_row_" + hashlib.sha256(self.key.encode()).hexdigest()[:32]


class RowCall(Record):
    """One run of a row function over rows: what an engine is given."""

    code: RowCode
    arrays: tuple[Array, ...]
    filled: Array
    numbers: tuple[float, ...]
    scales: Floats
    """One for each row, or nothing where the function takes none."""
    wanted: Mask
    """The rows to compute; a function of several rows at once computes all."""
    scratch: Callable[[int], int]
    """How many float64 numbers a call needs to work in, by how many rows it computes at once."""
    work: int
    """About how many steps a row takes."""
    look: Callable[[int, int], None] | None = None
    """Says in `wanted` which rows of a span are to be computed, before they are; None where all is said."""

    @property
    def rows(self) -> int:
        return len(self.wanted)


class Engine(Protocol):
    """Runs a row function over the rows of a call."""

    def __call__(self, call: RowCall) -> None: ...


# ---- what a backend is asked for


def losses(
    plan: Plan, batch: Batch, run: Engine, by_span: bool = False, described: bool = True
) -> tuple[Floats, Floats]:
    """See `batch.Backend.losses`: the report and the losses, which are there whether they are wanted or not.

    `by_span`: whether the engine asks each `RowCall` to look at the rows of a span, which it then has at hand.
    `described`: whether the report has to say more of the losses than their sums, if those are finite.
    """
    found, inside = np.full(batch.rows, np.nan), np.ones(batch.rows, np.bool_)
    # Where few of the predictions are read, and none where degenerate rows are counted.
    few = facts_of(plan).reads is not None and (
        plan.counts_degenerate or (by_span and are_inside_here_and_there(plan, batch))
    )

    def look(first: int, last: int) -> None:
        inside[first:last] = computable(plan, batch, slice(first, last), not few)

    looks_later = by_span and not few and batch.keep is None and plan.scope is not Scope.PAIRS
    if not looks_later:
        look(0, batch.rows)
    wanted = inside if batch.keep is None or plan.scope is Scope.PAIRS else inside & batch.keep
    if wanted.any():
        measured = plan.definition.degenerate if plan.counts_degenerate else None
        binding = _Binding(plan, batch, run)
        binding.call(measured or plan.definition.function, found, wanted, look if looks_later else None)
    if few and not plan.counts_degenerate and np.isnan(found).any():
        inside &= inside_of(batch.prediction, plan.prediction_domain)
    if not plan.counts_degenerate:
        found /= plan.settings.value_divisor
    if batch.keep is not None:
        found[~batch.keep] = np.nan
    return _reports(plan, batch, found, bool(inside.all()), described), found


def gradient(plan: Plan, batch: Batch, row_scales: Floats, run: Engine, of: str = "prediction") -> Array:
    """See `batch.Backend.gradient`."""
    function = plan.definition.gradient if of == "prediction" else plan.definition.input_gradients[of]
    like = batch.prediction if of == "prediction" else batch.target if of == "target" else batch.inputs[of]
    found = np.zeros_like(like)
    # What a function checks where it reads it is right, or the losses were refused.
    wanted = computable(plan, batch, slice(None), facts_of(plan).reads is None)
    if batch.keep is not None and plan.scope is not Scope.PAIRS:
        wanted &= batch.keep
    if function is not None and wanted.any():
        binding = _Binding(plan, batch, run)
        binding.arrays["scales"] = np.ascontiguousarray(row_scales, np.float64)
        binding.call(function, found, wanted)
    return found


def shares(plan: Plan, batch: Batch) -> Floats | None:
    """The share of each row in the denominator of the mean; None where it is 1 each."""
    facts = facts_of(plan)
    if facts.shares is None:
        return None
    known = {**_arrays(plan, batch, batch.prediction.dtype.name), **_numbers(plan, batch)}
    return np.asarray(facts.shares(**{name: known[name] for name in argument_names(facts.shares)}), np.float64)


def codes(plan: Plan, dtype: str, gradient: bool = False) -> list[RowCode]:
    """What the losses of a plan take, and its gradient where that is asked for and exists."""
    definition = plan.definition
    functions: list[Any] = [*facts_of(plan).states, definition.function, definition.degenerate]
    functions += [definition.gradient] if gradient else []
    return [_code(plan, function, dtype) for function in functions if function is not None]


def facts_of(plan: Plan) -> RowFunction:
    """What the definition of a plan says of its row function."""
    facts = plan.definition.row_function
    if facts is None:
        raise ValueError(f"{plan.definition.name} is no row function")
    return facts


# ---- names to arrays and numbers


class _Binding:
    """The arrays and numbers of a batch by name; the states are computed at once."""

    def __init__(self, plan: Plan, batch: Batch, run: Engine) -> None:
        self._plan, self._run = plan, run
        self._dtype = _DTYPES[batch.prediction.dtype.char]
        self.arrays = _arrays(plan, batch, self._dtype)
        self._numbers = _numbers(plan, batch)
        facts = facts_of(plan)
        state = np.zeros((batch.rows, facts.state_columns))
        self.arrays["state"] = state
        if not plan.counts_degenerate:
            for function in facts.states:
                self.call(function, state, np.ones(batch.rows, np.bool_))

    def call(
        self,
        function: Callable[..., Any],
        filled: Array,
        wanted: Mask,
        look: Callable[[int, int], None] | None = None,
    ) -> None:
        """Runs one of the functions of the definition."""
        code = _code(self._plan, function, self._dtype)
        arrays = tuple(self.arrays[name] for name, _, _ in code.arrays)
        facts, shapes = facts_of(self._plan), {name: array.shape for name, array in self.arrays.items()}

        def size(lanes: int) -> int:
            return _count(facts.scratch, {**shapes, "lanes": lanes})

        if facts.reads is not None and filled.ndim == 1:
            work = STEPS_OF_A_READ * _count(facts.reads, shapes)
        else:
            work = math.prod(shapes["prediction"][1:]) * (len(filled) if self._plan.scope is Scope.PAIRS else 1)
        numbers = tuple(self._numbers[name] for name in code.numbers)
        scales = self.arrays["scales"] if code.scaled else np.empty(0)
        self._run(RowCall(code, arrays, filled, numbers, scales, wanted, size, work, look))


def _count(function: Callable[..., int], shapes: Mapping[str, Any]) -> int:
    """What a function of shapes says of these."""
    return int(function(**{name: shapes[name] for name in argument_names(function)}))


def _code(plan: Plan, function: Callable[..., Any], dtype: str) -> RowCode:
    """What a function of the definition is for predictions of this dtype; worked out once for a plan."""
    code: RowCode | None = plan.memory.get((function, dtype))
    if code is None:
        code = plan.memory[function, dtype] = _new_code(function, _kinds(plan, dtype))
    return code


def _new_code(function: Callable[..., Any], kinds: Kinds) -> RowCode:
    names = argument_names(function)
    filled = next((name for name in FILLED if name in names[names.index("scratch") :]), "losses")
    special = (*WHERE, "scale", "scratch", filled)
    arrays = tuple((name, *kinds[name]) for name in names[: names.index("scratch")] if name not in (*WHERE, "scale"))
    numbers = tuple(name for name in names if name not in special and name not in kinds)
    _check_order(function, names, tuple(name for name, _, _ in arrays), filled, numbers)
    return RowCode(function, arrays, (filled, *kinds[filled]), numbers)


def _check_order(
    function: Callable[..., Any], names: tuple[str, ...], arrays: tuple[str, ...], filled: str, numbers: tuple[str, ...]
) -> None:
    where = tuple(name for name in WHERE if name in names)
    scale = ("scale",) if "scale" in names else ()
    wanted = (*where, *arrays, *scale, "scratch", *((filled,) if filled in FILLED else ()), *numbers)
    if names != wanted:
        raise TypeError(f"the arguments of {function.__qualname__} must come in this order: {', '.join(wanted)}")


def _kinds(plan: Plan, dtype: str) -> Kinds:
    """Of all arrays that a row function may ask for, with predictions of this dtype; worked out once for a plan."""
    kinds: Kinds | None = plan.memory.get(("kinds", dtype))
    if kinds is None:
        kinds = plan.memory["kinds", dtype] = _new_kinds(plan, dtype)
    return kinds


def _new_kinds(plan: Plan, dtype: str) -> Kinds:
    dimensions = facts_of(plan).dimensions
    target = {
        TargetKind.INDEX: ("int64", 1),
        TargetKind.GROUP: ("int64", 1),
        TargetKind.LABELS: ("int64", 2),
        TargetKind.SEQUENCE: ("int64", 2),
    }
    kinds = {
        "prediction": (dtype, dimensions),
        "target": target.get(plan.settings.loss.target_kind, (dtype, dimensions)),
        "state": ("float64", 2),
        "scales": ("float64", 1),
        "losses": ("float64", 1),
        "gradient": (dtype, dimensions),
    }
    return kinds | {name: _input_kind(facts, dtype, dimensions) for name, facts in plan.settings.loss.inputs.items()}


def _input_kind(facts: Input, dtype: str, dimensions: int) -> tuple[str, int]:
    wide = facts.shape is InputShape.LIKE_PREDICTION or (facts.shape is InputShape.WHOLE and not facts.integer)
    return ("int64" if facts.integer else dtype), (dimensions if wide else 1)


def _arrays(plan: Plan, batch: Batch, prediction_dtype: str) -> dict[str, Array]:
    found: dict[str, Array] = {"prediction": batch.prediction, "target": batch.target}
    kinds = _kinds(plan, prediction_dtype)
    for name in plan.settings.loss.inputs:
        dtype, dimensions = kinds[name]
        array = batch.inputs.get(name)
        if array is None:
            stand_in = facts_of(plan).instead.get(name)
            array = found[stand_in] if stand_in else np.empty((0,) * dimensions, dtype)
        found[name] = np.ascontiguousarray(array, dtype)
    return found


def _numbers(plan: Plan, batch: Batch) -> dict[str, float]:
    given = {f"{name}_given": float(name in batch.inputs) for name in plan.settings.loss.inputs}
    return {**plan.numbers, **given}


# ---- the report


def _reports(plan: Plan, batch: Batch, found: Floats, inside: bool, described: bool) -> Floats:
    """The reports on the blocks; numbers that are all `inside` their domains are not looked at again."""
    step, weights, keep = plan.block_rows, batch.weights, batch.keep
    spans = [slice(start, start + step) for start in range(0, batch.rows, step)]
    if inside and not plan.rows_sum_to_one and not plan.targets_sum_to_one:
        rows = [report_of_losses(found[span], _part(weights, span), _part(keep, span), described) for span in spans]
        return table(rows, len(Column))
    facts = plan.settings.loss.inputs
    in_step = {name: array for name, array in batch.inputs.items() if facts[name].shape is not InputShape.WHOLE}
    parts = blocks(replace(batch, inputs=in_step), step)
    return table([report(plan, block, found[span]) for block, span in zip(parts, spans, strict=True)], len(Column))


def _part(array: Array | None, span: slice) -> Array | None:
    return None if array is None else array[span]


# ---- plain Python


def interpret(call: RowCall) -> None:
    """Runs the function as it is."""
    code = call.code
    scratch = np.zeros(call.scratch(1))
    with np.errstate(all="ignore"):
        for row in np.flatnonzero(call.wanted).tolist():
            where = (row, row + 1) if code.grouped else (row,)
            scale = (float(call.scales[row]),) if code.scaled else ()
            filled = () if code.filled[0] == "losses" else (call.filled,)
            found = code.function(*where, *call.arrays, *scale, scratch, *filled, *call.numbers)
            if not filled:
                call.filled[row] = found
