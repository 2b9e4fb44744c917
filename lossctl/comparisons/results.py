"""What a comparison found: plain, frozen values and their JSON document. Nothing here imports NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lossctl.errors import UsageError, visible
from lossctl.results import InputInfo, finite_or_none, plain

SCHEMA = "lossctl.comparison/1"
TESTS = ("bootstrap", "permutation", "wilcoxon")
FEWEST_RESAMPLES = 100
MOST_RESAMPLES = 100_000


@dataclass(frozen=True)
class Margin:
    """How far two values may be apart and still count as equal: a number, or a share of the value of the first."""

    text: str
    number: float
    is_share: bool

    def beside(self, value: float) -> float:
        """The margin in the unit of the loss."""
        return self.number * abs(value) if self.is_share else self.number


@dataclass(frozen=True)
class Inference:
    """How differences are judged. Raises UsageError for what makes no sense."""

    tests: tuple[str, ...] = ("bootstrap", "permutation")
    confidence: float = 0.95
    resamples: int = 1000
    seed: int = 0
    margin: Margin | None = None

    def __post_init__(self) -> None:
        for position, test in enumerate(self.tests):
            if test not in TESTS:
                raise UsageError(f"there is no test '{visible(test)}'", hint=f"the tests are {', '.join(TESTS)}")
            if test in self.tests[:position]:
                raise UsageError(f"--test names {test} twice", hint="name each test once")
        if not 0.5 <= self.confidence < 1.0:
            raise UsageError(
                f"--confidence must be from 0.5 to below 1, found {self.confidence:g}", hint="--confidence 0.95"
            )
        if not FEWEST_RESAMPLES <= self.resamples <= MOST_RESAMPLES:
            raise UsageError(
                f"--resamples must be from {FEWEST_RESAMPLES} to {MOST_RESAMPLES}, found {self.resamples}",
                hint="--resamples 1000",
            )
        if not 0 <= self.seed < 1 << 64:
            raise UsageError(f"--seed must be from 0 to 2**64 - 1, found {self.seed}", hint="--seed 0")
        if self.margin is not None and not 0.0 < self.margin.number < float("inf"):
            raise UsageError(f"--margin must be above 0, found {visible(self.margin.text)}", hint="--margin 0.5%")

    @property
    def signature(self) -> str:
        """What the numbers beyond the values depend on."""
        margin = "" if self.margin is None else f"|margin={self.margin.text}"
        tests = "+".join(self.tests)
        return f"tests={tests}|confidence={self.confidence:g}|resamples={self.resamples}|seed={self.seed}{margin}"


@dataclass(frozen=True)
class System:
    """One file of predictions: its value, its rank (1 is the smallest loss), and its letters.

    Systems that share a letter are not told apart by the first of the tests.
    """

    name: str
    value: float
    rank: int
    letters: str

    def to_document(self) -> dict[str, Any]:
        """The `systems` entry of a comparison."""
        return {"name": self.name, "value": finite_or_none(self.value), "rank": self.rank, "letters": self.letters}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The second of two systems against the first.

    `difference` is its value minus that of the first, `relative` that divided by the size of the first (NaN where it is
    0), `low` and `high` the confidence interval of the difference. `p` and `adjusted` hold the p-value of each test,
    plain and corrected for the number of pairs; `wins` counts the rows in which the second has the smaller loss.
    With a `margin`, in the unit of the loss, there are adjusted p-values of equivalence and of non-inferiority.
    """

    first: str
    second: str
    difference: float
    relative: float
    low: float
    high: float
    p: Mapping[str, float]
    adjusted: Mapping[str, float]
    wins: int
    losses: int
    ties: int
    verdict: str
    margin: float | None = None
    p_equivalence: float | None = None
    p_non_inferiority: float | None = None
    equivalent: bool | None = None
    non_inferior: bool | None = None

    @property
    def is_decided(self) -> bool:
        """Whether the first of the tests tells the two apart."""
        return self.verdict != "undecided"

    def to_document(self) -> dict[str, Any]:
        """The `pairs` entry of a comparison."""
        document: dict[str, Any] = {
            "first": self.first,
            "second": self.second,
            "difference": finite_or_none(self.difference),
            "relative": finite_or_none(self.relative),
            "interval": [finite_or_none(self.low), finite_or_none(self.high)],
            "p": dict(self.p),
            "p_adjusted": dict(self.adjusted),
            "wins": self.wins,
            "losses": self.losses,
            "ties": self.ties,
            "verdict": self.verdict,
        }
        if self.margin is not None:
            document["margin"] = {
                "size": finite_or_none(self.margin),
                "p_equivalence": self.p_equivalence,
                "equivalent": self.equivalent,
                "p_non_inferiority": self.p_non_inferiority,
                "non_inferior": self.non_inferior,
            }
        return document


@dataclass(frozen=True, kw_only=True)
class LossComparison:
    """All systems by one loss; `options` and `unit` are those of `LossResult`."""

    loss: str
    options: Mapping[str, object]
    reduction: str
    unit: str
    samples: int
    systems: tuple[System, ...]
    pairs: tuple[Pair, ...]
    signature: str

    def to_document(self) -> dict[str, Any]:
        """The `comparisons` entry of the document."""
        return {
            "loss": self.loss,
            "options": {name: plain(value) for name, value in self.options.items()},
            "reduction": self.reduction,
            "unit": self.unit,
            "samples": self.samples,
            "systems": [system.to_document() for system in self.systems],
            "pairs": [pair.to_document() for pair in self.pairs],
            "signature": self.signature,
        }


@dataclass(frozen=True, kw_only=True)
class ComparisonResult:
    """Everything one comparison found; `seconds` is wall time."""

    version: str
    inputs: tuple[InputInfo, ...]
    inference: Inference
    comparisons: tuple[LossComparison, ...]
    backend: str
    threads: int
    seconds: float
    warnings: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """The document: JSON types only, every number finite."""
        inference = self.inference
        return {
            "schema": SCHEMA,
            "version": self.version,
            "inputs": [info.to_document() for info in self.inputs],
            "tests": list(inference.tests),
            "confidence": inference.confidence,
            "resamples": inference.resamples,
            "seed": inference.seed,
            "margin": None if inference.margin is None else inference.margin.text,
            "correction": "holm",
            "comparisons": [comparison.to_document() for comparison in self.comparisons],
            "backend": self.backend,
            "threads": self.threads,
            "seconds": finite_or_none(self.seconds),
            "warnings": list(self.warnings),
        }
