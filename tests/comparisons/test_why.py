"""What makes two numbers differ: each part of a document by itself."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest

from lossctl.comparisons.why import Explanation, explain

DOCUMENT: dict[str, Any] = {
    "schema": "lossctl.result/1",
    "version": "0.1.0",
    "status": "ok",
    "inputs": [
        {"role": "prediction", "path": "p.npy", "format": "npy", "shape": [569], "dtype": "float32"},
        {"role": "target", "path": "y.npy", "format": "npy", "shape": [569], "dtype": "int64"},
    ],
    "results": [
        {
            "loss": "bce",
            "options": {"input": "prob", "eps": 0.0, "denom": "weight", "grad_scale": "reported"},
            "reduction": "mean",
            "value": 0.25,
            "unit": "nat",
            "sum": 142.25,
            "weight": 569.0,
            "samples": 569,
            "nonfinite": 0,
            "status": "ok",
            "signature": "bce|input=prob|eps=0|reduction=mean|denom=weight|lossctl=0.1.0",
        }
    ],
    "gates": [],
    "backend": "python",
    "threads": 1,
    "seconds": 0.01,
    "warnings": [],
}


def other(**changes: Any) -> dict[str, Any]:
    """The document with changes: of the result, or by "document", "options", or the role of an input."""
    changed = copy.deepcopy(DOCUMENT)
    for name, value in changes.items():
        if name == "document":
            changed.update(value)
        elif name == "options":
            changed["results"][0]["options"].update(value)
        elif name in ("prediction", "target"):
            next(info for info in changed["inputs"] if info["role"] == name).update(value)
        else:
            changed["results"][0][name] = value
    changed["results"][0]["signature"] = json.dumps(changed["results"][0]["options"])
    return changed


def explained(**changes: Any) -> Explanation:
    (found,), alone = explain(DOCUMENT, other(**changes))
    assert alone == []
    return found


def test_equal_documents() -> None:
    found = explained()
    assert found.verdict == "the same function of data that looks the same, and the values agree"
    assert found.difference == "equal, to the last bit"
    assert not any(found.kinds.values())


def test_another_option_is_another_function() -> None:
    found = explained(options={"eps": 1e-7}, clipped=3, value=0.3)
    assert found.verdict == "different functions of data that look the same"
    (finding,) = found.function
    assert (finding.what, finding.first, finding.second) == ("option eps", "0", "1e-07")
    assert "numeric guard" in finding.meaning
    assert [count.what for count in found.counts] == ["clipped"]
    assert found.data == ()


def test_options_of_gradients_do_not_matter() -> None:
    assert explained(options={"grad_scale": "sum"}).function == ()


def test_an_option_that_only_one_has() -> None:
    (finding,) = explained(options={"on": "id"}).function
    assert (finding.first, finding.second, finding.meaning) == ("not given", "id", "rows are matched by this key")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"reduction": "sum"}, "reduction"),
        ({"document": {"version": "0.2.0"}}, "version"),
    ],
)
def test_what_else_makes_another_function(changes: dict[str, Any], what: str) -> None:
    found = explained(**changes)
    assert [finding.what for finding in found.function] == [what]
    assert found.verdict.startswith("different functions")


@pytest.mark.parametrize(
    ("changes", "what", "first", "second"),
    [
        ({"prediction": {"path": "q.npy"}}, "prediction path", "p.npy", "q.npy"),
        ({"prediction": {"dtype": "float64"}}, "prediction dtype", "float32", "float64"),
        ({"target": {"shape": [569, 1]}}, "target shape", "(569,)", "(569, 1)"),
        ({"target": {"format": "csv"}}, "target format", "npy", "csv"),
        ({"target": {"columns": ["y"]}}, "target columns", "none", "[y]"),
    ],
)
def test_other_data_is_named(changes: dict[str, Any], what: str, first: str, second: str) -> None:
    found = explained(**changes, value=0.5)
    assert [(finding.what, finding.first, finding.second) for finding in found.data] == [(what, first, second)]
    assert found.verdict == "the same function of different data"


def digested(digest: str, target: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The document with a digest of its targets, and with changes as those of `other`."""
    return other(target={**(target or {}), "digest": digest}, **changes)


def test_targets_with_other_values_are_named() -> None:
    (found,), _ = explain(digested("sha256:aa"), digested("sha256:bb", value=0.2))
    assert [(each.what, each.first, each.second) for each in found.data] == [
        ("target digest", "sha256:aa", "sha256:bb")
    ]
    assert found.verdict == "the same function of different data"


