"""The result document on one line, so that the runs of many days or files make one file of JSON Lines."""

from __future__ import annotations

import json

from lossctl.results import RunResult


def render(run: RunResult) -> str:
    """The document that `json` writes, on one line: ASCII only, never NaN or Infinity."""
    return json.dumps(run.to_document(), allow_nan=False, separators=(",", ":")) + "\n"
