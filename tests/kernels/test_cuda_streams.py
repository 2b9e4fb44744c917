"""The ring that feeds a GPU: how arrays are packed, how rows are cut, and in which order things happen."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from lossctl_kernels import cuda_streams
from lossctl_kernels.batch import Array
from lossctl_kernels.cuda import alike, shares
from lossctl_kernels.cuda_streams import Field, Packing, Ring, Span, copy_all, spans

pytest.importorskip("numba_cuda", reason="the ring tells apart the errors of numba-cuda: pip install 'lossctl[cuda]'")

PACKING = Packing(
    sent=(Field("a", "float32", (3, 2)), Field("b", "bool", (300,))),
    updated=(Field("c", "float64", (40,)),),
    returned=(Field("d", "int64", (1,)),),
    scratch=(Field("e", "float64", (2, 2)),),
)


def test_arrays_are_packed_in_order_and_aligned() -> None:
    assert PACKING.starts() == (0, 256 + 512, 768 + 512, 1280 + 256, 1536 + 256)
    buffer = np.zeros(PACKING.starts()[-1], np.uint8)
    views = PACKING.views(buffer, hosted=False)
    assert {name: (view.dtype.name, view.shape) for name, view in views.items()} == {
        "a": ("float32", (3, 2)),
        "b": ("bool", (300,)),
        "c": ("float64", (40,)),
        "d": ("int64", (1,)),
        "e": ("float64", (2, 2)),
    }
    offsets = [view.ctypes.data - buffer.ctypes.data for view in views.values()]
    assert offsets == [0, 256, 768, 1280, 1536]
    views["b"][:] = True
    assert not views["a"].any()
    assert not views["c"].any()


def test_scratch_is_not_on_the_host() -> None:
    assert list(PACKING.views(np.zeros(PACKING.starts()[3], np.uint8), hosted=True)) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("rows", "blocks", "expected"),
    [
        (0, 1, []),
        (1, 1, [(0, 1)]),
        (3, 1, [(0, 3)]),
        (4, 1, [(0, 4)]),
        (5, 1, [(0, 4), (4, 5)]),
        (17, 2, [(0, 8), (8, 16), (16, 17)]),
        (17, 9, [(0, 17)]),
    ],
)
def test_slices_are_whole_blocks(rows: int, blocks: int, expected: list[tuple[int, int]]) -> None:
    assert [(span.start, span.stop) for span in spans(rows, 4, blocks)] == expected


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 100])
@pytest.mark.parametrize("devices", [1, 2, 3, 8])
def test_gpus_share_the_slices_in_order(count: int, devices: int) -> None:
    slices = spans(4 * count, 4, 1)
    parts = shares(slices, devices)
    assert [span for part in parts for span in part] == slices
    assert len(parts) == min(count, devices)
    sizes = [len(part) for part in parts]
    assert not sizes or max(sizes) - min(sizes) <= 1


def test_only_gpus_like_the_first_one_share() -> None:
    class Gpu:
        def __init__(self, *capability: int) -> None:
            self.compute_capability = capability

    assert alike([Gpu(9, 0), Gpu(8, 6), Gpu(9, 0)]) == [0, 2]


# ---- copies


@pytest.mark.parametrize("threads", [True, False])
def test_large_arrays_are_copied_in_pieces(monkeypatch: pytest.MonkeyPatch, threads: bool) -> None:
    monkeypatch.setattr(cuda_streams, "PIECE_BYTES", 64)
    if not threads:
        monkeypatch.setattr(cuda_streams, "_copiers", lambda: None)
    sources = [np.arange(1000.0).reshape(100, 10), np.arange(7), np.arange(5.0)[::-1], np.empty((0, 2))]
    copies = [np.zeros_like(source) for source in sources]
    copy_all(list(zip(copies, sources, strict=True)))
    for copied, source in zip(copies, sources, strict=True):
        np.testing.assert_array_equal(copied, source)


def test_arrays_of_other_shapes_are_not_stretched() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\) cannot take one of shape \(1,\)"):
        copy_all([(np.zeros(3), np.ones(1))])


# ---- the ring, on a device that is made up: it computes when its stream is waited for, and not before


class Buffer:
    """Device memory. What is copied and computed happens later, in the order of the stream."""

    def __init__(self, values: Array) -> None:
        self.values = values

    def __getitem__(self, part: slice) -> Buffer:
        return Buffer(self.values[part])

    def view(self, dtype: str) -> Buffer:
        return Buffer(self.values.view(dtype))

    def reshape(self, shape: tuple[int, ...]) -> Buffer:
        return Buffer(self.values.reshape(shape))

    def copy_to_device(self, source: Array, stream: Stream) -> None:
        stream.queue("send", lambda: np.copyto(self.values, source))

    def copy_to_host(self, into: Array, stream: Stream) -> None:
        stream.queue("return", lambda: np.copyto(into, self.values))


class Stream:
    def __init__(self, gpu: Gpu) -> None:
        self.gpu, self.number, self.waiting = gpu, len(gpu.streams), list[Any]()
        gpu.streams.append(self)

    def queue(self, what: str, action: Any) -> None:
        self.gpu.events.append(f"{what} {self.number}")
        self.waiting.append(action)

    def synchronize(self) -> None:
        self.gpu.events.append(f"wait {self.number}")
        while self.waiting:
            self.waiting.pop(0)()


class Gpu:
    """Stands in for `numba.cuda`."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.streams: list[Stream] = []
        self.gpus = [nullcontext()]

    def stream(self) -> Stream:
        return Stream(self)

    def pinned_array(self, size: int, dtype: Any) -> Array:
        self.events.append("pin")
        return np.full(size, 0xFF, dtype)

    def device_array(self, size: int, dtype: Any) -> Buffer:
        self.events.append("allocate")
        return Buffer(np.full(size, 0xFF, dtype))


