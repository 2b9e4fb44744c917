"""What the losses have in common beyond their formulas, through the Python API: labels, scopes, weights, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lossctl
from lossctl.errors import DataError, LossctlWarning, UsageError
from lossctl_kernels import LOSSES, Scope

RANDOM = np.random.default_rng(11)
MASKS = RANDOM.uniform(0.05, 0.95, (6, 3)), RANDOM.integers(0, 2, (6, 3)).astype(float)


def refusal(prediction: Any, target: Any, loss: str, **more: Any) -> str:
    with pytest.raises(DataError) as caught:
        lossctl.evaluate(prediction, target, loss, **more)
    return str(caught.value)


# ---- labels are what the option says, never what the data looks like


@pytest.mark.parametrize("loss", [name for name, loss in LOSSES.items() if "labels" in loss.variants])
def test_labels_are_never_guessed(loss: str) -> None:
    for labels, facts in LOSSES[loss].variants["labels"].items():
        allowed = getattr(facts.get("target"), "labels", ())
        if allowed:
            wrong = [0.5 if labels == "auto-batch" else 0.0 if labels == "pm1" else -1.0, 1.0, 1.0]
            shape = (1, 3) if LOSSES[loss].scope is Scope.ROW else (3,)
            data = np.full(shape, 0.1), np.reshape(wrong, shape)
            assert "is outside {" in refusal(*data, f"{loss}:labels={labels}")


def test_keras_takes_labels_for_0_and_1_where_all_of_them_are() -> None:
    scores = np.array([0.3, -0.4, 2.0, -0.1])
    for loss in ("hinge", "squared_hinge"):
        signs = lossctl.evaluate(scores, [1, -1, 1, -1], f"{loss}:preset=keras").value
        assert lossctl.evaluate(scores, [1, 0, 1, 0], f"{loss}:preset=keras").value == signs
        slopes = lossctl.gradient(scores, [1, 0, 1, 0], f"{loss}:preset=keras")
        assert slopes.tolist() == lossctl.gradient(scores, [1, -1, 1, -1], f"{loss}:preset=keras").tolist()


def test_labels_that_could_be_either_are_refused_across_chunks() -> None:
    assert "row 2: there is a label -1, and at row 1 a label 0" in refusal(
        [0.1, 0.2, 0.3], [1, 0, -1], "hinge:labels=auto-batch"
    )
    labels = np.ones(6000)
    labels[0], labels[5000] = -1.0, 0.0
    assert "row 5000: there is a label 0, and at row 0 a label -1" in refusal(labels, labels, "hinge:labels=auto-batch")


def test_a_label_of_the_other_kind_is_told() -> None:
    assert "labels=01 says what they are" in refusal([0.3, 0.2], [0, 1], "hinge")
    assert "labels=pm1 says what they are" in refusal([0.3, 0.2], [-1, 1], "binary_sparsemax")


def test_both_spellings_of_a_label_are_one_loss() -> None:
    scores, signs = RANDOM.normal(size=9), RANDOM.choice([-1, 1], 9)
    for loss in ("hinge", "soft_margin", "exponential", "hinge_embedding", "modified_huber"):
        both = [lossctl.evaluate(scores, y, f"{loss}:labels={k}").value for k, y in (("pm1", signs), ("01", signs > 0))]
        assert both[0] == both[1]


def test_one_class_alone_is_no_reason_to_turn_it_around() -> None:
    """scikit-learn takes the only class for the negative one, and returns 3.5."""
    assert lossctl.evaluate([2.0, 3.0], [1, 1], "hinge").value == 0.0


def test_classes_come_as_indices_where_that_is_said() -> None:
    logits, index = RANDOM.normal(size=(5, 4)), RANDOM.integers(0, 4, 5)
    for loss in ("categorical_focal", "brier_multiclass"):
        dense = lossctl.per_sample(logits, np.eye(4)[index], f"{loss}:input=logit")
        np.testing.assert_allclose(lossctl.per_sample(logits, index, f"{loss}:input=logit,labels=index"), dense)


# ---- domains with an open end


@pytest.mark.parametrize("backend", ["python", "cpu"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "end"), [("poisson", 0.0), ("gamma_deviance", 0.0), ("msle", -1.0), ("rmsle", -1.0)])
def test_an_open_end_is_outside(loss: str, end: float, dtype: str, backend: str) -> None:
    good, bad = np.array([1.0, 2.0], dtype), np.array([1.0, end], dtype)
    assert f"prediction {end:g} is outside ({end:g}, inf)" in refusal(bad, good, loss, backend=backend)
    above = np.array([1.0, np.nextafter(np.array(end, dtype), np.array(1.0, dtype))], dtype)
    assert lossctl.evaluate(above, above if loss != "poisson" else good, loss, backend=backend).value < 1e4


def test_what_is_held_at_a_floor_may_be_anything() -> None:
    assert lossctl.evaluate([-5.0], [-7.0], "msle:preset=keras").value == 0.0
    assert lossctl.evaluate([0.0], [0.0], "poisson:preset=keras").value == 0.0


def test_targets_of_a_deviance_depend_on_its_power() -> None:
    assert "outside [0, inf)" in refusal([1.0], [-1.0], "tweedie_deviance:power=1.5")
    assert "outside (0, inf)" in refusal([1.0], [0.0], "tweedie_deviance:power=2")
    assert lossctl.evaluate([1.0], [-1.0], "tweedie_deviance:power=0").value == 4.0
    assert lossctl.evaluate([1.0], [-1.0], "tweedie_deviance:power=-1").value > 0.0


# ---- scopes


def test_the_scope_of_an_overlap() -> None:
    p, y = MASKS
    rows = [lossctl.evaluate(p[i], y[i], "dice").value for i in range(6)]
    columns = [lossctl.evaluate(p[:, c], y[:, c], "dice").value for c in range(3)]
    np.testing.assert_allclose(lossctl.per_sample(p, y, "dice:scope=sample"), rows, rtol=1e-14)
    assert lossctl.evaluate(p, y, "dice:scope=sample").value == pytest.approx(np.mean(rows), rel=1e-14)
    assert lossctl.evaluate(p, y, "dice:scope=class").value == pytest.approx(np.mean(columns), rel=1e-14)


@pytest.mark.parametrize("loss", ["dice", "tversky:alpha=0.3,smooth=1", "dice:denominator=squared", "rmsle", "wape"])
def test_gradients_over_the_data_set(loss: str) -> None:
    p, y = MASKS
    weights = np.array([1.0, 0.5, 2.0, 0.0, 1.0, 3.0])
    options = ":" if ":" not in loss else ","
    for spec in (loss, f"{loss}{options}scope=class") if "scope" in LOSSES[loss.partition(":")[0]].options else (loss,):
        found = lossctl.gradient(p, y, spec, weights=weights)
        for i, c in ((0, 0), (2, 1), (3, 2)):
            up, down = p.copy(), p.copy()
            up[i, c] += 1e-6
            down[i, c] -= 1e-6
            high, low = (lossctl.evaluate(x, y, spec, weights=weights).value for x in (up, down))
            assert found[i, c] == pytest.approx((high - low) / 2e-6, rel=1e-6, abs=1e-9)


def test_empty_masks_agree() -> None:
    with pytest.warns(LossctlWarning, match="the data holds two empty masks"):
        result = lossctl.evaluate([0.0, 0.0], [0, 0], "dice")
    assert (result.value, result.degenerate) == (0.0, 1)
    assert lossctl.evaluate([0.0, 0.0], [0, 0], "dice:preset=keras").value == 1.0


# ---- weights


def test_the_largest_error_is_that_of_a_sample_that_is_there() -> None:
    data = [1.0, 9.0, 3.0], [1.0, 1.0, 1.0], "max_error"
    assert lossctl.evaluate(*data).value == 8.0
    assert lossctl.evaluate(*data, weights=[1.0, 0.0, 0.5]).value == 2.0


def test_weights_of_classes_are_the_denominator_too() -> None:
    scores, index = RANDOM.normal(size=(5, 3)), np.array([0, 1, 2, 2, 1])
    weights = np.array([0.5, 1.0, 2.0])[index]
    result = lossctl.evaluate(scores, index, "multi_margin:class_weight=0.5|1|2")
    assert result.weight == pytest.approx(weights.sum())
    plain = lossctl.per_sample(scores, index, "multi_margin")
    assert result.value == pytest.approx((weights * plain).sum() / weights.sum())


# ---- values without a slope


@pytest.mark.parametrize("loss", [name for name, loss in LOSSES.items() if not loss.has_gradient])
def test_a_loss_without_a_gradient_says_so(loss: str) -> None:
    with pytest.raises(UsageError, match=f"^{loss} has no gradient"):
        lossctl.gradient([[1.0, 0.0]], [[0.0, 1.0]], loss)
    assert lossctl.evaluate([[1.0, 0.0]], [[0.0, 1.0]], loss).value == (2.0 if loss == "coverage_error" else 1.0)


# ---- kinks


@pytest.mark.parametrize(
    ("loss", "slopes"),
    [
        ("hinge", {"": 0.0, "keras": -0.5, "optax": -0.5, "sklearn": -1.0}),
        ("perceptron", {"": 0.0, "optax": -0.5}),
        ("quantile:q=0.9", {"": 0.0, "sklearn": -0.9}),
        ("mae", {"": 0.0, "keras": 0.0, "optax": 1.0, "sklearn": -1.0}),
    ],
)
def test_slopes_at_a_kink_are_those_of_each_framework(loss: str, slopes: dict[str, float]) -> None:
    at = {"hinge": 1.0, "perceptron": 0.0}.get(loss, 2.0)
    label = 1.0 if loss in ("hinge", "perceptron") else 2.0
    for preset, slope in slopes.items():
        spec = loss + (":" if ":" not in loss else ",") + f"preset={preset}" if preset else loss
        assert lossctl.gradient([at], [label], spec)[0] == pytest.approx(slope)


def test_the_kink_is_no_part_of_a_value() -> None:
    assert "kink" not in lossctl.evaluate([1.0], [2.0], "mae").signature


# ---- presets


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_scikit_learn_holds_probabilities_at_the_spacing_of_their_dtype(dtype: Any) -> None:
    impossible = lossctl.evaluate(np.array([0.0], dtype), [1], "bce:preset=sklearn").value
    assert impossible == pytest.approx(-np.log(float(np.finfo(dtype).eps)), rel=1e-15)


def test_pytorch_divides_by_the_number_of_labels_in_a_mean_of_ctc_alone() -> None:
    frames, labels = np.log(RANDOM.dirichlet(np.ones(4), (3, 6))), np.array([[1, 2], [2, 0], [1, 1]])
    plain = lossctl.per_sample(frames, labels, "ctc:input=log_prob")
    for name in ("CTCLoss:preset=torch", "torch.nn.CTCLoss"):
        total = lossctl.evaluate(frames, labels, name, reduction="sum").value
        assert total == pytest.approx(plain.sum(), rel=1e-14)
        mean = lossctl.evaluate(frames, labels, name).value
        assert mean == pytest.approx(np.mean(plain / [2.0, 1.0, 2.0]), rel=1e-14)


def test_keras_divides_by_the_rows_that_it_does_not_ignore() -> None:
    shares, classes = RANDOM.dirichlet(np.ones(3), 6), np.array([0, 1, 2, 1, 0, 2])
    found = lossctl.evaluate(shares, classes, "scce:preset=keras,ignore_index=1").value
    assert found == pytest.approx(-np.log(shares[np.arange(6), classes])[classes != 1].mean(), rel=1e-14)


def test_optax_divides_weighed_lists_by_their_number() -> None:
    logits, relevances = RANDOM.normal(size=(4, 3)), RANDOM.uniform(0.0, 2.0, (4, 3))
    surprises = np.log(np.exp(logits).sum(1, keepdims=True)) - logits
    expected = (surprises * relevances * [0.5, 1.0, 2.0]).sum(1).mean()
    found = lossctl.evaluate(logits, relevances, "ranking_softmax:preset=optax,class_weight=0.5|1|2").value
    assert found == pytest.approx(expected, rel=1e-13)


def test_class_indices_under_a_name_of_several_losses() -> None:
    shares, classes = RANDOM.dirichlet(np.ones(3), 6), np.array([0, 1, 2, 1, 0, 2])
    expected = ((shares - np.eye(3)[classes]) ** 2).sum(1).mean()
    assert lossctl.evaluate(shares, classes, "brier_score_loss").value == pytest.approx(expected, rel=1e-14)


# ---- what does not fit


@pytest.mark.parametrize(
    ("arrays", "remedy"),
    [
        (([0.5, 0.7], [1, 0]), "save the scores of all classes, and a 0 or 1 for each"),
        (([[0.5, 0.7, 0.1]], [1]), "save targets as rows of 0 and 1, one for each class"),
    ],
)
def test_ranks_want_rows_of_labels(arrays: tuple[list[Any], list[int]], remedy: str) -> None:
    with pytest.raises(DataError, match=remedy):
        lossctl.evaluate(*arrays, "label_ranking")
