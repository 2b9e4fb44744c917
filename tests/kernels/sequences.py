"""CTC over arrays, and drawn frames: what its tests call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl_kernels import LOSSES, Plan, resolve
from lossctl_kernels.batch import Array, Batch
from tests.kernels.engines import backend_of

Floats = NDArray[np.float64]


def plan_of(options: dict[str, Any], prediction: Array) -> Plan:
    return Plan(resolve(LOSSES["ctc"], options), prediction.shape[2], prediction.dtype.name)


def values(options: dict[str, Any], prediction: Array, target: Array, backend: str = "python", **inputs: Any) -> Floats:
    batch = Batch(prediction, target, inputs={name: np.array(lengths) for name, lengths in inputs.items()})
    return np.asarray(backend_of(backend).losses(plan_of(options, prediction), batch)[1])


def slopes(options: dict[str, Any], prediction: Array, target: Array, backend: str = "python", **inputs: Any) -> Array:
    batch = Batch(prediction, target, inputs={name: np.array(lengths) for name, lengths in inputs.items()})
    plan = plan_of(options, prediction)
    return np.asarray(backend_of(backend).gradient(plan, batch, np.ones(len(prediction)), {}))


def frames_of(form: str, shape: tuple[int, ...], seed: int = 0, spread: float = 1.0) -> Floats:
    """Logits, or the logarithms of their softmax."""
    logits = np.random.default_rng(seed).normal(0.0, spread, shape)
    if form == "logit":
        return logits
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)))
