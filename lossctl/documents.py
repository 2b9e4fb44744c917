"""Result documents of earlier runs, read to be compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lossctl.errors import DataError, visible
from lossctl.results import COUNTS, SCHEMA
from lossctl.strict_json import loads

MOST_BYTES = 64 << 20
MOST_ROWS = 1 << 63
DEEPEST = 20
"""What a result document is nested, and then some."""

_TOTALS = ("value", "sum", "weight")


def read_document(path: str) -> dict[str, Any]:
    """The result document of a file, "-" for stdin, with at least one result.

    What is compared is there in the types of the schema: `inputs` with role and shape; `results` with loss, options,
    signature, value, totals, counts and statistics. Raises DataError for what is no such document, and what
    `open_input` raises.
    """
    from contextlib import closing

    from lossctl.sources.opening import open_input

    with closing(open_input(path)) as file:
        if file.size > MOST_BYTES:
            raise _malformed(path, f"it is larger than {MOST_BYTES >> 20} MiB")
        text = file.read_at(0, file.size)
    try:
        document = loads(text, DEEPEST)
    except ValueError as error:
        raise _malformed(path, f"it is not JSON ({visible(error)})") from None
    if fault := _fault_of(document):
        raise _malformed(path, fault)
    return dict(document)


def other_values(first: str | None, second: str | None) -> bool:
    """Whether two digests say so: of a digest that is not there, or of another algorithm, nothing is known."""
    if not first or not second or first.partition(":")[0] != second.partition(":")[0]:
        return False
    return first != second


def _malformed(path: str, why: str) -> DataError:
    return DataError(f"{visible(path)} is no result document: {why}", hint="lossctl eval … -o result.json writes one")


def _fault_of(document: object) -> str:
    """Why it is no result document, "" where it is one."""
    if not isinstance(document, dict):
        return "it is no JSON object"
    found = document.get("schema")
    if found != SCHEMA:
        return f"its schema is {'not given' if found is None else visible(found)}, not {SCHEMA}"
    inputs, results = document.get("inputs"), document.get("results")
    if not isinstance(inputs, list) or not all(_is_input(entry) for entry in inputs):
        return "it does not say what its inputs were"
    if not isinstance(results, list) or not results:
        return "it has no results"
    faults = (_fault_of_result(entry) for entry in results)
    return next((f"result {place} {fault}" for place, fault in enumerate(faults, 1) if fault), "")


def _is_input(entry: object) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("role"), str):
        return False
    return isinstance(entry.get("shape"), list) and all(_is_count(size) for size in entry["shape"])


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_ROWS


def _fault_of_result(entry: object) -> str:
    if not isinstance(entry, dict):
        return "is no JSON object"
    statistics = entry.get("stats", {})
    checks = {
        "has no loss or no signature": all(isinstance(entry.get(name), str) for name in ("loss", "signature")),
        "has no options": isinstance(entry.get("options"), dict),
        "has no value": "value" in entry,
        "has a value that is no number": _are_numbers({name: entry.get(name) for name in _TOTALS}),
        "has counts that are none": all(_is_count(entry.get(name, 0)) for name in COUNTS),
        "has statistics that are none": isinstance(statistics, dict) and _are_numbers(statistics),
    }
    return next((fault for fault, holds in checks.items() if not holds), "")


def _are_numbers(values: Mapping[str, object]) -> bool:
    """Whether each is a finite number or null."""
    return all(value is None or _is_finite(value) for value in values.values())


def _is_finite(value: object) -> bool:
    """Whether it is a number, and one that a float can hold: no truth value, and no integer of 400 digits."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
