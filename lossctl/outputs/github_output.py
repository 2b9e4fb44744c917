"""The outputs of a GitHub step: lines name=value, which later steps read."""

from __future__ import annotations

import json
import re

from lossctl.errors import LossctlError
from lossctl.outputs.gates import stands
from lossctl.outputs.labels import labelled
from lossctl.results import RunResult

# All outputs of a job may hold 1 MiB, counted in two bytes a character.
LONGEST_RESULT = 100_000

_NOT_OF_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")


def render(run: RunResult) -> str:
    """`status` (ok, nonfinite), `gates` (fail, inconclusive, pass) if there are any, each loss by its name, `result`.

    The last is the document of `json` on one line, for fromJSON; it is left out where it is too long for the host.
    """
    found: dict[str, str] = {"status": run.status}
    if run.gates:
        standings = {stands(gate) for gate in run.gates}
        found["gates"] = next((each for each in ("fail", "inconclusive") if each in standings), "pass")
    for label, result in labelled(run).items():
        found[_NOT_OF_A_NAME.sub("_", label)] = repr(float(result.value))
    document = json.dumps(run.to_document(), allow_nan=False, separators=(",", ":"))
    if len(document) <= LONGEST_RESULT:
        found["result"] = document
    return _lines(found)


def render_fault(_error: LossctlError) -> str:
    """`status=error`; the message is elsewhere."""
    return _lines({"status": "error"})


def _lines(found: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in found.items())
