"""Compiling ahead."""

from __future__ import annotations

import pytest

from lossctl.errors import EnvironmentFault, UsageError
from lossctl.loss_spec import parse
from lossctl.warming import every_spec, warm
from lossctl_kernels import LOSSES


def test_every_loss_in_every_form() -> None:
    specs = every_spec()
    assert len({spec.text for spec in specs}) == len(specs)
    assert {(spec.name, spec.options.get("input")) for spec in specs} == {
        (loss.name, form if "input" in loss.options else None) for loss in LOSSES.values() for form in loss.forms
    }


@pytest.mark.parametrize("spec", ["mse", "rmse"])
def test_what_is_warm_is_found_again(spec: str) -> None:
    warm([parse(spec)])
    compiled, found, folder = warm([parse(spec)])
    assert compiled == 0
    assert folder.is_dir()
    assert found >= 0


def test_nothing_can_be_kept_without_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossctl_kernels.cache.cache_folder", lambda: None)
    with pytest.raises(EnvironmentFault, match="LOSSCTL_CACHE_DIR"):
        warm([parse("mse")])


def test_a_spec_that_is_wrong_is_told() -> None:
    for text in ("nope", "huber:delta=0"):
        with pytest.raises(UsageError):
            warm([parse(text)])
