"""Losses of the order of the scores in a row of which several classes are right. They have no slope but jumps."""

import math
from typing import Any

from ..domains import BINARY_LABEL, REAL
from ..scalar import where
from ..spec import Monoid, Scope, fold, loss, row_function
from .parts import MEAN_PRESETS

OPTIONS = ("denom", "empty", "preset")
SOURCE = "Tsoumakas, Katakis and Vlahavas (2010), Mining multi-label data"


def scratch_of_scores(prediction: tuple[int, ...]) -> int:
    """The scores of the classes that are not right."""
    return prediction[1]


@loss(
    scope=Scope.ROW,
    target=BINARY_LABEL,
    formula="share of the pairs of a right class a and another class b with s_a ≤ s_b",
    options=OPTIONS,
    aliases={"sklearn": ("label_ranking_loss",)},
    presets=MEAN_PRESETS,
    source=SOURCE,
)
@row_function(scratch=scratch_of_scores)
def label_ranking(row: int, prediction: Any, target: Any, scratch: Any) -> float:
    """Share of the pairs of a right and a wrong class that the scores have in the wrong order. It has no gradient.

    Equal scores are in the wrong order. A row of which all classes are right, or none, has no pairs and costs 0.
    """
    scores, labels = prediction[row], target[row]
    others = 0
    for b in range(scores.size):
        if labels[b] != 1.0:
            scratch[others] = scores[b]
            others += 1
    misordered = 0  # a whole number, which may be added up in any order
    for a in range(scores.size):
        if labels[a] == 1.0:
            own = float(scores[a])
            for b in range(others):
                misordered += 1 if own <= scratch[b] else 0
    pairs = others * (scores.size - others)
    return misordered / pairs if pairs > 0 else 0.0


@fold(Monoid.MAX)
def lowest_negated(prediction: float, target: float) -> float:
    """The lowest score of a right class, with the other sign."""
    return where(target == 1.0, -prediction, -math.inf)


@fold(Monoid.SUM)
def covered(prediction: float, target: float, lowest_negated: float) -> float:
    count = where(prediction >= -lowest_negated, 1.0, 0.0 * prediction)
    return where((target == 0.0) | (target == 1.0), count, math.nan)


@loss(
    scope=Scope.ROW,
    folds=(lowest_negated, covered),
    prediction=REAL,
    target=BINARY_LABEL,
    formula="how many scores are at least the lowest of a right class",
    options=OPTIONS,
    presets=MEAN_PRESETS,
    source=SOURCE,
)
def coverage_error(covered: float) -> float:
    """How far down the list of classes, best score first, all the right ones are found. It has no gradient.

    At best it is the number of right classes. A row without any costs 0.
    """
    return covered
