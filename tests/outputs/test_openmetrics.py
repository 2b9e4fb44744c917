"""OpenMetrics: its own strict parser reads every number back."""

from __future__ import annotations

import math

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lossctl.outputs import render
from lossctl.results import RunResult
from tests.outputs.conftest import HOSTILE, loss_result, run_result


def families(run: RunResult) -> dict[str, Metric]:
    text = render(run, "openmetrics")
    found: list[Metric] = list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
    assert len({family.name for family in found}) == len(found)
    for family in found:
        assert len({(s.name, *sorted(s.labels.items())) for s in family.samples}) == len(family.samples)
    return {family.name: family for family in found}


def test_values_round_trip(hard_run: RunResult) -> None:
    found = families(hard_run)
    values = {sample.labels["loss"]: sample.value for sample in found["lossctl_loss"].samples}
    for result in hard_run.results:
        value = values[result.loss]
        assert value == result.value or (math.isnan(value) and math.isnan(result.value))
    assert {s.labels["loss"]: s.value for s in found["lossctl_samples"].samples}["scce"] == 20_000_000
    assert {s.labels["loss"]: s.value for s in found["lossctl_nonfinite_samples"].samples}["cce"] == 3
    assert [(s.labels["loss"], s.value) for s in found["lossctl_loss_p95"].samples] == [("bce", 0.4)]
    assert found["lossctl_run_seconds"].unit == "seconds"


def test_labels_do_not_change_with_the_version_but_the_signature_does(hard_run: RunResult) -> None:
    found = families(hard_run)
    assert found["lossctl_loss"].samples[1].labels == {
        "loss": "scce",
        "options": "input=logit class_weight=[0.5,1,2] log_base=2",
        "reduction": "mean",
        "unit": "bit",
    }
    signatures = [sample.labels["signature"] for sample in found["lossctl_signature"].samples]
    assert signatures == [result.signature for result in hard_run.results]


def test_gates_are_1_where_they_pass(gated_run: RunResult) -> None:
    samples = families(gated_run)["lossctl_gate_passed"].samples
    assert [(s.labels["expression"], s.labels["severity"], s.value) for s in samples] == [
        (gate.expression, gate.severity, float(gate.verdict == "pass")) for gate in gated_run.gates
    ]


def test_gradient(gradient_run: RunResult) -> None:
    found = families(gradient_run)
    (sample,) = found["lossctl_gradient_min"].samples
    assert sample.value == -1 / 3
    assert sample.labels == {"loss": "bce", "options": "label_smoothing=0.1", "wrt": "prob"}
    assert "lossctl_loss" not in found


def test_names_stay_labels(hostile_run: RunResult) -> None:
    found = families(hostile_run)
    name = HOSTILE.encode("unicode_escape").decode()
    assert [sample.labels["expression"] for sample in found["lossctl_gate_passed"].samples] == [name]
    assert name in found["lossctl_loss"].samples[0].labels["loss"]


def test_what_is_given_twice_is_there_once(gated_run: RunResult) -> None:
    twice = run_result(loss_result(), loss_result(), gates=(*gated_run.gates, *gated_run.gates))
    assert families(twice).keys() == families(gated_run).keys()
    assert render(twice, "openmetrics") == render(gated_run, "openmetrics")
