"""The result document as JSON."""

from __future__ import annotations

import json

from lossctl.results import RunResult


def render(run: RunResult) -> str:
    """The document, indented. ASCII only, so that no file name can speak to a terminal; never NaN or Infinity."""
    return json.dumps(run.to_document(), indent=2, allow_nan=False) + "\n"
