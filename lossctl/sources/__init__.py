"""Reading: one file a format, opened by name, so that a format that is not used costs nothing.

    with open_reader("preds.csv", {"prediction": Selection(("p_*",)), "target": Selection(("label",))}) as reader:
        for chunk in reader.chunks(65536):
            chunk["prediction"], chunk["target"]

A new format is a line in `formats.FORMATS` and a module with the two functions that `Format` names.
"""

from __future__ import annotations

from lossctl.sources.base import ArrayInfo, Reader, Selection
from lossctl.sources.formats import FORMATS, Format, contents, open_reader
from lossctl.sources.memory import memory_reader

__all__ = ["FORMATS", "ArrayInfo", "Format", "Reader", "Selection", "contents", "memory_reader", "open_reader"]
