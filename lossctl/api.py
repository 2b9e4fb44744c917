"""The Python API: the same road as the command line, on arrays or files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossctl.catalogue.loss_spec import LossSpec, parse
from lossctl.errors import UsageError, visible
from lossctl.evaluation import Evaluation
from lossctl.python_words import in_python, warn
from lossctl.requests import Request, check_policy
from lossctl.results import LossResult
from lossctl.rows.feed import Feed
from lossctl.rows.further_inputs import check_names, whole_inputs
from lossctl.rows.input_parts import Part
from lossctl.rows.inputs import open_parts, reading_options
from lossctl.sources import Selection
from lossctl.values.class_names import class_names
from lossctl_kernels import LOSSES, Loss

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    from lossctl.slices.api import By, SliceRequest

    class _Options(TypedDict, total=False):
        """The keyword arguments of `evaluate`, for type checkers."""

        weights: Data | None
        inputs: Mapping[str, Data] | None
        columns: Columns | None
        reduction: str
        backend: str
        threads: int | None
        on: str | Sequence[str] | None
        missing: str
        classes: Sequence[str] | None
        nonfinite: str
        class_axis: int | None
        by: By | None
        cross: bool
        min_slice: int
        top: int | None


Data = ArrayLike | str | os.PathLike[str]
Columns = Mapping[str, str | Sequence[str]]


@overload
def evaluate(predictions: Data, targets: Data, loss: str, **options: Unpack[_Options]) -> LossResult: ...
@overload
def evaluate(
    predictions: Data, targets: Data, loss: list[str] | tuple[str, ...], **options: Unpack[_Options]
) -> list[LossResult]: ...
@in_python()
def evaluate(
    predictions: Data,
    targets: Data,
    loss: str | list[str] | tuple[str, ...],
    *,
    weights: Data | None = None,
    inputs: Mapping[str, Data] | None = None,
    columns: Columns | None = None,
    reduction: str = "mean",
    backend: str = "auto",
    threads: int | None = None,
    on: str | Sequence[str] | None = None,
    missing: str = "error",
    classes: Sequence[str] | None = None,
    nonfinite: str = "error",
    class_axis: int | None = None,
    by: By | None = None,
    cross: bool = False,
    min_slice: int = 1,
    top: int | None = None,
) -> LossResult | list[LossResult]:
    """The loss of predictions against targets, or several losses in one pass over the data.

    predictions, targets: arrays of shape (N,), (N, D) or (N, C), or paths of files; class indices are (N,).
    loss: a SPEC such as "huber:delta=2", or a list of them for a list of results.
    weights: one finite weight from 0 up for each row, shape (N,), or a path.
    inputs: further arrays by name, for the losses that take them, such as {"var": variances} of gaussian_nll.
    columns: which columns, or which array, of the files: by "prediction", "target", "weights" or the name of a further
    input, a name, a glob or a list, such as {"prediction": "p_*", "target": "label"}.
    reduction: "mean" or "sum".
    backend: "auto", "python", "cpu" or "cuda"; threads: the most of the cpu backend, all by default.
    on: a column, or several, by whose values the rows of files are matched; missing: "error", or "drop" to leave out
    rows without a partner.
    classes: the names of the classes in order, where targets are names.
    nonfinite: what is done about NaN, infinities and nulls: "error", "propagate", or "skip" to leave out their rows.
    class_axis: the axis of the predictions that the classes are on, such as 1 in PyTorch's layout (N, C, H, W); the
    last one by default. Of predictions (N, T, C) each of N * T places is a sample: targets are (N, T).
    by: slices too: columns of the files, such as "country" or ["country", "age:bins=0,30,60"], or arrays in step with
    the rows, such as {"country": codes}; `cross` takes them together, `min_slice` leaves out those of fewer samples.
    top: the rows with the largest losses too, so many.

    Returns a `LossResult`: `.value`, `.unit`, `.sum`, `.weight`, `.samples`, `.signature`, `.slices`, `.worst`, …
    Raises `lossctl.errors.UsageError` for a loss or option that does not exist or fit, `DataError` for data that is
    malformed, misaligned or outside the loss's domain, `EnvironmentFault` for a backend that is not there. Warns with
    `lossctl.errors.LossctlWarning` of what looks wrong and of rows that were left out.
    """
    reading = _Reading.of(columns, on, missing, classes, nonfinite, class_axis)
    request = reading.request(_specs(loss), reduction, backend, threads)
    slices = _slices(by, cross, min_slice, top)
    with closing(_feed(predictions, targets, weights, inputs, request.specs, reading, slices)) as feed:
        evaluation = Evaluation(feed, request)
        if slices is not None:
            slices.plan.prepare(evaluation)
        done = evaluation.run()
    warn(done.warnings)
    results = done.results
    return results[0] if isinstance(loss, str) else list(results)


@in_python()
def per_sample(
    predictions: Data,
    targets: Data,
    loss: str,
    *,
    weights: Data | None = None,
    inputs: Mapping[str, Data] | None = None,
    columns: Columns | None = None,
    backend: str = "auto",
    threads: int | None = None,
    on: str | Sequence[str] | None = None,
    missing: str = "error",
    classes: Sequence[str] | None = None,
    nonfinite: str = "error",
    class_axis: int | None = None,
) -> NDArray[np.float64]:
    """One loss a row, shape (N,), before sample weights; class weights are part of the loss.

    Where each place of a row is a sample, as of predictions (N, T, C), one a place, shape (N, T).

    Rows that `ignore_index` or `nonfinite="skip"` leaves out are NaN. Arguments and errors are those of `evaluate`.
    """
    reading = _Reading.of(columns, on, missing, classes, nonfinite, class_axis)
    request = reading.request([_spec(loss)], "mean", backend, threads)
    parts: list[NDArray[np.float64]] = []
    with closing(_feed(predictions, targets, weights, inputs, request.specs, reading)) as feed:
        evaluation = Evaluation(feed, request)
        warn(evaluation.run(parts.append).warnings)
    found, layout = np.concatenate(parts), evaluation.layout
    return found if layout is None or not layout.split else found.reshape(-1, *layout.places)


@in_python()
def gradient(
    predictions: Data,
    targets: Data,
    loss: str,
    *,
    weights: Data | None = None,
    inputs: Mapping[str, Data] | None = None,
    columns: Columns | None = None,
    reduction: str = "mean",
    of: str = "prediction",
    backend: str = "auto",
    threads: int | None = None,
    on: str | Sequence[str] | None = None,
    missing: str = "error",
    classes: Sequence[str] | None = None,
    nonfinite: str = "error",
    class_axis: int | None = None,
) -> NDArray[Any]:
    """The derivative of the reduced loss with respect to each prediction, in the shape of the predictions.

    float32 for float16 and float32 predictions, else float64. `grad_wrt` and `grad_scale` of the SPEC choose another
    variable and another scale. `of` names another array that the derivative is with respect to, whose shape and
    precision it has: a further input, such as "var" of gaussian_nll, or "target", where the loss has that derivative.
    Arguments and errors are those of `evaluate`.
    """
    reading = _Reading.of(columns, on, missing, classes, nonfinite, class_axis)
    request = reading.request([_spec(loss)], reduction, backend, threads, of)
    parts: list[NDArray[Any]] = []
    with closing(_feed(predictions, targets, weights, inputs, request.specs, reading)) as feed:
        evaluation = Evaluation(feed, request)
        warn(evaluation.run().warnings)
        evaluation.gradients({of: parts.append})
    return np.concatenate(parts)


def losses() -> Mapping[str, Loss]:
    """The registry: every loss by its canonical name."""
    return dict(LOSSES)


def _spec(loss: str) -> LossSpec:
    if not isinstance(loss, str):
        raise UsageError(f"one loss is asked for, as text, found {visible(repr(loss))}", hint="such as 'bce'")
    return _specs(loss)[0]


def _specs(loss: str | Sequence[str]) -> list[LossSpec]:
    specs = [loss] if isinstance(loss, str) else loss
    if not isinstance(specs, Sequence) or not all(isinstance(spec, str) for spec in specs):
        raise UsageError(f"a loss is text, or a list of texts, found {visible(repr(loss))}", hint="such as 'bce'")
    return [parse(spec) for spec in specs]


@dataclass(frozen=True)
class _Reading:
    """How arrays and files are read."""

    columns: Mapping[str, tuple[str, ...]]
    on: tuple[str, ...]
    missing: str
    classes: tuple[str, ...] | None
    nonfinite: str
    class_axis: int | None

    @classmethod
    def of(
        cls,
        columns: Columns | None,
        on: str | Sequence[str] | None,
        missing: str,
        classes: Sequence[str] | None,
        nonfinite: str,
        class_axis: int | None,
    ) -> _Reading:
        """Raises UsageError for what does not exist or fit."""
        from lossctl.matching.alignment import check_missing

        check_policy(nonfinite)
        check_missing(missing)
        keys = (on,) if isinstance(on, str) else tuple(on or ())
        if missing != "error" and not keys:
            raise UsageError("missing is of keys, and there is none", hint="name it with on=")
        if isinstance(classes, str | Set) or not isinstance(classes, Iterable | None):
            raise UsageError(
                f"classes is no list of names: found {visible(repr(classes))}", hint="such as ['no', 'yes']"
            )
        names = None if classes is None else class_names(list(classes), "classes")
        return cls(_columns(columns), keys, missing, names, nonfinite, class_axis)

    @property
    def gaps(self) -> bool:
        """Whether what is missing is NaN."""
        return self.nonfinite != "error"

    def request(
        self, specs: Sequence[LossSpec], reduction: str, backend: str, threads: int | None, *gradients: str
    ) -> Request:
        """What is computed of arrays that are read so."""
        return Request(
            specs,
            reduction=reduction,
            backend=backend,
            threads=threads,
            gradients=gradients,
            nonfinite=self.nonfinite,
            data_options=reading_options(self.on, self.missing, self.classes, self.class_axis),
            class_axis=self.class_axis,
        )

    def part(self, role: str, data: Data, is_whole: bool) -> Part:
        """An array, or a file by its path, for a role; what `is_whole` has no keys. Raises UsageError."""
        columns = self.columns.get(role)
        selection = Selection(columns, classes=self.classes if role == "target" else None, gaps=self.gaps)
        if isinstance(data, str | os.PathLike):
            return Part(role, os.fspath(data), None, selection)
        if self.on and not is_whole:
            raise UsageError(f"the {role} array has no column '{visible(self.on[0])}'", hint="on= is of files")
        if columns is not None:
            raise UsageError(f"the {role} is an array, which has no columns", hint="columns= is of files")
        return Part(role, "", None, selection, data)


def _columns(columns: Columns | None) -> dict[str, tuple[str, ...]]:
    """The names of each role. Raises UsageError for what are none."""
    if columns is None:
        return {}
    if not isinstance(columns, Mapping):
        raise UsageError(f"columns is no mapping: found {visible(repr(columns))}", hint="such as {'prediction': 'p'}")
    found = {}
    for role, names in columns.items():
        chosen = (names,) if isinstance(names, str) else tuple(names) if isinstance(names, Sequence) else ()
        if not chosen or not all(isinstance(name, str) for name in chosen):
            raise UsageError(
                f"columns names no columns of the {visible(role)}: found {visible(repr(names))}",
                hint="give a name, a glob, or a list of names",
            )
        found[role] = chosen
    return found


def _slices(by: By | None, cross: bool, min_slice: int, top: int | None) -> SliceRequest | None:
    if by is None and top is None and not cross and min_slice == 1:
        return None
    from lossctl.slices.api import SliceRequest

    return SliceRequest.of(by, cross, min_slice, top)


def _feed(
    predictions: Data,
    targets: Data,
    weights: Data | None,
    inputs: Mapping[str, Data] | None,
    specs: Sequence[LossSpec],
    reading: _Reading,
    slices: SliceRequest | None = None,
) -> Feed:
    if predictions is None or targets is None:
        missing = "predictions" if predictions is None else "targets"
        raise UsageError(f"there are no {missing}: found None", hint="give an array or a path")
    further = _further_inputs(inputs)
    check_names(specs, further)
    whole = whole_inputs(specs, further)
    given = {"prediction": predictions, "target": targets, "weights": weights, **further}
    parts = [reading.part(role, data, role in whole) for role, data in given.items() if data is not None]
    if unread := [role for role in reading.columns if role not in {part.role for part in parts}]:
        raise UsageError(
            f"columns names '{visible(unread[0])}', which is not read",
            hint=f"what is read is {', '.join(part.role for part in parts)}",
        )
    return open_parts(
        parts,
        [] if slices is None else slices.parts(predictions, targets, reading.on),
        whole=whole,
        on=reading.on,
        missing=reading.missing,
        classes=reading.classes,
        numbered=slices is not None and slices.plan.top is not None,
    )


def _further_inputs(inputs: Mapping[str, Data] | None) -> dict[str, Data]:
    if inputs is None:
        return {}
    if not isinstance(inputs, Mapping) or not all(isinstance(name, str) for name in inputs):
        raise UsageError(f"inputs is not a mapping of names: found {visible(repr(inputs))}", hint="such as {'var': v}")
    for name, data in inputs.items():
        if data is None:
            raise UsageError(f"the input '{visible(name)}' is None", hint="give an array or a path, or leave it out")
    return dict(inputs)