class Doubling:
    """A job: twice each row."""

    def __init__(self, rows: int, fails_at: int = -1) -> None:
        self.values = np.arange(float(rows))
        self.doubled = np.zeros(rows)
        self.fails_at = fails_at

    def packing(self, rows: int) -> Packing:
        return Packing(sent=(Field("values", "float64", (rows,)),), returned=(Field("doubled", "float64", (rows,)),))

    def sources(self, span: Span) -> dict[str, Array]:
        if span.start == self.fails_at:
            raise RuntimeError("no such row")
        return {"values": self.values[span]}

    def compute(self, arrays: dict[str, Any], launch: Any) -> None:
        (stream,) = launch.args
        stream.queue("compute", lambda: np.multiply(arrays["values"].values, 2.0, arrays["doubled"].values))

    def results(self, span: Span) -> dict[str, Array]:
        return {"doubled": self.doubled[span]}


@pytest.mark.parametrize("slots", [1, 2, 3, 5])
@pytest.mark.parametrize("rows", [1, 4, 6, 37])
def test_every_slice_comes_back(slots: int, rows: int) -> None:
    ring, job = Ring(Gpu(), 0, slots), Doubling(rows)
    for _ in range(2):  # slots are used again
        job.doubled[:] = 0.0
        ring.run(job, spans(rows, 2, 1))
        np.testing.assert_array_equal(job.doubled, 2.0 * np.arange(rows))


def test_a_slot_is_waited_for_only_when_its_turn_comes_again() -> None:
    gpu = Gpu()
    Ring(gpu, 0, 2).run(Doubling(8), spans(8, 2, 1))
    steps = [event for event in gpu.events if event not in ("pin", "allocate")]
    slices = [[f"{what} {number}" for what in ("send", "compute", "return")] for number in (0, 1)]
    # The second slice is under way before the first one is waited for, and so on round the ring.
    assert steps == [*slices[0], *slices[1], "wait 0", *slices[0], "wait 1", *slices[1], "wait 0", "wait 1"]


def test_buffers_are_kept_from_slice_to_slice_and_grow_when_they_must() -> None:
    gpu = Gpu()
    ring = Ring(gpu, 0, 2)
    ring.run(Doubling(40), spans(40, 2, 1))
    ring.run(Doubling(7), spans(7, 2, 1))
    assert gpu.events.count("pin") == gpu.events.count("allocate") == 2
    ring.run(Doubling(1000), spans(1000, 100, 5))
    assert gpu.events.count("pin") == gpu.events.count("allocate") == 4


def test_a_failure_leaves_nothing_under_way() -> None:
    gpu = Gpu()
    ring = Ring(gpu, 0, 3)
    with pytest.raises(RuntimeError, match="no such row"):
        ring.run(Doubling(10, fails_at=4), spans(10, 2, 1))
    assert not any(stream.waiting for stream in gpu.streams)
    job = Doubling(10)
    ring.run(job, spans(10, 2, 1))
    np.testing.assert_array_equal(job.doubled, 2.0 * np.arange(10))
