"""OpenMetrics text, which Prometheus and GitLab's metrics reports read.

prometheus_client writes it (extra `openmetrics`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest

from lossctl.errors import visible
from lossctl.outputs.labels import changed_options, labelled, measures
from lossctl.results import GateResult, GradientResult, LossResult, RunResult
from lossctl.slices.slicing import spelled_key

if TYPE_CHECKING:
    from lossctl.slices.results import SliceResult
    from lossctl.suites.results import SuiteResult

_LABELS = ("loss", "options", "reduction", "unit")
_OF_GATES = ("expression", "severity")


class _Named(NamedTuple):
    """A run, and the values of the labels that all of its numbers have."""

    labels: tuple[str, ...]
    run: RunResult


def render(run: RunResult) -> str:
    """Gauges: the value, samples, weight and statistics of each loss, those of each gradient, and whether gates pass.

    The labels of a number are the same from run to run and from version to version, so that a host can show how it has
    changed; the signature is an info metric of its own.
    """
    # The writer sorts the labels, and asks nothing of a registry but this.
    return exposition(_of_runs((), [_Named((), run)]))


def render_suite(suite: SuiteResult) -> str:
    """The same of every evaluation, with its name as a label, and whether nothing went wrong."""
    runs = [_Named((visible(name, 1000),), run) for name, run in suite.runs]
    fine = GaugeMetricFamily("lossctl_evaluation_ok", "0 where something went wrong, else 1.", labels=("evaluation",))
    for each in suite.evaluations:
        fine.add_metric(_labels(each.name), int(each.error is None))
    never_asked = [((visible(each.name, 1000),), gate) for each in suite.evaluations for gate in each.never_asked]
    return exposition([*_of_runs(("evaluation",), runs, never_asked), fine])


def exposition(metrics: Iterable[Metric]) -> str:
    """Metrics as the text that a scraper reads."""
    text: bytes = generate_latest(_Registry(metrics))  # type: ignore[no-untyped-call]
    return text.decode()


class _Registry:
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """The metrics, in the order in which they are written."""
        return self._metrics


def _of_runs(
    names: tuple[str, ...], runs: Sequence[_Named], gates: Sequence[tuple[tuple[str, ...], GateResult]] = ()
) -> Iterable[Metric]:
    """The metrics of runs that have labels of these names, and of gates that are of none of them."""
    yield from _of_losses((*names, *_LABELS), [(ls, r) for ls, run in runs for r in labelled(run).values()])
    yield from _of_gradients((*names, "loss", "options", "wrt"), [(ls, g) for ls, run in runs for g in run.gradients])
    asked = [(ls, gate) for ls, run in runs for gate in run.gates]
    yield from _of_gates((*names, *_OF_GATES), [*asked, *gates])
    seconds = GaugeMetricFamily("lossctl_run_seconds", "Wall time of the run.", unit="seconds", labels=names)
    for labels, run in runs:
        seconds.add_metric(labels, float(run.seconds))
    yield seconds


def _of_losses(names: Sequence[str], results: Sequence[tuple[tuple[str, ...], LossResult]]) -> Iterable[Metric]:
    if not results:
        return
    value = GaugeMetricFamily("lossctl_loss", "The loss, in its unit.", labels=names)
    samples = GaugeMetricFamily("lossctl_samples", "Samples of the loss.", labels=names)
    weight = GaugeMetricFamily("lossctl_weight", "Sum of the weights of the samples.", labels=names)
    nonfinite = GaugeMetricFamily("lossctl_nonfinite_samples", "Samples that are not finite.", labels=names)
    signature = InfoMetricFamily("lossctl_signature", "How the loss was computed.", labels=names)
    statistics = {}
    for before, result in results:
        labels = [*before, *_labels(result.loss, _changed(result), result.reduction, result.unit)]
        value.add_metric(labels, float(result.value))
        samples.add_metric(labels, int(result.samples))
        weight.add_metric(labels, float(result.weight))
        nonfinite.add_metric(labels, int(result.nonfinite))
        signature.add_metric(labels, {"signature": result.signature})
        if result.stats is not None:
            statistics[tuple(labels)] = measures(result.stats)
    yield from (value, samples, weight, nonfinite, signature)
    yield from _statistics("lossctl_loss", "per-sample losses", names, statistics)
    if any(result.slices for _, result in results):
        yield from _of_slices((*names, "by", "slice"), results)


def _of_slices(names: Sequence[str], results: Sequence[tuple[tuple[str, ...], LossResult]]) -> Iterable[Metric]:
    """The value and the samples of each slice, whose label is "country=DE"."""
    value = GaugeMetricFamily("lossctl_slice_loss", "The loss of a slice, in its unit.", labels=names)
    samples = GaugeMetricFamily("lossctl_slice_samples", "Samples of a slice.", labels=names)
    found: dict[tuple[str, ...], SliceResult] = {}
    for before, result in results:
        of_loss = [*before, *_labels(result.loss, _changed(result), result.reduction, result.unit)]
        for table in result.slices:
            by = visible(",".join(table.by), 1000)
            for each in table.slices:
                found.setdefault((*of_loss, by, visible(spelled_key(table.by, each.key), 5000)), each)
    for labels, each in found.items():
        value.add_metric(labels, float(each.value))
        samples.add_metric(labels, each.samples)
    yield from (value, samples)


def _of_gradients(
    names: Sequence[str], gradients: Sequence[tuple[tuple[str, ...], GradientResult]]
) -> Iterable[Metric]:
    statistics = {
        (*before, *_labels(gradient.loss, _changed(gradient), gradient.wrt)): measures(gradient.stats)
        for before, gradient in gradients
    }
    yield from _statistics("lossctl_gradient", "the gradient", names, statistics)


def _changed(result: LossResult | GradientResult) -> str:
    return changed_options(result.options, result.changed)


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


def _of_gates(names: Sequence[str], gates: Sequence[tuple[tuple[str, ...], GateResult]]) -> Iterable[Metric]:
    if not gates:
        return
    passed = GaugeMetricFamily("lossctl_gate_passed", "1 for a gate that passes, else 0.", labels=names)
    # A gate that is given twice is one.
    for before, gate in {(before, gate.expression, gate.severity): (before, gate) for before, gate in gates}.values():
        passed.add_metric([*before, *_labels(gate.expression, gate.severity)], int(gate.verdict == "pass"))
    yield passed


def _labels(*values: str) -> list[str]:
    """Labels as one line each; the writer escapes quotes and backslashes."""
    return [visible(value, 1000) for value in values]
