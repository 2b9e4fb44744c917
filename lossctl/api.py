"""The Python API: the same road as the command line, on arrays or files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossctl.errors import UsageError, visible
from lossctl.evaluation import Evaluation, Request
from lossctl.feed import Feed
from lossctl.loss_spec import LossSpec, parse
from lossctl.results import LossResult
from lossctl.sources import Reader, Selection, memory_reader, open_reader
from lossctl_kernels import LOSSES, Loss

__all__ = ["evaluate", "gradient", "losses", "per_sample"]

Data = ArrayLike | str | os.PathLike[str]


@overload
def evaluate(
    predictions: Data,
    targets: Data,
    loss: str,
    *,
    weights: Data | None = None,
    inputs: Mapping[str, Data] | None = None,
    reduction: str = "mean",
    backend: str = "auto",
    threads: int | None = None,
) -> LossResult: ...
@overload
def evaluate(
    predictions: Data,
    targets: Data,
    loss: list[str] | tuple[str, ...],
    *,
    weights: Data | None = None,
    inputs: Mapping[str, Data] | None = None,
    reduction: str = "mean",
    backend: str = "auto",
    threads: int | None = None,
) -> list[LossResult]: ...
def evaluate(
    predictions: Data,
    targets: Data,
    loss: str | list[str] | tuple[str, ...],
    *,
    weights: Data | None = None,
    inputs: Mapping[str, Data] | None = None,
    reduction: str = "mean",
    backend: str = "auto",
    threads: int | None = None,
) -> LossResult | list[LossResult]:
    """The loss of predictions against targets, or several losses in one pass over the data.

    predictions, targets: arrays of shape (N,), (N, D) or (N, C), or paths of files; class indices are (N,).
    loss: a SPEC such as "huber:delta=2", or a list of them for a list of results.
    weights: one finite weight from 0 up for each row, shape (N,), or a path.
    inputs: further arrays by name, for the losses that take them.
    reduction: "mean" or "sum".
    backend: "auto", "python", "cpu" or "cuda"; threads: of the cpu backend, all by default.

    Returns a `LossResult`: `.value`, `.unit`, `.sum`, `.weight`, `.samples`, `.signature`, …
    Raises `lossctl.errors.UsageError` for a loss or option that does not exist or fit, `DataError` for data that is
    malformed, misaligned or outside the loss's domain, `EnvironmentFault` for a backend that is not there.
    """
    request = Request(_specs(loss), {}, reduction, backend, threads)
    feed = _feed(predictions, targets, weights, inputs, request.specs)
    try:
        results = Evaluation(feed, request).run().results
    finally:
        feed.close()
    return results[0] if isinstance(loss, str) else list(results)


def per_sample(
    predictions: Data,
    targets: Data,
    loss: str,
    *,
    weights: Data | None = None,
    inputs: Mapping[str, Data] | None = None,
    backend: str = "auto",
    threads: int | None = None,
) -> NDArray[np.float64]:
    """One loss a row, shape (N,), before sample weights; class weights are part of the loss.

    Rows that `ignore_index` leaves out are NaN. Arguments and errors are those of `evaluate`.
    """
    request = Request(_specs([loss]), {}, "mean", backend, threads)
    feed = _feed(predictions, targets, weights, inputs, request.specs)
    parts: list[NDArray[np.float64]] = []
    try:
        Evaluation(feed, request).run(parts.append)
    finally:
        feed.close()
    return np.concatenate(parts)


def gradient(
    predictions: Data,
    targets: Data,
    loss: str,
    *,
    weights: Data | None = None,
    inputs: Mapping[str, Data] | None = None,
    reduction: str = "mean",
    backend: str = "auto",
    threads: int | None = None,
) -> NDArray[Any]:
    """The derivative of the reduced loss with respect to each prediction, in the shape of the predictions.

    float32 for float32 predictions, else float64. `grad_wrt` and `grad_scale` of the SPEC choose another variable and
    another scale. Arguments and errors are those of `evaluate`.
    """
    request = Request(_specs([loss]), {}, reduction, backend, threads, gradient=True)
    feed = _feed(predictions, targets, weights, inputs, request.specs)
    parts: list[NDArray[Any]] = []
    try:
        evaluation = Evaluation(feed, request)
        evaluation.check_gradient(evaluation.runs[0])
        evaluation.run()
        evaluation.gradient(evaluation.runs[0], parts.append)
    finally:
        feed.close()
    return np.concatenate(parts)


def losses() -> Mapping[str, Loss]:
    """The registry: every loss by its canonical name."""
    return dict(LOSSES)


def _specs(loss: str | Sequence[str]) -> list[LossSpec]:
    specs = [loss] if isinstance(loss, str) else loss
    if not isinstance(specs, Sequence) or not all(isinstance(spec, str) for spec in specs):
        raise UsageError(f"a loss is text, or a list of texts, found {visible(repr(loss))}", hint="such as 'bce'")
    return [parse(spec) for spec in specs]


def _feed(
    predictions: Data,
    targets: Data,
    weights: Data | None,
    inputs: Mapping[str, Data] | None,
    specs: Sequence[LossSpec],
) -> Feed:
    if inputs:
        raise UsageError(
            f"{', '.join(spec.name for spec in specs)} takes no further input: found {', '.join(inputs)}",
            hint="leave `inputs` out",
        )
    if predictions is None or targets is None:
        missing = "predictions" if predictions is None else "targets"
        raise UsageError(f"there are no {missing}: found None", hint="give an array or a path")
    given = {"prediction": predictions, "target": targets, "weights": weights}
    readers = []
    try:
        for role, data in given.items():
            if data is not None:
                readers.append(_reader(role, data))
        return Feed(readers)
    except BaseException:
        for reader in readers:
            reader.close()
        raise


def _reader(role: str, data: Data) -> Reader:
    if isinstance(data, str | os.PathLike):
        return open_reader(data, {role: Selection(None)})
    return memory_reader({role: data})
