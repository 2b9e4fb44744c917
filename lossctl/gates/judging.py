"""Gates: what `--fail-if` and `--warn-if` ask of the results of a run, and what they answer.

How a condition is decided is in `evaluator.py`; a gate about every slice is asked of each, in `every_slice.py`; what
is said of the answers is in `conclusion.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lossctl.errors import UsageError, visible
from lossctl.gates.evaluator import Entries, Evaluator, Interval
from lossctl.gates.grammar import parse_gate
from lossctl.gates.trees import Base, Condition, Measure, Quantity, comparisons, quantities
from lossctl.gates.vocabulary import STATISTICS
from lossctl.results import GateResult, LossResult
from lossctl_kernels.records import Record

if TYPE_CHECKING:
    from lossctl.catalogue.loss_spec import LossSpec


class Gate(Record):
    """An expression, what it means, and how serious it is: "fail" or "warn"."""

    text: str
    condition: Condition
    severity: str = "fail"

    def measured(self) -> list[Measure]:
        """What it asks for of the run."""
        return [part for part in self._parts() if isinstance(part, Measure)]

    def _parts(self) -> list[Quantity]:
        sides = [side for each in comparisons(self.condition) for side in (each.left, each.right)]
        return [part for side in sides for part in quantities(side)]

    def of_baseline(self) -> list[Measure]:
        """What it asks for of the baseline."""
        return [part.measure for part in self._parts() if isinstance(part, Base)]

    @property
    def slicings(self) -> list[tuple[str, ...]]:
        """The columns by whose slices it asks, crossed; each once."""
        return list(dict.fromkeys(each.by for each in (*self.measured(), *self.of_baseline()) if each.by))

    @property
    def pattern(self) -> Measure | None:
        """What stands for every slice of some columns, None where nothing does."""
        return next((each for each in (*self.measured(), *self.of_baseline()) if each.is_pattern), None)

    @property
    def uses_statistics(self) -> bool:
        return any(measure.function in STATISTICS for measure in self.measured())

    @property
    def uses_interval(self) -> bool:
        return any(measure.function in ("ci_low", "ci_high") for measure in self.measured())

    @property
    def sampled(self) -> dict[int, str]:
        """The losses that must have samples, by where they stand, each with what is asked of it."""
        return {
            measure.loss: str(measure)
            for measure in self.measured()
            if measure.loss is not None and measure.function in (*STATISTICS, "mean")
        }


class Decision(Record):
    """The answer of a gate, and the quantities that it was made of, as they were written."""

    result: GateResult
    quantities: tuple[tuple[str, Interval], ...]


def parse_gates(fail_if: Sequence[str], warn_if: Sequence[str], specs: Sequence[LossSpec]) -> list[Gate]:
    """The gates of a command that evaluates `specs`. Raises UsageError for what means nothing."""
    names = _names(specs)

    def position(name: str) -> int | None:
        found = names.get(name.strip(), [])
        if len({specs[each].text for each in found}) > 1:
            either = " or ".join(f"'{visible(specs[each].text)}'" for each in found)
            raise UsageError(f"a gate names {visible(name)}, which is more than one loss here", hint=f"write {either}")
        return found[0] if found else None

    given = [*((text, "fail") for text in fail_if), *((text, "warn") for text in warn_if)]
    return [Gate(text.strip(), parse_gate(text, position, tuple(names)), severity) for text, severity in given]


def _names(specs: Sequence[LossSpec]) -> dict[str, list[int]]:
    """What each loss of the command may be called: its SPEC, its name, and the losses that the name stands for."""
    from lossctl.catalogue.loss_spec import find

    names: dict[str, list[int]] = {}
    for position, spec in enumerate(specs):
        meant = [loss.name for loss, _ in find(spec.name)]
        for name in dict.fromkeys((spec.text, spec.name, *meant)):
            names.setdefault(name, []).append(position)
    return names


def decide(gate: Gate, results: Sequence[LossResult], base: Entries | None = None, *, noisy: bool = False) -> Decision:
    """The answer of a gate. `base` are the entries of the baseline; `noisy` takes intervals into account.

    Raises DataError where the baseline lacks what the gate asks for.
    """
    if gate.pattern is not None:
        return _decide_each(gate, gate.pattern, results, base, noisy)
    evaluator = Evaluator(results, base, noisy)
    verdict = evaluator.verdict(gate.condition)
    first = next(comparisons(gate.condition))
    value, limit = evaluator.of(first.left).point, evaluator.of(first.right).point
    more = evaluator.more_samples(gate.condition) if verdict == "inconclusive" else None
    note = "; ".join(dict.fromkeys(evaluator.missing))
    result = GateResult(gate.text, value, verdict, limit, gate.severity, more, note)
    return Decision(result, evaluator.shown(gate.condition))


def _decide_each(
    gate: Gate, pattern: Measure, results: Sequence[LossResult], base: Entries | None, noisy: bool
) -> Decision:
    """The answer of a gate about every slice: that of the worst. Where there is no slice it fails."""
    from lossctl.gates.every_slice import ask_each

    asked, slices, missing = ask_each(gate.condition, pattern, results, base, noisy)
    if not asked:
        return Decision(GateResult(gate.text, math.nan, "fail", None, gate.severity, None, missing, slices), ())
    worst = asked[0]
    needed = [each.evaluator.more_samples(gate.condition) for each in asked if each.verdict == "inconclusive"]
    known = [number for number in needed if number is not None]
    more = max(known) if worst.verdict == "inconclusive" and known and len(known) == len(needed) else None
    note = "; ".join(worst.missing)
    result = GateResult(gate.text, worst.value, worst.verdict, worst.limit, gate.severity, more, note, slices)
    return Decision(result, worst.evaluator.shown(gate.condition))
