"""Keys as words of 64 bits: a whole number as it is, in one; texts and keys of several columns as hashes, in two."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import DataError, visible
from lossctl.sources import Reader
from lossctl.sources.base import Array, KeyEncoder
from lossctl_kernels.key_tables import can_compile, hashed_texts
from lossctl_kernels.value_hashes import spread

Lanes = NDArray[np.uint64]
"""Shape (rows, words), one word or two: the keys."""

Signs = NDArray[np.bool_]

_LEAST_ROW_BYTES = 8
"""Of a table of text with a key."""

# A whole number as Python writes it, and so in one way only: 007 and 7 are different texts.
_WHOLE = r"\A(?:0|-?[1-9][0-9]{0,19})\z"


class BothSigns(Exception):
    """Numbers below 0 and from 2**63 up are among the keys: 64 bits do not tell them apart."""


class KeyHasher:
    """Gives the keys of all `readers` of a run: `roles` are those of the columns of a key.

    A column that is of whole numbers in one of the files is so in all: text must be a whole number there, as one writes
    it. No key passes through a float. Whole numbers of one column take one word, and two with `both_signs`.
    """

    def __init__(self, readers: Sequence[Reader], roles: Sequence[str], both_signs: bool = False) -> None:
        self.roles = list(roles)
        self._readers = readers
        self._whole = {role: any(reader.arrays[role].dtype != "object" for reader in readers) for role in roles}
        self.words = 1 if len(roles) == 1 and self._whole[roles[0]] and not both_signs else 2
        self._signs_with_top_bit: set[bool] = set()
        self._seed = secrets.randbits(128)
        # One function for all files of a run, decided before the first is read.
        compiled = not all(self._whole.values()) and can_compile(max(map(_rows_of, readers)))
        self._texts = _TextHasher(self._seed) if compiled else None
        self._factors = np.array([secrets.randbits(64) | 1 for _ in range(2)], np.uint64)

    @property
    def encoders(self) -> dict[str, KeyEncoder]:
        """What hashes the texts of a role where they are read, if they are hashed by compiled code."""
        return {} if self._texts is None else {role: self._texts for role in self.roles if not self._whole[role]}

    def lanes(self, reader: Reader, chunk: Mapping[str, Array], first: int) -> Lanes:
        """The keys of a chunk whose first row is row `first`.

        Raises DataError for text that is no whole number, and `BothSigns` where one word is too little.
        """
        columns = [self._column(reader, role, chunk[role], first) for role in self.roles]
        found = columns[0]
        for column in columns[1:]:
            found = found * self._factors + spread(column ^ self._factors)
        return found

    def _column(self, reader: Reader, role: str, array: Array, first: int) -> Lanes:
        if not self._whole[role] and array.dtype != object:  # by the encoder
            return array
        array = array.reshape(len(array))
        if array.dtype == object and (empty := array == "").any():
            raise _empty(reader.place(role, first + int(np.argmax(empty))))
        if not self._whole[role]:
            return self._hashed(array)
        numbers, below = self._numbers(reader, role, array, first) if array.dtype == object else _with_signs(array)
        if self.words == 1:
            self._check_signs(numbers, below)
            return numbers.reshape(-1, 1)
        found = np.empty((len(numbers), 2), np.uint64)
        found[:, 0], found[:, 1] = numbers, below
        # Of several columns the halves are mixed: both must tell the numbers apart.
        return found if len(self.roles) == 1 else spread(found[:, :1] + found[:, 1:] * self._factors)

    def _check_signs(self, numbers: Lanes, below: Signs) -> None:
        """Of the bits of int64 and of uint64, only those with the first bit set mean different numbers."""
        with_top_bit = numbers.view(np.int64) < 0
        if with_top_bit.any():
            self._signs_with_top_bit.update(np.unique(below[with_top_bit]).tolist())
            if len(self._signs_with_top_bit) > 1:
                raise BothSigns

    def _hashed(self, texts: Array) -> Lanes:
        """128 bits of each text that nobody who does not know the seed can foresee."""
        if self._texts is not None:
            import pyarrow as pa

            return self._texts.hashed(pa.array(texts.tolist(), pa.large_string()))
        key = self._seed.to_bytes(16, "little")
        digests = b"".join(blake2b(text.encode(), digest_size=16, key=key).digest() for text in texts.tolist())
        return np.frombuffer(digests, np.uint64).reshape(-1, 2)

    def _numbers(self, reader: Reader, role: str, texts: Array, first: int) -> tuple[Lanes, Signs]:
        """The whole numbers that texts are, as `_with_signs` gives them."""
        import pyarrow as pa
        from pyarrow import compute

        array = pa.array(texts.tolist(), pa.string())
        whole = compute.match_substring_regex(array, _WHOLE).to_pylist()
        if all(whole):
            try:
                return _with_signs(np.array(array.cast(pa.int64()).to_pylist(), np.int64))
            except pa.ArrowInvalid:
                numbers = [int(text) for text in texts]
                whole = [-(2**63) <= number < 2**64 for number in numbers]
            if all(whole):
                words = np.array([number % 2**64 for number in numbers], np.uint64)
                return words, np.array([number < 0 for number in numbers])
        row = whole.index(False)
        other = next(each for each in self._readers if each.arrays[role].dtype != "object")
        raise DataError(
            f"{reader.place(role, first + row)}: the key '{visible(texts[row])}' is text, and those of "
            f"{visible(other.arrays[role].path)} are whole numbers",
            hint="keys match as text, or as whole numbers of 64 bits written without leading zeros",
        )


def _with_signs(numbers: Array) -> tuple[Lanes, Signs]:
    """The 64 bits of whole numbers, and which are below 0."""
    if numbers.dtype.kind != "i":
        return numbers.astype(np.uint64, copy=False), np.zeros(len(numbers), np.bool_)
    wide = numbers.astype(np.int64, copy=False)
    return wide.view(np.uint64), wide < 0


class _TextHasher:
    """Hashes texts where Arrow has them: an encoder of keys."""

    dtype, width = "uint64", 2

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def encode(self, array: Any, where: Callable[[int], str]) -> Lanes:
        import pyarrow as pa

        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        return self.hashed(array.cast(pa.string()).cast(pa.large_string()), where)

    def hashed(self, texts: Any, where: Callable[[int], str] | None = None) -> Lanes:
        """Of large strings without nulls, none of them empty: `where` says where one stands that may be."""
        if not len(texts):
            return np.empty((0, self.width), np.uint64)
        _, places, characters = texts.buffers()
        offsets = np.frombuffer(places, np.int64)[texts.offset : texts.offset + len(texts) + 1]
        if where is not None and (empty := offsets[1:] == offsets[:-1]).any():
            raise _empty(where(int(np.argmax(empty))))
        return hashed_texts(offsets, np.frombuffer(characters, np.uint8), self._seed)


def _empty(where: str) -> DataError:
    return DataError(f"{where}: the key is empty", hint="give each row a key")


def _rows_of(reader: Reader) -> int:
    """How many rows a file has, or about how many at most, of a table of text."""
    info = next(iter(reader.arrays.values()))
    if info.shape[0] is not None:
        return info.shape[0]
    try:
        return os.path.getsize(info.path) // _LEAST_ROW_BYTES
    except OSError:  # a pattern, a URL
        return 0
