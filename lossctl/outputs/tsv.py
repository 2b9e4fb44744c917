"""Tab-separated values: what a pipe gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.outputs.delimited import render_delimited, render_delimited_suite
from lossctl.results import RunResult

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult


def render(run: RunResult) -> str:
    """One header line and one line a loss, in full precision."""
    return render_delimited(run, "\t")


def render_suite(suite: SuiteResult) -> str:
    """The lines of every evaluation, with its name before them."""
    return render_delimited_suite(suite, "\t")
