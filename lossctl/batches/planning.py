"""What is settled about a batch before any of its files is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lossctl.backends import BACKENDS, choose, usable_threads
from lossctl.batches.patterns import BatchFile
from lossctl.batches.resume import state_of
from lossctl.catalogue.loss_spec import LossSpec, Shapes, find, parse, settle
from lossctl.errors import UsageError, visible
from lossctl.memory import available_bytes
from lossctl.outputs.leaderboards import RESERVED

if TYPE_CHECKING:
    from lossctl.requests import Request
    from lossctl.rows.inputs import InputFiles

BYTES_OF_A_JOB = 256 << 20
"""More than one evaluation holds: a few chunks of each array, and the text or pages that they come from."""

MOST_JOBS = 64


def check_request(request: Request) -> None:
    """Raises UsageError for what no file could make right: a loss that is given twice, options, numbers of threads."""
    choose(request.backend if request.backend not in BACKENDS else "python", 0, request.threads)
    texts = [spec.text for spec in request.specs]
    for position, spec in enumerate(request.specs):
        if spec.text in texts[:position]:
            raise UsageError(f"the loss '{visible(spec.text)}' is given twice", hint="give it once")
        # Which of several losses a name means, the shapes of the data decide.
        if len(find(spec.name)) == 1:
            settle(spec, request.flags, Shapes((), ()))


def taken_names(specs: Sequence[LossSpec]) -> list[str]:
    """What a column of the leaderboard is called already."""
    return [*RESERVED, *(loss.name for spec in specs for loss, _ in find(spec.name))]


def sorting_loss(text: str | None, specs: Sequence[LossSpec]) -> int:
    """Which of the losses ranks: the first, or the one that `text` names. Raises UsageError for another."""
    if text is None:
        return 0
    wanted = parse(text)
    spelled = [position for position, spec in enumerate(specs) if spec.text == wanted.text]
    named = [position for position, spec in enumerate(specs) if not wanted.options and spec.name == wanted.name]
    for found in (spelled, named):
        if len(found) == 1:
            return found[0]
    told = ", ".join(visible(spec.text) for spec in specs)
    raise UsageError(f"--sort '{visible(text)}' is not one of the losses", hint=f"they are {told}")


def chosen_jobs(asked: int | None, files: int, backend: str = "auto") -> int:
    """How many files are evaluated at a time: as many as were asked for, else as there are processors and memory for.

    A GPU has one at a time. Raises UsageError for a number that does not exist.
    """
    if asked is not None:
        if not 1 <= asked <= MOST_JOBS:
            raise UsageError(f"--jobs must be from 1 to {MOST_JOBS}, found {asked}")
        return min(asked, max(1, files))
    if backend == "cuda":
        return 1
    room = available_bytes()
    by_memory = MOST_JOBS if room is None else max(1, room // 2 // BYTES_OF_A_JOB)
    return max(1, min(usable_threads(), by_memory, files, MOST_JOBS))


def targets_among(files: Sequence[BatchFile], inputs: InputFiles) -> list[str]:
    """Warnings about predictions that are the targets, as a glob may have it: nothing is better than they are."""
    state = None if inputs.targets is None else state_of(inputs.targets)
    if state is None or inputs.pred_columns != inputs.target_columns:
        return []
    same = [file for file in files if state_of(file.path) == state]
    return [f"{visible(file.path)} is the file of targets: it is compared with itself" for file in same]
