"""How rows reach a GPU and results come back: a ring of slots, so that copying and computing overlap.

A *slice* is a few whole blocks of a batch. A *slot* has a stream, a buffer of pinned host memory and one of device
memory, both kept from slice to slice. The host copies a slice into the pinned buffer, and queues on the stream one copy
to the device, the kernels, and one copy back; then it turns to the next slot while the device works. When it comes
round to a slot again, it waits for its stream and puts the results where they belong. What is held is the ring,
whatever the size of a batch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from math import prod
from typing import Any, NamedTuple, Protocol

import numpy as np

from .batch import Array
from .gpu import DeviceFailure, simulated
from .processors import usable_processors

Arrays = dict[str, Any]
Span = slice
Copy = Callable[[list[tuple[Array, Array]]], None]
Launch = Callable[..., None]
"""(kernel, thread blocks, threads of each, arguments…): queues a kernel."""

ALIGNMENT = 256
PIECE_BYTES = 1 << 20  # what one host thread copies at a time
MOST_COPIERS = 4  # host threads beyond that do not copy faster

_one_launch = threading.Lock()


class Field(NamedTuple):
    """An array of a slice."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """With what it takes to align the next one."""
        size = prod(self.shape) * np.dtype(self.dtype).itemsize
        return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True)
class Packing:
    """The arrays of a slice in their buffer, in this order; only scratch is not in the host's buffer, too."""

    sent: tuple[Field, ...] = ()
    updated: tuple[Field, ...] = ()
    """Sent and returned."""
    returned: tuple[Field, ...] = ()
    scratch: tuple[Field, ...] = ()

    def starts(self) -> tuple[int, int, int, int, int]:
        """Where each of the four parts begins, and the end, in bytes."""
        edges = [0]
        for part in (self.sent, self.updated, self.returned, self.scratch):
            edges.append(edges[-1] + sum(field.bytes for field in part))
        return edges[0], edges[1], edges[2], edges[3], edges[4]

    def views(self, buffer: Any, hosted: bool) -> Arrays:
        """The arrays in a buffer of bytes."""
        views, start = {}, 0
        for field in (*self.sent, *self.updated, *self.returned, *(() if hosted else self.scratch)):
            size = prod(field.shape) * np.dtype(field.dtype).itemsize
            views[field.name] = buffer[start : start + size].view(field.dtype).reshape(field.shape)
            start += field.bytes
        return views


class Job(Protocol):
    """What to do with each slice of a batch."""

    def packing(self, rows: int) -> Packing:
        """The arrays of a slice of so many rows."""

    def sources(self, span: Span) -> dict[str, Array]:
        """What the sent and updated arrays hold for these rows."""

    def compute(self, arrays: Arrays, launch: Launch) -> None:
        """Launches the kernels on arrays of the device."""

    def results(self, span: Span) -> dict[str, Array]:
        """Where the updated and returned arrays go for these rows."""


def spans(rows: int, block_rows: int, blocks: int) -> list[Span]:
    """The rows in slices of so many whole blocks; the last slice, and its last block, may be shorter."""
    step = block_rows * blocks
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def launch(stream: Any, kernel: Any, thread_blocks: int, threads: int, *arguments: Any) -> None:
    """Queues a kernel on a stream, with one float64 of shared memory for each thread."""
    configuration = (max(1, thread_blocks), threads, stream, 8 * threads)
    if simulated():  # it runs one kernel at a time
        with _one_launch:
            kernel[configuration](*arguments)
    else:
        kernel[configuration](*arguments)


