"""Numbers drawn for a check: inside their domains, ends included where they belong, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from lossctl.checks.points import draw, draw_input, draw_targets, parameter_sets
from lossctl_kernels import LOSSES, Parameter
from lossctl_kernels import domains as d
from lossctl_kernels.domains import Domain, TargetKind
from lossctl_kernels.spec import Input, InputShape

DOMAINS = [
    *(d.REAL, d.NONNEGATIVE, d.POSITIVE, d.ABOVE_MINUS_ONE, d.PROBABILITY, d.BINARY_LABEL, d.SIGN_LABEL, d.LOGIT),
    *(d.LOG_PROBABILITY, Domain("fraction", 0.25, 0.75)),
]


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
@pytest.mark.parametrize("shape", [(100,), (3,), (20, 3)])
def test_numbers_are_in_their_domain_and_always_the_same(domain: Domain, shape: tuple[int, ...]) -> None:
    numbers = draw(domain, shape, np.random.default_rng(1))
    assert numbers.shape == shape
    low, high = domain.bounds()
    assert np.all((numbers >= low) & (numbers <= high))
    assert np.all(np.isfinite(numbers))
    if domain.labels:
        assert set(numbers.reshape(-1)) <= set(domain.labels)
    np.testing.assert_array_equal(numbers, draw(domain, shape, np.random.default_rng(1)))


def test_ends_and_awkward_places_are_among_them() -> None:
    def drawn(domain: Domain) -> set[float]:
        return set(draw(domain, (100,), np.random.default_rng(0)).tolist())

    assert {0.0, 1.0} <= drawn(d.PROBABILITY)
    assert {0.0, 1.0, -1.0, 800.0, -800.0} <= drawn(d.REAL)
    assert {0.0, 800.0} <= drawn(d.NONNEGATIVE)
    assert 0.0 not in drawn(d.POSITIVE)
    assert {0.0, -800.0} <= drawn(d.LOG_PROBABILITY)
    assert len(drawn(d.REAL)) > 90


def test_rows_of_probabilities_sum_to_one() -> None:
    rows = draw(d.CLASS_PROBABILITY, (50, 4), np.random.default_rng(0))
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, atol=1e-3)


def test_targets_fit_their_kind() -> None:
    random = np.random.default_rng(0)
    predictions = draw(d.REAL, (200,), random)
    targets = draw_targets(LOSSES["mse"], predictions, random)
    assert 0 < np.count_nonzero(targets == predictions) < 100
    rows = draw(d.CLASS_PROBABILITY, (50, 3), random)
    assert set(draw_targets(LOSSES["scce"], rows, random)) == {0, 1, 2}
    soft = draw_targets(LOSSES["cce"], rows, random)
    assert LOSSES["cce"].target_kind is TargetKind.DISTRIBUTION
    np.testing.assert_allclose(soft.sum(axis=1), 1.0)
    assert np.count_nonzero(soft == 1.0) > 10
    labels = draw_targets(LOSSES["multilabel_margin"], rows, random)
    assert labels.dtype == np.int64
    assert set(labels.reshape(-1)) == {-1, 0, 1, 2}
    assert all(len(set(row[row >= 0])) == np.count_nonzero(row >= 0) for row in labels)
    assert np.all((labels[:, :-1] >= 0) | (labels[:, 1:] < 0))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [(InputShape.LIKE_PREDICTION, (10, 3)), (InputShape.ONE_A_ROW, (10,)), (InputShape.WHOLE, None)],
)
def test_further_inputs_have_their_shape(shape: InputShape, expected: tuple[int, ...] | None) -> None:
    found = draw_input(Input("x", shape, d.POSITIVE), np.zeros((10, 3)), np.random.default_rng(0))
    assert (None if found is None else found.shape) == expected


def test_each_parameter_has_several_values_that_are_allowed() -> None:
    loss = LOSSES["huber"]
    sets = list(parameter_sets(loss, {}))
    assert sets[0] == {}
    assert len({each.get("delta") for each in sets}) == 4
    assert all(loss.parameters["delta"][1].allows(each["delta"]) for each in sets[1:])
    assert list(parameter_sets(loss, {"delta": "2"})) == [{}]


def test_words_and_required_parameters() -> None:
    flagged = LOSSES["mse"].__class__(
        **{
            **vars(LOSSES["mse"]),
            "parameters": {
                "fast": ("false", Parameter("", words=("false", "true"))),
                "size": (None, Parameter("", above=0.0, example=4.0)),
            },
        }
    )
    sets = list(parameter_sets(flagged, {}))
    assert sets[0] == {"size": 4.0}
    assert {"size": 4.0, "fast": "true"} in sets
