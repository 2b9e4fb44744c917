"""Data for a check of a loss: predictions, targets and parameters over their domains, ends and awkward places included.

The same numbers every time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl_kernels import Loss, Parameter
from lossctl_kernels.domains import Domain, TargetKind
from lossctl_kernels.spec import Input, InputShape

Floats = NDArray[np.float64]

# Ends and places of no smooth going: zero, tiny, and as large as saved outputs get.
MAGNITUDES = (0.0, 1e-6, 1e-3, 1.0, 8.0, 30.0, 100.0, 800.0)
PARAMETER_VALUES = (0.5, 2.0, 1.0, 0.1, 3.0, 0.0, 0.9, -1.0, 10.0)
VALUES_OF_A_PARAMETER = 3
BITS = 14


def draw(domain: Domain, shape: tuple[int, ...], random: np.random.Generator, ends: bool = True) -> Floats:
    """Numbers of a domain, of few bits. Of a flat shape the first are its awkward ones."""
    if domain.rows_sum_to_one:
        return _short(random.dirichlet(np.ones(shape[-1]), shape[:-1]))
    if domain.labels:
        return random.choice(np.array(domain.labels), shape)
    low, high = domain.low, domain.high
    sizes = np.exp(random.uniform(-5.0, 4.0, shape))
    if math.isfinite(low) and math.isfinite(high):
        found, awkward = random.uniform(low, high, shape), [low, high]
        awkward += [end + share * (high - low) for end, share in ((low, 1e-4), (high, -1e-4))]
    elif math.isfinite(low):
        found, awkward = low + sizes, [low + size for size in MAGNITUDES]
    elif math.isfinite(high):
        found, awkward = high - sizes, [high - size for size in MAGNITUDES]
    else:
        found = sizes * random.choice([-1.0, 1.0], shape)
        awkward = [side * size for size in MAGNITUDES for side in (1.0, -1.0)]
    if ends and len(shape) == 1:
        allowed = [number for number in awkward if _allows(domain, number)][: len(found)]
        found[: len(allowed)] = allowed
    return np.clip(_short(found), *domain.bounds("float32"))


def _allows(domain: Domain, number: float) -> bool:
    low, high = domain.bounds("float32")
    return low <= number <= high


def _short(numbers: Floats) -> Floats:
    """Rounded to a few bits, so that steps away from them are exact and people can read them."""
    fractions, exponents = np.frexp(numbers)
    return np.asarray(np.ldexp(np.round(np.ldexp(fractions, BITS)), exponents - BITS))


def draw_targets(loss: Loss, predictions: Floats, random: np.random.Generator) -> NDArray[Any]:
    """Targets for these predictions; a tenth of single numbers hit them."""
    rows, width = len(predictions), predictions.shape[-1]
    if loss.target_kind is TargetKind.INDEX:
        return random.integers(0, width, rows)
    if loss.target_kind is TargetKind.LABELS:
        classes = np.argsort(random.random((rows, width)), axis=1)
        return np.where(np.arange(width) < random.integers(0, width + 1, (rows, 1)), classes, -1)
    if loss.target_kind is TargetKind.DISTRIBUTION:
        soft = random.dirichlet(np.ones(width), rows)
        hard = np.eye(width)[random.integers(0, width, rows)]
        return np.where(random.random((rows, 1)) < 0.5, hard, soft)
    targets = draw(loss.target, predictions.shape, random, ends=False)
    if not loss.target.labels and predictions.ndim == 1:
        ends = [end for end in (loss.target.low, loss.target.high) if math.isfinite(end) and _allows(loss.target, end)]
        targets = np.where(random.random(rows) < 0.2, random.choice(ends, rows), targets) if ends else targets
        hits = (random.random(rows) < 0.1) & np.array([_allows(loss.target, float(each)) for each in predictions])
        targets = np.where(hits, predictions, targets)
    return targets


def draw_input(facts: Input, predictions: Floats, random: np.random.Generator) -> NDArray[Any] | None:
    """A further input for these predictions; None for one that is not in step with them."""
    if facts.shape is InputShape.WHOLE:
        return None
    shape = predictions.shape if facts.shape is InputShape.LIKE_PREDICTION else predictions.shape[:1]
    numbers = draw(facts.domain, shape, random, ends=False)
    return numbers.astype(np.int64) if facts.integer else numbers


def parameter_sets(loss: Loss, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The parameters as given, else by default; then one after the other with other values that are allowed."""
    base = {name: loss.required[name] for name in loss.required if name not in given}
    yield base
    for name, (default, facts) in loss.parameters.items():
        if name not in given:
            for value in _values(facts, default):
                yield base | {name: value}


def _values(facts: Parameter, default: Any) -> list[Any]:
    if facts.words:
        return [word for word in facts.words if word != default]
    near = [float(default) * factor for factor in (0.5, 2.0)] if isinstance(default, float) else []
    wanted = [*facts.choices, *(end for end in (facts.at_least, facts.at_most) if end is not None), *near]
    allowed = [value for value in (*wanted, *PARAMETER_VALUES) if facts.allows(value) and value != default]
    return list(dict.fromkeys(allowed))[:VALUES_OF_A_PARAMETER]
