"""CTC against all alignments of small sequences, and against exact sums over states of long ones."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from numpy.typing import NDArray

from lossctl_kernels import LOSSES, SpecificationError, resolve
from lossctl_kernels.batch import Batch, Column
from tests.kernels.engines import assert_close, backend_of, backends
from tests.kernels.reference import derivative, numbers
from tests.kernels.sequence_formulas import frame_probabilities, probability, sequence_loss
from tests.kernels.sequences import frames_of, plan_of, slopes, values

Array = NDArray[Any]
Floats = NDArray[np.float64]

FORMS = ("logit", "log_prob")
RTOL, ATOL = 1e-12, 1e-15
engines = pytest.mark.parametrize("backend", backends())
forms = pytest.mark.parametrize("form", FORMS)


def recursive_loss(frames: Iterable[Any], labels: list[int], form: str, blank: int = 0) -> Any:
    """-ln of the probability of the labels, by exact sums over states. A frame is an array, or numbers of mpmath."""
    spaced = [blank, *(k for label in labels for k in (label, blank))]
    sums = [mpf(1)] + [mpf(0)] * (len(spaced) - 1)
    for frame in frames:
        weights = frame_probabilities(numbers(frame) if isinstance(frame, np.ndarray) else frame, form)
        before, sums = sums, []
        for s, k in enumerate(spaced):
            skips = s > 1 and k not in (blank, spaced[s - 2])
            reached = before[s] + (before[s - 1] if s else 0) + (before[s - 2] if skips else 0)
            sums.append(reached * weights[k])
    return -mpmath.log(sums[-1] + (sums[-2] if labels else 0))


SPELLINGS = [[], [1], [2, 1], [1, 1], [3, 3, 1], [2, 1, 2], [1, 2, 3, 1], [3, 3, 3]]
"""Of up to 5 frames; three equal labels need all of them."""


def padded(spellings: list[list[int]], filler: int = 0) -> NDArray[np.int64]:
    width = max(len(labels) for labels in spellings)
    return np.array([[*labels, *[filler] * (width - len(labels))] for labels in spellings])


# ---- all alignments


@engines
@forms
def test_values_are_sums_over_all_alignments(form: str, backend: str) -> None:
    prediction = frames_of(form, (len(SPELLINGS), 5, 4))
    with mpmath.workdps(40):
        exact = [
            sequence_loss([numbers(frame) for frame in frames], labels, {"input": form})
            for frames, labels in zip(prediction, SPELLINGS, strict=True)
        ]
    assert_close(values({"input": form}, prediction, padded(SPELLINGS), backend), exact, RTOL)


@engines
@forms
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_gradients_are_numerical_derivatives(form: str, dtype: str, backend: str) -> None:
    prediction = frames_of(form, (3, 4, 3)).astype(dtype)
    spellings = [[1, 1], [2, 1], []]
    found = slopes({"input": form}, prediction, padded(spellings), backend)
    assert found.dtype == dtype
    with mpmath.workdps(40):
        for row, labels in enumerate(spellings):

            def loss(point: list[Any], labels: list[int] = labels) -> Any:
                return sequence_loss([point[t * 3 : t * 3 + 3] for t in range(4)], labels, {"input": form})

            exact = [derivative(loss, numbers(prediction[row]), i) for i in range(12)]
            assert_close(found[row], exact, RTOL if dtype == "float64" else 6.1e-8, ATOL)


@engines
@forms
def test_nothing_behind_a_length_counts(form: str, backend: str) -> None:
    """Not frames, not labels, whatever they hold; beyond the last frame there is no slope."""
    prediction, target = frames_of(form, (4, 5, 3)), np.array([[1, 2, 1], [2, -7, 99], [1, 1, 1], [0, 0, 0]])
    frames, labels = [5, 3, 4, 2], [3, 1, 2, 0]
    found = values({"input": form}, prediction, target, backend, input_lengths=frames, target_lengths=labels)
    slope = slopes({"input": form}, prediction, target, backend, input_lengths=frames, target_lengths=labels)
    for row in range(4):
        alone, spelled = prediction[row : row + 1, : frames[row]].copy(), target[row : row + 1, : labels[row]]
        counts = {"target_lengths": [labels[row]]}
        assert found[row] == values({"input": form}, alone, spelled, backend, **counts)[0]
        np.testing.assert_array_equal(
            slope[row, : frames[row]], slopes({"input": form}, alone, spelled, backend, **counts)[0]
        )
        assert not slope[row, frames[row] :].any()


@pytest.mark.parametrize("blank", [0, 1, 3])
def test_any_class_may_be_the_blank(blank: int) -> None:
    prediction = frames_of("logit", (1, 4, 4))
    classes = [k for k in range(4) if k != blank]
    target = np.array([[classes[0], classes[2], blank]])
    moved = prediction[:, :, [blank, *classes]]
    found = values({"blank": blank}, prediction, target)
    np.testing.assert_allclose(found, values({}, moved, np.array([[1, 3, 0]])), rtol=1e-15)


def test_probabilities_of_all_spellings_sum_to_one() -> None:
    """Of three frames of three classes."""
    spellings: set[tuple[int, ...]] = {(), (1,), (2,), (1, 1), (2, 2), (1, 2), (2, 1), (1, 2, 1), (2, 1, 2)}
    prediction = np.repeat(frames_of("logit", (1, 3, 3)), len(spellings), axis=0)
    found = values({}, prediction, padded([list(labels) for labels in spellings]))
    assert math.fsum(np.exp(-found)) == pytest.approx(1.0, rel=1e-15)


def test_the_oracle_drops_repetitions_before_blanks() -> None:
    half = [[mpf(0), mpf(0)]] * 3
    assert probability(half, [1, 1], {}) == mpf(1) / 8
    assert probability(half, [1], {}) == mpf(6) / 8
    assert probability(half, [], {}) == mpf(1) / 8


# ---- long, certain and impossible sequences


def peaked(frames: int, labels: list[int], height: float) -> Floats:
    """Logits that favour one alignment: label i at frame 2 i + 1, blanks elsewhere."""
    logits = np.zeros((1, frames, 5))
    logits[0, :, 0] = height
    for i, label in enumerate(labels):
        logits[0, 2 * i + 1] = 0.0
        logits[0, 2 * i + 1, label] = height
    return logits


LABELS = [1, 2, 2, 3, 4, 1, 1, 2]


@engines
@forms
@pytest.mark.parametrize("spread", [0.1, 1.0, 30.0, 300.0])
def test_long_sequences_of_any_spread(form: str, spread: float, backend: str) -> None:
    """Probabilities down to e**-20000 or so, some of which sums hold and some of which logarithms hold."""
    prediction = frames_of("logit", (2, 60, 5), 3, spread)
    if form == "log_prob":
        prediction -= prediction.max(axis=-1, keepdims=True)
        prediction -= np.log(np.exp(prediction).sum(axis=-1, keepdims=True))
        prediction = np.minimum(prediction, 0.0)
    target = np.array([LABELS, LABELS])
    with mpmath.workdps(60):
        exact = [recursive_loss(frames, LABELS, form) for frames in prediction]
    assert_close(values({"input": form}, prediction, target, backend), exact, RTOL)


@engines
@pytest.mark.parametrize("depth", [300.0, 650.0, 740.0, 745.0, 800.0, 1e5, 1e300])
def test_labels_that_are_next_to_impossible(depth: float, backend: str) -> None:
    """Far below the best class, in every frame or in one: weights become subnormal, then 0."""
    prediction = np.zeros((2, 6, 4))
    prediction[0, :, 3] = depth
    prediction[1, 2, 3] = depth
    with mpmath.workdps(60):
        exact = [
            recursive_loss(frames - frames.max(axis=1, keepdims=True), [1, 2, 2], "logit") for frames in prediction
        ]
    target = np.array([[1, 2, 2], [1, 2, 2]])
    assert_close(values({}, prediction, target, backend), exact, RTOL)
    slope = slopes({}, prediction, target, backend)
    np.testing.assert_allclose(slope.sum(axis=2), 0.0, atol=1e-14)
    np.testing.assert_allclose(slope[0, :, 3], 1.0, rtol=1e-14)


@engines
@forms
@pytest.mark.parametrize("height", [3.0, 10.0, 30.0, 100.0, 600.0])
def test_nearly_certain_labels_keep_the_digits_of_their_loss(form: str, height: float, backend: str) -> None:
    prediction = peaked(20, LABELS, height)
    if form == "log_prob":
        prediction -= height + np.log1p(4.0 * np.exp(-height))
    with mpmath.workdps(600):
        exact = recursive_loss(prediction[0], LABELS, form)
    assert_close(values({"input": form}, prediction, np.array([LABELS]), backend), [exact], RTOL)


@engines
@pytest.mark.parametrize(("spread", "rtol"), [(1.0, 1e-11), (200.0, 1e-9)])
def test_gradients_of_long_sequences(spread: float, rtol: float, backend: str) -> None:
    """By sums and by logarithms, of which the second lose digits of what is large."""
    prediction = frames_of("logit", (1, 30, 4), 5, spread)
    labels = [1, 2, 2, 3, 1]
    found = slopes({}, prediction, np.array([labels]), backend)[0]
    with mpmath.workdps(60):
        for t in (0, 13, 29):

            def loss(frame: list[Any], t: int = t) -> Any:
                return recursive_loss([*prediction[0, :t], frame, *prediction[0, t + 1 :]], labels, "logit")

            exact = [derivative(loss, numbers(prediction[0, t]), k) for k in range(4)]
            assert_close(found[t], exact, rtol, 1e-12)


@engines
@forms
@pytest.mark.parametrize("spread", [1.0, 40.0])
def test_many_classes_of_which_few_are_named(form: str, spread: float, backend: str) -> None:
    """Those that no label names have the slope of their probability, or none."""
    prediction, labels = frames_of("logit", (1, 6, 41), 7, spread), [40, 5, 5, 17]
    if form == "log_prob":
        prediction -= prediction.max(axis=-1, keepdims=True)
        prediction = np.minimum(prediction - np.log(np.exp(prediction).sum(axis=-1, keepdims=True)), 0.0)
    target = np.array([labels])
    with mpmath.workdps(40):
        exact = recursive_loss(prediction[0], labels, form)
        weights = frame_probabilities(numbers(prediction[0, 3]), "logit")

        def loss(frame: list[Any]) -> Any:
            return recursive_loss([*prediction[0, :3], frame, *prediction[0, 4:]], labels, form)

        of_named = [derivative(loss, numbers(prediction[0, 3]), k) for k in (0, 5)]
    assert_close(values({"input": form}, prediction, target, backend), [exact], RTOL)
    found = slopes({"input": form}, prediction, target, backend)[0]
    assert_close(found[3, [0, 5]], of_named, 1e-11, 1e-15)
    others = [k for k in range(41) if k not in (0, *labels)]
    if form == "log_prob":
        assert not found[:, others].any()
    else:
        assert_close(found[3, others], [weights[k] for k in others], 1e-13)


@engines
def test_impossible_classes_are_impossible(backend: str) -> None:
    """A logit of minus infinity; where no alignment is left, the loss is infinite and has no slope."""
    prediction = frames_of("logit", (3, 4, 3))
    prediction[0, :, 2] = -math.inf  # not among the labels
    prediction[1, :, 1] = -math.inf  # the only label
    prediction[2, 1:, 1] = -math.inf  # possible in the first frame alone
    target = np.array([[1], [1], [1]])
    found = values({}, prediction, target, backend)
    assert math.isinf(found[1])
    with mpmath.workdps(30):
        for row in (0, 2):
            assert found[row] == pytest.approx(float(recursive_loss(prediction[row], [1], "logit")), rel=1e-14)
    slope = slopes({}, prediction, target, backend)
    assert np.isfinite(slope).all()
    assert not slope[1].any()
    assert not slope[0, :, 2].any()


# ---- conventions


TOO_SHORT = np.array([[1, 1, 2], [1, 2, 3]])
"""In three frames: the first needs four."""


@engines
def test_labels_that_do_not_fit_are_infinite_and_counted(backend: str) -> None:
    prediction = frames_of("logit", (2, 3, 4))
    plan = plan_of({}, prediction)
    batch = Batch(prediction, TOO_SHORT)
    engine = backend_of(backend)
    report, found = engine.losses(plan, batch)
    assert math.isinf(found[0])
    assert math.isfinite(found[1])
    assert report[0, Column.NONFINITE] == 1
    assert plan.degenerate is not None
    assert engine.losses(plan.degenerate, batch)[1].tolist() == [1.0, 0.0]
    slope = engine.gradient(plan, batch, np.ones(2), {})
    assert not slope[0].any()
    assert slope[1].any()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"zero_infinity": True}, 0.0),
        ({"infeasible": 7}, 7.0),
        ({"infeasible": -2.5}, -2.5),
        ({"infeasible": 0}, 0.0),
        ({"infeasible": "none"}, math.inf),
        ({"preset": "optax"}, 1e5),
        ({"preset": "optax", "zero_infinity": True}, 0.0),
        ({"infeasible": 7, "length_normalize": True}, 7.0),
    ],
)
def test_what_stands_for_an_infinite_loss(options: dict[str, Any], expected: float) -> None:
    prediction = frames_of("logit", (2, 3, 4))
    found = values(options, prediction, TOO_SHORT)
    assert found[0] == expected
    assert found[1] == values({"length_normalize": options.get("length_normalize", False)}, prediction, TOO_SHORT)[1]
    assert not slopes(options, prediction, TOO_SHORT)[0].any()


def test_length_normalized_losses_are_divided_by_their_labels() -> None:
    prediction, target = frames_of("logit", (3, 6, 4)), padded([[1, 2, 3], [2], []])
    counts = np.array([3.0, 1.0, 1.0])
    np.testing.assert_allclose(
        values({"length_normalize": True}, prediction, target), values({}, prediction, target) / counts, rtol=1e-15
    )
    np.testing.assert_allclose(
        slopes({"length_normalize": True}, prediction, target),
        slopes({}, prediction, target) / counts[:, None, None],
        rtol=1e-15,
        atol=1e-18,
    )


def test_slopes_of_logits_are_those_of_logarithms_through_a_softmax() -> None:
    logits = frames_of("logit", (2, 6, 4))
    target = padded([[1, 2, 1], [3, 3]])
    shares = np.exp(frames_of("log_prob", (2, 6, 4)))
    by_logs = slopes({"input": "log_prob"}, np.log(shares), target)
    np.testing.assert_allclose(by_logs.sum(axis=2), -1.0, rtol=1e-14)
    np.testing.assert_allclose(slopes({}, logits, target), shares + by_logs, atol=1e-15)


def test_rows_without_frames() -> None:
    """No frames spell no labels, and nothing else."""
    prediction = frames_of("logit", (2, 3, 3))
    found = values({}, prediction, np.array([[0], [1]]), input_lengths=[0, 0])
    assert found.tolist() == [0.0, math.inf]
    assert not slopes({}, prediction, np.array([[0], [1]]), input_lengths=[0, 0]).any()


# ---- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blank": 1.5}, "blank must be >= 0 and whole"),
        ({"blank": -1}, "blank must be >= 0 and whole"),
        ({"zero_infinity": True, "infeasible": 3}, "zero_infinity=true means infeasible=0"),
        ({"preset": "optax", "zero_infinity": True, "infeasible": 3}, "zero_infinity=true means infeasible=0"),
        ({"input": "prob"}, "input cannot be 'prob'"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        resolve(LOSSES["ctc"], options)
