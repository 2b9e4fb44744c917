"""Several readers as one stream of rows that belong together: lengths agree, or it is an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lossctl.errors import DataError
from lossctl.sources import ArrayInfo, Reader
from lossctl.sources.base import Array


class Feed:
    """The arrays of several readers, by role, in step. Restartable, like its readers.

    What the readers `whole` deliver is in step with itself alone, and of any length: it is read at once, and each chunk
    has all of it. `warnings` are what was found when the readers were put together.
    """

    skipped = 0
    """Rows that a pass has left out."""

    def __init__(self, readers: Sequence[Reader], whole: Sequence[Reader] = (), warnings: Sequence[str] = ()) -> None:
        self.readers, self.warnings = tuple(readers), tuple(warnings)
        self.whole_readers = tuple(whole)
        self._of_role = {role: reader for reader in (*self.readers, *self.whole_readers) for role in reader.arrays}
        self._whole: dict[str, Array] | None = None
        for side in (self.readers, self.whole_readers):
            self._check_lengths({role: info.shape[0] for reader in side for role, info in reader.arrays.items()})

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        return {role: reader.arrays[role] for role, reader in self._of_role.items()}

    @property
    def given(self) -> dict[str, ArrayInfo]:
        """`arrays` in the shapes that they have in their files."""
        return {role: reader.given[role] for role, reader in self._of_role.items()}

    @property
    def whole(self) -> frozenset[str]:
        """The roles of the arrays that are not in step with the rows."""
        return frozenset(role for reader in self.whole_readers for role in reader.arrays)

    @property
    def _in_step(self) -> dict[str, ArrayInfo]:
        return {role: info for reader in self.readers for role, info in reader.arrays.items()}

    @property
    def rows(self) -> int | None:
        """How many rows there are, or None where only the end of the stream tells."""
        return next((info.shape[0] for info in self._in_step.values() if info.shape[0] is not None), None)

    @property
    def part_rows(self) -> int | None:
        """See `Reader.part_rows`; of several readers, what they agree on."""
        found = {reader.part_rows for reader in self.readers}
        return found.pop() if len(found) == 1 else None

    def place(self, role: str, row: int, column: int | None = None) -> str:
        """Where a value stands: see `Reader.place`."""
        return self._of_role[role].place(role, row, column)

    def begin(self) -> None:
        """Lets the readers work ahead of the first pass."""
        for reader in self.readers:
            reader.begin()

    def chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        """One dictionary of all roles a chunk. Raises DataError where one array ends before another."""
        whole = self.read_whole(rows)
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
            yield {role: array for part in parts if part is not None for role, array in part.items()} | whole

    def close(self) -> None:
        """Closes every reader."""
        for reader in (*self.readers, *self.whole_readers):
            reader.close()

    def read_whole(self, rows: int) -> dict[str, Array]:
        """All of the arrays that are not in step, read once."""
        if self._whole is None:
            import numpy as np

            found: dict[str, list[Array]] = {role: [] for role in self.whole}
            for reader in self.whole_readers:
                for part in reader.chunks(rows):
                    for role, array in part.items():
                        found[role].append(array)
            for role, parts in found.items():
                if not parts:
                    raise DataError(f"{self.arrays[role].path} has no rows", hint="check what wrote it")
            self._whole = {role: np.concatenate(parts) for role, parts in found.items()}
            self._check_lengths({role: len(array) for role, array in self._whole.items()})
        return self._whole

    def _check_lengths(self, rows: dict[str, int | None]) -> None:
        known = {role: count for role, count in rows.items() if count is not None}
        if len(set(known.values())) <= 1:
            return
        arrays = self.arrays
        found = dict.fromkeys(_shape(arrays[role], count) for role, count in known.items())
        raise DataError(f"the numbers of rows differ: {', '.join(found)}", hint=_likely_cause(arrays, known))


def _shape(info: ArrayInfo, rows: int) -> str:
    shape = (rows, *info.shape[1:])
    return f"{info.path} has {rows} row{'' if rows == 1 else 's'} (shape {shape}, {info.dtype})"


def _likely_cause(arrays: dict[str, ArrayInfo], rows: dict[str, int]) -> str:
    prediction, target = arrays.get("prediction"), arrays.get("target")
    if "prediction" not in rows or rows["prediction"] == rows.get("target"):
        return _odd_one(rows)
    for info, name, others in ((prediction, "predictions", "target"), (target, "targets", "prediction")):
        # More rows than columns are the rule: the side of which that is not so is the one that lies down.
        height, width = (*info.shape, None)[:2] if info and len(info.shape) == 2 else (None, None)
        if width is not None and width == rows.get(others) and width > (height or 0):
            return f"the {name} look transposed: save array.T"
    counts = sorted(set(rows.values()))
    if len(counts) == 2 and counts[1] - counts[0] == 1:
        return "a header row read as data, or a row lost? each prediction needs its own target"
    if len(counts) == 2 and counts[0] and counts[1] % counts[0] == 0:
        factor = counts[1] // counts[0]
        return f"one has {factor} times as many rows: was one side flattened? reshape it to the other's rows"
    return "each prediction needs its own target, in the same order"


def _odd_one(rows: dict[str, int]) -> str:
    """What to do where predictions and targets agree, and another array does not."""
    expected = rows.get("prediction")
    if expected is None:
        return f"{' and '.join(rows)} belong together, row by row"
    if rows.get("weights", expected) != expected:
        return "each row needs its own weight; a weight for each class is --class-weights"
    return f"each row needs its own {next(role for role, count in rows.items() if count != expected)}"
