"""How much memory there is for what must be held whole: that of the machine, within what its container grants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lossctl.errors import EnvironmentFault

if TYPE_CHECKING:
    from pathlib import Path

_NEVER_TOO_MUCH = 1 << 30
_BYTES_OF_A_VALUE = 4 * 8
"""Of predictions and targets, as they were read and as they are computed with."""


def available_bytes(root: Path | None = None) -> int | None:
    """What can be allocated before the machine or a control group of this process runs out; None where nobody knows.

    `root` is where /proc and /sys are, where that is not /. Files in the page cache give way, and count as free.
    """
    from pathlib import Path

    top = root or Path("/")
    known = [room for room in (_machine(top), *_groups(top)) if room is not None]
    return max(0, min(known)) if known else None


def check_room(what: str, values: int) -> None:
    """Raises EnvironmentFault where `what`, of so many predictions, does not fit: to try would end others too."""
    needed = _BYTES_OF_A_VALUE * values
    room = available_bytes() if needed > _NEVER_TOO_MUCH else None
    if room is not None and needed > room:
        raise EnvironmentFault(
            f"out of memory: {what} needs {spelled_bytes(needed)}, and {spelled_bytes(room)} are available",
            hint="give --chunk-rows a smaller number, or rows of fewer values",
        )


def spelled_bytes(count: int) -> str:
    """A number of bytes for people: "512 bytes", "1.5 GiB"."""
    size, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"


def _machine(root: Path) -> int | None:
    found = _table(root / "proc/meminfo").get("MemAvailable:")
    return None if found is None else found * 1024


def _groups(root: Path) -> Iterator[int | None]:
    """The room in each control group that contains this process; of both versions of their interface."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        for depth in range(len(parts), -1, -1):
            yield _room(top.joinpath(*parts[:depth]), *names)


def _room(folder: Path, limit: str, used: str) -> int | None:
    """None where a group has no limit of its own."""
    try:
        most, now = (int((folder / name).read_text(encoding="ascii")) for name in (limit, used))
    except (OSError, ValueError):  # not there, or "max"
        return None
    cached = _table(folder / "memory.stat")
    return most - now + cached.get("total_inactive_file", cached.get("inactive_file", 0))


def _table(path: Path) -> dict[str, int]:
    """Names and numbers, one pair a line, with a unit behind them that is the reader's to know."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    fields = [line.split() for line in lines]
    return {field[0]: int(field[1]) for field in fields if len(field) > 1 and field[1].isdecimal()}
