"""Exact quantiles of streams of any length in bounded memory.

A stream is read once, as a rule: see `brackets.py`. Otherwise it is read again until few candidates are left. The bits
of a float64, its sign turned so that they grow with the number, are an integer in the order of the numbers. A pass
counts how many numbers share their leading bits; each number that is looked for is among those of one count, of which
the next pass looks at the following bits. As soon as the candidates fit into memory they are kept and sorted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .brackets import Brackets

Floats = NDArray[np.float64]
Keys = NDArray[np.uint64]

MOST_KEPT = 1 << 22
"""Numbers that are kept, 32 MiB of them."""

_BITS = 64
_BITS_A_PASS = 16
_BINS = 1 << _BITS_A_PASS


class Quantiles:
    """Quantiles of a stream of float64 numbers, infinities among them, by linear interpolation as in `numpy.quantile`.

    Feed every pass with `add`; while `end_pass` says so, the same numbers have to come again. NaN is not among them.
    Memory: at most 2**22 numbers, or 2**16 counts for each of the two neighbours of a quantile. Passes: one for up to
    2**22 numbers, and for more as long as their order says little about their size; at most six.
    """

    def __init__(self, quantiles: Iterable[float]) -> None:
        self.quantiles = tuple(quantiles)
        self.values = dict.fromkeys(self.quantiles, math.nan)
        """The quantiles, once no other pass is needed; NaN of no numbers."""
        self._brackets: Brackets | None = Brackets(self.quantiles, MOST_KEPT)
        self._count = 0
        self._kept: list[Floats] = []
        self._waiting = 0
        self._counts: dict[int, NDArray[np.int64]] | None = None
        self._known_bits = 0
        self._ranks: dict[int, tuple[int, int]] = {}
        """The leading bits of the number of each rank, and its rank among those that share them."""

    def add(self, values: Floats) -> None:
        """Adds numbers, shape (count,)."""
        if self._brackets is not None:
            self._brackets.add(values)
            return
        if not self._known_bits:
            self._count += values.size
        if self._counts is None:
            self._keep(values if not self._known_bits else _of_keys(self._candidates(_keys(values))))
        else:
            self._add_counts(_keys(values))

    def _keep(self, values: Floats) -> None:
        self._kept.append(values.copy())
        self._waiting += values.size
        if self._waiting > MOST_KEPT and not self._known_bits:
            self._counts = {0: np.zeros(_BINS, np.int64)}
            for kept in self._kept:
                self._add_counts(_keys(kept))
            self._kept.clear()

    def _prefixes(self, keys: Keys) -> Keys:
        return keys >> np.uint64(_BITS - self._known_bits) if self._known_bits else np.zeros_like(keys)

    def _candidates(self, keys: Keys) -> Keys:
        """Those that share their leading bits with a number that is looked for."""
        wanted = np.array(sorted({prefix for prefix, _ in self._ranks.values()}), np.uint64)
        return keys[np.isin(self._prefixes(keys), wanted)]

    def _add_counts(self, keys: Keys) -> None:
        prefixes = self._prefixes(keys)
        following = (keys >> np.uint64(_BITS - self._known_bits - _BITS_A_PASS)) & np.uint64(_BINS - 1)
        for prefix, counts in (self._counts or {}).items():
            part = following if not self._known_bits else following[prefixes == np.uint64(prefix)]
            np.add(counts, np.bincount(part.astype(np.int64), minlength=_BINS), out=counts)

    def end_pass(self) -> bool:
        """Ends a pass: whether the numbers must come again."""
        if self._brackets is not None:
            brackets, self._brackets = self._brackets, None
            found = brackets.neighbours()
            if found is not None:
                for quantile, pair in zip(self.quantiles, found, strict=True):
                    self.values[quantile] = _between(*pair, _part(quantile, brackets.count))
            return found is None and brackets.count > 0
        if not self._known_bits:
            self._ranks = {rank: (0, rank) for rank in self._wanted_ranks()}
        if self._counts is None:
            self._settle(self._found_among_kept())
            return False
        self._narrow(self._counts)
        if self._known_bits == _BITS:
            prefixes = {rank: prefix for rank, (prefix, _) in self._ranks.items()}
            numbers = _of_keys(np.array(list(prefixes.values()), np.uint64)).tolist()
            self._settle(dict(zip(prefixes, numbers, strict=True)))
            return False
        return True

    def _narrow(self, counts: dict[int, NDArray[np.int64]]) -> None:
        """Takes the bits of this pass to those that are known, and decides what the next one holds."""
        candidates: dict[int, int] = {}
        for rank, (prefix, inside) in self._ranks.items():
            up_to = np.cumsum(counts[prefix])
            at = int(np.searchsorted(up_to, inside, side="right"))
            longer = (prefix << _BITS_A_PASS) | at
            self._ranks[rank] = longer, inside - int(up_to[at - 1] if at else 0)
            candidates[longer] = int(counts[prefix][at])
        self._known_bits += _BITS_A_PASS
        many = sum(candidates.values()) > MOST_KEPT
        self._counts = {prefix: np.zeros(_BINS, np.int64) for prefix in candidates} if many else None
        self._kept, self._waiting = [], 0

    def _found_among_kept(self) -> dict[int, float]:
        kept = np.sort(np.concatenate(self._kept)) if self._kept else np.empty(0)
        prefixes = self._prefixes(_keys(kept))
        starts = {prefix: int(np.searchsorted(prefixes, np.uint64(prefix))) for prefix, _ in self._ranks.values()}
        return {rank: float(kept[starts[prefix] + inside]) for rank, (prefix, inside) in self._ranks.items()}

    def _wanted_ranks(self) -> set[int]:
        if not self._count:
            return set()
        last = self._count - 1
        below = [math.floor(quantile * last) for quantile in self.quantiles]
        return {min(rank, last) for each in below for rank in (each, each + 1)}

    def _settle(self, numbers: dict[int, float]) -> None:
        for quantile in self.quantiles if numbers else ():
            last = self._count - 1
            below = math.floor(quantile * last)
            pair = numbers[below], numbers[min(below + 1, last)]
            self.values[quantile] = _between(*pair, _part(quantile, self._count))


def _part(quantile: float, count: int) -> float:
    """How far a quantile of so many numbers is from the one neighbour to the other."""
    position = quantile * (count - 1)
    return position - math.floor(position)


def _between(low: float, high: float, part: float) -> float:
    """Linear interpolation, the same in both directions; between equal infinities there is nothing else."""
    if low == high or part == 0.0:
        return low
    if math.isinf(low) or math.isinf(high):
        return low if math.isinf(low) and math.isfinite(high) else high
    if math.isinf(high - low):
        return low * (1.0 - part) + high * part
    return high - (high - low) * (1.0 - part) if part >= 0.5 else low + (high - low) * part


def _keys(values: Floats) -> Keys:
    """Integers in the order of the numbers; a negative zero is zero."""
    bits = (values + 0.0).view(np.uint64)
    sign = np.uint64(1) << np.uint64(_BITS - 1)
    return np.where(bits & sign, ~bits, bits | sign)


def _of_keys(keys: Keys) -> Floats:
    """The numbers again."""
    sign = np.uint64(1) << np.uint64(_BITS - 1)
    bits = np.where(keys & sign, keys ^ sign, ~keys)
    return bits.view(np.float64)
