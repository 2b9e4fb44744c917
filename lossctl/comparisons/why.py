"""Why two result documents have different numbers: what of the function, of the data and of the run is not the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossctl.documents import other_values
from lossctl.errors import visible
from lossctl.results import GRADIENT_OPTIONS, spelled

SCHEMA = "lossctl.explanation/1"

ROUNDING_ULPS = 4
"""What other orders of operations may change of a sum that is right to the last bit or two."""

SINGLE_ROUNDING = 1e-6
"""What float32 in place of float64 may change, relatively, of a mean of well-behaved losses."""

# What each difference means, by kind.
_OF_READING = {
    "on": "rows are matched by this key",
    "missing": "what is done about keys without a partner",
    "classes": "the names of the classes, in the order of their indices",
    "nonfinite": "what is done about rows that are not finite",
    "class_axis": "the axis of the predictions that the classes are on",
}
_OF_COUNTS = {
    "samples": "how many samples count",
    "weight": "what the mean divides by",
    "nonfinite": "samples whose loss is infinite",
    "skipped": "rows that are left out since they are not finite",
    "clipped": "samples that the guard changes",
    "degenerate": "samples on which the loss falls back to a convention",
}
_OF_RUNS = {
    "backend": "backends agree within rounding",
    "threads": "the number of threads changes no bit",
}
_OF_INPUTS = {
    "path": "another file, or the same by another name",
    "format": "the same numbers, if the conversion kept them",
    "shape": "other rows or other columns",
    "dtype": "numbers are rounded to this type before lossctl reads them",
    "columns": "other columns of the table",
    "digest": "other values, or the same in another order",
}

_ABSENT = object()


@dataclass(frozen=True)
class Finding:
    """One thing that is not the same: `what` it is, what both documents say, and what it means."""

    what: str
    first: str
    second: str
    meaning: str = ""


@dataclass(frozen=True)
class Explanation:
    """One loss of both documents: the verdict in words, and what it rests on, by kind.

    `function`, `data`, `counts` and `run` are findings; counts follow from the function and the data together, and
    `run` tells where the same values came from and what computed them. Without any in the first three, the numbers
    should be equal.
    """

    loss: str
    verdict: str
    value: tuple[str, str]
    difference: str
    function: tuple[Finding, ...]
    data: tuple[Finding, ...]
    counts: tuple[Finding, ...]
    run: tuple[Finding, ...]

    @property
    def kinds(self) -> dict[str, tuple[Finding, ...]]:
        """The findings by kind."""
        return {"function": self.function, "data": self.data, "count": self.counts, "run": self.run}

    def to_document(self) -> dict[str, Any]:
        """The `explanations` entry of the document."""
        document: dict[str, Any] = {
            "loss": self.loss,
            "verdict": self.verdict,
            "values": list(self.value),
            "difference": self.difference,
        }
        return document | {kind: [vars(finding) for finding in found] for kind, found in self.kinds.items()}


def explain(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[list[Explanation], list[str]]:
    """(what differs, loss by loss; the losses that only one document has, in words).

    Both are what `read_document` returns.
    """
    pairs, alone = _matched(first["results"], second["results"])
    return [_explained(a, b, first, second) for a, b in pairs], alone


def _matched(
    first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]
) -> tuple[list[tuple[dict[str, Any], dict[str, Any]]], list[str]]:
    """Results of one loss, those with equal signatures first, then in their order."""
    left, pairs = list(second), []
    waiting = []
    for result in first:
        equal = next((other for other in left if _signature(other) == _signature(result)), None)
        if equal is None:
            waiting.append(result)
        else:
            left.remove(equal)
            pairs.append((result, equal))
    alone = []
    for result in waiting:
        like = [other for other in left if other["loss"] == result["loss"]]
        if like:
            nearest = min(like, key=lambda other: len(_options(result, other)))
            left.remove(nearest)
            pairs.append((result, nearest))
        else:
            alone.append(f"only the first document has {visible(result['loss'])}")
    alone += [f"only the second document has {visible(other['loss'])}" for other in left]
    return pairs, alone


def _signature(result: Mapping[str, Any]) -> str:
    return str(result.get("signature"))


def _explained(
    a: dict[str, Any], b: dict[str, Any], first: Mapping[str, Any], second: Mapping[str, Any]
) -> Explanation:
    function = tuple(_function(a, b, first, second))
    data, sources = (tuple(findings) for findings in _data(first, second))
    counts = tuple(
        _finding(name, a.get(name, 0), b.get(name, 0), meaning)
        for name, meaning in _OF_COUNTS.items()
        if a.get(name, 0) != b.get(name, 0)
    )
    run = tuple(
        _finding(name, first.get(name), second.get(name), meaning)
        for name, meaning in _OF_RUNS.items()
        if first.get(name) != second.get(name)
    )
    distance, difference = _distance(a, b, any(finding.what.endswith(" dtype") for finding in data))
    return Explanation(
        visible(a["loss"]),
        _verdict(distance, function, data if function else data + counts, _only_predictions_can_differ(first, second)),
        (_value(a), _value(b)),
        difference,
        function,
        data,
        counts,
        sources + run,
    )


def _function(
    a: dict[str, Any], b: dict[str, Any], first: Mapping[str, Any], second: Mapping[str, Any]
) -> list[Finding]:
    found = []
    if a.get("reduction") != b.get("reduction"):
        meaning = "whether losses are added or averaged"
        found.append(_finding("reduction", a.get("reduction"), b.get("reduction"), meaning))
    meanings = _meanings(a["loss"])
    for name in _options(a, b):
        said = meanings.get(name, _OF_READING.get(name))
        found.append(_finding(f"option {name}", _option(a, name), _option(b, name), said))
    if first.get("version") != second.get("version"):
        meaning = "what a loss is may have changed; the changelog says so"
        found.append(_finding("version", first.get("version"), second.get("version"), meaning))
    return found


def _options(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """The options that values depend on and that are not the same, in the order of the first."""
    names = [name for name in dict.fromkeys((*a["options"], *b["options"])) if name not in GRADIENT_OPTIONS]
    return [name for name in names if a["options"].get(name, _ABSENT) != b["options"].get(name, _ABSENT)]


def _option(result: Mapping[str, Any], name: str) -> Any:
    return result["options"].get(name, "not given")


def _meanings(loss: str) -> dict[str, str]:
    """What each option of a loss means; nothing is known of a loss that is not here, such as one of somebody's own."""
    from lossctl.catalogue.reference import describe
    from lossctl.errors import LossctlError

    if ".py:" in loss:  # to look it up would run the file
        return {}
    try:
        return {option["name"]: option["meaning"] for each in describe(loss) for option in each["options"]}
    except LossctlError:
        return {}


