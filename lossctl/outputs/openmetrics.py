"""OpenMetrics text, which Prometheus and GitLab's metrics reports read.

prometheus_client writes it (extra `openmetrics`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest

from lossctl.errors import visible
from lossctl.outputs.labels import changed_options, labelled, measures
from lossctl.results import GateResult, GradientResult, LossResult, RunResult

_LABELS = ("loss", "options", "reduction", "unit")
_OF_GATES = ("expression", "severity")


def render(run: RunResult) -> str:
    """Gauges: the value, samples, weight and statistics of each loss, those of each gradient, and whether gates pass.

    The labels of a number are the same from run to run and from version to version, so that a host can show how it has
    changed; the signature is an info metric of its own.
    """
    # The writer sorts the labels, and asks nothing of a registry but this.
    text: bytes = generate_latest(_Registry(run))  # type: ignore[no-untyped-call]
    return text.decode()


class _Registry:
    def __init__(self, run: RunResult) -> None:
        self._run = run

    def collect(self) -> Iterable[Metric]:
        """The metrics, in the order in which they are written."""
        run = self._run
        yield from _of_losses(tuple(labelled(run).values()))
        yield from _of_gradients(run.gradients)
        yield from _of_gates(run.gates)
        seconds = GaugeMetricFamily("lossctl_run_seconds", "Wall time of the run.", unit="seconds")
        seconds.add_metric([], float(run.seconds))
        yield seconds


def _of_losses(results: Sequence[LossResult]) -> Iterable[Metric]:
    if not results:
        return
    value = GaugeMetricFamily("lossctl_loss", "The loss, in its unit.", labels=_LABELS)
    samples = GaugeMetricFamily("lossctl_samples", "Samples of the loss.", labels=_LABELS)
    weight = GaugeMetricFamily("lossctl_weight", "Sum of the weights of the samples.", labels=_LABELS)
    nonfinite = GaugeMetricFamily("lossctl_nonfinite_samples", "Samples that are not finite.", labels=_LABELS)
    signature = InfoMetricFamily("lossctl_signature", "How the loss was computed.", labels=_LABELS)
    for result in results:
        labels = _labels(result.loss, changed_options(result.options, result.changed), result.reduction, result.unit)
        value.add_metric(labels, float(result.value))
        samples.add_metric(labels, int(result.samples))
        weight.add_metric(labels, float(result.weight))
        nonfinite.add_metric(labels, int(result.nonfinite))
        signature.add_metric(labels, {"signature": result.signature})
    yield from (value, samples, weight, nonfinite, signature)
    statistics = {
        tuple(_labels(r.loss, changed_options(r.options, r.changed), r.reduction, r.unit)): measures(r.stats)
        for r in results
        if r.stats is not None
    }
    yield from _statistics("lossctl_loss", "per-sample losses", _LABELS, statistics)


def _of_gradients(gradients: Sequence[GradientResult]) -> Iterable[Metric]:
    statistics = {
        tuple(_labels(g.loss, changed_options(g.options, g.changed), g.wrt)): measures(g.stats) for g in gradients
    }
    yield from _statistics("lossctl_gradient", "the gradient", ("loss", "options", "wrt"), statistics)


def _statistics(
    prefix: str, of: str, names: Sequence[str], rows: Mapping[tuple[str, ...], Mapping[str, float | None]]
) -> Iterable[Metric]:
    """One gauge a statistic, with a sample for each row that has it."""
    for statistic in dict.fromkeys(name for row in rows.values() for name in row):
        said = f"{statistic.replace('_', ' ')} of {of}."
        gauge = GaugeMetricFamily(f"{prefix}_{statistic}", said, labels=names)
        for labels, row in rows.items():
            value = row.get(statistic)
            if value is not None:
                gauge.add_metric(labels, value)
        yield gauge


def _of_gates(gates: Sequence[GateResult]) -> Iterable[Metric]:
    if not gates:
        return
    passed = GaugeMetricFamily("lossctl_gate_passed", "1 for a gate that passes, else 0.", labels=_OF_GATES)
    # A gate that is given twice is one.
    for gate in {(gate.expression, gate.severity): gate for gate in gates}.values():
        passed.add_metric(_labels(gate.expression, gate.severity), int(gate.verdict == "pass"))
    yield passed


def _labels(*values: str) -> list[str]:
    """Labels as one line each; the writer escapes quotes and backslashes."""
    return [visible(value, 1000) for value in values]
