"""JUnit XML, which the test tabs of CI hosts read: a test case a loss and a gate.

junitparser writes it (extra `junit`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from junitparser import Error, Failure, JUnitXml, Skipped
from junitparser.junitparser import FinalResult
from junitparser.xunit2 import TestCase, TestSuite

from lossctl.errors import LossctlError, visible
from lossctl.outputs.gates import said, stands
from lossctl.outputs.labels import labelled
from lossctl.results import GateResult, LossResult, RunResult

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult

# The names of classes, by which test tabs group: what was computed, what was asked of it, and the run itself.
_LOSSES, _GATES, _RUN = "lossctl.losses", "lossctl.gates", "lossctl"

MOST_SLICES = 1000
"""Cases of one gate."""


def render(run: RunResult) -> str:
    """A case a loss, with its value and signature as what it printed, then a case a gate, or a slice that it is about.

    A loss that is not finite is an error; a gate is a failure where it fails, and skipped where it is only advice or
    could not be decided.
    """
    return document_of([_suite_of_run("lossctl", run)], run.seconds)


def render_suite(suite: SuiteResult) -> str:
    """A test suite an evaluation, with the cases of its run; what went wrong is a case that is an error."""
    found = []
    for each in suite.evaluations:
        errors = [] if each.error is None else [_error_case(each.error)]
        errors += [gate_case(gate) for gate in each.never_asked]
        name = in_xml(each.name)
        found.append(suite_of_cases(name, errors) if each.run is None else _suite_of_run(name, each.run, errors))
    return document_of(found, suite.seconds)


def render_fault(error: LossctlError) -> str:
    """One case that is an error: what went wrong before there was a result."""
    return document_of([suite_of_cases("lossctl", [_error_case(error)])])


def _suite_of_run(name: str, run: RunResult, further: Sequence[TestCase] = ()) -> TestSuite:
    losses = [_loss_case(label, result) for label, result in labelled(run).items()]
    gates = [case for gate in run.gates for case in _gate_cases(gate)]
    facts = {"version": run.version, "backend": run.backend, "threads": str(int(run.threads))}
    facts |= {f"input.{info.role}": info.path for info in run.inputs}
    return suite_of_cases(name, [*losses, *gates, *further], facts, run.seconds, run.warnings)


def _error_case(error: LossctlError) -> TestCase:
    case = TestCase("run", _RUN)
    case.result = [outcome(Error, error.message, type(error).__name__, error.hint or "")]
    return case


def _loss_case(label: str, result: LossResult) -> TestCase:
    case = TestCase(in_xml(label), _LOSSES)
    unit = f" {result.unit}" if result.unit else ""
    case.system_out = in_xml(f"{float(result.value)!r}{unit}, {result.samples} samples; {result.signature}")
    if result.status != "ok":
        reason = f"{label} is {result.status}"
        case.result = [outcome(Error, reason, "nonfinite", f"{result.nonfinite} samples are not finite")]
    return case


def _gate_cases(gate: GateResult) -> list[TestCase]:
    """The case of a gate; of one about every slice a case each, the worst first, and one for what is beyond those."""
    verdicts = () if gate.slices is None else gate.slices.verdicts
    if not verdicts:
        return [gate_case(gate)]
    cases = []
    for each in verdicts[:MOST_SLICES]:
        name = f"{gate.expression} [{each.name}]"
        cases.append(gate_case(GateResult(name, each.value, each.verdict, each.limit, gate.severity)))
    return cases if len(verdicts) <= MOST_SLICES else [gate_case(gate), *cases]


def gate_case(gate: GateResult) -> TestCase:
    """The case of a gate, or of one of its slices: a failure, or skipped where it is advice or open."""
    case = TestCase(in_xml(gate.expression), _GATES)
    kind = {"fail": Failure, "warn": Skipped, "inconclusive": Skipped}.get(stands(gate))
    if kind is not None:
        case.result = [outcome(kind, f"{gate.expression}: {said(gate)}", stands(gate), "")]
    case.system_out = in_xml(said(gate))
    return case


def outcome(kind: type[FinalResult], message: str, type_: str, text: str) -> FinalResult:
    """What a case came to: a failure, an error, or that it was skipped."""
    found = kind(in_xml(message), type_)
    if text:
        found.text = in_xml(text)
    return found


def suite_of_cases(
    name: str,
    cases: Sequence[TestCase],
    properties: dict[str, str] | None = None,
    seconds: float = 0.0,
    warnings: Sequence[str] = (),
) -> TestSuite:
    """Cases under a name, with facts about them, and the warnings as what was printed to stderr."""
    suite = TestSuite(name)  # type: ignore[no-untyped-call]
    for fact, value in (properties or {}).items():
        suite.add_property(in_xml(fact), in_xml(value))
    for case in cases:
        suite.add_testcase(case)
    if warnings:
        suite.system_err = "\n".join(in_xml(warning) for warning in warnings)
    # Without an exponent, which is no number there.
    suite.time = round(seconds, 4)
    return suite


def document_of(suites: Sequence[TestSuite], seconds: float = 0.0) -> str:
    """The text of a file of suites."""
    document = JUnitXml("lossctl")
    times = [suite.time for suite in suites]
    for suite in suites:
        document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]
    # The statistics count whole milliseconds, case by case.
    document.time = round(seconds, 4)
    for suite, time in zip(suites, times, strict=True):
        suite.time = time
    # Laid out here: the library writes through lxml where that is installed, with other quotes and no indent.
    element = ET.fromstring(document.tostring())  # type: ignore[no-untyped-call]
    ET.indent(element)
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{ET.tostring(element, encoding='unicode')}\n"


def in_xml(text: str) -> str:
    """XML has no place for control characters, not even as references."""
    return visible(text, 10_000)
