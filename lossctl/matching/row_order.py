"""Whether two tables hold the same rows in another order: told by a column of ids that both have, and nobody named."""

from __future__ import annotations

import os
import re
from contextlib import closing
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from lossctl.errors import LossctlError, visible
from lossctl.sources import FORMATS, Selection, contents, open_reader
from lossctl.sources.delimited import DELIMITERS
from lossctl.sources.opening import bare_name, open_input
from lossctl.sources.records import RecordFile

if TYPE_CHECKING:
    from lossctl.rows.inputs import InputFiles

_LOOKED_AT = 1000
_LOOKED_THROUGH = 100_000
"""Where the first ids are not the same: how many of the other table's are looked through for them."""
_TABLES = ("csv", "tsv", "jsonl", "parquet", "arrow")
_ID = re.compile(r"(?i:(?:.*[_ .-])?(?:u?id|ids|key|uuid|guid|index|idx|sample|row))|.*[a-z](?:Id|ID)")


def other_order(files: InputFiles) -> str | None:
    """A warning where the first rows of both tables have ids that are not the same, though many are in both."""
    if files.targets is None or files.on or not (_is_table(files.predictions) and _is_table(files.targets)):
        return None
    named = (*(files.pred_columns or ()), *(files.target_columns or ()))
    try:
        ids = [name for name in contents(files.predictions) or () if _ID.fullmatch(name)]
        both = set(contents(files.targets) or ()) & set(ids)
        name = next((each for each in ids if each in both and not any(fnmatchcase(each, one) for one in named)), None)
        if name is None:
            return None
        first = _first_ids(files.predictions, name, _LOOKED_AT)
        second = _first_ids(files.targets, name, _LOOKED_AT)
        if first == second or not _are_of_one_kind(first, second, files.targets, name):
            return None
    except LossctlError:
        return None  # what is wrong is said where it matters
    shown = visible(name)
    return (
        f"{visible(files.predictions)} and {visible(files.targets)} have the column '{shown}' in another order: "
        f"their rows may not belong together; match them with --on {shown}"
    )


def _are_of_one_kind(first: list[str], second: list[str], path: str, name: str) -> bool:
    """Whether many of the first ids are among the first of the table at `path`, or some in what follows them."""
    wanted = set(first)
    if 2 * len(wanted.intersection(second)) >= min(len(first), len(second)):
        return True
    if len(second) < _LOOKED_AT:
        return False  # these were all
    return 100 * len(wanted.intersection(_first_ids(path, name, _LOOKED_THROUGH))) >= len(first)


def _is_table(path: str) -> bool:
    """A file of columns that may be opened once more."""
    extension = os.path.splitext(bare_name(path))[1].lower()
    return os.path.isfile(path) and any(extension in FORMATS[name].extensions for name in _TABLES)


def _first_ids(path: str, name: str, count: int) -> list[str]:
    """The first `count` ids, as CSV writes them: the other file may hold the same ids as numbers."""
    extension = os.path.splitext(bare_name(path))[1].lower()
    delimiter = next((each for kind, each in DELIMITERS.items() if extension in FORMATS[kind].extensions), None)
    if delimiter is not None:
        # As they stand: to load what reads columns of text takes longer than a small evaluation.
        with closing(open_input(path)) as file:
            return list(RecordFile(file, delimiter).first_cells(name, count))
    with closing(open_reader(path, {"key": Selection((name,), is_key=True)})) as reader:
        chunk = next(reader.chunks(count), None)
        return [] if chunk is None else [str(each) for each in chunk["key"].tolist()]
