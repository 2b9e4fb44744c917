"""What losses must have in common, whatever their formulas: one checks another, with no table of numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lossctl_kernels import LOSSES
from lossctl_kernels.batch import Array
from tests.kernels.cases import Case, Floats, draw, forms, parametrize
from tests.kernels.engines import backend_of, backends, sample_gradients, sample_losses

engines = pytest.mark.parametrize("backend", backends())
LN_2 = math.log(2.0)


def losses(case: Case, prediction: Array, target: Array, backend: str = "python") -> Floats:
    plan = case.plan(prediction.shape[-1] if prediction.ndim > 1 else 1, prediction.dtype.name)
    return sample_losses(backend_of(backend), plan, prediction, target)


def softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@engines
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_binary_is_two_class_cross_entropy(share: float, backend: str) -> None:
    options = {"label_smoothing": share}
    p, y = draw(Case("bce"), 40, 1)
    rows, targets = np.stack([1.0 - p, p], axis=1), np.stack([1.0 - y, y], axis=1)
    both = losses(Case("bce", options), p, y, backend), losses(Case("cce", options), rows, targets, backend)
    np.testing.assert_allclose(*both, rtol=1e-13)


@engines
@pytest.mark.parametrize(
    "options", [{}, {"label_smoothing": 0.2}, {"log_base": "10"}, {"class_weight": (0.5, 1.0, 2.0)}]
)
@pytest.mark.parametrize("form", ["prob", "logit", "log_prob"])
def test_an_index_is_its_one_hot_row(form: str, options: dict[str, object], backend: str) -> None:
    case = Case("scce", {"input": form, **options})
    prediction, index = draw(case, 40)
    dense = Case("cce", case.options)
    one_hot = np.eye(3)[index]
    both = losses(case, prediction, index, backend), losses(dense, prediction, one_hot, backend)
    np.testing.assert_allclose(*both, rtol=1e-14)
    plans = case.plan(), dense.plan()
    engine = backend_of(backend)
    found = (
        sample_gradients(engine, plans[0], prediction, index),
        sample_gradients(engine, plans[1], prediction, one_hot),
    )
    np.testing.assert_allclose(*found, rtol=1e-13, atol=1e-16)


@engines
@pytest.mark.parametrize("loss", ["cce", "scce"])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.2}, {"class_weight": (0.5, 1.0, 2.0)}])
def test_forms_of_a_row_agree(loss: str, options: dict[str, object], backend: str) -> None:
    logits, target = draw(Case(loss, {"input": "logit"}), 40)
    found = {
        "logit": losses(Case(loss, {"input": "logit", **options}), logits, target, backend),
        "prob": losses(Case(loss, options), softmax(logits), target, backend),
        "log_prob": losses(Case(loss, {"input": "log_prob", **options}), np.log(softmax(logits)), target, backend),
    }
    assert set(found) == set(LOSSES[loss].forms)
    np.testing.assert_allclose(found["prob"], found["logit"], rtol=1e-12)
    np.testing.assert_allclose(found["log_prob"], found["logit"], rtol=1e-12)


@engines
@pytest.mark.parametrize("options", [{}, {"pos_weight": 3.0}, {"label_smoothing": 0.2}])
def test_forms_of_a_probability_agree(options: dict[str, object], backend: str) -> None:
    logits, target = draw(Case("bce", {"input": "logit"}), 40, 1)
    from_logits = losses(Case("bce", {"input": "logit", **options}), logits, target, backend)
    from_probabilities = losses(Case("bce", options), 1.0 / (1.0 + np.exp(-logits)), target, backend)
    np.testing.assert_allclose(from_probabilities, from_logits, rtol=1e-12)


@engines
def test_half_the_squared_error_and_the_limits_of_huber(backend: str) -> None:
    p, y = draw(Case("mse"), 40, 1)
    squared, absolute = losses(Case("mse"), p, y, backend), losses(Case("mae"), p, y, backend)
    assert (losses(Case("half_mse"), p, y, backend) == 0.5 * squared).all()
    assert (losses(Case("huber", {"delta": 1e6}), p, y, backend) == 0.5 * squared).all()
    np.testing.assert_allclose(losses(Case("huber", {"delta": 1e-9}), p, y, backend) / 1e-9, absolute, atol=1e-9)


@engines
def test_log_cosh_lies_between_its_two_asymptotes(backend: str) -> None:
    e = np.linspace(-8.0, 8.0, 41)
    values = losses(Case("log_cosh"), e, np.zeros(41), backend)
    assert (values <= 0.5 * e * e).all()
    assert (values >= np.abs(e) - LN_2).all()


@engines
def test_distance_and_similarity_are_one_cosine(backend: str) -> None:
    a, b = draw(Case("cosine_similarity"), 40)
    cosines = losses(Case("cosine_similarity", {"sign": 1.0}), a, b, backend)
    np.testing.assert_allclose(1.0 - losses(Case("cosine_distance"), a, b, backend), cosines, atol=1e-15)
    np.testing.assert_allclose(losses(Case("cosine_similarity"), a, b, backend), -cosines, rtol=1e-15)
    np.testing.assert_allclose(losses(Case("cosine_similarity", {"sign": 1.0}), b, a, backend), cosines, rtol=1e-14)


@parametrize([case for case in forms() if "log_base" in LOSSES[case.loss].options])
def test_bits_are_nats_over_ln_2(case: Case) -> None:
    prediction, target = draw(case, 40)
    nats = losses(case, prediction, target)
    np.testing.assert_allclose(losses(case | {"log_base": "2"}, prediction, target) * LN_2, nats, rtol=1e-15)


@parametrize([case for case in forms() if "row" in LOSSES[case.loss].options])
def test_the_sum_of_a_row_is_its_width_times_the_mean(case: Case) -> None:
    prediction, target = draw(case, 40, 5)
    sums = losses(case | {"row": "sum"}, prediction, target)
    np.testing.assert_allclose(losses(case | {"row": "mean"}, prediction, target) * 5.0, sums, rtol=1e-15)


# ---- pairs: one loss on the data of the other, times a factor

LOGITS = {"input": "logit"}
EQUAL: list[tuple[Case, Case, float]] = [
    (Case("smooth_l1", {"beta": 0.7}), Case("huber", {"delta": 0.7}), 1 / 0.7),
    (Case("smooth_l1", {"beta": 0.0}), Case("mae"), 1.0),
    (Case("quantile"), Case("mae"), 0.5),
    (Case("epsilon_insensitive", {"epsilon": 0.0}), Case("mae"), 1.0),
    (Case("squared_epsilon_insensitive", {"epsilon": 0.0}), Case("mse"), 1.0),
    (Case("pseudo_huber", {"delta": 1e12}), Case("half_mse"), 1.0),
    (Case("mape", {"scale": 1.0}), Case("mape"), 0.01),
    (Case("poisson_deviance"), Case("tweedie_deviance", {"power": 1.0}), 1.0),
    (Case("poisson_deviance", {"half": True}), Case("poisson_deviance"), 0.5),
    (Case("gamma_deviance"), Case("tweedie_deviance", {"power": 2.0}), 1.0),
    (Case("gamma_deviance", {"link": "log"}), Case("tweedie_deviance", {"power": 2.0, "link": "log"}), 1.0),
    (Case("mse"), Case("tweedie_deviance", {"power": 0.0}), 1.0),
    (Case("binary_focal", {"gamma": 0.0}), Case("bce"), 1.0),
    (Case("binary_focal", {"gamma": 0.0, "alpha": 0.5, **LOGITS}), Case("bce", LOGITS), 0.5),
    (Case("soft_margin", {"labels": "01"}), Case("bce", LOGITS), 1.0),
    (Case("perceptron"), Case("hinge", {"margin": 0.0}), 1.0),
    (Case("nll"), Case("scce", {"input": "log_prob"}), 1.0),
    (Case("ranking_softmax"), Case("cce", LOGITS), 1.0),
    (Case("categorical_focal", {"gamma": 0.0}), Case("cce"), 1.0),
    (Case("categorical_focal", {"gamma": 0.0, "labels": "index", **LOGITS}), Case("scce", LOGITS), 1.0),
    (Case("poly1", {"epsilon": 0.0}), Case("cce", LOGITS), 1.0),
    (Case("fenchel_young"), Case("cce", LOGITS), 1.0),
    (Case("generalized_kl"), Case("kl_divergence"), 1.0),
    (Case("kl_divergence", LOGITS), Case("fenchel_young"), 1.0),
    (Case("hamming"), Case("zero_one"), 1.0),
]


@pytest.mark.parametrize(("one", "other", "factor"), EQUAL, ids=[f"{a}-{b}" for a, b, _ in EQUAL])
def test_losses_that_are_equal(one: Case, other: Case, factor: float) -> None:
    prediction, target = draw(other, 40)
    if one.loss == "kl_divergence":
        target = np.eye(3)[target.argmax(axis=1)]
    if one.loss == "soft_margin":
        target = np.round(target)
    expected = factor * losses(other, prediction, target)
    np.testing.assert_allclose(losses(one, prediction, target), expected, rtol=1e-11, atol=1e-15)


def test_squares_of_margins() -> None:
    data = draw(Case("hinge"), 40, 1)
    np.testing.assert_allclose(losses(Case("squared_hinge"), *data), losses(Case("hinge"), *data) ** 2, rtol=1e-15)


def test_deviances_do_not_depend_on_the_link() -> None:
    for loss, more in (("poisson_deviance", {}), ("gamma_deviance", {}), ("tweedie_deviance", {"power": 1.5})):
        mean, target = draw(Case(loss, more), 40, 1)
        by_log = losses(Case(loss, {**more, "link": "log"}), np.log(mean), target)
        np.testing.assert_allclose(by_log, losses(Case(loss, more), mean, target), rtol=1e-11)


def test_brier_scores_of_two_classes() -> None:
    p, y = draw(Case("brier"), 40, 1)
    rows, targets = np.stack([1.0 - p, p], axis=1), np.stack([1.0 - y, y], axis=1)
    np.testing.assert_allclose(losses(Case("brier_multiclass"), rows, targets), losses(Case("brier"), p, y), rtol=1e-12)


def test_labels_in_parallel_are_binary() -> None:
    data = draw(Case("bce", LOGITS), 40, 5)
    found = losses(Case("multilabel_soft_margin"), *data)
    np.testing.assert_allclose(found, losses(Case("bce", LOGITS), *data), rtol=1e-14)


def test_jensen_shannon_is_symmetric_and_at_most_ln_2() -> None:
    p, y = draw(Case("js_divergence"), 40)
    np.testing.assert_allclose(losses(Case("js_divergence"), y, p), losses(Case("js_divergence"), p, y), rtol=1e-14)
    apart = losses(Case("js_divergence"), np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))
    np.testing.assert_allclose(apart, LN_2, rtol=1e-15)


def test_relative_entropy_is_cross_entropy_less_entropy() -> None:
    p, y = draw(Case("kl_divergence"), 40)
    entropy = losses(Case("cce"), np.where(y == 0.0, 1.0, y), y)
    found = losses(Case("kl_divergence"), p, y)
    np.testing.assert_allclose(found, losses(Case("cce"), p, y) - entropy, rtol=1e-12, atol=1e-15)


def test_margins_of_two_classes_are_binary() -> None:
    scores, labels = draw(Case("multiclass_hinge"), 40, 2)
    difference, sign = scores[:, 1] - scores[:, 0], 2.0 * labels - 1.0
    binary = losses(Case("hinge"), difference, sign)
    np.testing.assert_allclose(losses(Case("multiclass_hinge"), scores, labels), binary, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(losses(Case("multi_margin"), scores, labels), binary / 2.0, rtol=1e-12, atol=1e-15)


def test_overlaps_are_relatives() -> None:
    p, y = draw(Case("dice"), 40)
    dice = losses(Case("dice", {"scope": "sample", "smooth": 1.0}), p, y)
    tversky = losses(Case("tversky", {"scope": "sample", "smooth": 0.5}), p, y)
    np.testing.assert_allclose(tversky, dice, rtol=1e-14)
    plain = losses(Case("dice", {"scope": "sample"}), p, y)
    jaccard = losses(Case("tversky", {"scope": "sample", "alpha": 1.0, "beta": 1.0}), p, y)
    np.testing.assert_allclose(jaccard, 2.0 * plain / (1.0 + plain), rtol=1e-14)


@engines
@pytest.mark.parametrize("loss", ["cce", "scce"])
def test_full_smoothing_forgets_the_label(loss: str, backend: str) -> None:
    logits, target = draw(Case(loss, {"input": "logit"}), 10)
    smoothed = losses(Case(loss, {"input": "logit", "label_smoothing": 1.0}), logits, target, backend)
    np.testing.assert_allclose(smoothed, -np.log(softmax(logits)).mean(axis=1), rtol=1e-13)


NUMBERS_OF_TEXTS = [(0.8, 0.2231, 0.3219), (0.9, 0.1054, 0.1520), (0.7, 0.3567, 0.5146)]


@pytest.mark.parametrize(("p", "nats", "bits"), NUMBERS_OF_TEXTS)
def test_the_surprises_that_introductions_print(p: float, nats: float, bits: float) -> None:
    """-ln 0.8 is 0.2231; the 0.32 that is often printed beside it is in bits."""
    row, label = np.array([[p, 1.0 - p]]), np.array([0])
    assert losses(Case("scce"), row, label) == pytest.approx(nats, abs=5e-5)
    assert losses(Case("scce", {"log_base": "2"}), row, label) == pytest.approx(bits, abs=5e-5)


def test_renormalising_changes_the_gradient_and_not_the_value() -> None:
    """The numbers of Keras 3.15 for p = (.7, .2, .1), y = (1, 0, 0), and of the plain cross-entropy."""
    row, label = np.array([[0.7, 0.2, 0.1]]), np.array([[1.0, 0.0, 0.0]])
    keras, plain = Case("cce", {"normalize": True}), Case("cce")
    np.testing.assert_allclose(losses(keras, row, label), losses(plain, row, label), rtol=1e-15)
    engine = backend_of("python")
    np.testing.assert_allclose(sample_gradients(engine, keras.plan(), row, label), [[-3 / 7, 1.0, 1.0]], rtol=1e-12)
    np.testing.assert_allclose(sample_gradients(engine, plain.plan(), row, label), [[-10 / 7, 0.0, 0.0]], rtol=1e-12)
