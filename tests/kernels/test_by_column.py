"""Parameters that have a number for each column: each column has the losses that it has by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lossctl
from lossctl.errors import UsageError
from lossctl_kernels import LOSSES, SpecificationError, resolve

FORMS = (
    "bce",
    "bce:input=logit",
    "bce:input=logit,grad_wrt=prob",
    "bce:label_smoothing=0.1,eps=1e-3",
    "bce:log_base=2",
)


def drawn(spec: str, width: int, dtype: str) -> tuple[Any, Any, Any]:
    """(predictions, soft and hard targets, weights of columns)."""
    random = np.random.default_rng(width)
    prediction, target = random.random((37, width)), random.random((37, width))
    target[::2] = np.round(target[::2])
    if "logit" in spec:
        prediction = 8.0 * prediction - 4.0
    return prediction.astype(dtype), target.astype(dtype), np.round(random.uniform(0.1, 9.0, width), 3)


@pytest.mark.parametrize("backend", ["python", "cpu"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [2, 17, 40])
@pytest.mark.parametrize("spec", FORMS)
def test_columns_have_the_losses_of_each_alone(spec: str, width: int, dtype: str, backend: str) -> None:
    prediction, target, each = drawn(spec, width, dtype)
    weights = np.random.default_rng(0).random(37)

    def of(prediction: Any, target: Any, numbers: Any) -> tuple[Any, Any, Any]:
        loss = f"{spec}{',' if ':' in spec else ':'}pos_weight={'|'.join(map(str, numbers))}"
        given: dict[str, Any] = {"weights": weights, "backend": backend}
        value = lossctl.evaluate(prediction, target, loss, **given).value
        gradient = lossctl.gradient(prediction, target, loss, **given)
        return value, lossctl.per_sample(prediction, target, loss, backend=backend), gradient

    value, losses, gradient = of(prediction, target, each)
    alone = [of(prediction[:, c].copy(), target[:, c].copy(), [each[c]]) for c in range(width)]
    np.testing.assert_allclose(value, np.mean([one[0] for one in alone]), rtol=1e-14)
    np.testing.assert_allclose(losses, np.mean([one[1] for one in alone], axis=0), rtol=1e-13)
    slopes = np.stack([one[2] for one in alone], axis=1) / width
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ("1|2", "pos_weight has 2 numbers for rows of 3"),
        ("1|0|2", "pos_weight must be > 0, or one for each column, such as 1|2|0.5, found 0"),
        ("1||2", "pos_weight must be a number, found ''"),
        ("1|nan|2", "pos_weight must be finite, found 'nan'"),
    ],
)
def test_there_is_one_for_each_column(numbers: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        lossctl.evaluate(np.full((2, 3), 0.5), np.ones((2, 3)), f"bce:pos_weight={numbers}")
    assert message in str(caught.value)


def test_one_number_in_any_spelling_is_that_of_all() -> None:
    for given in ("2", 2, 2.0, [2], (2.0,)):
        assert resolve(LOSSES["bce"], {"pos_weight": given})["pos_weight"] == 2.0
    assert resolve(LOSSES["bce"], {"pos_weight": [1, 2]})["pos_weight"] == (1.0, 2.0)


def test_other_parameters_have_one_number() -> None:
    with pytest.raises(SpecificationError, match="delta must be a number"):
        resolve(LOSSES["huber"], {"delta": "1|2"})


def test_one_number_for_all_is_computed_as_it_was() -> None:
    """A vector of equal numbers has the same losses, on its other road."""
    prediction, target, _ = drawn("logit", 5, "float64")
    one = lossctl.per_sample(prediction, target, "bce:input=logit,pos_weight=3")
    many = lossctl.per_sample(prediction, target, "bce:input=logit,pos_weight=3|3|3|3|3")
    np.testing.assert_allclose(one, many, rtol=1e-15)
