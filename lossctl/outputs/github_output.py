"""The outputs of a GitHub step: lines name=value, which later steps read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lossctl.errors import LossctlError
from lossctl.outputs.gates import stands
from lossctl.outputs.labels import labelled
from lossctl.results import GateResult, RunResult
from lossctl.strict_json import on_one_line

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult

# All outputs of a job may hold 1 MiB, counted in two bytes a character.
LONGEST_RESULT = 100_000

_NOT_OF_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")


def render(run: RunResult) -> str:
    """`status` (ok, nonfinite), `gates` (fail, inconclusive, pass) if there are any, each loss by its name, `result`.

    The last is the document of `json` on one line, for fromJSON; it is left out where it is too long for the host.
    """
    values = _values(run)
    return _lines({"status": run.status, **_of_gates(run.gates), **values, **_result(run.to_document())})


def render_suite(suite: SuiteResult) -> str:
    """`status` (ok, nonfinite, error), `gates` of all evaluations, each loss as `digits_scce`, `result`."""
    gates = [gate for _, gate in suite.gates]
    values = {
        f"{_NOT_OF_A_NAME.sub('_', name)}_{label}": value
        for name, run in suite.runs
        for label, value in _values(run).items()
    }
    return _lines({"status": suite.status, **_of_gates(gates), **values, **_result(suite.to_document())})


def _of_gates(gates: Sequence[GateResult]) -> dict[str, str]:
    if not gates:
        return {}
    standings = {stands(gate) for gate in gates}
    return {"gates": next((each for each in ("fail", "inconclusive") if each in standings), "pass")}


def _values(run: RunResult) -> dict[str, str]:
    return {_NOT_OF_A_NAME.sub("_", label): repr(float(result.value)) for label, result in labelled(run).items()}


def _result(document: Mapping[str, Any]) -> dict[str, str]:
    text = on_one_line(document).rstrip()
    return {"result": text} if len(text) <= LONGEST_RESULT else {}


def render_fault(_error: LossctlError) -> str:
    """`status=error`; the message is elsewhere."""
    return _lines({"status": "error"})


def _lines(found: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in found.items())
