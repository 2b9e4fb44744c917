"""A leaderboard for test tabs, for metrics and for data frames, by the libraries that write those of a result."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lossctl.batches.results import Leaderboard, Row, value_of
from lossctl.errors import visible
from lossctl.outputs.leaderboards import gates_of, said_of

if TYPE_CHECKING:
    from prometheus_client.core import Metric

DOCUMENT = "lossctl.leaderboard"


def render_junit(board: Leaderboard) -> str:
    """A case a file, with its values as what it printed: an error where it has none or one that is not finite, a
    failure where a gate fails. Gates that are only advice or open are skipped cases of their own."""
    from junitparser.xunit2 import TestCase

    from lossctl.outputs.junit import document_of, gate_case, in_xml, suite_of_cases

    cases = []
    for row in board.rows:
        case = TestCase(in_xml(row.path), "lossctl.batch")
        case.time = round(row.seconds, 4)
        case.result = _outcomes(row)
        case.system_out = "\n".join(in_xml(line) for line in _printed(row))
        cases.append(case)
        for gate in gates_of(row):
            if gate.verdict != "pass" and not (gate.verdict == "fail" and gate.severity == "fail"):
                advice = gate_case(gate)
                advice.classname = in_xml(row.path)
                cases.append(advice)
    facts = {"version": board.version, "sort": board.sort, "threads": str(board.threads)}
    warnings = [*board.warnings, *(f"{row.path}: {warning}" for row in board.rows for warning in row.warnings)]
    return document_of([suite_of_cases("lossctl", cases, facts, board.seconds, warnings)], board.seconds)


def _outcomes(row: Row) -> list[Any]:
    from junitparser import Error, Failure

    from lossctl.outputs.gates import said
    from lossctl.outputs.junit import outcome

    if row.error is not None:
        return [outcome(Error, row.error["message"], row.error["kind"], row.error["hint"] or "")]
    found = [
        outcome(Error, f"{result['label']} is {result['status']}", "nonfinite", "")
        for result in row.results
        if result["status"] != "ok"
    ]
    failed = [gate for gate in gates_of(row) if gate.verdict == "fail" and gate.severity == "fail"]
    return found + [outcome(Failure, f"{gate.expression}: {said(gate)}", "fail", "") for gate in failed]


def _printed(row: Row) -> Iterable[str]:
    if row.rank is not None:
        yield f"rank {row.rank}"
    for result in row.results:
        yield f"{result['label']}: {value_of(result)!r}, {result['samples']} samples; {result['signature']}"


def render_openmetrics(board: Leaderboard) -> str:
    """Gauges of each file: the value and samples of each loss, the rank, whether it has results and passes its gates.

    The labels are the file, the fields of the pattern and the loss.
    """
    from lossctl.outputs.openmetrics import exposition

    return exposition(_metrics(board))


def _metrics(board: Leaderboard) -> Iterable[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    names = ("file", *board.fields)
    value = GaugeMetricFamily("lossctl_loss", "The loss, in its unit.", labels=(*names, "loss", "unit"))
    samples = GaugeMetricFamily("lossctl_samples", "Samples of the loss.", labels=(*names, "loss", "unit"))
    rank = GaugeMetricFamily("lossctl_rank", "1 for the best file; files with one value share a rank.", labels=names)
    fine = GaugeMetricFamily("lossctl_file_ok", "0 for a file without results, else 1.", labels=names)
    passed = GaugeMetricFamily("lossctl_gates_passed", "1 for a file all of whose gates pass, else 0.", labels=names)
    for row in board.rows:
        labels = [visible(each, 4096) for each in (row.path, *(row.fields.get(name, "") for name in board.fields))]
        for result in {result["label"]: result for result in row.results}.values():
            value.add_metric([*labels, visible(result["label"], 1000), result["unit"]], value_of(result))
            samples.add_metric([*labels, visible(result["label"], 1000), result["unit"]], result["samples"])
        if row.rank is not None:
            rank.add_metric(labels, row.rank)
        fine.add_metric(labels, int(row.error is None))
        if row.gates:
            passed.add_metric(labels, int(row.verdict in ("pass", "warn")))
    seconds = GaugeMetricFamily("lossctl_run_seconds", "Wall time of the batch.", unit="seconds")
    seconds.add_metric([], board.seconds)
    return [metric for metric in (value, samples, rank, fine, passed, seconds) if metric.samples]


def encode_parquet(board: Leaderboard) -> bytes:
    """The records of CSV with their types; the document is in the metadata, under "lossctl.leaderboard"."""
    import pyarrow as pa

    from lossctl.outputs.parquet import file_of, in_utf8

    texts = ("file", "loss", "unit", "reduction", "gates", "status", "signature", "error")
    columns: dict[str, Any] = {"rank": pa.int64()} | {name: pa.string() for name in board.fields}
    columns |= {name: pa.string() for name in texts[:2]}
    columns |= {"value": pa.float64(), "samples": pa.int64(), "weight": pa.float64(), "difference": pa.float64()}
    columns |= {name: pa.string() for name in texts[2:]}
    rows = []
    for row in board.rows:
        about: dict[str, Any] = {"rank": row.rank, "file": in_utf8(row.path), "gates": row.verdict}
        about |= {name: in_utf8(text) for name, text in row.fields.items()}
        if row.error is not None:
            rows.append(about | {"status": "failed", "error": in_utf8(said_of(row))})
        for result, difference in zip(row.results, row.differences, strict=True):
            taken = {name: result[name] for name in ("unit", "reduction", "samples", "weight", "status", "signature")}
            rows.append(about | taken | {"loss": result["label"], "value": value_of(result), "difference": difference})
    return file_of(rows, columns, {DOCUMENT: json.dumps(board.to_document(), allow_nan=False)})
