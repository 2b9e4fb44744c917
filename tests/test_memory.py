"""How much memory there is: the machine's, within the limits of control groups of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossctl import memory
from lossctl.errors import EnvironmentFault
from lossctl.memory import available_bytes, check_room, spelled_bytes

KIB = 1024


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_this_machine_has_some() -> None:
    assert (available_bytes() or 0) > 1 << 20


def test_nothing_is_known_where_nothing_is_said(tmp_path: Path) -> None:
    assert available_bytes(tmp_path) is None


MACHINE = {"proc/meminfo": "MemTotal:  9000 kB\nMemFree:  10 kB\nMemAvailable:   800 kB\nHugePages: 0\n"}
GROUP = {"proc/self/cgroup": "0::/a/b\n"}
LIMIT = {"sys/fs/cgroup/a/memory.max": f"{500 * KIB}\n", "sys/fs/cgroup/a/memory.current": f"{200 * KIB}\n"}
OPEN = {"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": f"{200 * KIB}\n"}
CACHED = {"sys/fs/cgroup/a/memory.stat": f"anon 5\ninactive_file {50 * KIB}\n"}
FULL = {"sys/fs/cgroup/memory.max": "100\n", "sys/fs/cgroup/memory.current": "200\n"}
OLD = {
    "proc/self/cgroup": "4:cpu,memory:/x\n3:memory:/x\n1:name=systemd:/x\n",
    "sys/fs/cgroup/memory/x/memory.limit_in_bytes": f"{90 * KIB}\n",
    "sys/fs/cgroup/memory/x/memory.usage_in_bytes": f"{70 * KIB}\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2**63 - 4096}\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{70 * KIB}\n",
    "sys/fs/cgroup/memory/x/memory.stat": f"cache 7\ntotal_inactive_file {KIB}\n",
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (MACHINE, 800 * KIB),
        (MACHINE | GROUP, 800 * KIB),
        (MACHINE | GROUP | OPEN, 800 * KIB),
        (MACHINE | GROUP | OPEN | LIMIT, 300 * KIB),
        (MACHINE | GROUP | OPEN | LIMIT | CACHED, 350 * KIB),
        (MACHINE | GROUP | LIMIT | FULL, 0),
        (MACHINE | OLD, 21 * KIB),
        (OLD, 21 * KIB),
    ],
)
def test_the_tightest_limit_counts(files: dict[str, str], expected: int, tmp_path: Path) -> None:
    write(tmp_path, files)
    assert available_bytes(tmp_path) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 bytes"),
        (512, "512 bytes"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (10**9, "954 MiB"),
        (5 << 40, "5 TiB"),
    ],
)
def test_bytes_are_spelled_for_people(count: int, expected: str) -> None:
    assert spelled_bytes(count) == expected


def test_what_does_not_fit_is_refused_before_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 << 30)
    check_room("p.npy: a chunk of 1 rows", (3 << 30) // 32)
    with pytest.raises(EnvironmentFault, match=r"p\.npy: a chunk of 1 rows needs 4 GiB, and 3 GiB are available"):
        check_room("p.npy: a chunk of 1 rows", (4 << 30) // 32)
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    check_room("p.npy: a chunk of 1 rows", 1 << 60)
