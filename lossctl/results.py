"""What a run found: plain, frozen, picklable values, their signature and the result document.

Every output format is a view of these. Nothing here imports NumPy; NumPy scalars are accepted wherever a number is, and
leave as Python numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from lossctl.errors import visible
from lossctl_kernels.records import Record

if TYPE_CHECKING:
    from lossctl.slices.results import GateSlices, SliceTable, WorstRow

SCHEMA = "lossctl.result/1"

Status = Literal["ok", "inf", "-inf", "nan"]

GRADIENT_OPTIONS = ("grad_wrt", "grad_scale", "kink")
"""What gradients depend on, and values do not."""

COUNTS = ("nonfinite", "clipped", "degenerate", "skipped", "samples")
"""The attributes of a `LossResult` that count rows."""

# Beyond this many entries a vector of options (class weights of a thousand classes) is named by its digest.
LONGEST_SPELLED_VECTOR = 16


class InputInfo(Record):
    """One array that was read.

    `role` is what it was for ("prediction", "target", "weights" or the name of a further input), `shape` and `dtype`
    are those found in the file, `columns` the columns of a table that made it, in order. `digest` is that of its
    values, "" where none was asked for.
    """

    role: str
    path: str
    format: str
    shape: tuple[int, ...]
    dtype: str
    columns: tuple[str, ...] = ()
    digest: str = ""

    def to_document(self) -> dict[str, Any]:
        """The `inputs` entry of the result document."""
        document: dict[str, Any] = {
            "role": self.role,
            "path": self.path,
            "format": self.format,
            "shape": [int(size) for size in self.shape],
            "dtype": str(self.dtype),
        }
        if self.columns:
            document["columns"] = list(self.columns)
        if self.digest:
            document["digest"] = self.digest
        return document


class Statistics(Record):
    """The distribution of the per-sample losses, in the unit of the loss; `argmax` is the row of the worst sample.

    `std_error` is that of the value that is reported, `ci_low` and `ci_high` are its interval at the level
    `confidence`, None where none was asked for.
    """

    std_error: float
    min: float
    p50: float
    p95: float
    max: float
    argmax: int
    p90: float | None = None
    p99: float | None = None
    confidence: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None

    def to_document(self) -> dict[str, Any]:
        """The `stats` entry of a result."""
        document: dict[str, Any] = {"std_error": finite_or_none(self.std_error)}
        if self.confidence is not None:
            bounds = {"ci_low": self.ci_low, "ci_high": self.ci_high}
            document |= {"confidence": self.confidence}
            document |= {name: None if bound is None else finite_or_none(bound) for name, bound in bounds.items()}
        for name in ("min", "p50", "p90", "p95", "p99", "max"):
            number = getattr(self, name)
            if number is not None:
                document[name] = finite_or_none(number)
        return document | {"argmax": int(self.argmax)}


class LossResult(Record, kw_only=True):
    """One loss of one run.

    `value` is the reduced loss in `unit` ("nat", "bit", "dit", or "" for a loss without a unit); `sum` is the weighted
    sum of the per-sample losses and `weight` the sum of the weights, so that results merge. `options` holds every
    option as it was resolved, `changed` the names of those that differ from the loss's own defaults. `nonfinite`,
    `clipped` and `degenerate` count samples; `skipped` counts rows that are not among them, since they are not finite.
    `slices` has a table for each slicing that was asked for, and `worst` the rows with the largest losses.
    """

    loss: str
    options: Mapping[str, object]
    reduction: str
    value: float
    unit: str
    sum: float
    weight: float
    samples: int
    signature: str
    changed: tuple[str, ...] = ()
    nonfinite: int = 0
    clipped: int = 0
    degenerate: int = 0
    skipped: int = 0
    stats: Statistics | None = None
    slices: tuple[SliceTable, ...] = ()
    worst: tuple[WorstRow, ...] = ()

    @property
    def status(self) -> Status:
        """Whether `value` is a finite number, and if not, which other."""
        return status_of(self.value)

    def to_document(self) -> dict[str, Any]:
        """The `results` entry of the result document."""
        document: dict[str, Any] = {
            "loss": self.loss,
            "options": {name: plain(value) for name, value in self.options.items()},
            "reduction": self.reduction,
            "value": finite_or_none(self.value),
            "unit": self.unit,
            "sum": finite_or_none(self.sum),
            "weight": finite_or_none(self.weight),
            "samples": int(self.samples),
            "nonfinite": int(self.nonfinite),
        }
        if self.clipped:
            document["clipped"] = int(self.clipped)
        if self.degenerate:
            document["degenerate"] = int(self.degenerate)
        if self.skipped:
            document["skipped"] = int(self.skipped)
        if self.stats is not None:
            document["stats"] = self.stats.to_document()
        if self.slices:
            document["slices"] = [table.to_document() for table in self.slices]
        if self.worst:
            document["worst"] = [row.to_document() for row in self.worst]
        return document | {"status": self.status, "signature": self.signature}


class GradientStatistics(Record):
    """What a gradient holds: `min`, `max`, `mean` and the Euclidean `norm` of its finite entries, and how many entries
    are exactly zero and how many are not finite."""

    min: float
    max: float
    mean: float
    norm: float
    zeros: int
    nonfinite: int

    def to_document(self) -> dict[str, Any]:
        """The `stats` entry of a gradient."""
        return {
            "min": finite_or_none(self.min),
            "max": finite_or_none(self.max),
            "mean": finite_or_none(self.mean),
            "norm": finite_or_none(self.norm),
            "zeros": int(self.zeros),
            "nonfinite": int(self.nonfinite),
        }


class GradientResult(Record, kw_only=True):
    """The gradient of one loss, written to `path`, shaped like what it is with respect to.

    `wrt` says what that is: the predictions, by what they are ("prob", "logit", "value"), or the role of another array
    ("var"). `scale` says of which number it is ("reported", "sample").
    """

    loss: str
    options: Mapping[str, object]
    wrt: str
    scale: str
    path: str
    shape: tuple[int, ...]
    dtype: str
    stats: GradientStatistics
    signature: str
    changed: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """The `gradients` entry of the result document."""
        return {
            "loss": self.loss,
            "options": {name: plain(value) for name, value in self.options.items()},
            "wrt": self.wrt,
            "scale": self.scale,
            "path": self.path,
            "shape": [int(size) for size in self.shape],
            "dtype": str(self.dtype),
            "stats": self.stats.to_document(),
            "signature": self.signature,
        }


class GateResult(Record):
    """One `--fail-if` or `--warn-if` expression, the number it was asked of and the verdict: "pass", "fail" or
    "inconclusive".

    `value` and `limit` are the two sides of its first comparison. `severity` is "fail" or "warn"; `more_samples` is how
    many more would decide an inconclusive gate, None where that is not known. `note` says what is missing. A gate about
    every slice has the answer of the worst, and those of all in `slices`.
    """

    expression: str
    value: float | None
    verdict: str
    limit: float | None = None
    severity: str = "fail"
    more_samples: int | None = None
    note: str = ""
    slices: GateSlices | None = None

    def to_document(self) -> dict[str, Any]:
        """The `gates` entry of the result document."""
        document: dict[str, Any] = {
            "expression": self.expression,
            "value": None if self.value is None else finite_or_none(self.value),
            "limit": None if self.limit is None else finite_or_none(self.limit),
            "verdict": self.verdict,
            "severity": self.severity,
        }
        if self.more_samples is not None:
            document["more_samples"] = self.more_samples
        if self.note:
            document["note"] = self.note
        if self.slices is not None:
            document["slices"] = self.slices.to_document()
        return document


class RunResult(Record, kw_only=True):
    """Everything one run found.

    `seconds` is wall time; `warnings` go to stderr and into the document, never into a table.
    """

    version: str
    inputs: tuple[InputInfo, ...]
    results: tuple[LossResult, ...] = ()
    gradients: tuple[GradientResult, ...] = ()
    gates: tuple[GateResult, ...] = ()
    backend: str
    threads: int
    seconds: float
    warnings: tuple[str, ...] = ()

    @property
    def status(self) -> Literal["ok", "nonfinite"]:
        """ "ok" when every value is a finite number."""
        return "ok" if all(result.status == "ok" for result in self.results) else "nonfinite"

    def to_document(self) -> dict[str, Any]:
        """The result document: JSON types only, every number finite; `gradients` is there when there are any."""
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "version": self.version,
            "status": self.status,
            "inputs": [info.to_document() for info in self.inputs],
            "results": [result.to_document() for result in self.results],
        }
        if self.gradients:
            document["gradients"] = [gradient.to_document() for gradient in self.gradients]
        return document | {
            "gates": [gate.to_document() for gate in self.gates],
            "backend": self.backend,
            "threads": int(self.threads),
            "seconds": finite_or_none(self.seconds),
            "warnings": list(self.warnings),
        }


def is_gain(options: Mapping[str, object]) -> bool:
    """Whether a number with these options is better when it is larger, as no loss is but a cosine with `sign=1`."""
    return options.get("sign") == 1.0


def signature(loss: str, options: Mapping[str, object], *, reduction: str, version: str) -> str:
    """How a number was computed, in one line: "bce|input=prob|eps=0|reduction=mean|denom=weight|lossctl=0.1.0".

    `loss` is the canonical name and `options` every resolved option, in the order of the loss's definition; `denom`
    belongs to the reduction and follows it. Two results with equal signatures are the same function of their data.
    """
    tail = ["denom"] if "denom" in options else []
    names = [name for name in options if name not in ("denom", "reduction")]
    fields = [f"{name}={spelled(options[name])}" for name in names]
    fields += [f"reduction={reduction}", *(f"{name}={spelled(options[name])}" for name in tail), f"lossctl={version}"]
    return "|".join([_without_separator(loss), *fields])


def stated(options: Mapping[str, Any], *, gradient: bool = False) -> dict[str, Any]:
    """The options that the signature of a value names, or that of a gradient; a guard of 0 has no mode."""
    left_out = set() if gradient else set(GRADIENT_OPTIONS)
    if not options.get("eps"):
        left_out.add("eps_mode")
    return {name: value for name, value in options.items() if name not in left_out and value is not None}


def spelled(value: object) -> str:
    """An option's value as signatures and tables spell it: 0.5, 1, true, none, logit, [0.5,1,2]."""
    value = plain(value)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value).removesuffix(".0")
    if isinstance(value, list):
        text = "[" + ",".join(spelled(entry) for entry in value) + "]"
        if len(value) <= LONGEST_SPELLED_VECTOR:
            return text
        import hashlib

        return f"[{len(value)} values,sha256={hashlib.sha256(text.encode()).hexdigest()[:16]}]"
    return _without_separator(str(value))


def _without_separator(text: str) -> str:
    """`text` on one line and without the separator of signatures, which a file name of a user's own loss may hold."""
    return visible(text, limit=1000).replace("|", "%7C")


def plain(value: object) -> Any:
    """An option's value in JSON types; a non-finite option (a norm of infinite order) is spelled as text.

    NumPy scalars and arrays are known by their `tolist`, so that this needs no NumPy.
    """
    to_list = getattr(value, "tolist", None)
    if to_list is not None:
        value = to_list()
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Sequence):
        return [plain(entry) for entry in value]
    return str(value)


def status_of(value: float) -> Status:
    """Whether a value is a finite number, and if not, which other."""
    if math.isfinite(value):
        return "ok"
    if math.isnan(value):
        return "nan"
    return "inf" if value > 0 else "-inf"


def finite_or_none(value: float) -> float | None:
    """`value` as a Python float, or None where JSON has no number for it."""
    number = float(value)
    return number if math.isfinite(number) else None
