"""What the `cuda` backend does with a slice of a batch: which arrays go there, which kernels run, what comes back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import cuda_kernels
from .batch import Array, Batch, Column, Floats, input_arrays
from .cuda_kernels import Layout
from .cuda_streams import Arrays, Field, Launch, Packing, Span
from .plan import Plan
from .program import Program, Step
from .spec import Monoid, Scope

MOST_BLOCKS = 1 << 16  # thread blocks of one launch; they take several rows each beyond that
VALUES_OF_A_LANE = 16  # of a block of rows, before another thread block joins in

ONE: Floats = np.ones(1)
ALL = np.ones(1, np.bool_)

_kernels: dict[tuple[Any, ...], Any] = {}


@dataclass(frozen=True)
class Shape:
    """Of every launch: threads of a thread block, a power of two and a multiple of the `warp`."""

    threads: int = 128
    warp: int = cuda_kernels.WARP

    def lanes(self, width: int) -> int:
        """How many threads share a row: each has four values of it or more, so that warps read whole lines."""
        if width >= 32 * self.threads:
            return self.threads
        lanes = 1
        while lanes < self.warp and 8 * lanes <= width:
            lanes *= 2
        return lanes

    def layout(self, plan: Plan) -> Layout:
        """How the rows of a plan are worked on."""
        return Layout(
            self.lanes(plan.width),
            self.threads,
            plan.sparse,
            plan.at_target_only,
            plan.rows_sum_to_one,
            plan.targets_sum_to_one,
            self.warp,
            plan.row_inputs,
        )


def kernel(program: Program, layout: Layout, make: Callable[[Program, Layout], Any]) -> Any:
    """The kernel of a program, made once in a process: equal keys, equal functions."""
    key = (program.kind, program.key, layout)
    if key not in _kernels:
        _kernels[key] = make(program, layout)
    return _kernels[key]


class RowsJob(ABC):
    """What all jobs share: the batch, and what is sent of it. See `cuda_streams.Job`.

    An array that holds one thing for all rows is sent as it is with each slice: it is named in `shared`.
    """

    def __init__(self, shape: Shape, plan: Plan, batch: Batch) -> None:
        self.shape, self.plan, self.batch = shape, plan, batch
        values = (batch.rows, plan.width)
        weights = plan.class_weights
        self.shared = {"class_weight"}
        self.sent: dict[str, Array] = {
            "prediction": batch.prediction.reshape(values),
            "target": batch.target if plan.sparse else batch.target.reshape(values),
            "class_weight": weights[:1] if (weights == weights[0]).all() else weights,
        }
        for name, array, of_row in zip(plan.inputs, input_arrays(plan, batch), plan.row_inputs, strict=True):
            self.sent[f"input {name}"] = array if of_row else array.reshape(values)

    @abstractmethod
    def packing(self, rows: int) -> Packing:
        """The arrays of a slice of so many rows."""

    @abstractmethod
    def compute(self, arrays: Arrays, launch: Launch) -> None:
        """Launches the kernels on arrays of the device."""

    @abstractmethod
    def results(self, span: Span) -> dict[str, Array]:
        """Where the updated and returned arrays go for these rows."""

    def send(self, name: str, values: Array | None, otherwise: Array) -> None:
        """Adds an array that has something for each row, or where there is none, what holds for all of them."""
        self.sent[name] = otherwise if values is None else values
        if values is None:
            self.shared.add(name)

    def source(self, arrays: Arrays) -> tuple[Any, ...]:
        """What kernels read the environment from; see `cuda_folds`."""
        inputs = [arrays[f"input {name}"] for name in self.plan.inputs]
        return (arrays["prediction"], arrays["target"], arrays["class_weight"], *inputs)

    def fields(self, rows: int) -> tuple[Field, ...]:
        """The arrays that are sent for a slice."""
        return tuple(
            Field(name, array.dtype.name, array.shape if name in self.shared else (rows, *array.shape[1:]))
            for name, array in self.sent.items()
        )

    def sources(self, span: Span) -> dict[str, Array]:
        """What the sent and updated arrays hold for these rows."""
        return {name: array if name in self.shared else array[span] for name, array in self.sent.items()}

    def blocks(self, span: Span) -> Span:
        """The blocks of these rows."""
        return slice(span.start // self.plan.block_rows, -(-span.stop // self.plan.block_rows))

    def block_count(self, rows: int) -> int:
        """Blocks of so many rows."""
        return -(-rows // self.plan.block_rows)

    def grid(self, rows: int, lanes: int) -> int:
        """Thread blocks for so many rows."""
        return min(-(-rows * lanes // self.shape.threads), MOST_BLOCKS)


class LossesJob(RowsJob):
    """The losses of the rows and the report on their blocks. Without a `program` of their own the losses are 0."""

    def __init__(self, shape: Shape, plan: Plan, batch: Batch, program: Program, wanted: bool) -> None:
        super().__init__(shape, plan, batch)
        self.send("weights", batch.weights, ONE)
        self.send("keep", batch.keep, ALL)
        self.wanted = wanted
        self.losses = np.empty(batch.rows if wanted else 0)
        self.report = np.zeros((self.block_count(batch.rows), len(Column)))
        self._numbers = numbers(plan.vector(program))
        self._layout = shape.layout(plan)
        self._rows_kernel = kernel(program, self._layout, cuda_kernels.rows_kernel)
        self._report_kernel = cuda_kernels.report_kernel(Layout(1, shape.threads, warp=shape.warp))
        mean = plan.scope is Scope.ELEMENT and plan.settings["row"] == "mean"
        self._divisors = float(plan.width if mean else 1), float(plan.settings.value_divisor)

    def packing(self, rows: int) -> Packing:
        """Losses that nobody wants stay on the device."""
        losses = (Field("losses", "float64", (rows,)),)
        report = (Field("report", "float64", (self.block_count(rows), len(Column))),)
        if self.wanted:
            return Packing(self.fields(rows), report, losses)
        return Packing(self.fields(rows), report, (), losses)

    def sources(self, span: Span) -> dict[str, Array]:
        """The report begins with zeros: what is bad is added to it."""
        return {**super().sources(span), "report": self.report[self.blocks(span)]}

    def compute(self, arrays: Arrays, launch: Launch) -> None:
        a, rows, threads = arrays, arrays["prediction"].shape[0], self.shape.threads
        block_rows = self.plan.block_rows
        launch(
            self._rows_kernel, self.grid(rows, self._layout.lanes), threads,
            self.source(a), a["keep"], self._numbers, limits(self.plan), *self._divisors, block_rows, a["losses"],
            a["report"],
        )  # fmt: skip
        launch(
            self._report_kernel, min(self.block_count(rows), MOST_BLOCKS), threads,
            a["losses"], a["weights"], a["keep"], block_rows, a["report"],
        )  # fmt: skip

    def results(self, span: Span) -> dict[str, Array]:
        report = {"report": self.report[self.blocks(span)]}
        return {**report, "losses": self.losses[span]} if self.wanted else report


class FoldsJob(LossesJob):
    """The folds over each block of rows, for a loss of the whole data set, and the report."""

    def __init__(self, shape: Shape, plan: Plan, batch: Batch, scales: dict[str, float]) -> None:
        super().__init__(shape, plan, batch, NOTHING, wanted=False)
        steps = plan.folds.steps
        self.states = np.zeros((self.block_count(batch.rows), len(steps)))
        self._state_numbers = numbers(plan.vector(plan.folds, scales))
        layout = Layout(1, shape.threads, warp=shape.warp)
        self._state_kernel = kernel(plan.folds, layout, cuda_kernels.state_kernel)
        largest = tuple(step.monoid in (Monoid.SCALE, Monoid.MAX) for step in steps)
        self._merge_kernel = cuda_kernels.merge_kernel(largest, layout)

    @property
    def _lanes(self) -> int:
        """Threads that share a block of rows: a power of two, of which a thread block has the first ones."""
        lanes, values = self.shape.threads, self.plan.block_rows * self.plan.width
        while lanes * VALUES_OF_A_LANE < values:
            lanes *= 2
        return lanes

    def packing(self, rows: int) -> Packing:
        packing, blocks, folds = super().packing(rows), self.block_count(rows), self.states.shape[1]
        partial = Field("partial", "float64", (blocks, folds, self._lanes))
        states = Field("states", "float64", (blocks, folds))
        return Packing(packing.sent, packing.updated, (*packing.returned, states), (*packing.scratch, partial))

    def compute(self, arrays: Arrays, launch: Launch) -> None:
        super().compute(arrays, launch)
        a, threads = arrays, self.shape.threads
        blocks, _, lanes = a["partial"].shape
        launch(
            self._state_kernel, min(blocks * (lanes // threads), MOST_BLOCKS), threads,
            a["prediction"], a["target"], a["class_weight"], a["weights"], self._state_numbers, self.plan.block_rows,
            a["partial"],
        )  # fmt: skip
        launch(self._merge_kernel, min(blocks, MOST_BLOCKS), threads, a["partial"], a["states"])

    def results(self, span: Span) -> dict[str, Array]:
        return {**super().results(span), "states": self.states[self.blocks(span)]}


class GradientJob(RowsJob):
    """The gradient of each row's loss, times the scale of the row, `of` one of the plan's `gradient_names`."""

    def __init__(
        self,
        shape: Shape,
        plan: Plan,
        batch: Batch,
        row_scales: Floats,
        totals: dict[str, float],
        of: str,
    ) -> None:
        super().__init__(shape, plan, batch)
        one_scale = row_scales.strides == (0,)
        self.send("row_scales", None if one_scale else row_scales, row_scales[:1])
        self.gradient = np.empty_like(self.sent["prediction"])
        program = plan.gradient_program_of(of)
        self._numbers = numbers(plan.vector(program, totals))
        self._layout = shape.layout(plan)
        self._kernel = kernel(program, self._layout, cuda_kernels.gradient_kernel)

    def packing(self, rows: int) -> Packing:
        gradient = Field("gradient", self.gradient.dtype.name, (rows, self.plan.width))
        return Packing(self.fields(rows), (), (gradient,))

    def compute(self, arrays: Arrays, launch: Launch) -> None:
        a = arrays
        launch(
            self._kernel, self.grid(a["prediction"].shape[0], self._layout.lanes), self.shape.threads,
            self.source(a), a["row_scales"], self._numbers, a["gradient"],
        )  # fmt: skip

    def results(self, span: Span) -> dict[str, Array]:
        return {"gradient": self.gradient[span]}


def numbers(vector: Floats) -> tuple[Any, ...]:
    """The numbers of a program as an argument of a kernel, which takes no empty tuple: a placeholder comes first."""
    return (np.float64(0.0), *vector)


def limits(plan: Plan) -> tuple[float, ...]:
    """What predictions, targets and sums of rows may be; see `cuda_folds.check_steps`."""
    return (*plan.prediction_domain.bounds(), *plan.settings.loss.target.bounds(), plan.tolerance)


def row_values(plan: Plan) -> Program:
    """The program of a row's loss: of an elementwise loss the sum over the row, as one more fold."""
    if plan.scope is Scope.ROW:
        return plan.value
    program = plan.value
    step = Step("values", Monoid.SUM, program.finish)
    return replace(program, steps=(step,), finish=first_of(program.leading + len(program.numbers)))


def first_of(at: int) -> Callable[[tuple[Any, ...]], Any]:
    """The fold at this place of the environment."""

    def fold(environment: tuple[Any, ...]) -> Any:
        return environment[at]

    return fold


def nothing(environment: tuple[Any, ...]) -> float:
    """The loss of a row that has none of its own."""
    return 0.0


NOTHING = Program("value", "nothing", (), (), nothing)
