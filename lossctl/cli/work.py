"""What `eval` and `grad` both do with their options, before and around an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from lossctl.cli.options import comma_list

if TYPE_CHECKING:
    from lossctl.evaluation import Evaluation, Request
    from lossctl.inputs import InputFiles
    from lossctl.loss_spec import LossSpec

__all__ = ["evaluating", "input_files", "known_losses"]


def known_losses(texts: Sequence[str] | None) -> list[LossSpec]:
    """The SPECs, taken apart. Raises UsageError for a loss that does not exist, before any file is opened."""
    from lossctl.loss_spec import find, parse

    specs = [parse(text) for text in texts or []]
    for spec in specs:
        find(spec.name)
    return specs


def input_files(
    predictions: str,
    targets: str | None,
    pred_col: str | None,
    target_col: str | None,
    weights: str | None,
    weight_col: str | None,
    pred_format: str | None,
    target_format: str | None,
) -> InputFiles:
    """The inputs, with lists of columns taken apart."""
    from lossctl.inputs import InputFiles

    pred_columns, target_columns = comma_list(pred_col), comma_list(target_col)
    return InputFiles(
        predictions, targets, pred_columns, target_columns, weights, weight_col, pred_format, target_format
    )


@contextmanager
def evaluating(files: InputFiles, request: Request, show_progress: bool) -> Iterator[Evaluation]:
    """An evaluation of the opened files, with its progress bar; both are gone afterwards."""
    from lossctl.cli.progress import Progress
    from lossctl.evaluation import Evaluation
    from lossctl.inputs import open_feed

    with closing(open_feed(files)) as feed, Progress(feed.rows, show_progress) as progress:
        yield Evaluation(feed, request, progress)
