"""Annotations of GitHub Actions: workflow commands, which the host reads from the output of a step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from lossctl.errors import LossctlError, visible
from lossctl.outputs.gates import said, stands
from lossctl.outputs.labels import labelled
from lossctl.outputs.view import significant
from lossctl.results import RunResult

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult

# The host shows this many of each kind a step, and drops the rest without a word.
MOST_OF_A_KIND = 10

_KINDS = {"fail": "error", "warn": "warning", "inconclusive": "warning"}


class _Told(NamedTuple):
    """One annotation: what it is of, what it says, and the file that it is about."""

    title: str
    message: str
    file: str


def render(run: RunResult) -> str:
    """An error a gate that failed and a loss that is not finite, warnings, and one notice with the losses.

    They are about the file of predictions. Of each kind at most as many as the host shows; the last says how many more
    there are.
    """
    return _rendered(_found(run))


def render_suite(suite: SuiteResult) -> str:
    """The annotations of all evaluations under their names, and an error for what went wrong."""
    found: dict[str, list[_Told]] = {"error": [], "warning": [], "notice": []}
    for name, error in suite.errors:
        found["error"].append(_Told("no result", f"{name}: {error}", suite.path))
    for name, run in suite.runs:
        for kind, told in _found(run).items():
            named = (_Told(each.title, f"{name}: {each.message}", suite.place_of(each.file)) for each in told)
            found[kind] += named
    return _rendered(found)


def _found(run: RunResult) -> dict[str, list[_Told]]:
    """What is to be told of a run, by kind."""
    file = next((info.path for info in run.inputs if info.role == "prediction"), "")
    errors = [
        _Told("loss", f"{label} is {result.status}", file)
        for label, result in labelled(run).items()
        if result.status != "ok"
    ]
    found: dict[str, list[_Told]] = {"error": errors, "warning": [], "notice": []}
    for gate in run.gates:
        standing = stands(gate)
        if standing in _KINDS:
            found[_KINDS[standing]].append(_Told(f"gate {standing}", f"{gate.expression}: {said(gate)}", file))
    found["warning"] += [_Told("warning", warning, file) for warning in run.warnings]
    if told := ", ".join(_told(run)):
        found["notice"].append(_Told("result", told, file))
    return found


def _rendered(found: Mapping[str, list[_Told]]) -> str:
    return "".join(
        annotation(kind, f"lossctl: {each.title}", each.message, each.file)
        for kind, told in found.items()
        for each in _most(told)
    )


def render_fault(error: LossctlError) -> str:
    """The error of a run that failed."""
    return annotation("error", "lossctl: no result", str(error))


def annotation(kind: str, title: str, message: str, file: str = "") -> str:
    """One workflow command, as the host wants it escaped, on one line.

    Control characters are made visible before: nothing in a message may start another command.
    """
    properties = {"file": file, "title": title}
    given = ",".join(f"{name}={_escaped_property(value)}" for name, value in properties.items() if value)
    return f"::{kind} {given}::{_escaped(message)}\n"


def _told(run: RunResult) -> Iterable[str]:
    for label, result in labelled(run).items():
        yield f"{label} {significant(result.value)}{f' {result.unit}' if result.unit else ''}"
    for gradient in run.gradients:
        yield f"{gradient.loss} gradient norm {significant(gradient.stats.norm)}"


def _most(messages: list[_Told]) -> list[_Told]:
    if len(messages) <= MOST_OF_A_KIND:
        return messages
    rest = len(messages) - MOST_OF_A_KIND + 1
    first = messages[MOST_OF_A_KIND - 1]
    return [*messages[: MOST_OF_A_KIND - 1], first._replace(message=f"{first.message}; and {rest - 1} more")]


def _escaped(text: str) -> str:
    # The host still takes its first form of commands, "##[error]", wherever it stands in a line.
    return visible(text, 4000).replace("%", "%25").replace("##[", "## [")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
