"""Where predictions and targets may lie, as data: it validates input, draws test inputs and writes the messages."""

from __future__ import annotations

import math
from enum import Enum

from .records import Record


class Domain(Record):
    """An interval of real numbers. Finite ends are included unless `low_open`; infinite ones only with `low_infinity`.

    `labels` are the only numbers of the interval that are allowed, where it has any: bounds do not tell the others
    apart, a definition makes NaN of them. `rows_sum_to_one`: each row of these numbers is a distribution.
    """

    name: str
    low: float
    high: float
    low_infinity: bool = False
    low_open: bool = False
    labels: tuple[float, ...] = ()
    rows_sum_to_one: bool = False

    def bounds(self, dtype: str = "float64") -> tuple[float, float]:
        """(lowest, highest) number that is allowed: a value is inside if lowest <= value <= highest; NaN never is.

        An open end excludes one number of the dtype that is compared, float64 or float32.
        """
        low = self.low if self.low_infinity or math.isfinite(self.low) else math.nextafter(-math.inf, 0.0)
        if self.low_open:
            low = next_single(low) if dtype == "float32" else math.nextafter(low, math.inf)
        high = self.high if math.isfinite(self.high) else math.nextafter(math.inf, 0.0)
        return low, high

    def __str__(self) -> str:
        if self.labels:
            return "{" + ", ".join(f"{label:g}" for label in self.labels) + "}"
        left = "[" if (math.isfinite(self.low) or self.low_infinity) and not self.low_open else "("
        right = "]" if math.isfinite(self.high) else ")"
        return f"{left}{self.low:g}, {self.high:g}{right}"


def next_single(number: float) -> float:
    """The smallest float32 above a float32 in [-1, 0]."""
    return 2.0**-149 if number == 0.0 else number * (1.0 - 2.0**-24)


REAL = Domain("real number", -math.inf, math.inf)
NONNEGATIVE = Domain("non-negative number", 0.0, math.inf)
POSITIVE = Domain("positive number", 0.0, math.inf, low_open=True)
ABOVE_MINUS_ONE = Domain("number above -1", -1.0, math.inf, low_open=True)
PROBABILITY = Domain("probability", 0.0, 1.0)
CLASS_PROBABILITY = Domain("probability", 0.0, 1.0, rows_sum_to_one=True)
BINARY_LABEL = Domain("label", 0.0, 1.0, labels=(0.0, 1.0))
SIGN_LABEL = Domain("label", -1.0, 1.0, labels=(-1.0, 1.0))
EITHER_LABEL = Domain("label", -1.0, 1.0, labels=(-1.0, 0.0, 1.0))
# A logit of minus infinity is the probability 0.
LOGIT = Domain("logit", -math.inf, math.inf, low_infinity=True)
LOG_PROBABILITY = Domain("log-probability", -math.inf, 0.0, low_infinity=True)


class TargetKind(Enum):
    """What a target array holds, next to predictions of shape (N,), (N, D) or (N, C)."""

    SAME = "one number for each prediction"
    DISTRIBUTION = "a row of class probabilities that sum to 1, one-hot rows among them"
    INDEX = "one class index for each row"
    LABELS = "a row of class indices for each row, ended by -1"
    SEQUENCE = "the class indices that each row spells, padded at their end"
    GROUP = "one whole number for each row: rows that share it belong together"
