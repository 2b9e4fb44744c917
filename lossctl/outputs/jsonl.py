"""The result document on one line, so that the runs of many days or files make one file of JSON Lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lossctl.results import RunResult

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult


def render(run: RunResult) -> str:
    """The document that `json` writes, on one line: ASCII only, never NaN or Infinity."""
    return json.dumps(run.to_document(), allow_nan=False, separators=(",", ":")) + "\n"


def render_suite(suite: SuiteResult) -> str:
    """The document of the suite, likewise."""
    return json.dumps(suite.to_document(), allow_nan=False, separators=(",", ":")) + "\n"
