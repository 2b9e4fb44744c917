"""Which run a plan has."""

from __future__ import annotations

from collections.abc import Sequence

from lossctl.runs.run import Run, Task
from lossctl.runs.samples import SampleRun
from lossctl_kernels import Plan, Scope
from lossctl_kernels.facts import Pooling


def make_run(task: Task) -> Run:
    """A run of the kind that the plan of the task asks for."""
    return _kind(task.plan)(task)


def runs_for_statistics(runs: Sequence[Run]) -> list[Run]:
    """New runs in place of those whose statistics need the data once more; the sums of the old ones are complete."""
    found = []
    for run in runs:
        if run.statistics is not None and run.statistics.end_pass():
            twin = run.begun_anew()
            twin.statistics = run.statistics
            found.append(twin)
    return found


def _kind(plan: Plan) -> type[Run]:
    """Loads the one that is asked for: a loss of single samples pays for no other."""
    if plan.settings.loss.pooling is Pooling.MEDIAN:
        from lossctl.runs.medians import MedianRun

        return MedianRun
    if plan.settings.loss.pooling is Pooling.BY_FREQUENCY:
        from lossctl.runs.masks import FrequencyRun

        return FrequencyRun
    if plan.settings["scope"] == "sample-class":
        from lossctl.runs.masks import SampleClassRun

        return SampleClassRun
    if plan.scope is Scope.PAIRS:
        from lossctl.runs.pairs import PairsRun

        return PairsRun
    if plan.scope is Scope.DATASET:
        from lossctl.runs.dataset import DatasetRun

        return DatasetRun
    return SampleRun
