"""JSON as its standard has it: finite numbers, each name once in an object, and nested no deeper than is expected."""

from __future__ import annotations

import json
import math
from typing import Any


def indented(document: Any) -> str:
    """A document as text: ASCII only, so that no file name can speak to a terminal; never NaN or Infinity."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def on_one_line(document: Any) -> str:
    """The same on one line."""
    return json.dumps(document, allow_nan=False, separators=(",", ":")) + "\n"


def loads(text: bytes, deepest: int) -> Any:
    """What `text` says, in UTF-8, UTF-16 or UTF-32. Raises ValueError, with a message for whoever wrote it."""
    try:
        found = json.loads(
            text, object_pairs_hook=without_repeats, parse_constant=_refuse_constant, parse_float=_finite
        )
    except RecursionError:
        raise _too_deep(deepest) from None
    if _is_deeper(found, deepest):
        raise _too_deep(deepest)
    return found


def is_unicode(text: str) -> bool:
    """Whether a text has no halves of characters, which JSON can spell."""
    return text.isascii() or text.encode("utf-8", "replace").decode() == text


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `object_pairs_hook`: an object, of which it is plain what each name stands for. Raises ValueError."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text:.40} is too large for a number")
    return number


def _is_deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)


def _too_deep(deepest: int) -> ValueError:
    return ValueError(f"it is nested more than {deepest} deep")
