"""What was probably meant by a name that nothing has."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from lossctl.errors import visible

MOST_COMPARED = 1000
"""Names: a table may have a column for each of a hundred thousand features."""


def did_you_mean(name: str, known: Iterable[str], *, quoted: bool = False) -> str:
    """How a hint begins where something known is close, "did you mean X? ", else "". Names of the data are `quoted`."""
    from difflib import get_close_matches

    compared = list(islice(known, MOST_COMPARED))
    # Of a name of one letter, another case is far from it to a matcher of letters.
    alike = [each for each in compared if each.strip().casefold() == name.strip().casefold()]
    close = alike or get_close_matches(name, compared, n=1)
    if not close:
        return ""
    shown = visible(close[0])
    return f"did you mean '{shown}'? " if quoted else f"did you mean {shown}? "
