"""What is aimed at, next to what this run reached."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from benchmarks.report import Section, Table

Text = Callable[[float], str]


class Targets:
    """The targets of one part: each is a limit on the worst of some figures. What was not measured is left out."""

    def __init__(self, part: str) -> None:
        self.part = part
        self.table = Table(["target", "wanted", "reached", "met"])

    def at_least(self, what: str, wanted: float, figures: Mapping[str, float], text: Text) -> None:
        """`figures` are by name; the smallest has to be `wanted` or more."""
        found = _numbers(figures)
        if found:
            worst = min(found, key=lambda name: found[name])
            self._add(what, f"≥ {text(wanted)}", worst, text(found[worst]), found[worst] >= wanted)

    def at_most(self, what: str, wanted: float, figures: Mapping[str, float], text: Text) -> None:
        """`figures` are by name; the largest has to be `wanted` or less."""
        found = _numbers(figures)
        if found:
            worst = max(found, key=lambda name: found[name])
            self._add(what, f"≤ {text(wanted)}", worst, text(found[worst]), found[worst] <= wanted)

    def _add(self, what: str, wanted: str, worst: str, reached: str, met: bool) -> None:
        self.table.add(what, wanted, f"{reached} ({worst})" if worst else reached, "yes" if met else "no")

    def section(self) -> Section:
        return Section(f"Targets for {self.part}", "The worst of the figures that each target is about.", self.table)


def _numbers(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: figure for name, figure in figures.items() if not math.isnan(figure)}
