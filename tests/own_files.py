"""Files with losses of one's own, for tests."""

from __future__ import annotations

ASYMMETRIC = '''\
"""Losses of a project."""

from typing import Annotated

from lossctl.definitions import Parameter, gradient_of, square, where


def asymmetric(
    prediction, target, steepness: Annotated[float, Parameter("factor above the target", above=0.0)] = 2.0, shift=0.0
):
    """Squared above the target, plain below it."""
    error = prediction - target - shift
    return where(error > 0.0, steepness * square(error), -error)


@gradient_of(asymmetric)
def asymmetric_gradient(prediction, target, steepness, shift):
    error = prediction - target - shift
    return where(error > 0.0, 2.0 * steepness * error, -1.0)


def wrong(prediction, target):
    """Half of the right gradient."""
    return square(prediction - target)


@gradient_of(wrong)
def wrong_gradient(prediction, target):
    return prediction - target


def plain(prediction, target):
    return abs(prediction - target)
'''

DECORATED = '''\
from lossctl.definitions import *


@fold(Monoid.SUM)
def squares(prediction, target):
    return square(prediction - target)


@loss(scope=Scope.ROW, folds=(squares,), formula="sqrt(Σ e²)")
def distance(squares):
    """Euclidean distance between the rows."""
    return sqrt(squares)


@gradient_of(distance)
def distance_gradient(prediction, target, squares):
    length = sqrt(squares)
    return where(length == 0.0, 0.0, (prediction - target) / where(length == 0.0, 1.0, length))


@fold(Monoid.SUM)
def error_sum(prediction, target):
    return absolute(prediction - target)


@loss(scope=Scope.DATASET, folds=(error_sum,))
def squared_mean_error(error_sum, weight):
    return square(error_sum / weight)


@gradient_of(squared_mean_error)
def squared_mean_error_gradient(prediction, target, error_sum, weight):
    return 2.0 * error_sum / weight * sign(prediction - target) / weight


@loss(inputs={"scale": Input("what errors are divided by", InputShape.LIKE_PREDICTION, POSITIVE)})
def scaled(prediction, target, scale):
    return square((prediction - target) / scale)


@gradient_of(scaled)
def scaled_gradient(prediction, target, scale):
    return 2.0 * (prediction - target) / square(scale)


@loss(input="prob", prediction=PROBABILITY, target=BINARY_LABEL, unit="nat")
def surprise(prediction, target, doubled: bool = False):
    """Minus the logarithm of the probability of what happened."""
    return where(doubled > 0.5, 2.0, 1.0) * -log(where(target > 0.5, prediction, 1.0 - prediction))


@form_of("surprise", "logit", LOGIT)
def surprise_of_a_logit(prediction, target, doubled):
    return where(doubled > 0.5, 2.0, 1.0) * softplus(where(target > 0.5, -prediction, prediction))
'''
