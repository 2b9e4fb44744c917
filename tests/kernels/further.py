"""Further inputs of losses for tests: what a loss takes besides predictions and targets, drawn from its own facts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl_kernels import Loss
from lossctl_kernels.domains import Domain
from lossctl_kernels.spec import InputShape

Array = NDArray[Any]


def drawn_inputs(loss: Loss, prediction: Array) -> dict[str, Array]:
    """Numbers within the domains of a settled loss, in the dtype of the prediction: the same for the same shape.

    Even a few labels are not all the same.
    """
    random = np.random.default_rng(3)
    found = {}
    for name, facts in loss.inputs.items():
        if facts.shape is not InputShape.WHOLE and not facts.integer:
            shape = prediction.shape[:1] if facts.shape is InputShape.ONE_A_ROW else prediction.shape
            found[name] = _draw(random, facts.domain, shape).astype(prediction.dtype)
    return found


def _draw(random: np.random.Generator, domain: Domain, shape: tuple[int, ...]) -> Array:
    if domain.labels:
        return np.asarray(random.choice(domain.labels, shape))
    if math.isfinite(domain.low):
        return random.uniform(domain.low + 0.05, min(domain.high, domain.low + 2.5), shape)
    return random.normal(0.0, 2.0, shape)
