"""Comma-separated values."""

from __future__ import annotations

from lossctl.outputs.delimited import render_delimited
from lossctl.results import RunResult


def render(run: RunResult) -> str:
    """One header line and one line a loss, in full precision."""
    return render_delimited(run, ",")
