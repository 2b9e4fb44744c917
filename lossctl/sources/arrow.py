"""Numbers from Arrow to NumPy, without pandas: Arrow's own conversions import it where it is installed (0.35 s)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from lossctl.sources.base import Array


def from_arrow(array: Any) -> Array:
    """The values of an Arrow array of numbers or bools without nulls; a read-only view where one is possible."""
    if isinstance(array, pa.ChunkedArray):
        parts = [from_arrow(part) for part in array.chunks]
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, array.type.to_pandas_dtype()), *parts])
    if pa.types.is_boolean(array.type):  # a bit each
        return from_arrow(array.cast(pa.uint8())).view(np.bool_)
    return np.asarray(np.from_dlpack(array))
