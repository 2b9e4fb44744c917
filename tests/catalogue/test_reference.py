"""What the registry says of each loss."""

from __future__ import annotations

import shlex

import pytest

import lossctl
from lossctl.catalogue.conventions import small_rows
from lossctl.catalogue.reference import describe, example, families, overview
from lossctl.errors import UsageError
from lossctl_kernels import LOSSES


def test_the_overview_has_every_loss_and_says_something_of_each() -> None:
    rows = overview()
    assert [row["name"] for row in rows] == list(LOSSES)
    assert all(row["summary"] and row["input"] and row["of"] for row in rows)
    assert len({tuple(row) for row in rows}) == 1


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_described_whole(name: str) -> None:
    (found,) = describe(name)
    for part in ("description", "formula", "gradient", "unit", "of", "predictions", "targets", "options", "example"):
        assert found[part], part
    known = {option["name"] for option in found["options"]}
    assert all(set(sets) <= known for sets in found["presets"].values())
    for option in found["options"]:
        assert option["default"], option
        assert option["allowed"], option
        assert option["meaning"], option


@pytest.mark.parametrize("name", LOSSES)
def test_the_example_of_every_loss_works(name: str) -> None:
    loss = LOSSES[name]
    words = shlex.split(example(loss))
    assert words[:4] == ["lossctl", "eval", "preds.npy", "targets.npy"]
    rows = small_rows(loss, next(iter(loss.forms)))
    given = [word.partition("=")[0] for word in words if word.endswith(".npy") and "=" in word]
    assert given == list(rows.inputs)
    spec = words[words.index("--loss") + 1]
    result = lossctl.evaluate(rows.prediction, rows.target, spec, inputs=rows.inputs or None, backend="python")
    assert result.loss == name
    assert result.status in ("ok", "inf")


def test_every_loss_is_in_one_family() -> None:
    found = [name for _, names in families().values() for name in names]
    assert sorted(found) == sorted(LOSSES)
    assert all(title and said for title, (said, _) in families().items())


def test_a_form_that_says_how_it_is_computed_and_targets_of_an_option() -> None:
    (bce,) = describe("bce")
    assert bce["computed"]["logit"].startswith("ω y softplus(-z)")
    (hinge,) = describe("hinge")
    assert hinge["other_targets"]["labels=01"] == "one number for each prediction, each a label in {0, 1}"
    (mse,) = describe("mse")
    assert (mse["computed"], mse["other_targets"], mse["inputs"]) == ({}, {}, [])


def test_further_inputs_are_described() -> None:
    for name, loss in LOSSES.items():
        (found,) = describe(name)
        assert [each["name"] for each in found["inputs"]] == list(loss.inputs)
        for each in found["inputs"]:
            assert all(each.values())
            assert each["given"] == ("may be left out" if loss.inputs[each["name"]].optional else "required")


def test_names_of_several_losses_describe_them_all() -> None:
    assert {found["name"] for found in describe("log_loss")} == {"bce", "cce", "scce"}
    with pytest.raises(UsageError):
        describe("nothing")
