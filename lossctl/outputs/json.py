"""The result document as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.results import RunResult
from lossctl.strict_json import indented

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult


def render(run: RunResult) -> str:
    """The document, indented."""
    return indented(run.to_document())


def render_suite(suite: SuiteResult) -> str:
    """The document of the suite, likewise."""
    return indented(suite.to_document())
