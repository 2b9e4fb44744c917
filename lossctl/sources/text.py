"""Columns of text: names of classes to their index, and keys. What is not text is taken as it is written: 7, true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from lossctl.errors import DataError, visible
from lossctl.guesses import did_you_mean
from lossctl.process import settle_arrow
from lossctl.sources.arrow import from_arrow
from lossctl.sources.base import Array, NoText, Selection


def _plain(kind: Any) -> Any:
    """The Arrow type of the values of a column, which may be categories."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_textual(kind: Any) -> bool:
    """Whether a column of this Arrow type can be a key or the names of classes."""
    kind, types = _plain(kind), pa.types
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(is_text or types.is_integer(kind) or types.is_boolean(kind))


def _is_a_value(kind: Any) -> bool:
    """Whether Arrow tells apart, and writes as text, the values of a column of this type."""
    if is_textual(kind):
        return True
    kind, types = _plain(kind), pa.types
    is_number_or_time = types.is_primitive(kind) and not types.is_interval(kind)
    return bool(is_number_or_time or types.is_decimal128(kind) or types.is_decimal256(kind) or types.is_null(kind))


def check_textual(kind: Any, selection: Selection, name: str) -> None:
    """Raises DataError unless a column of this Arrow type can be what is selected; messages call it `name`."""
    if selection.encoder is not None:
        if not _is_a_value(kind):
            raise DataError(f"{name} holds {visible(kind)}, which is no value of a slice", hint="name another column")
    elif not is_textual(kind):
        raise NoText(
            f"{name} holds {visible(kind)}; a key or the name of a class is text or a whole number",
            hint="name another column",
        )


def text_dtype(selection: Selection, kind: Any) -> str:
    """The dtype that `key_or_classes` delivers."""
    if selection.encoder is not None:
        return selection.encoder.dtype
    if selection.classes is not None:
        load_compute()
        return "float64" if selection.gaps else "int64"
    return "int64" if pa.types.is_integer(_plain(kind)) else "object"


def load_compute() -> None:
    """Loads what looks up texts, which takes as long as pyarrow itself, before a thread needs it.

    A thread whose memory runs out while it imports a module may keep the lock of that, for which the next one waits.
    """
    import pyarrow.compute  # noqa: F401

    settle_arrow()


def key_or_classes(array: Any, selection: Selection, where: Any) -> Array:
    """A column as indices of classes, or as a key; `where(row)` says where a row stands.

    Nulls are only where the selection has `gaps`, and are NaN.

    Raises DataError for a name that is no class.
    """
    if selection.encoder is not None:
        return selection.encoder.encode(array, where)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if selection.classes is None:
        if pa.types.is_integer(array.type):
            return from_arrow(array).astype(np.int64 if array.type != pa.uint64() else np.uint64, copy=False)
        return np.array(array.cast(pa.string()).to_pylist(), object)
    from pyarrow import compute

    texts = array.cast(pa.string())
    found = compute.index_in(texts, value_set=pa.array(selection.classes, pa.string()))
    if found.null_count > texts.null_count:
        unknown = compute.and_(found.is_null(), texts.is_valid())
        row = unknown.to_pylist().index(True)
        shown = ", ".join(visible(name, 40) for name in selection.classes[:10])
        name = texts[row].as_py()
        if pa.types.is_boolean(array.type):
            remedy = "booleans are called false and true; "
        else:
            remedy = did_you_mean(name, selection.classes, quoted=True)
        raise DataError(
            f"{where(row)}: '{visible(name)}' is not one of the {len(selection.classes)} classes",
            hint=f"{remedy}the classes are {shown}{', …' if len(selection.classes) > 10 else ''}",
        )
    if found.null_count:
        return np.array(found.to_pylist(), text_dtype(selection, texts.type))
    return from_arrow(found).astype(text_dtype(selection, texts.type))


def delivered_text(selection: Selection, dtype: np.dtype[Any]) -> str:
    """The dtype that `text_array` delivers of an array of `dtype`."""
    return text_dtype(selection, pa.int64() if dtype.kind in "iu" else pa.string())


def text_array(array: Array, selection: Selection, where: Any) -> Array:
    """The same of a NumPy array of texts, bools or whole numbers, of any shape."""
    if selection.encoder is not None and array.dtype.kind in "biufU":
        flat = pa.array(np.ascontiguousarray(array.reshape(-1), array.dtype.newbyteorder("=")))
    else:
        flat = pa.array(array.reshape(-1).tolist(), None if array.size else pa.string())
    return key_or_classes(flat, selection, where).reshape(array.shape)
