"""What holds of any bytes whatever: they are data, or an error of ours that says in one line which file it is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import DataError, LossctlError, UsageError
from lossctl.sources import Selection, open_reader

CHUNK_ROWS = 3


def outcome(
    path: Path, data: bytes, *, named: bool, columns: tuple[str, ...] = ("p", "y")
) -> dict[str, NDArray[Any]] | LossctlError:
    """The arrays of a file with these bytes, or the error about it; everything else that is raised is a bug.

    `columns` are those of the predictions and the targets, where the format has names.
    """
    path.write_bytes(data)
    names = zip(("prediction", "target"), columns, strict=False)
    roles = {role: Selection((name,)) for role, name in names} if named else {"prediction": Selection()}
    try:
        with open_reader(path, roles) as reader:
            chunks = list(reader.chunks(CHUNK_ROWS))
            found = {role: [chunk[role] for chunk in chunks] for role in roles}
    except (DataError, UsageError) as error:
        return clear(error, path.name)
    whole = {role: np.concatenate(parts) if parts else np.zeros(0) for role, parts in found.items()}
    for array in whole.values():
        assert array.dtype.kind in "biuf"
        assert array.dtype.itemsize <= 8
    assert len({len(array) for array in whole.values()}) == 1
    return whole


def clear(error: LossctlError, name: str) -> LossctlError:
    """The error, which says in one line that one can read which file it is about."""
    assert name in error.message
    assert error.message.isprintable()
    assert len(error.message) < 2000
    return error
