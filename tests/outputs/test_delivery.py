"""Results in files: replaced as a whole, but appended to what a host collects."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossctl.errors import DataError, EnvironmentFault
from lossctl.outputs import EXTENSIONS, encoded, format_of, render
from lossctl.outputs.delivery import deliver, deliver_fault
from lossctl.outputs.github_summary import LIMIT_BYTES
from lossctl.results import RunResult

FAULT = DataError("no rows", hint="give some")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The files that GitHub would name, with what an earlier command has left in them."""
    summary, output = tmp_path / "step_summary", tmp_path / "set_output"
    summary.write_text("before\n")
    output.write_text("a=b\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    return summary, output


def test_each_file_gets_the_format_of_its_name(hard_run: RunResult, tmp_path: Path) -> None:
    paths = [str(tmp_path / f"r{extension}") for extension in EXTENSIONS]
    for path in paths:
        Path(path).write_text("what was there before")
    deliver(hard_run, paths)
    for path in paths:
        assert Path(path).read_bytes() == encoded(hard_run, format_of(path))
    assert len([*tmp_path.iterdir()]) == len(paths)


def test_files_of_the_host_are_appended_to(host: tuple[Path, Path], plain_run: RunResult) -> None:
    for _ in range(2):
        deliver(plain_run, [str(path) for path in host])
    summary, output = host
    assert summary.read_text() == "before\n" + 2 * render(plain_run, "github-summary")
    assert output.read_text() == "a=b\n" + 2 * render(plain_run, "github-output")


@pytest.mark.parametrize("room", [0, 1, 70, 150])
def test_a_summary_has_only_the_room_that_is_left(host: tuple[Path, Path], plain_run: RunResult, room: int) -> None:
    summary, _ = host
    summary.write_bytes(b"x" * (LIMIT_BYTES - room))
    deliver(plain_run, [str(summary)])
    assert LIMIT_BYTES - room <= summary.stat().st_size <= LIMIT_BYTES
    assert (summary.stat().st_size > LIMIT_BYTES - room) == (room >= 150)


def test_a_host_file_that_cannot_be_written_is_a_fault(host: tuple[Path, Path], plain_run: RunResult) -> None:
    _, output = host
    output.unlink()
    output.mkdir()
    with pytest.raises(EnvironmentFault, match=r"cannot write '.*set_output'"):
        deliver(plain_run, [str(output)])


def test_a_failed_run_is_told_to_hosts_and_in_junit_alone(host: tuple[Path, Path], tmp_path: Path) -> None:
    paths = [str(tmp_path / f"r{extension}") for extension in EXTENSIONS]
    deliver_fault(FAULT, [*paths, *(str(path) for path in host)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.xml", "set_output", "step_summary"]
    assert "no rows" in (tmp_path / "r.xml").read_text()
    assert host[0].read_text() == "before\n### lossctl: no result\n\nno rows\n\ngive some\n"
    assert host[1].read_text() == "a=b\nstatus=error\n"


def test_a_fault_that_cannot_be_told_raises_no_other(tmp_path: Path) -> None:
    deliver_fault(FAULT, [str(tmp_path / "missing" / "r.xml"), str(tmp_path / "r.xml")])
    assert (tmp_path / "r.xml").exists()
