"""Batches that are run again: what is taken over, and what an interrupt leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.commands import Outcome, call, command, refused
from tests.cli.leaderboards import BCE, LABELS, MODELS, models


def resumed(*arguments: str) -> tuple[Outcome, dict[str, Any]]:
    found = call("batch", "runs/{model}/preds.npy", *BCE, "--resume", "board.json", *arguments)
    return found, json.loads(Path("board.json").read_text())


def test_a_second_run_takes_over_what_has_not_changed(runs: Path) -> None:
    first, document = resumed()
    assert (first.code, first.err, document["taken"], document["status"]) == (0, "", 0, "ok")
    second, document = resumed()
    assert (second.code, second.out, document["taken"]) == (0, first.out, 3)
    assert second.err == "lossctl: 3 of 3 files have not changed: their results are taken over\n"
    np.save("runs/b/preds.npy", np.load("runs/a/preds.npy"))
    (runs / "runs" / "d").mkdir()
    np.save("runs/d/preds.npy", np.load(LABELS) * 1.0)
    third, document = resumed()
    assert (third.code, document["taken"]) == (0, 2)
    assert models(third) == [("d", "1"), ("a", "2"), ("b", "2"), ("c", "4")]
    (runs / "runs" / "d" / "preds.npy").unlink()
    assert len(resumed()[1]["files"]) == 3


def test_files_that_failed_are_tried_again(runs: Path) -> None:
    whole = Path("runs/b/preds.npy").read_bytes()
    Path("runs/b/preds.npy").write_bytes(b"no")
    assert resumed()[0].code == 3
    Path("runs/b/preds.npy").write_bytes(whole)
    found, document = resumed()
    assert (found.code, document["taken"]) == (0, 2)


def test_another_command_or_other_targets_take_nothing_over(runs: Path) -> None:
    Path("y.npy").write_bytes(Path(LABELS).read_bytes())
    own = ("batch", "runs/*/preds.npy", "-t", "y.npy", "--resume", "board.json")
    assert call(*own, "-l", "bce").code == 0
    found = call(*own, "-l", "bce:eps=1e-3")
    assert found.err == "lossctl: warning: every file is evaluated: board.json is of another command or version\n"
    assert call(*own, "-l", "bce:eps=1e-3").err.startswith("lossctl: 3 of 3 files have not changed")
    np.save("y.npy", 1 - np.load("y.npy"))
    assert "other inputs are not those of board.json" in call(*own, "-l", "bce:eps=1e-3").err


def test_what_is_no_leaderboard_is_left_alone(runs: Path) -> None:
    Path("board.json").write_text('{"precious": true}')
    assert "board.json is no leaderboard to resume" in refused(
        3, "batch", "runs/*/preds.npy", *BCE, "--resume", "board.json"
    )


@pytest.mark.parametrize(("jobs", "ended"), [("1", signal.SIGINT), ("2", signal.SIGINT), ("2", signal.SIGTERM)])
def test_what_was_done_is_kept_by_an_interrupt(runs: Path, jobs: str, ended: signal.Signals) -> None:
    """The last file is a pipe that nobody writes to: the batch waits for it until it is interrupted."""
    (runs / "runs" / "z").mkdir()
    os.mkfifo(runs / "runs" / "z" / "preds.npy")
    words = command("batch", *(f"runs/{each}/preds.npy" for each in (*MODELS, "z")), *BCE, "--jobs", jobs)
    started = subprocess.Popen(
        [*words, "--resume", "board.json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    writer = _opened_for_writing(runs / "runs" / "z" / "preds.npy")
    try:
        started.send_signal(ended)
        out, err = started.communicate(timeout=60)
    finally:
        os.close(writer)
    assert (started.returncode, out) == (128 + ended, "")
    assert err == ("lossctl: interrupted\n" if ended == signal.SIGINT else "")
    document = json.loads(Path("board.json").read_text())
    done = len(document["files"])
    assert (document["status"], document["pending"]) == ("interrupted", 4 - done)
    # Another thread may still have been at work.
    assert done == 3 if jobs == "1" else 2 <= done <= 3
    assert not list(runs.glob(".lossctl*"))
    (runs / "runs" / "z" / "preds.npy").unlink()
    assert resumed()[1]["taken"] == done


def _opened_for_writing(pipe: Path) -> int:
    """A pipe that somebody has opened to read, which is when the file is being evaluated."""
    for _ in range(1200):
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.05)
    raise TimeoutError
