"""JSON Lines: a run a line."""

from __future__ import annotations

import json

from lossctl.outputs import render
from lossctl.results import RunResult


def test_a_line_is_the_document(hard_run: RunResult, hostile_run: RunResult) -> None:
    for run in (hard_run, hostile_run):
        line = render(run, "jsonl")
        assert line.count("\n") == 1
        assert line.isascii()
        assert "NaN" not in line
        assert json.loads(line) == run.to_document()


def test_lines_of_several_runs_make_one_file(plain_run: RunResult, gradient_run: RunResult) -> None:
    lines = (render(plain_run, "jsonl") + render(gradient_run, "jsonl")).splitlines()
    assert [json.loads(line) for line in lines] == [plain_run.to_document(), gradient_run.to_document()]
