"""What was probably meant by a name that nothing has."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice

from lossctl.errors import visible

MOST_COMPARED = 1000
"""Names: a table may have a column for each of a hundred thousand features."""


def did_you_mean(name: str, known: Iterable[str], *, quoted: bool = False) -> str:
    """How a hint begins where something known is close, "did you mean X? ", else "". Names of the data are `quoted`."""
    close = closest(name, known)
    if close is None:
        return ""
    shown = visible(close)
    return f"did you mean '{shown}'? " if quoted else f"did you mean {shown}? "


def did_you_mean_file(path: str) -> str:
    """The same for a file that is missing: one that is there, of nearly its name or in a folder of nearly that name."""
    folder, name = os.path.split(path)
    below: list[str] = []
    while folder.strip(os.sep) and not os.path.isdir(folder):
        below.insert(0, name)
        folder, name = os.path.split(folder)
    try:
        with os.scandir(folder or os.curdir) as entries:
            there = [entry.name for entry in islice(entries, MOST_COMPARED)]
    except OSError:
        return ""
    by_stem = {os.path.splitext(each)[0]: each for each in there}  # an extension makes no two names close
    close = closest(os.path.splitext(name)[0], by_stem)
    meant = "" if close is None else os.path.join(folder, by_stem[close], *below)
    return f"did you mean '{visible(meant)}'? " if os.path.exists(meant) else ""


def closest(name: str, known: Iterable[str]) -> str | None:
    """What is known under nearly this name."""
    from difflib import get_close_matches

    compared = list(islice(known, MOST_COMPARED))
    # Of a name of one letter, another case is far from it to a matcher of letters.
    alike = [each for each in compared if each.strip().casefold() == name.strip().casefold()]
    return next(iter(alike or get_close_matches(name, compared, n=1)), None)
