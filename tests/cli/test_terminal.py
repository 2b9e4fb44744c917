"""What a person at a terminal sees, through a pseudo-terminal: a table, colours, a progress bar on stderr."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from lossctl.cli.progress import Progress
from tests.cli.commands import EVAL, command, sparse_npy

STYLES = re.compile(r"\x1b\[[0-9;]*m")


def at_terminal(
    *arguments: str | Path, stdout: bool = True, stderr: bool = False, changes: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """(exit code, what the terminal got, what the pipe of the other stream got)."""
    ours, theirs = pty.openpty()
    surroundings = {**os.environ, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **(changes or {})}
    running = subprocess.Popen(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=theirs if stdout else subprocess.PIPE,
        stderr=theirs if stderr else subprocess.PIPE,
        env=surroundings,
    )
    os.close(theirs)
    shown = b""
    try:
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    part = os.read(ours, 65536)
                except OSError:  # how Linux says that the last writer has gone
                    break
                if not part:
                    break
                shown += part
        piped = b"".join(stream.read() for stream in (running.stdout, running.stderr) if stream)
        code = running.wait(timeout=60)
    finally:
        running.kill()
        os.close(ours)
        for stream in (running.stdout, running.stderr):
            if stream:
                stream.close()
    return code, shown.decode().replace("\r\n", "\n"), piped.decode()


def test_a_terminal_gets_a_table_in_colours() -> None:
    code, shown, told = at_terminal(*EVAL, changes={"COLUMNS": "100"})
    assert (code, told) == (0, "")
    assert "\x1b[" in shown
    plain = STYLES.sub("", shown)
    assert plain.split()[:2] == ["loss", "value"]
    assert "0.0798641" in plain


@pytest.mark.parametrize("changes", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_a_terminal_without_colours(changes: dict[str, str]) -> None:
    code, shown, told = at_terminal(*EVAL, changes=changes)
    assert (code, told) == (0, "")
    assert "\x1b" not in shown
    assert "0.0798641" in shown


def test_a_narrow_terminal_never_cuts_a_number() -> None:
    code, shown, _ = at_terminal(*EVAL, "-l", "mse", changes={"COLUMNS": "40", "NO_COLOR": "1"})
    assert code == 0
    assert max(map(len, shown.splitlines())) <= 40
    assert "0.0798641" in shown
    assert "…" not in shown


def test_list_at_a_terminal_is_a_table() -> None:
    code, shown, told = at_terminal("list", changes={"NO_COLOR": "1", "COLUMNS": "120"})
    assert (code, told) == (0, "")
    assert "\t" not in shown
    assert "huber" in shown


def test_an_error_at_a_terminal_is_one_plain_line() -> None:
    code, shown, piped = at_terminal("eval", "absent.npy", "y.npy", "-l", "mse", stdout=False, stderr=True)
    assert (code, piped) == (3, "")
    assert shown == "lossctl: no such file: absent.npy; check the name and the folder\n"


def test_a_progress_bar_is_for_terminals_and_long_runs(tmp_path: Path) -> None:
    arrays = [sparse_npy(tmp_path / name, 80_000_000) for name in ("p.npy", "y.npy")]
    long: tuple[str | Path, ...] = ("eval", *arrays, "-l", "mse", "--score-only", "--backend", "python")
    code, shown, piped = at_terminal(*long, stdout=False, stderr=True)
    assert (code, piped) == (0, "0.0\n")
    assert "rows" in shown
    assert at_terminal(*EVAL, "--score-only", stdout=False, stderr=True)[1] == ""


@pytest.mark.parametrize("wanted", [True, False])
def test_progress_is_shown_only_where_it_is_wanted(wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setattr("lossctl.cli.progress.PATIENCE_SECONDS", 0.0)
    with Progress(100, wanted) as progress:
        progress(40)
        progress(100)
    assert ("100" in shown.getvalue()) is wanted


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [60, 80, 120])
def test_explain_folds_at_the_width_of_the_terminal(width: int) -> None:
    code, shown, _ = at_terminal("explain", "huber", changes={"COLUMNS": str(width)})
    plain = STYLES.sub("", shown)
    assert code == 0
    assert "\x1b[1mhuber\x1b[0m" in shown
    assert max(len(line) for line in plain.splitlines()) <= width
    headings = [line for line in plain.splitlines() if line.split()[:3] == ["prediction", "target", "weight"]]
    assert len(headings) == (2 if width == 60 else 1)  # columns go on below, beside the rows again
    for peer in ("Keras", "PyTorch", "optax", "scikit-learn"):
        assert peer in plain


def test_explain_in_a_pipe_is_never_folded() -> None:
    _, _, piped = at_terminal("explain", "scce", stdout=False, changes={"COLUMNS": "40"})
    assert max(len(line) for line in piped.splitlines()) > 100
    assert "\x1b" not in piped
