"""Numbers from Arrow to NumPy, without pandas: its own conversions import it where it is installed (0.35 s).

And what its errors mean, which have no codes.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa

from lossctl.errors import EnvironmentFault, visible
from lossctl.sources.base import Array


def from_arrow(array: Any) -> Array:
    """The values of an Arrow array of numbers or bools without nulls; a read-only view where one is possible."""
    if isinstance(array, pa.ChunkedArray):
        parts = [from_arrow(part) for part in array.chunks]
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, array.type.to_pandas_dtype()), *parts])
    if pa.types.is_boolean(array.type):  # a bit each
        return from_arrow(array.cast(pa.uint8())).view(np.bool_)
    return np.asarray(np.from_dlpack(array))


# No machine gives more for a batch: the file must be damaged that says that it takes so much.
_MOST_BYTES = 1 << 36


def machine_fault(name: str, error: Exception) -> EnvironmentFault | None:
    """What the machine has refused to Arrow as it read a file; None where it is the file's fault."""
    text = str(error)
    if isinstance(error, MemoryError) and max(map(int, re.findall(r"[0-9]{1,30}", text)), default=0) <= _MOST_BYTES:
        return EnvironmentFault(f"out of memory for {name}", hint="raise the limit (ulimit -v), or free some")
    if "launch worker thread" in text or "Too many open files" in text:
        return EnvironmentFault(f"cannot read {name}: {visible(text)}", hint="raise the limits of the process (ulimit)")
    return None