class Slot:
    """A stream and its buffers. `context` is that of its device."""

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda
        self._stream = cuda.stream()
        self._host: Any = np.empty(0, np.uint8)
        self._device: Any = None
        self._device_bytes = 0
        self._views: dict[Packing, tuple[Arrays, Arrays]] = {}
        self._unfinished: dict[str, Array] | None = None
        self._packing = Packing()

    def start(self, job: Job, span: Span, copy: Copy) -> None:
        """Sends a slice and queues the work on it; `finish` must come first where a slice is under way."""
        packing = self._packing = job.packing(span.stop - span.start)
        host, device = self._arrays(packing)
        copy([(host[name], source) for name, source in job.sources(span).items()])
        start, updated, returned, scratch, _ = packing.starts()
        if returned > start:
            self._device[start:returned].copy_to_device(self._host[start:returned], stream=self._stream)
        job.compute(device, partial(launch, self._stream))
        self._unfinished = job.results(span)
        if scratch > updated:
            self._device[updated:scratch].copy_to_host(self._host[updated:scratch], stream=self._stream)

    def finish(self, copy: Copy) -> None:
        """Waits for the slice that is under way, if any, and puts its results where they belong."""
        if self._unfinished is None:
            return
        results, self._unfinished = self._unfinished, None
        self._stream.synchronize()
        host = self._views[self._packing][0]
        copy([(result, host[name]) for name, result in results.items()])

    def abandon(self) -> None:
        """Waits until nothing is written into the buffers any more; the results are lost."""
        self._unfinished = None
        self._stream.synchronize()

    def _arrays(self, packing: Packing) -> tuple[Arrays, Arrays]:
        """The arrays of a slice on the host and on the device."""
        if packing not in self._views:
            *_, hosted, needed = packing.starts()
            self._grow(hosted, needed)
            if len(self._views) >= 16:  # slices of one batch need two; those of batches gone by are not needed again
                self._views.clear()
            self._views[packing] = packing.views(self._host, True), packing.views(self._device, False)
        return self._views[packing]

    def _grow(self, hosted: int, needed: int) -> None:
        """Larger buffers where these are too small; the old ones are given up first."""
        if hosted > self._host.size:
            self._views.clear()
            self._host = np.empty(0, np.uint8)
            self._host = self._cuda.pinned_array(hosted, np.uint8)
        if needed > self._device_bytes:
            self._views.clear()
            self._device, self._device_bytes = None, 0
            self._device = self._cuda.device_array(needed, np.uint8)
            self._device_bytes = needed


class Ring:
    """The slots of one GPU. Used by one thread at a time. Raises DeviceFailure where the GPU fails."""

    def __init__(self, cuda: Any, device: int, slots: int) -> None:
        self._cuda, self._device, self._count = cuda, device, slots
        self._slots: list[Slot] = []

    def run(self, job: Job, slices: Sequence[Span]) -> None:
        """Does the job on each slice, in order; returns when all results are in place."""
        with reported_failures(self._device), self._cuda.gpus[self._device]:
            while len(self._slots) < min(self._count, len(slices)):
                self._slots.append(Slot(self._cuda))
            try:
                for number, span in enumerate(slices):
                    slot = self._slots[number % self._count]
                    slot.finish(copy_all)
                    slot.start(job, span, copy_all)
                for number in range(len(slices), len(slices) + len(self._slots)):
                    self._slots[number % len(self._slots)].finish(copy_all)
            except BaseException:
                for slot in self._slots:
                    slot.abandon()
                raise


@contextmanager
def reported_failures(device: int) -> Iterator[None]:
    """What goes wrong on a GPU, a lack of memory above all, as DeviceFailure."""
    from numba.cuda.cudadrv import driver

    try:
        yield
    # A compiler or library that cannot be loaded is an ImportError.
    except (driver.CudaAPIError, driver.LinkerError, ImportError, MemoryError) as error:
        if isinstance(error, MemoryError) or "OUT_OF_MEMORY" in str(error):
            raise DeviceFailure(f"GPU {device} has too little memory left for a slice of the data") from error
        raise DeviceFailure(f"GPU {device} failed: {error}") from error


# ---- copies between the arrays of the caller and pinned memory, by several threads


def copy_all(pairs: list[tuple[Array, Array]]) -> None:
    """Copies into the first of each pair the second one, of the same shape or of one value for all."""
    pieces = [piece for into, source in pairs for piece in _pieces(into, source)]
    copiers = _copiers()
    if copiers is None or len(pieces) <= len(pairs):
        for into, source in pieces:
            np.copyto(into, source)
    else:
        list(copiers.map(lambda piece: np.copyto(*piece), pieces))


def _pieces(into: Array, source: Array) -> Iterator[tuple[Array, Array]]:
    rows = max(1, PIECE_BYTES * len(into) // max(1, into.nbytes))
    if source.shape != into.shape:
        raise ValueError(f"an array of shape {into.shape} cannot take one of shape {source.shape}")
    for start in range(0, len(into), rows):
        yield into[start : start + rows], source[start : start + rows]


@cache
def _copiers() -> ThreadPoolExecutor | None:
    """The threads that copy; None where there is one processor."""
    usable = usable_processors()
    return ThreadPoolExecutor(min(MOST_COPIERS, usable), "lossctl-copy") if usable > 1 else None
