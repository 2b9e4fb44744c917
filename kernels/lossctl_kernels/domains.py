"""Where predictions and targets may lie, as data: it validates input, draws test inputs and writes the messages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

__all__ = ["LOGIT", "LOG_PROBABILITY", "NONNEGATIVE", "PROBABILITY", "REAL", "Domain", "TargetKind"]


@dataclass(frozen=True)
class Domain:
    """An interval of real numbers. Ends are included; `-math.inf` and `math.inf` only where the flag says so."""

    name: str
    low: float
    high: float
    low_infinity: bool = False

    def bounds(self) -> tuple[float, float]:
        """(lowest, highest) float64 that is allowed: a value is inside if lowest <= value <= highest; NaN never is."""
        low = self.low if self.low_infinity or math.isfinite(self.low) else math.nextafter(-math.inf, 0.0)
        high = self.high if math.isfinite(self.high) else math.nextafter(math.inf, 0.0)
        return low, high

    def __str__(self) -> str:
        left = "[" if math.isfinite(self.low) or self.low_infinity else "("
        right = "]" if math.isfinite(self.high) else ")"
        return f"{left}{self.low:g}, {self.high:g}{right}"


REAL = Domain("real number", -math.inf, math.inf)
NONNEGATIVE = Domain("non-negative number", 0.0, math.inf)
PROBABILITY = Domain("probability", 0.0, 1.0)
# A logit of minus infinity is the probability 0.
LOGIT = Domain("logit", -math.inf, math.inf, low_infinity=True)
LOG_PROBABILITY = Domain("log-probability", -math.inf, 0.0, low_infinity=True)


class TargetKind(Enum):
    """What a target array holds, next to predictions of shape (N,), (N, D) or (N, C)."""

    SAME = "one number for each prediction"
    DISTRIBUTION = "a row of class probabilities that sum to 1, one-hot rows among them"
    INDEX = "one class index for each row"
