"""A loss of one's own, for docs/own-losses.md: predictions that are too high cost more than those that are too low."""

from typing import Annotated

from lossctl.definitions import Parameter, gradient_of, square, where


def asymmetric(
    prediction: float,
    target: float,
    steepness: Annotated[float, Parameter("factor for predictions that are too high", above=0.0)] = 4.0,
) -> float:
    """Squared error, times a factor above the target."""
    error = prediction - target
    return where(error > 0.0, steepness, 1.0) * square(error)


@gradient_of(asymmetric)
def asymmetric_gradient(prediction: float, target: float, steepness: float) -> float:
    """The derivative by the prediction."""
    error = prediction - target
    return where(error > 0.0, steepness, 1.0) * 2.0 * error


def careless(prediction: float, target: float) -> float:
    """Squared error, with a gradient that is half of what it should be."""
    return square(prediction - target)


@gradient_of(careless)
def careless_gradient(prediction: float, target: float) -> float:
    """Not the derivative by the prediction."""
    return prediction - target
