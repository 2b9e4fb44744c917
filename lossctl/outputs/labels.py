"""A short name for each result of a run, for the formats that know a number by its name alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lossctl.errors import visible
from lossctl.results import GradientStatistics, LossResult, RunResult, Statistics, spelled


def labelled(run: RunResult) -> dict[str, LossResult]:
    """The results by name: that of the loss, and where a run has several of that name, also what tells them apart.

    "bce"; beside another bce "bce:input=logit", and of two presets "bce:preset=torch". A loss that was given twice is
    there once.
    """
    groups: dict[str, list[LossResult]] = {}
    for result in {result.signature: result for result in run.results}.values():
        groups.setdefault(result.loss, []).append(result)
    found = {_label(result, _telling(group)): result for group in groups.values() for result in group}
    order = {result.signature: position for position, result in enumerate(run.results)}
    return dict(sorted(found.items(), key=lambda item: order[item[1].signature]))


def _telling(results: Sequence[LossResult]) -> Sequence[str]:
    """The options that tell results of one loss apart: one, where one does, the preset before others; else all."""
    changed = [*dict.fromkeys(name for result in results for name in result.changed)]
    if len(results) == 1:
        return ()
    for option in sorted(changed, key=lambda name: name != "preset"):
        values = {spelled(result.options[option]) for result in results if option in result.changed}
        if len(values) + any(option not in result.changed for result in results) == len(results):
            return (option,)
    return changed


def _label(result: LossResult, telling: Sequence[str]) -> str:
    told = changed_options(result.options, [name for name in result.changed if name in telling], ",")
    return visible(f"{result.loss}:{told}" if told else result.loss, 1000)


def changed_options(options: Mapping[str, object], changed: Sequence[str], separator: str = " ") -> str:
    """The options that differ from the loss's own defaults, "input=logit log_base=2"."""
    return separator.join(f"{name}={spelled(options[name])}" for name in changed)


def measures(statistics: Statistics | GradientStatistics) -> dict[str, float | None]:
    """Statistics by name that may be followed from run to run: the number of a row is none, nor the level asked for."""
    return {name: value for name, value in statistics.to_document().items() if name not in ("argmax", "confidence")}
