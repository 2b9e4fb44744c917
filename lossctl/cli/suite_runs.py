"""Runs a suite: every evaluation, whatever becomes of the others, then the results and one verdict."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import chdir, nullcontext
from typing import TYPE_CHECKING, Any

from lossctl._version import __version__
from lossctl.cli.show import emit, tell, tell_gates, warn
from lossctl.cli.suite import plan_suite
from lossctl.errors import EnvironmentFault, LossctlError, visible
from lossctl.outputs.delivery import deliver, deliver_fault
from lossctl.suites.results import SuiteResult
from lossctl.suites.suite import Suite, SuiteEvaluation, from_here
from lossctl.suites.verdict import Finished, finished, verdict

if TYPE_CHECKING:
    from lossctl.cli.eval import PlannedEvaluation


def run_suite(suite: Suite, outputs: Sequence[str], shown: str, screen: Mapping[str, Any]) -> None:
    """Runs the suite in its folder, writes its files, prints it in the format `shown`, and tells the verdict last.

    `outputs` are files for the whole beside the suite's own, named from the current folder. Raises SuiteError before
    anything is read, and at the end the error of the most serious evaluation.
    """
    started = time.perf_counter()
    away = suite.is_away
    files = [*suite.outputs, *((from_here(path) for path in outputs) if away else outputs)]
    with chdir(suite.folder) if away else nullcontext():
        planned = plan_suite(suite, files, screen, shown)
        done = [_run(each, planned[each.name], screen["quiet"]) for each in suite.evaluations]
        seconds = time.perf_counter() - started
        result = SuiteResult(__version__, suite.path, suite.folder, tuple(each.result for each in done), seconds)
        faults = _delivered(result, files)
    try:
        emit(result, shown, [])
    except BrokenPipeError:  # who reads stdout has no part in the verdict
        _tell(done, faults, screen["quiet"])
        raise
    _tell(done, faults, screen["quiet"])


def _run(evaluation: SuiteEvaluation, planned: PlannedEvaluation | LossctlError, quiet: bool) -> Finished:
    """One evaluation with its files; what goes wrong is told, and part of the result."""
    name, run, error = evaluation.name, None, None
    if isinstance(planned, LossctlError):
        error = planned
    else:
        try:
            run = planned.run()
            deliver(run, planned.outputs)
        except LossctlError as fault:
            error = fault
            if run is None:
                deliver_fault(fault, planned.outputs)
        except MemoryError:
            error = EnvironmentFault("out of memory", hint="give chunk-rows a smaller number")
    if run is not None and not quiet:
        warn([f"{name}: {warning}" for warning in run.warnings])
    if error is not None:
        _say(f"{name}: {error}")
    gating = None if isinstance(planned, LossctlError) else planned.gating
    decisions, strict = ((), False) if gating is None else (gating.decisions, gating.strict)
    return finished(name, run, error, decisions, _gates(evaluation), strict)


def _gates(evaluation: SuiteEvaluation) -> list[tuple[str, str]]:
    """The gates that the options ask for, each with its severity."""
    given = {"fail": evaluation.values.get("fail_if"), "warn": evaluation.values.get("warn_if")}
    return [(text.strip(), severity) for severity, texts in given.items() for text in texts or ()]


def _delivered(result: SuiteResult, files: Sequence[str]) -> list[LossctlError]:
    """Writes each of the files; returns why some could not be."""
    faults = []
    for path in files:
        try:
            deliver(result, [path])
        except LossctlError as fault:
            _say(str(fault))
            faults.append(fault)
    return faults


def _tell(done: Sequence[Finished], faults: Sequence[LossctlError], quiet: bool) -> None:
    """The gates of each evaluation, then the verdict, which is raised where it is no good one."""
    # Of an evaluation without a result it has been said why.
    tell_gates([decision for each in done if each.result.run is not None for decision in each.decisions], quiet)
    found = verdict(done, faults)
    if isinstance(found, LossctlError):
        raise found
    if found and not quiet:
        _say(found)


def _say(message: str) -> None:
    tell([f"lossctl: {visible(message, 2000)}"])
