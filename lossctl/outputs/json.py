"""The result document as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lossctl.results import RunResult

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult


def render(run: RunResult) -> str:
    """The document, indented. ASCII only, so that no file name can speak to a terminal; never NaN or Infinity."""
    return json.dumps(run.to_document(), indent=2, allow_nan=False) + "\n"


def render_suite(suite: SuiteResult) -> str:
    """The document of the suite, likewise."""
    return json.dumps(suite.to_document(), indent=2, allow_nan=False) + "\n"
