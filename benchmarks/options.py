"""How large and how long: what one run of the benchmarks is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.timing import CLOCKS


def _silent(_: str) -> None:
    """Progress that nobody sees."""


@dataclass(frozen=True)
class Options:
    """`quick` is small enough for a look; `long` adds the sizes that take minutes."""

    quick: bool = False
    long: bool = False
    threads: int = 2
    losses: tuple[str, ...] = ()
    """The losses of the kernel tables; all if there are none."""
    clock_name: str = "wall"
    progress: Callable[[str], None] = field(default=_silent)

    @property
    def clock(self) -> Callable[[], float]:
        return CLOCKS[self.clock_name]

    @property
    def values(self) -> int:
        """Predicted values of a kernel case in float32; half as many in float64."""
        return 200_000 if self.quick else 20_000_000

    @property
    def rounds(self) -> int:
        return 2 if self.quick else 9

    @property
    def share_seconds(self) -> float:
        """After so much time in one case a contender rests."""
        return 0.05 if self.quick else 0.2

    # ---- processes

    @property
    def process_rows(self) -> tuple[int, ...]:
        return (1_000,) if self.quick else (1_000, 100_000, 10_000_000)

    @property
    def process_rounds(self) -> int:
        """After the first run, which is the only one if there are none."""
        return 0 if self.quick else 9

    @property
    def process_share_seconds(self) -> float:
        """After so much time in one comparison a process rests: slow ones run fewer times."""
        return 2.5

    @property
    def file_rows(self) -> int:
        return 100_000 if self.quick else 10_000_000

    # ---- growth

    @property
    def growth_rows(self) -> tuple[int, ...]:
        if self.quick:
            return 1_000, 100_000
        most = (100_000_000,) if self.long else ()
        return 1_000, 10_000, 100_000, 1_000_000, 10_000_000, *most

    # ---- large

    @property
    def large_rows(self) -> tuple[int, ...]:
        """Of tables; the last CSV file of a whole run has 1.5 GB, three times what may be held."""
        most = (160_000_000,) if self.long else ()
        return (20_000, 100_000) if self.quick else (10_000_000, 50_000_000, *most)

    @property
    def large_rounds(self) -> int:
        return 1 if self.quick else 2

    @property
    def sparse_rows(self) -> int:
        """Of each of two float32 arrays: 20 GB together."""
        return 10_000_000 if self.quick else 2_500_000_000

    @property
    def cached_rows(self) -> int:
        """Of each of two float32 arrays that fit in the page cache: 2 GB together."""
        return 100_000 if self.quick else 250_000_000

    @property
    def key_rows(self) -> tuple[int, ...]:
        return (10_000, 50_000) if self.quick else (1_000_000, 5_000_000)
