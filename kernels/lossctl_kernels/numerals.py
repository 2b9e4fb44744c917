"""Numbers that are written as text, plainly: Python takes more for one, such as 1_0 and digits of other scripts.

Spaces around them are left out.
"""

from __future__ import annotations

import re

_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf|infinity)", re.IGNORECASE)
_SPACES = " \t\r\n"


def number_of(text: str) -> float:
    """The number, infinities and NaN included. Raises ValueError for what is none."""
    return float(_plain(text, _NUMBER))


def whole_number_of(text: str) -> int:
    """The whole number. Raises ValueError for what is none, and for more digits than Python takes."""
    return int(_plain(text, _WHOLE))


def _plain(text: str, form: re.Pattern[str]) -> str:
    found = form.fullmatch(text.strip(_SPACES))
    if found is None:
        raise ValueError(f"no number: {text!r}")
    return found[0]
