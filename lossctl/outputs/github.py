"""Annotations of GitHub Actions: workflow commands, which the host reads from the output of a step."""

from __future__ import annotations

from collections.abc import Iterable

from lossctl.errors import LossctlError, visible
from lossctl.outputs.gates import said, stands
from lossctl.outputs.labels import labelled
from lossctl.outputs.view import significant
from lossctl.results import RunResult

# The host shows this many of each kind a step, and drops the rest without a word.
MOST_OF_A_KIND = 10

_KINDS = {"fail": "error", "warn": "warning", "inconclusive": "warning"}


def render(run: RunResult) -> str:
    """An error a gate that failed and a loss that is not finite, warnings, and one notice with the losses.

    They are about the file of predictions. Of each kind at most as many as the host shows; the last says how many more
    there are.
    """
    file = next((info.path for info in run.inputs if info.role == "prediction"), "")
    errors = [
        ("loss", f"{label} is {result.status}") for label, result in labelled(run).items() if result.status != "ok"
    ]
    found: dict[str, list[tuple[str, str]]] = {"error": errors, "warning": [], "notice": []}
    for gate in run.gates:
        standing = stands(gate)
        if standing in _KINDS:
            found[_KINDS[standing]].append((f"gate {standing}", f"{gate.expression}: {said(gate)}"))
    found["warning"] += [("warning", warning) for warning in run.warnings]
    if told := ", ".join(_told(run)):
        found["notice"].append(("result", told))
    return "".join(
        annotation(kind, f"lossctl: {title}", message, file)
        for kind, messages in found.items()
        for title, message in _most(messages)
    )


def render_fault(error: LossctlError) -> str:
    """The error of a run that failed."""
    hint = f"; {error.hint}" if error.hint else ""
    return annotation("error", "lossctl: no result", f"{error.message}{hint}")


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


def _most(messages: list[tuple[str, str]]) -> list[tuple[str, str]]:
    if len(messages) <= MOST_OF_A_KIND:
        return messages
    rest = len(messages) - MOST_OF_A_KIND + 1
    title, first = messages[MOST_OF_A_KIND - 1]
    return [*messages[: MOST_OF_A_KIND - 1], (title, f"{first}; and {rest - 1} more")]


def _escaped(text: str) -> str:
    # The host still takes its first form of commands, "##[error]", wherever it stands in a line.
    return visible(text, 4000).replace("%", "%25").replace("##[", "## [")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
