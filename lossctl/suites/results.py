"""What a suite found: the result of each evaluation, or why there is none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lossctl.errors import LossctlError
from lossctl.results import GateResult, RunResult, finite_or_none

SCHEMA = "lossctl.suite/1"

# Exit codes, the most serious first: what cannot be trusted, then what is wrong, then what is open.
_BY_SERIOUSNESS = (4, 3, 2, 1, 5, 0)

Status = Literal["ok", "nonfinite", "error"]


def most_serious(codes: Sequence[int]) -> int:
    """The exit code of a whole, of those of its parts."""
    return min(codes, key=_BY_SERIOUSNESS.index, default=0)


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """One evaluation by name: its result, or the error instead of one.

    `exit_code` is what the evaluation by itself would have ended with, and `never_asked` are its gates where there is
    no result: they fail. There may be both result and error, where a file could not be written.
    """

    name: str
    run: RunResult | None
    error: LossctlError | None
    exit_code: int
    never_asked: tuple[GateResult, ...] = ()

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """Its gates, with their answers."""
        return self.never_asked if self.run is None else self.run.gates

    @property
    def status(self) -> Status:
        """The status of the result; "error" where something went wrong."""
        return "error" if self.error is not None or self.run is None else self.run.status

    def to_document(self) -> dict[str, Any]:
        """The `evaluations` entry of the suite's document."""
        document: dict[str, Any] = {"name": self.name, "status": self.status, "exit_code": self.exit_code}
        if self.run is not None:
            document["result"] = self.run.to_document()
        if self.error is not None:
            document["error"] = {
                "type": type(self.error).__name__,
                "message": self.error.message,
                "hint": self.error.hint,
                "exit_code": self.error.exit_code,
            }
        if self.never_asked:
            document["never_asked"] = [gate.to_document() for gate in self.never_asked]
        return document


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """All evaluations of the suite in the file `path`, in its order; `seconds` is wall time."""

    version: str
    path: str
    folder: str
    evaluations: tuple[EvaluationResult, ...]
    seconds: float

    @property
    def runs(self) -> list[tuple[str, RunResult]]:
        """The results that there are, by name."""
        return [(each.name, each.run) for each in self.evaluations if each.run is not None]

    @property
    def gates(self) -> list[tuple[str, GateResult]]:
        """The gates of all evaluations, with the names of those."""
        return [(each.name, gate) for each in self.evaluations for gate in each.gates]

    @property
    def errors(self) -> list[tuple[str, LossctlError]]:
        """What went wrong, by name."""
        return [(each.name, each.error) for each in self.evaluations if each.error is not None]

    @property
    def status(self) -> Status:
        """ "ok" when every evaluation is."""
        found = {each.status for each in self.evaluations}
        return "error" if "error" in found else "nonfinite" if "nonfinite" in found else "ok"

    @property
    def exit_code(self) -> int:
        """That of the most serious evaluation: 4, 3, 2, 1, 5, 0."""
        return most_serious([each.exit_code for each in self.evaluations])

    def place_of(self, path: str) -> str:
        """A file of an evaluation, from where the command was given."""
        return os.path.join(self.folder, path) if path and path != "-" and "://" not in path else path

    def to_document(self) -> dict[str, Any]:
        """The document `lossctl.suite/1`: JSON types only, every number finite."""
        return {
            "schema": SCHEMA,
            "version": self.version,
            "path": self.path,
            "status": self.status,
            "exit_code": self.exit_code,
            "evaluations": [each.to_document() for each in self.evaluations],
            "seconds": finite_or_none(self.seconds),
        }
