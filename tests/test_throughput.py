"""How fast losses are: that every one can be measured, and that what is reported is what was run."""

from __future__ import annotations

import pytest

from lossctl.catalogue.loss_spec import parse
from lossctl.errors import UsageError
from lossctl.throughput import LEAST_RUNS, measure, width_of
from lossctl_kernels import LOSSES
from lossctl_kernels.facts import InputShape


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_can_be_measured(name: str) -> None:
    loss = LOSSES[name]
    found = measure(parse(name), 600, "float64", "python", 1)
    assert found.spec == name
    assert found.width == width_of(loss)
    assert found.seconds > 0.0
    assert (found.gradient_seconds is None) == (next(iter(loss.forms.values())).gradient is None)
    arrays = 2 + sum(not facts.optional and facts.shape is InputShape.LIKE_PREDICTION for facts in loss.inputs.values())
    assert 8 * found.values < found.bytes <= 8 * arrays * max(found.values, 600)


def test_the_median_of_several_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 1.0, 1.0, 1.5, 2.0, 9.0, *range(10, 30)])
    monkeypatch.setattr("lossctl.throughput.time.perf_counter", lambda: next(ticks))
    from lossctl.throughput import _median

    runs: list[None] = []
    assert _median(lambda: runs.append(None)) == 1.0
    assert len(runs) == LEAST_RUNS


def test_options_of_a_loss_are_taken_and_checked() -> None:
    assert measure(parse("tweedie_deviance:power=1.2"), 100, "float32", "python", 1).values == 100
    with pytest.raises(UsageError, match="no option"):
        measure(parse("mse:delta=2"), 100, "float32", "python", 1)
