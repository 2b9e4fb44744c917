"""Presets: what the conventions of a framework set, and what goes before them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lossctl_kernels import LOSSES, Loss, SpecificationError, resolve
from lossctl_kernels.spec import PEERS
from tests.kernels.cases import Case, Floats
from tests.kernels.engines import backend_of, sample_gradients, sample_losses

losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))


@pytest.mark.parametrize(
    ("loss", "preset", "given", "expected"),
    [
        ("mse", "keras", {}, {"denom": "count", "empty": "zero"}),
        ("mse", "torch", {}, {"denom": "weight", "empty": "nan"}),
        ("huber", "torch", {}, {"denom": "count", "delta": 1.0}),
        ("huber", "keras", {"denom": "weight"}, {"denom": "weight", "empty": "zero"}),
        ("rmse", "sklearn", {}, {"multioutput": "columns"}),
        ("bce", "keras", {}, {"input": "prob", "eps": 1e-7, "eps_mode": "clip", "denom": "count", "empty": "zero"}),
        ("bce", "keras", {"input": "logit"}, {"input": "logit", "eps": 0.0, "denom": "count"}),
        ("bce", "torch", {}, {"input": "prob", "eps": -100.0, "eps_mode": "log_floor", "denom": "count"}),
        ("bce", "torch", {"input": "logit"}, {"input": "logit", "eps": 0.0, "denom": "count"}),
        ("bce", "optax", {}, {"input": "logit", "denom": "weight"}),
        ("bce", "sklearn", {}, {"input": "prob", "eps": "machine", "eps_mode": "clip", "denom": "weight"}),
        ("cce", "keras", {}, {"eps": 1e-7, "eps_mode": "clip", "normalize": True, "denom": "count", "empty": "zero"}),
        ("cce", "keras", {"input": "logit"}, {"eps": 0.0, "normalize": False, "denom": "count"}),
        ("cce", "torch", {}, {"input": "logit", "denom": "count"}),
        ("cce", "optax", {}, {"input": "logit", "denom": "weight"}),
        ("cce", "sklearn", {}, {"input": "prob", "eps": "machine", "normalize": False}),
        ("scce", "torch", {}, {"input": "logit", "ignore_index": -100, "denom": "weight", "empty": "nan"}),
        ("scce", "keras", {}, {"eps": 1e-7, "normalize": True, "denom": "valid", "ignore_index": None}),
        ("cosine_similarity", "keras", {}, {"sign": -1.0, "eps": 1e-7, "denom": "count", "eps_mode": "floor"}),
        ("cosine_similarity", "torch", {}, {"sign": 1.0, "eps": 1e-8}),
        ("cosine_similarity", "optax", {}, {"sign": 1.0, "eps": 0.0}),
        ("cosine_similarity", "torch", {"sign": -1}, {"sign": -1.0, "eps": 1e-8}),
        ("mape", "keras", {}, {"eps": 1e-7, "eps_mode": "floor", "scale": 100.0, "kink": "half", "denom": "count"}),
        ("mape", "sklearn", {}, {"eps": 2.0**-52, "scale": 1.0, "denom": "weight"}),
        ("msle", "keras", {}, {"eps": 1e-7, "eps_mode": "floor"}),
        ("quantile", "sklearn", {"q": 0.2}, {"q": 0.2, "kink": "steep"}),
        ("poisson", "keras", {}, {"eps": 1e-7, "eps_mode": "add", "full": "no"}),
        ("poisson", "torch", {}, {"eps": 1e-8, "denom": "weight"}),
        ("hinge", "keras", {}, {"labels": "auto-batch", "kink": "half", "denom": "count", "empty": "zero"}),
        ("hinge_embedding", "torch", {}, {"kink": "torch", "margin": 1.0}),
        ("binary_focal", "keras", {}, {"eps": 1e-7, "gamma": 2.0, "alpha": None, "denom": "count"}),
        ("binary_focal", "keras", {"input": "logit"}, {"eps": 1e-7}),
        ("binary_focal", "optax", {}, {"input": "logit", "eps": 0.0}),
        ("nll", "torch", {}, {"ignore_index": -100, "denom": "weight"}),
        ("scce", "keras", {"ignore_index": 1}, {"ignore_index": 1, "denom": "valid", "normalize": True}),
        ("ranking_softmax", "optax", {"class_weight": (1.0, 2.0)}, {"denom": "valid"}),
        ("categorical_focal", "keras", {}, {"alpha": (0.25,), "eps": 1e-7, "normalize": True, "denom": "count"}),
        ("categorical_focal", "keras", {"input": "logit"}, {"alpha": (0.25,), "eps": 0.0, "softmax_eps": 1e-7}),
        ("multi_margin", "torch", {}, {"denom": "count"}),
        ("multilabel_soft_margin", "torch", {}, {"denom": "count"}),
        ("kl_divergence", "keras", {}, {"input": "prob", "eps": 1e-7, "denom": "count"}),
        ("kl_divergence", "torch", {}, {"input": "log_prob", "denom": "elements", "eps": 0.0}),
        ("kl_divergence", "optax", {}, {"input": "log_prob", "denom": "weight"}),
        ("dice", "keras", {}, {"eps": 1e-7, "smooth": 0.0, "scope": "all"}),
        ("tversky", "keras", {"alpha": 0.3}, {"eps": 1e-7, "alpha": 0.3, "swapped": "true"}),
        ("tversky", "optax", {}, {"input": "logit", "smooth": 1.0, "scope": "sample-class"}),
        ("generalized_dice", "optax", {}, {"input": "logit", "smooth": 1.0}),
    ],
)
def test_what_a_preset_sets(loss: str, preset: str, given: dict[str, Any], expected: dict[str, Any]) -> None:
    """As the documentation of the losses lists them; what is given wins."""
    settings = resolve(LOSSES[loss], {"preset": preset, **given})
    assert {name: settings[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("said", "meant"), [(True, "on"), ("False", "off"), ("yes", "on"), ("off", "off"), ("auto", "auto")]
)
def test_a_switch_may_be_said_as_a_flag(said: bool | str, meant: str) -> None:
    """As scikit-learn spells `scale_by_half`."""
    assert resolve(LOSSES["brier_multiclass"], {"scale_by_half": said})["scale_by_half"] == meant


def test_what_a_preset_sets_for_means_alone() -> None:
    for options in ({"preset": "torch"}, {"preset": "torch", "input": "logit"}):
        assert resolve(LOSSES["ctc"], options)["length_normalize"] == "true"
        assert resolve(LOSSES["ctc"], options, "sum")["length_normalize"] == "false"
    said = {"preset": "torch", "length_normalize": "true"}
    assert resolve(LOSSES["ctc"], said, "sum")["length_normalize"] == "true"


@pytest.mark.parametrize("preset", ["torch", "optax"])
def test_what_a_preset_sets_for_one_choice_alone(preset: str) -> None:
    assert resolve(LOSSES["triplet_margin"], {"preset": preset})["eps"] == 1e-6
    for distance in ("sqeuclidean", "cosine"):
        assert resolve(LOSSES["triplet_margin"], {"preset": preset, "distance": distance})["eps"] == 0.0
    said = {"preset": preset, "distance": "sqeuclidean", "eps": "0.5"}
    assert resolve(LOSSES["triplet_margin"], said)["eps"] == 0.5


@losses
def test_every_preset_resolves_in_every_form(loss: Loss) -> None:
    for preset in loss.presets:
        for form in loss.forms:
            given = {"preset": preset, **loss.required, **({"input": form} if "input" in loss.options else {})}
            assert resolve(loss, given)["preset"] == preset
    if "preset" in loss.options:
        for missing in set(PEERS) - set(loss.presets):
            with pytest.raises(SpecificationError) as caught:
                resolve(loss, {"preset": missing})
            assert "preset cannot be" in str(caught.value)
            assert "\n" not in str(caught.value)


def computed(spec: str, options: dict[str, Any], prediction: Floats, target: Any) -> tuple[Floats, Floats]:
    plan = Case(spec, options).plan(prediction.shape[-1] if prediction.ndim > 1 else 1, prediction.dtype.name)
    engine, labels = backend_of("python"), np.array(target)
    if not plan.sparse:
        labels = labels.astype(prediction.dtype)
    return sample_losses(engine, plan, prediction, labels), sample_gradients(engine, plan, prediction, labels)


def test_keras_clips_binary_probabilities_at_1e_7() -> None:
    losses, gradients = computed("bce", {"preset": "keras"}, np.array([0.0, 1.0, 0.5]), [1.0, 1.0, 1.0])
    np.testing.assert_allclose(losses, [16.11809565095832, 1.0000000494736474e-07, math.log(2.0)], rtol=1e-9)
    np.testing.assert_allclose(gradients, [0.0, 0.0, -2.0])


def test_torch_floors_logarithms_at_100_and_has_a_gradient_there() -> None:
    p = np.array([0.0, 1e-20, 1.0, 0.25])
    losses, gradients = computed("bce", {"preset": "torch"}, p, [1.0, 1.0, 0.0, 1.0])
    np.testing.assert_allclose(losses, [100.0, -math.log(1e-20), 100.0, math.log(4.0)], rtol=1e-14)
    steepest = 1.0 / float(np.float32(1e-12))
    np.testing.assert_allclose(gradients, [-steepest, -steepest, steepest, -4.0], rtol=1e-14)


def test_a_guard_of_the_user_ends_the_backward_pass_of_torch() -> None:
    _, gradients = computed("bce", {"preset": "torch", "eps": -2.0}, np.array([1e-20, 0.25]), [1.0, 1.0])
    np.testing.assert_allclose(gradients, [0.0, -4.0], rtol=1e-14)


@pytest.mark.parametrize(("dtype", "cap"), [("float64", 36.04365338911715), ("float32", 15.942385152878742)])
def test_scikit_learn_clips_at_the_spacing_of_the_dtype(dtype: str, cap: float) -> None:
    losses, _ = computed("bce", {"preset": "sklearn"}, np.array([0.0, 1.0], dtype), [1.0, 0.0])
    np.testing.assert_allclose(losses, [cap, cap], rtol=1e-14)


def test_keras_renormalises_then_clips_rows() -> None:
    row = np.array([[0.9, 0.8, 0.0]])
    for label, expected in ((0, math.log(1.7 / 0.9)), (2, 16.11809565095832)):
        losses, _ = computed("scce", {"preset": "keras"}, row, [label])
        np.testing.assert_allclose(losses, [expected], rtol=1e-9)


def test_scikit_learn_does_not_renormalise_rows() -> None:
    losses, _ = computed("scce", {"preset": "sklearn"}, np.array([[0.9, 0.8]]), [1])
    np.testing.assert_allclose(losses, [-math.log(0.8)], rtol=1e-14)


def test_torch_and_keras_hold_up_norms() -> None:
    """(1e-9, 0) and (1, 0): torch holds the norm at 1e-8, Keras at 1e-7, optax not at all."""
    a, b = np.array([[1e-9, 0.0]]), [[1.0, 0.0]]
    found = {
        preset: computed("cosine_similarity", {"preset": preset}, a, b)[0][0] for preset in ("torch", "keras", "optax")
    }
    assert found == pytest.approx({"torch": 0.1, "keras": -0.01, "optax": 1.0}, rel=1e-12)
