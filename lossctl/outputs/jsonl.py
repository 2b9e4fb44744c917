"""The result document on one line, so that the runs of many days or files make one file of JSON Lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.results import RunResult
from lossctl.strict_json import on_one_line

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult


def render(run: RunResult) -> str:
    """The document that `json` writes, on one line."""
    return on_one_line(run.to_document())


def render_suite(suite: SuiteResult) -> str:
    """The document of the suite, likewise."""
    return on_one_line(suite.to_document())
