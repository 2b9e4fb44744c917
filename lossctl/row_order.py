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
    from lossctl.inputs import InputFiles

__all__ = ["other_order"]

_LOOKED_AT = 1000
_TABLES = ("csv", "tsv", "jsonl", "parquet", "arrow")
_ID = re.compile(r"(?:.*[_ .-])?(?:id|ids|key|uuid|guid|sample|row)", re.IGNORECASE)


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
        first, second = _first_ids(files.predictions, name), _first_ids(files.targets, name)
    except LossctlError:
        return None  # what is wrong is said where it matters
    shared = len(set(first) & set(second))
    if first == second or 2 * shared < min(len(first), len(second)):
        return None
    shown = visible(name)
    return (
        f"{visible(files.predictions)} and {visible(files.targets)} have the column '{shown}' in another order: "
        f"their rows may not belong together; match them with --on {shown}"
    )


def _is_table(path: str) -> bool:
    """A file of columns that may be opened once more."""
    extension = os.path.splitext(bare_name(path))[1].lower()
    return os.path.isfile(path) and any(extension in FORMATS[name].extensions for name in _TABLES)


def _first_ids(path: str, name: str) -> list[object]:
    extension = os.path.splitext(bare_name(path))[1].lower()
    delimiter = next((each for kind, each in DELIMITERS.items() if extension in FORMATS[kind].extensions), None)
    if delimiter is not None:
        # As they stand: to load what reads columns of text takes longer than a small evaluation.
        with closing(open_input(path)) as file:
            return list(RecordFile(file, delimiter).first_cells(name, _LOOKED_AT))
    with closing(open_reader(path, {"key": Selection((name,), is_key=True)})) as reader:
        chunk = next(reader.chunks(_LOOKED_AT), None)
        return [] if chunk is None else list(chunk["key"].tolist())
