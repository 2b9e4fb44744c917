"""A gate that is about every slice: asked of each in turn, it fails where it fails for one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lossctl.gates.evaluator import Entries, Evaluator
from lossctl.gates.slice_book import Key, SliceBook
from lossctl.gates.trees import Comparison, Condition, Measure, Not, comparisons
from lossctl.results import LossResult
from lossctl.slices.results import GateSlices, SliceVerdict

_RANKS = {"fail": 0, "inconclusive": 1, "pass": 2}


class Asked:
    """What a gate says of one slice."""

    def __init__(self, condition: Condition, evaluator: Evaluator, key: Key) -> None:
        self.verdict = evaluator.verdict(condition)
        self.evaluator, self.key = evaluator, key
        first = next(comparisons(condition))
        self.value, self.limit = evaluator.of(first.left).point, evaluator.of(first.right).point
        excess = _excess(first, self.value, self.limit)
        self._excess = -excess if math.isfinite(excess) and _is_negated(condition) else excess
        self.missing = list(dict.fromkeys(evaluator.missing))

    @property
    def rank(self) -> tuple[int, float]:
        """The worst first: by its verdict, then by how far it is on the wrong side of the limit."""
        return _RANKS[self.verdict], -self._excess


def _is_negated(condition: Condition) -> bool:
    return isinstance(condition, Not) and not _is_negated(condition.operand)


def _excess(comparison: Comparison, value: float, limit: float) -> float:
    """How far a value is beyond its limit; what is not finite is beyond any."""
    if not (math.isfinite(value) and math.isfinite(limit)):
        return math.inf
    if comparison.operator in (">", ">="):
        return value - limit
    return limit - value if comparison.operator in ("<", "<=") else abs(value - limit)


def ask_each(
    condition: Condition, pattern: Measure, results: Sequence[LossResult], base: Entries | None, noisy: bool
) -> tuple[list[Asked], GateSlices, str]:
    """(the answers, the worst first; what they are together; what is missing where there are none)."""
    book = SliceBook(results, base)
    asked = [Asked(condition, Evaluator(results, base, noisy, book, key), key) for key in book.keys(pattern)]
    asked.sort(key=lambda each: each.rank)
    verdicts = tuple(SliceVerdict(tuple(each.key.items()), each.value, each.limit, each.verdict) for each in asked)
    return asked, GateSlices(pattern.by, verdicts), "" if asked else book.told_missing(pattern)
