"""`metrics.json` as DVC and others read it: one flat object of numbers."""

from __future__ import annotations

import json

from lossctl.outputs.labels import labelled, measures
from lossctl.results import RunResult, finite_or_none


def render(run: RunResult) -> str:
    """`{"bce": 0.0734}`, with statistics where there are any: "bce.p95", "bce.gradient.prob.norm".

    A number that is not finite is left out: a run has a metric or it has none.
    """
    found: dict[str, float | None] = {}
    for label, result in labelled(run).items():
        found[label] = finite_or_none(result.value)
        if result.stats is not None:
            found |= {f"{label}.{name}": number for name, number in measures(result.stats).items()}
    for gradient in run.gradients:
        label = f"{gradient.loss}.gradient.{gradient.wrt}"
        found |= {f"{label}.{name}": number for name, number in measures(gradient.stats).items()}
    numbers = {name: number for name, number in found.items() if number is not None}
    return json.dumps(numbers, indent=2, allow_nan=False) + "\n"
