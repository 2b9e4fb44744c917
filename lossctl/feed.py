"""Several readers as one stream of rows that belong together: lengths agree, or it is an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lossctl.errors import DataError
from lossctl.sources import ArrayInfo, Reader
from lossctl.sources.base import Array

__all__ = ["Feed"]


class Feed:
    """The arrays of several readers, by role, in step. Restartable, like its readers."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self.readers = tuple(readers)
        self._of_role = {role: reader for reader in self.readers for role in reader.arrays}
        self._check_lengths({role: info.shape[0] for role, info in self.arrays.items()})

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        return {role: reader.arrays[role] for role, reader in self._of_role.items()}

    @property
    def rows(self) -> int | None:
        """How many rows there are, or None where only the end of the stream tells."""
        return next((info.shape[0] for info in self.arrays.values() if info.shape[0] is not None), None)

    def place(self, role: str, row: int, column: int | None = None) -> str:
        return self._of_role[role].place(role, row, column)

    def chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        """One dictionary of all roles a chunk. Raises DataError where one array ends before another."""
        streams = [reader.chunks(rows) for reader in self.readers]
        done = 0
        while True:
            parts = [next(stream, None) for stream in streams]
            sizes = [0 if part is None else len(next(iter(part.values()))) for part in parts]
            if len(set(sizes)) > 1:
                totals = [
                    done + size + sum(len(next(iter(part.values()))) for part in stream)
                    for size, stream in zip(sizes, streams, strict=True)
                ]
                found = zip(self.readers, totals, strict=True)
                self._check_lengths({role: total for reader, total in found for role in reader.arrays})
            if not sizes[0]:
                return
            done += sizes[0]
            yield {role: array for part in parts if part is not None for role, array in part.items()}

    def close(self) -> None:
        for reader in self.readers:
            reader.close()

    def _check_lengths(self, rows: dict[str, int | None]) -> None:
        known = {role: count for role, count in rows.items() if count is not None}
        if len(set(known.values())) <= 1:
            return
        arrays = self.arrays
        found = dict.fromkeys(_shape(arrays[role], count) for role, count in known.items())
        raise DataError(f"the numbers of rows differ: {', '.join(found)}", hint=_likely_cause(arrays, known))


def _shape(info: ArrayInfo, rows: int) -> str:
    shape = (rows, *info.shape[1:])
    return f"{info.path} has {rows} rows (shape {shape}, {info.dtype})"


def _likely_cause(arrays: dict[str, ArrayInfo], rows: dict[str, int]) -> str:
    prediction, target = arrays.get("prediction"), arrays.get("target")
    if "weights" in rows and rows.get("prediction") == rows.get("target"):
        return "each row needs its own weight; a weight for each class is --class-weights"
    if prediction and target and len(prediction.shape) == 2 and prediction.shape[1] == rows.get("target"):
        return "the predictions look transposed: save array.T"
    counts = sorted(set(rows.values()))
    if len(counts) == 2 and counts[1] - counts[0] == 1:
        return "a header row read as data, or a row lost? each prediction needs its own target"
    if len(counts) == 2 and counts[0] and counts[1] % counts[0] == 0:
        factor = counts[1] // counts[0]
        return f"one has {factor} times as many rows: was one side flattened? reshape it to the other's rows"
    return "each prediction needs its own target, in the same order"
