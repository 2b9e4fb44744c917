"""JSON: valid for every parser, and the numbers come back."""

from __future__ import annotations

import json

from lossctl.outputs import render
from lossctl.results import RunResult


def strictly(text: str) -> dict[str, object]:
    """Parses JSON without Python's own additions to it (NaN, Infinity)."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    document: dict[str, object] = json.loads(text, parse_constant=refuse)
    return document


def test_json_is_the_document(hard_run: RunResult, gradient_run: RunResult) -> None:
    assert strictly(render(hard_run, "json")) == hard_run.to_document()
    assert strictly(render(gradient_run, "json")) == gradient_run.to_document()


def test_no_value_is_lost_in_null(hard_run: RunResult) -> None:
    results = strictly(render(hard_run, "json"))["results"]
    assert isinstance(results, list)
    assert [(r["value"], r["status"]) for r in results] == [
        (1 / 3, "ok"),
        (1e-12, "ok"),
        (123456789.125, "ok"),
        (None, "inf"),
        (None, "nan"),
        (None, "-inf"),
    ]
