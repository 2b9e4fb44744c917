"""How many processors may be used: control groups of both versions, written as Linux writes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from lossctl_kernels.processors import container_limit, usable_processors


def machine(root: Path, groups: str, files: Mapping[str, str]) -> Path:
    """A root folder where this process is in these control groups."""
    for name, content in {"proc/self/cgroup": groups, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


VERSION_2 = "0::/system.slice/job.scope\n"
VERSION_1 = "5:memory:/docker/1f\n4:cpu,cpuacct:/docker/1f\n0::/docker/1f\n"
TOP, JOB = "sys/fs/cgroup/cpu.max", "sys/fs/cgroup/system.slice/job.scope/cpu.max"
DOCKER = "sys/fs/cgroup/cpu,cpuacct/docker/1f/cpu.cfs"


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("100001 100000", 2),
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("1000 100000", 1),
        ("25000 10000", 3),
        ("max 100000", None),
        ("max", None),
        ("", None),
        ("0 100000", None),
        ("100000 0", None),
        ("many 100000", None),
    ],
)
def test_version_2(tmp_path: Path, quota: str, expected: int | None) -> None:
    assert container_limit(machine(tmp_path, VERSION_2, {JOB: quota + "\n"})) == expected


@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [("300000", "100000", 3), ("250000", "100000", 3), ("40000", "100000", 1), ("-1", "100000", None)],
)
def test_version_1(tmp_path: Path, quota: str, period: str, expected: int | None) -> None:
    files = {f"{DOCKER}_quota_us": quota + "\n", f"{DOCKER}_period_us": period + "\n"}
    assert container_limit(machine(tmp_path, VERSION_1, files)) == expected


@pytest.mark.parametrize(("outer", "inner"), [("400000 100000", "200000 100000"), ("200000 100000", "max 100000")])
def test_the_tightest_of_nested_groups(tmp_path: Path, outer: str, inner: str) -> None:
    slice_ = "sys/fs/cgroup/system.slice/cpu.max"
    assert container_limit(machine(tmp_path, VERSION_2, {slice_: outer, JOB: inner})) == 2


def test_a_container_that_sees_its_group_as_the_root(tmp_path: Path) -> None:
    """With a namespace the path is /, without one it is that of the host, and nothing is there."""
    files = {TOP: "300000 100000\n"}
    for groups in ("0::/\n", "0::/kubepods/pod1/c2\n", "0::/../../job\n"):
        assert container_limit(machine(tmp_path, groups, files)) == 3


def test_a_container_of_version_1_that_sees_its_group_as_the_root(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "50000\n",
    }
    assert container_limit(machine(tmp_path, VERSION_1, files)) == 3


def test_both_versions_at_once(tmp_path: Path) -> None:
    files = {
        f"{DOCKER}_quota_us": "400000\n",
        f"{DOCKER}_period_us": "100000\n",
        "sys/fs/cgroup/unified/docker/1f/cpu.max": "200000 100000\n",
    }
    assert container_limit(machine(tmp_path, VERSION_1, files)) == 2


def test_the_limits_of_other_controllers_and_groups_are_not_ours(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/memory/docker/1f/cpu.max": "100000 100000\n",
        "sys/fs/cgroup/cpu,cpuacct/docker/2e/cpu.cfs_quota_us": "100000\n",
        "sys/fs/cgroup/cpu,cpuacct/docker/2e/cpu.cfs_period_us": "100000\n",
    }
    assert container_limit(machine(tmp_path, VERSION_1, files)) is None


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert container_limit(tmp_path) is None


def test_neither_the_affinity_nor_the_limit_is_exceeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert usable_processors(tmp_path / "unlimited") == 8
    limited = machine(tmp_path / "limited", VERSION_2, {JOB: "300000 100000\n"})
    assert usable_processors(limited) == 3
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5}, raising=False)
    assert usable_processors(limited) == 1


def test_the_limit_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for quota in ("300000 100000\n", "200000 100000\n"):
        assert usable_processors(machine(tmp_path, VERSION_2, {JOB: quota})) == 3


def test_where_affinity_is_not_known_all_processors_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for count, expected in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert usable_processors(tmp_path) == expected
