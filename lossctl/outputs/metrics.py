"""`metrics.json` as DVC and others read it: one flat object of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.outputs.labels import labelled, measures
from lossctl.results import RunResult, finite_or_none
from lossctl.strict_json import indented

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult


def render(run: RunResult) -> str:
    """`{"bce": 0.0734}`, with statistics where there are any: "bce.p95", "bce.gradient.prob.norm", and slices.

    A number that is not finite is left out: a run has a metric or it has none.
    """
    return indented(_numbers(run))


def render_suite(suite: SuiteResult) -> str:
    """`{"digits": {"scce": 0.108}}`: the numbers of each evaluation under its name."""
    return indented({name: _numbers(run) for name, run in suite.runs})


def _numbers(run: RunResult) -> dict[str, float]:
    found: dict[str, float | None] = {}
    for label, result in labelled(run).items():
        found[label] = finite_or_none(result.value)
        if result.stats is not None:
            found |= {f"{label}.{name}": number for name, number in measures(result.stats).items()}
        if result.slices:
            from lossctl.outputs.slices import slice_values

            found |= {f"{label}[{name}]": finite_or_none(each.value) for name, each in slice_values(result)}
    for gradient in run.gradients:
        label = f"{gradient.loss}.gradient.{gradient.wrt}"
        found |= {f"{label}.{name}": number for name, number in measures(gradient.stats).items()}
    return {name: number for name, number in found.items() if number is not None}
