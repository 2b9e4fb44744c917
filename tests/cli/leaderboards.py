"""Batches for tests: files of three models, and what a leaderboard says of them."""

from __future__ import annotations

import csv
import io
import subprocess
from pathlib import Path

import numpy as np

from tests.cli.commands import SAMPLES, Outcome

LABELS = str(SAMPLES / "binary" / "labels.npy")
BCE = ("--targets", LABELS, "--loss", "bce")
MODELS = {"a": 1.0, "b": 0.5, "c": 0.8}


def records(outcome: Outcome | subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    text = outcome.out if isinstance(outcome, Outcome) else outcome.stdout
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def models(outcome: Outcome) -> list[tuple[str, str]]:
    return [(each["model"], each["rank"]) for each in records(outcome)]


def with_runs(folder: Path) -> Path:
    """The folder, with predictions of each model in it."""
    logits = np.load(SAMPLES / "binary" / "logits.npy").astype(np.float64)
    for name, scale in MODELS.items():
        (folder / "runs" / name).mkdir(parents=True)
        np.save(folder / "runs" / name / "preds.npy", 1.0 / (1.0 + np.exp(-scale * logits)))
    return folder
