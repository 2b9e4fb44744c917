"""JUnit XML: what test tabs count, and XML whatever a name holds."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from lossctl.errors import DataError
from lossctl.outputs import render, render_fault
from lossctl.results import RunResult
from tests.outputs.conftest import HOSTILE


def suite(text: str) -> ET.Element:
    root = ET.fromstring(text.encode())
    assert root.tag == "testsuites"
    (found,) = root
    for name in ("tests", "failures", "errors", "skipped"):
        assert root.get(name) == found.get(name)
    return found


def outcomes(found: ET.Element) -> list[tuple[str | None, str]]:
    """The name of each case, and how it ended."""
    cases = found.findall("testcase")
    ends = [[child.tag for child in case if child.tag != "system-out"] for case in cases]
    assert found.get("tests") == str(len(cases))
    for tag, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert found.get(count) == str(sum(tag in end for end in ends))
    return [(case.get("name"), "".join(end) or "pass") for case, end in zip(cases, ends, strict=True)]


def test_gates_fail_or_are_skipped(gated_run: RunResult) -> None:
    found = suite(render(gated_run, "junit"))
    assert outcomes(found) == [
        ("bce", "pass"),
        ("bce > 0.35", "pass"),
        ("p95(bce) > 0.3", "failure"),
        ("max(bce) > 2", "skipped"),
        ("ci_low(bce) > 0.07", "skipped"),
        ("brier > base", "failure"),
        ("mae > 1", "failure"),
    ]
    messages = [child.get("message") for case in found for child in case if child.tag in ("failure", "skipped")]
    assert messages[:3] == [
        "p95(bce) > 0.3: 0.4, limit 0.3",
        "max(bce) > 2: 2.9, limit 2",
        "ci_low(bce) > 0.07: 0.07, limit 0.07, 12,345 more samples would decide",
    ]


def test_a_loss_that_is_not_finite_is_an_error(hard_run: RunResult) -> None:
    found = suite(render(hard_run, "junit"))
    assert [end for _, end in outcomes(found)] == ["pass", "pass", "pass", "error", "error", "error"]
    printed = [out.text or "" for out in found.iter("system-out")]
    for text, result in zip(printed, hard_run.results, strict=True):
        assert text.startswith(repr(result.value))
        assert text.endswith(result.signature)
    assert found.findtext("system-err") == "class 3 has no samples"
    assert found.get("time") == "0.004"


def test_properties_say_what_was_read(plain_run: RunResult) -> None:
    found = suite(render(plain_run, "junit"))
    assert {each.get("name"): each.get("value") for each in found.iter("property")} == {
        "version": "0.1.0",
        "backend": "cpu",
        "threads": "2",
        "input.prediction": "preds.npy",
        "input.target": "labels.csv",
    }


def test_names_stay_names(hostile_run: RunResult) -> None:
    found = suite(render(hostile_run, "junit"))
    name = HOSTILE.encode("unicode_escape").decode()
    assert [end for _, end in outcomes(found)] == ["error", "failure"]
    assert found.findall("testcase")[1].get("name") == name
    assert found.findtext("system-err") == name


@pytest.mark.parametrize("hint", [None, "give \x00 more"])
def test_a_run_that_failed_is_one_error(hint: str | None) -> None:
    found = suite(render_fault(DataError("row 3 of 'p.csv' is \x1b not <a> number", hint=hint), "junit") or "")
    assert outcomes(found) == [("run", "error")]
    error = found.find("testcase/error")
    assert error is not None
    assert error.get("message") == r"row 3 of 'p.csv' is \x1b not <a> number"
    assert error.get("type") == "DataError"
    assert error.text == (None if hint is None else r"give \x00 more")
