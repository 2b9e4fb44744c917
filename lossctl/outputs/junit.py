"""JUnit XML, which the test tabs of CI hosts read: a test case a loss and a gate.

junitparser writes it (extra `junit`).
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from junitparser import Error, Failure, JUnitXml, Skipped
from junitparser.junitparser import FinalResult
from junitparser.xunit2 import TestCase, TestSuite

from lossctl.errors import LossctlError, visible
from lossctl.outputs.gates import said, stands
from lossctl.outputs.labels import labelled
from lossctl.results import GateResult, LossResult, RunResult

# The names of classes, by which test tabs group: what was computed, what was asked of it, and the run itself.
_LOSSES, _GATES, _RUN = "lossctl.losses", "lossctl.gates", "lossctl"


def render(run: RunResult) -> str:
    """A case a loss, with its value and signature as what it printed, then a case a gate.

    A loss that is not finite is an error; a gate is a failure where it fails, and skipped where it is only advice or
    could not be decided.
    """
    losses = [_loss_case(label, result) for label, result in labelled(run).items()]
    gates = [_gate_case(gate) for gate in run.gates]
    facts = {"version": run.version, "backend": run.backend, "threads": str(int(run.threads))}
    facts |= {f"input.{info.role}": info.path for info in run.inputs}
    return _document([*losses, *gates], facts, run.seconds, run.warnings)


def render_fault(error: LossctlError) -> str:
    """One case that is an error: what went wrong before there was a result."""
    case = TestCase("run", _RUN)
    case.result = [_outcome(Error, error.message, type(error).__name__, error.hint or "")]
    return _document([case])


def _loss_case(label: str, result: LossResult) -> TestCase:
    case = TestCase(_text(label), _LOSSES)
    unit = f" {result.unit}" if result.unit else ""
    case.system_out = _text(f"{float(result.value)!r}{unit}, {result.samples} samples; {result.signature}")
    if result.status != "ok":
        reason = f"{label} is {result.status}"
        case.result = [_outcome(Error, reason, "nonfinite", f"{result.nonfinite} samples are not finite")]
    return case


def _gate_case(gate: GateResult) -> TestCase:
    case = TestCase(_text(gate.expression), _GATES)
    kind = {"fail": Failure, "warn": Skipped, "inconclusive": Skipped}.get(stands(gate))
    if kind is not None:
        case.result = [_outcome(kind, f"{gate.expression}: {said(gate)}", stands(gate), "")]
    case.system_out = _text(said(gate))
    return case


def _outcome(kind: type[FinalResult], message: str, type_: str, text: str) -> FinalResult:
    outcome = kind(_text(message), type_)
    if text:
        outcome.text = _text(text)
    return outcome


def _document(
    cases: Sequence[TestCase],
    properties: dict[str, str] | None = None,
    seconds: float = 0.0,
    warnings: Sequence[str] = (),
) -> str:
    suite = TestSuite("lossctl")  # type: ignore[no-untyped-call]
    for name, value in (properties or {}).items():
        suite.add_property(_text(name), _text(value))
    for case in cases:
        suite.add_testcase(case)
    if warnings:
        suite.system_err = "\n".join(_text(warning) for warning in warnings)
    document = JUnitXml("lossctl")
    document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]
    # The statistics count whole milliseconds, case by case. Without an exponent, which is no number there.
    suite.time = document.time = round(seconds, 4)
    # Laid out here: the library writes through lxml where that is installed, with other quotes and no indent.
    element = ET.fromstring(document.tostring())  # type: ignore[no-untyped-call]
    ET.indent(element)
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{ET.tostring(element, encoding='unicode')}\n"


def _text(text: str) -> str:
    """XML has no place for control characters, not even as references."""
    return visible(text, 10_000)