def _data(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[list[Finding], list[Finding]]:
    """(what says that the data are others, where the same values come from)."""
    found, sources = [], []
    inputs = _inputs(first, second)
    for role in dict.fromkeys((*inputs[0], *inputs[1])):
        sides = [each.get(role) for each in inputs]
        if None in sides:
            there = ["not there" if side is None else "there" for side in sides]
            meaning = "samples are weighted in one of them only" if role == "weights" else "a further array"
            found.append(Finding(visible(role), there[0], there[1], meaning))
            continue
        same = _are_equal(*(side.get("digest") for side in sides if side is not None))
        for fact, meaning in _OF_INPUTS.items():
            a, b = (side.get(fact) for side in sides if side is not None)
            if a == b or (fact == "digest" and not other_values(a, b)):
                continue
            if same and fact != "shape":
                sources.append(_finding(f"{visible(role)} {fact}", a, b, "the values are the same"))
            else:
                found.append(_finding(f"{visible(role)} {fact}", a, b, meaning))
    return found, sources


def _inputs(*documents: Mapping[str, Any]) -> list[dict[str, Mapping[str, Any]]]:
    """The inputs of each document by their roles."""
    return [{info["role"]: info for info in document["inputs"]} for document in documents]


def _are_equal(first: object, second: object) -> bool:
    """Whether two digests are there and are of equal values."""
    return first is not None and first == second


def _only_predictions_can_differ(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether all else has the same values."""
    ours, theirs = _inputs(first, second)
    others = [role for role in ours if role != "prediction"]
    return all(_are_equal(ours[role].get("digest"), theirs.get(role, {}).get("digest")) for role in others)


def _finding(what: str, first: Any, second: Any, meaning: str | None) -> Finding:
    return Finding(what, _spelled(first), _spelled(second), meaning or "")


def _spelled(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(each, int) and not isinstance(each, bool) for each in value):
        return str(tuple(value))  # a shape
    return visible(spelled(value), 300)


# ---- the numbers


def _value(result: Mapping[str, Any]) -> str:
    return str(result.get("status", "nan")) if result["value"] is None else repr(float(result["value"]))


def _distance(a: Mapping[str, Any], b: Mapping[str, Any], other_types: bool) -> tuple[str, str]:
    """("equal", "rounding" or "different"; the same in numbers); `other_types` is whether the inputs' types differ."""
    values = [result["value"] for result in (a, b)]
    if None in values:
        same = _value(a) == _value(b)
        return ("equal", "equal") if same else ("different", "one is not finite, or both are not and differ")
    first, second = (float(value) for value in values)
    if first == second:
        return "equal", "equal, to the last bit"
    apart = abs(second - first)
    largest = max(abs(first), abs(second))
    ulps = apart / math.ulp(largest)
    said = f"{second - first:+.6g}" + (f", relative {(second - first) / abs(first):+.3g}" if first else "")
    if ulps <= ROUNDING_ULPS:
        return "rounding", f"{said}: {ulps:.0f} units in the last place, within rounding of float64"
    if other_types and apart / largest <= SINGLE_ROUNDING:
        return "different", f"{said}: as little as rounding the inputs to float32 makes"
    return "different", f"{said}: more than rounding"


def _verdict(distance: str, function: Sequence[Finding], data: Sequence[Finding], only_predictions: bool) -> str:
    if function and data:
        both = "different functions of different data"
        return f"{both}, with equal values" if distance == "equal" else both
    if function:
        return "different functions of data that look the same" + (
            "; on this data it makes no difference" if distance in ("equal", "rounding") else ""
        )
    if data:
        return "the same function of different data" + (
            "; the values agree" if distance in ("equal", "rounding") else ""
        )
    if distance in ("equal", "rounding"):
        return "the same function of data that looks the same, and the values agree"
    if only_predictions:
        return "the same function of other predictions: all else has the same values"
    return "the same function of data with the same names, shapes and types: what the files hold has changed"
