"""A check finds what is wrong with a loss, and nothing in what is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lossctl.catalogue.loss_spec import parse
from lossctl.checks.check import TOLERANCE, Check, _errors, check
from lossctl.checks.finite_differences import Slopes
from lossctl.errors import UsageError
from lossctl.results import finite_or_none
from tests.own_files import ASYMMETRIC, DECORATED

HEAD = "from lossctl.definitions import *\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def checked(text: str, spec: str = "f") -> Check:
    Path("own.py").write_text(text)
    return check(parse(f"own.py:{spec}"))


@pytest.mark.parametrize("name", ["distance", "squared_mean_error", "scaled", "surprise"])
def test_a_right_loss_of_every_kind(name: str) -> None:
    found = checked(DECORATED, name)
    assert found.faults == ()
    assert found.backends is not None
    assert found.has_gradient is (name != "surprise")
    if found.gradient is not None:
        assert found.gradient.error < 1e-6
        assert len(found.to_document()["source"]) == 16


BUILT_IN = [
    *("mse", "mae", "huber:delta=2", "bce", "bce:input=logit,label_smoothing=0.1", "hinge", "cce:input=logit", "rmse"),
    *("scce", "cosine_distance", "gaussian_nll", "cce:class_weight=1|2|3|4,normalize=true", "zero_one", "log_cosh"),
    "multilabel_margin",
]


@pytest.mark.parametrize("spec", BUILT_IN)
def test_losses_that_are_built_in(spec: str) -> None:
    found = check(parse(spec))
    assert found.faults == ()
    assert found.source is None
    assert found.has_gradient is (spec != "zero_one")


WRONG_GRADIENTS = {
    "half": "return prediction - target",
    "sign": "return -2.0 * (prediction - target)",
    "constant": "return 1.0",
    "nothing": "return 0.0",
    "nan_at_zero": "return where(prediction == 0.0, 0.0 / prediction, 2.0 * (prediction - target))",
    "a_little": "return 2.0001 * (prediction - target)",
    "far_away": "return where(prediction > 50.0, 0.0, 2.0 * (prediction - target))",
}


@pytest.mark.parametrize("name", list(WRONG_GRADIENTS))
def test_a_wrong_gradient_is_found(name: str) -> None:
    found = checked(
        f"{HEAD}def f(prediction, target):\n    return square(prediction - target)\n"
        f"@gradient_of(f)\ndef g(prediction, target):\n    {WRONG_GRADIENTS[name]}\n"
    )
    (fault,) = found.faults
    assert fault.startswith("the gradient is ")
    assert found.gradient is not None
    prediction, target = found.gradient.place.prediction, found.gradient.place.target
    assert found.gradient.second == pytest.approx(2.0 * (prediction - target), rel=1e-5)
    assert found.to_document()["status"] == "fail"


def test_a_gradient_that_is_wrong_for_some_parameters_only() -> None:
    text = (
        f"{HEAD}def f(prediction, target, scale: float = 1.0):\n    return scale * square(prediction - target)\n"
        "@gradient_of(f)\ndef g(prediction, target):\n    return 2.0 * (prediction - target)\n"
    )
    found = checked(text)
    assert found.gradient is not None
    assert found.gradient.place.parameters["scale"] != 1.0
    assert len(found.faults) == 1
    assert checked(text, "f:scale=1").faults == ()


@pytest.mark.parametrize("slope", ["-1.0", "0.0", "1.0", "0.3"])
def test_at_a_kink_every_slope_between_both_sides_is_right(slope: str) -> None:
    text = (
        f"{HEAD}def f(prediction, target):\n    return absolute(prediction - target)\n@gradient_of(f)\n"
        f"def g(prediction, target):\n    return where(prediction == target, {slope}, sign(prediction - target))\n"
    )
    assert checked(text).faults == ()
    (fault,) = checked(text.replace(f", {slope}, ", ", 1.5, ")).faults
    assert "the gradient is 1.5 where differences give 1" in fault


def test_values_that_are_not_numbers() -> None:
    text = f"{HEAD}def f(prediction, target):\n    return log(prediction) - target\n"
    found = checked(text)
    assert found.undefined is not None
    assert not found.undefined.prediction > 0.0
    assert found.faults[0].startswith("the value is not a finite number at prediction=")
    decorated = text.replace("def f", "@loss(prediction=POSITIVE)\ndef f")
    assert checked(decorated).faults == ()


def test_values_that_are_infinite() -> None:
    text = f"{HEAD}@loss(prediction=NONNEGATIVE)\ndef f(prediction, target):\n    return -log(prediction)\n"
    assert checked(text).undefined is not None
    assert checked(text.replace("@loss(", "@loss(infinite=True, ")).faults == ()


def test_an_overflow_far_away_is_told_and_is_no_fault() -> None:
    found = checked(f"{HEAD}def f(prediction, target):\n    return exp(prediction)\n")
    assert found.faults == ()
    assert found.overflow is not None
    assert found.overflow.prediction == 800.0
    assert found.to_document()["value"]["overflow"]["prediction"] == 800.0


def test_a_loss_without_a_gradient_says_how_to_add_one() -> None:
    found = checked(ASYMMETRIC, "plain")
    assert (found.has_gradient, found.gradient, found.faults) == (False, None, ())
    assert found.to_document()["hint"].startswith("add a function under @gradient_of(plain) to own.py")


def test_without_a_compiler_only_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from lossctl.errors import EnvironmentFault

    def none(*_: object, **__: object) -> None:
        raise EnvironmentFault("no compiler")

    monkeypatch.setattr("lossctl.checks.check.choose", none)
    found = check(parse("mse"))
    assert (found.backends, found.no_compiler, found.faults) == (None, "no compiler", ())


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("log_loss", "log_loss may be bce, cce, scce"),
        ("bce:grad_wrt=logit", "leave grad_wrt out"),
        ("huber:delta=-1", "delta must be > 0"),
        ("circle", "circle cannot be checked"),
        ("ctc", "ctc cannot be checked"),
        ("nothing_like_it", "unknown loss"),
    ],
)
def test_what_cannot_be_checked(spec: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check(parse(spec))


def test_how_errors_are_measured() -> None:
    def error(gradient: float, *known: float) -> float | None:
        slopes = Slopes(*(np.array([number]) for number in known))
        return finite_or_none(_errors(np.array([gradient]), slopes)[1][0])

    inf = float("inf")
    smooth = (2.0, 1e-9, 2.0, 1e-9, 2.0, 1e-9)
    assert error(2.0, *smooth) == 0.0
    assert error(2.1, *smooth) == pytest.approx(0.1 / 2.1)
    kink = (0.0, 1e-9, -1.0, 1e-9, 1.0, 1e-9)
    assert error(1.0, *kink) == error(0.2, *kink) == 0.0
    assert error(1.5, *kink) == pytest.approx(0.5 / 1.5)
    unknown = (0.0, inf, 0.0, inf, 0.0, inf)
    assert error(2.0, *unknown) is None
    at_an_end = (0.0, inf, 0.0, inf, 3.0, 1e-9)
    assert error(3.0, *at_an_end) == 0.0
    assert error(4.0, *at_an_end) == pytest.approx(0.25)
    rough = (2.0, 1e-5, 2.0, 1.0, 2.0, 1.0)
    assert (error(2.0 + 1e-5, *rough) or 0.0) <= TOLERANCE