def test_the_same_values_from_elsewhere_are_no_other_data() -> None:
    elsewhere = {"path": "t.csv", "format": "csv", "columns": ["y"], "dtype": "float64"}
    (found,), _ = explain(digested("sha256:aa"), digested("sha256:aa", target=elsewhere))
    assert found.data == ()
    assert [each.what for each in found.run] == [f"target {fact}" for fact in ("path", "format", "dtype", "columns")]
    assert {each.meaning for each in found.run} == {"the values are the same"}
    assert found.verdict == "the same function of data that looks the same, and the values agree"


def test_where_all_else_is_the_same_the_predictions_are_others() -> None:
    (found,), _ = explain(digested("sha256:aa"), digested("sha256:aa", value=0.2))
    assert found.verdict == "the same function of other predictions: all else has the same values"
    reshaped = digested("sha256:aa", target={"shape": [569, 1]}, value=0.2)
    assert [each.what for each in explain(digested("sha256:aa"), reshaped)[0][0].data] == ["target shape"]


def test_of_a_document_without_digests_nothing_is_said() -> None:
    (found,), _ = explain(DOCUMENT, digested("sha256:aa", value=0.2))
    assert found.data == ()
    assert found.verdict.endswith("what the files hold has changed")


def test_weights_in_one_of_them() -> None:
    weights = {"role": "weights", "path": "w.npy", "format": "npy", "shape": [569], "dtype": "float64"}
    found = explained(document={"inputs": [*DOCUMENT["inputs"], weights]}, weight=12.0)
    assert [(each.what, each.first, each.second) for each in found.data] == [("weights", "not there", "there")]
    assert [each.what for each in found.counts] == ["weight"]


def test_another_number_of_samples_is_other_data() -> None:
    assert explained(samples=500, value=0.2).verdict == "the same function of different data"


def test_files_that_have_changed() -> None:
    assert explained(value=0.2).verdict.endswith("what the files hold has changed")


def test_the_run_is_named_and_is_no_reason() -> None:
    found = explained(document={"backend": "cpu", "threads": 2}, value=math.nextafter(0.25, 1))
    assert [each.what for each in found.run] == ["backend", "threads"]
    assert found.verdict == "the same function of data that looks the same, and the values agree"
    assert "within rounding of float64" in found.difference


@pytest.mark.parametrize(
    ("value", "dtype", "said"),
    [
        (0.25 * (1 + 1e-7), "float64", "as little as rounding the inputs to float32"),
        (0.25 * (1 + 1e-7), "float32", "more than rounding"),
        (0.25 * (1 + 1e-5), "float64", "more than rounding"),
    ],
)
def test_the_difference_is_beside_what_rounding_makes(value: float, dtype: str, said: str) -> None:
    assert said in explained(value=value, prediction={"dtype": dtype}).difference


def test_values_that_are_not_finite() -> None:
    found = explained(value=None, status="inf")
    assert (found.value[1], found.difference) == ("inf", "one is not finite, or both are not and differ")
    infinite = other(value=None, status="inf")
    assert explain(infinite, infinite)[0][0].difference == "equal"


def test_results_are_matched_by_loss_and_signature() -> None:
    first, second = copy.deepcopy(DOCUMENT), copy.deepcopy(DOCUMENT)
    torch = {**copy.deepcopy(DOCUMENT["results"][0]), "signature": "torch", "value": 0.5}
    brier = {**copy.deepcopy(DOCUMENT["results"][0]), "loss": "brier", "signature": "brier"}
    first["results"] += [torch, brier]
    second["results"] = [torch, *second["results"], {**brier, "loss": "mae", "signature": "mae"}]
    found, alone = explain(first, second)
    assert [each.difference for each in found] == ["equal, to the last bit"] * 2
    assert alone == ["only the first document has brier", "only the second document has mae"]


def test_a_loss_that_is_not_here_has_no_meanings() -> None:
    first, second = (other(loss="my.py:loss", options={"eps": eps}) for eps in (0.0, 1.0))
    (found,), _ = explain(first, second)
    assert [finding.meaning for finding in found.function] == [""]


def test_odd_facts_are_only_shown() -> None:
    found = explained(options={"eps": {"a": [1, None]}}, prediction={"dtype": "\x1b[2J", "path": None}, weight=None)
    shown = json.dumps(found.to_document())
    assert "\\u001b" not in shown
    assert {each.what for each in found.data} == {"prediction dtype", "prediction path"}
