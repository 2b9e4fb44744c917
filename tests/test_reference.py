"""What the registry says of each loss."""

from __future__ import annotations

import math
import shlex

import numpy as np
import pytest

import lossctl
from lossctl.errors import UsageError
from lossctl.reference import describe, example, overview
from lossctl_kernels import LOSSES
from lossctl_kernels.domains import Domain, TargetKind
from lossctl_kernels.spec import Scope


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
    for option in found["options"]:
        assert option["default"], option
        assert option["allowed"], option
        assert option["meaning"], option


def inside(domain: Domain) -> float:
    """A number of the domain; two of them are a distribution, where the domain has such."""
    low, high = domain.bounds()
    return domain.labels[-1] if domain.labels else 0.5 if low <= 0.5 <= high else math.log(0.5)


@pytest.mark.parametrize("name", LOSSES)
def test_the_example_of_every_loss_works(name: str) -> None:
    loss = LOSSES[name]
    words = shlex.split(example(loss))
    assert words[:4] == ["lossctl", "eval", "preds.npy", "targets.npy"]
    shape = (4, 2) if loss.scope is Scope.ROW else (4,)
    prediction = np.full(shape, inside(next(iter(loss.forms.values())).prediction))
    target = np.zeros(4, np.int64) if loss.target_kind is TargetKind.INDEX else np.full(shape, inside(loss.target))
    result = lossctl.evaluate(prediction, target, words[words.index("--loss") + 1])
    assert result.loss == name
    assert result.status == "ok"


def test_names_of_several_losses_describe_them_all() -> None:
    assert {found["name"] for found in describe("log_loss")} == {"bce", "cce", "scce"}
    with pytest.raises(UsageError):
        describe("nothing")
