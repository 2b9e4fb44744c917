"""metrics.json: flat numbers, and DVC shows them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from lossctl.outputs import render
from lossctl.outputs.delivery import deliver
from lossctl.results import RunResult, Statistics
from tests.outputs.conftest import loss_result, run_result

SCRIPTS = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
DVC = shutil.which("dvc", path=SCRIPTS)


def metrics(run: RunResult) -> dict[str, float]:
    found: dict[str, float] = json.loads(render(run, "metrics"))
    return found


def test_numbers_round_trip_and_what_is_not_finite_is_left_out(hard_run: RunResult) -> None:
    assert metrics(hard_run) == {
        "bce": 1 / 3,
        "bce.std_error": 0.011,
        "bce.min": 0.0,
        "bce.p50": 0.01,
        "bce.p95": 0.4,
        "bce.max": 2.9,
        "scce": 1e-12,
        "mse": 123456789.125,
    }


def test_intervals_are_metrics() -> None:
    statistics = Statistics(0.01, 0.0, 0.1, 0.2, 0.3, 4, 0.15, 0.25, 0.95, 0.07, float("nan"))
    found = metrics(run_result(loss_result(stats=statistics)))
    assert found["bce.ci_low"] == 0.07
    assert not {"bce.ci_high", "bce.argmax", "bce.confidence"} & found.keys()


def test_gradient(gradient_run: RunResult) -> None:
    assert metrics(gradient_run) == {
        "bce.gradient.prob.min": -1 / 3,
        "bce.gradient.prob.max": 0.25,
        "bce.gradient.prob.mean": 1e-12,
        "bce.gradient.prob.norm": 0.5,
        "bce.gradient.prob.zeros": 7,
        "bce.gradient.prob.nonfinite": 0,
    }


@pytest.mark.parametrize("name", ["plain_run", "hard_run", "gradient_run", "gated_run", "hostile_run"])
def test_there_is_nothing_but_numbers(name: str, request: pytest.FixtureRequest) -> None:
    found = metrics(request.getfixturevalue(name))
    assert all(type(value) in (int, float) for value in found.values())


@pytest.mark.skipif(DVC is None, reason="DVC is not installed")
def test_dvc_reads_it_as_it_is(hard_run: RunResult, tmp_path: Path) -> None:
    def dvc(*words: str) -> str:
        environment = {**os.environ, "PATH": SCRIPTS, "DVC_NO_ANALYTICS": "1", "HOME": str(tmp_path)}
        command = [str(DVC), *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    dvc("init", "--no-scm", "--quiet")
    deliver(hard_run, [str(tmp_path / "metrics.json")])
    shown = json.loads(dvc("metrics", "show", "--json", "metrics.json"))
    assert shown[""]["data"]["metrics.json"]["data"] == metrics(hard_run)
