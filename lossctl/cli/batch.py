"""`lossctl batch`: many files of predictions against the same targets, best first."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from lossctl.cli import options as o
from lossctl.cli.groups import DataOptions, GateOptions, LossOptions, RunOptions, request_of
from lossctl.declarations import Argument, Option
from lossctl.errors import UsageError, visible

if TYPE_CHECKING:
    from lossctl.batches.batch import Batch
    from lossctl.batches.patterns import BatchFile
    from lossctl.batches.results import Leaderboard, Row
    from lossctl.batches.resume import Earlier
    from lossctl.gates.gating import Gating
    from lossctl.requests import Request
    from lossctl.rows.inputs import InputFiles

MOST_LINES = 20
"""Of a kind on stderr."""

HELP = """Rank many prediction files in a leaderboard.

Example: lossctl batch 'runs/*/preds.npy' --targets labels.npy --loss bce --loss brier

Columns from parts of the paths: lossctl batch 'runs/{model}/{seed}.npy' --targets labels.npy --loss bce

Resume after an interruption: lossctl batch 'runs/*.npy' -t labels.npy -l bce --resume board.json

Fail if any file is too bad: lossctl batch 'runs/*.npy' --targets labels.npy --loss bce --fail-if 'bce > 0.35'

Exit code 3 if a file could not be evaluated (4 if the environment was the cause), 1 if a gate failed.
"""

Patterns = Annotated[
    list[str],
    Argument(metavar="PATTERN", help="Prediction files: names, globs, or patterns such as 'runs/{model}/preds.npy'."),
]
Targets = Annotated[
    str | None,
    Option(
        "--targets",
        "-t",
        metavar="FILE",
        help="File with the targets. Without it, they are the --target-col of each table.",
    ),
]
Sort = Annotated[str | None, Option("--sort", metavar="SPEC", help="Loss to rank by, by default the first.")]
Jobs = Annotated[
    int | None,
    Option(
        "--jobs",
        "-j",
        metavar="N",
        help="Number of files evaluated at a time; they share --threads.",
        envvar="LOSSCTL_JOBS",
    ),
]
KeepGoing = Annotated[
    bool, Option("--keep-going", "-k", help="Treat failed files as warnings: exit with code 0 unless all fail.")
]
Resume = Annotated[
    str | None,
    Option(
        "--resume",
        metavar="FILE",
        help="Reuse the results of unchanged files in this leaderboard (.json), and update it.",
    ),
]
Outputs = Annotated[
    list[str] | None,
    Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write the leaderboard in the format of the extension: .json, .jsonl, .csv, .tsv, .md, .txt, .tex, "
        ".parquet, .xml (JUnit), .prom. Repeatable.",
    ),
]


Format = Annotated[
    str | None,
    Option(
        "--format",
        metavar="FORMAT",
        help="Format on stdout: table, json, jsonl, csv, tsv, markdown, latex, parquet, junit or openmetrics. By "
        "default table on a terminal, else tsv.",
        envvar="LOSSCTL_FORMAT",
    ),
]


def command(
    patterns: Patterns,
    *,
    targets: Targets = None,
    loss: o.LossSpecs = None,
    preset: o.Presets = None,
    sort: Sort = None,
    jobs: Jobs = None,
    keep_going: KeepGoing = False,
    resume: Resume = None,
    data: DataOptions,
    losses: LossOptions,
    nonfinite: o.Nonfinite = "error",
    gates: GateOptions,
    output: Outputs = None,
    format: Format = None,
    work: RunOptions,
) -> None:
    """See HELP."""
    shown, outputs = _known_outputs(format, output or [])
    files, request, gating, read = _requested(targets, loss, preset, data, losses, nonfinite, gates, work)

    from lossctl.batches.batch import Batch
    from lossctl.batches.inputs import SharedInputs
    from lossctl.batches.patterns import fields_of
    from lossctl.batches.planning import chosen_jobs, sorting_loss
    from lossctl.batches.results import conclude
    from lossctl.batches.resume import asked_of
    from lossctl.cli.progress import Progress
    from lossctl.cli.show import telling_faults
    from lossctl.cli.work import whole_inputs_of

    place = sorting_loss(sort, request.specs)
    found, warnings = _found(patterns, request, files, [*outputs, *([] if resume is None else [resume])], read)
    number = chosen_jobs(jobs, len(found), request.backend)
    asked = asked_of(request, files, {name: getattr(gates, name) for name in type(gates).__annotations__}, read)
    earlier, why_none = _earlier(resume, asked)
    facts = {"fields": fields_of(found), "request": asked, "warnings": (*warnings, *why_none)}
    with (
        telling_faults(shown, outputs),
        closing(SharedInputs(files, whole_inputs_of(files, request.specs))) as shared,
        Progress(len(found), work.progress, "files") as progress,
    ):
        todo = Batch(found, shared, request, jobs=number, earlier=earlier, gating=gating, progress=progress)
        board = _board(todo, place, resume, facts)
    _tell(board, keep_going, work.quiet)
    verdict = partial(conclude, board, keep_going, gates.strict_gates)
    _deliver(board, shown, outputs, resume, verdict, work.quiet)


def _known_outputs(format: str | None, outputs: list[str]) -> tuple[str, list[str]]:
    """The format for stdout, and the files to write. Raises UsageError for a format that a leaderboard has not."""
    from lossctl.outputs.leaderboards import chosen

    for path in outputs:
        chosen(path)
    return chosen(None, format or ("table" if sys.stdout.isatty() else "tsv")), outputs


def _requested(
    targets: str | None,
    loss: list[str] | None,
    preset: str | None,
    data: DataOptions,
    losses: LossOptions,
    nonfinite: str,
    gates: GateOptions,
    work: RunOptions,
) -> tuple[InputFiles, Request, Gating | None, list[str]]:
    """The inputs beside the predictions, what is computed of each file, its gates, and the paths of all that is read.

    Raises UsageError.
    """
    from lossctl.cli.work import losses_under

    specs, preset = losses_under(loss, preset)
    gating = gates.plan(specs)
    sliced = next((gate.text for gate in gating.gates if gate.slicings), None) if gating is not None else None
    if sliced is not None:
        raise UsageError(f"gate '{visible(sliced)}': batch has no slices", hint="lossctl eval has, a file at a time")
    if targets is None and data.target_col is None:
        hint = "--targets labels.npy, or --target-col where each table has its own"
        raise UsageError("batch needs targets", hint=hint)

    from lossctl.batches.inputs import EACH_FILE
    from lossctl.batches.planning import check_request

    files = data.files(EACH_FILE, targets, nonfinite)
    kept = [] if gating is None or gating.baseline is None else [gating.baseline.path]
    request = request_of(specs, files, losses, work, preset, nonfinite=nonfinite, compared=bool(kept))
    check_request(request)
    return files, request, gating, [*(path for path in files.paths if path != EACH_FILE), *losses.paths, *kept]


def _found(
    patterns: list[str], request: Request, files: InputFiles, written: list[str], read: list[str]
) -> tuple[list[BatchFile], list[str]]:
    """The files of predictions, and warnings of them. Raises UsageError where one of them would be written."""
    from lossctl.batches.patterns import find_files
    from lossctl.batches.planning import taken_names, targets_among
    from lossctl.files import plan_outputs

    found, warnings = find_files(patterns, taken_names(request.specs))
    plan_outputs(written, [*read, *(file.path for file in found)])
    return found, [*warnings, *targets_among(found, files)]


def _earlier(resume: str | None, asked: Mapping[str, str | None]) -> tuple[Earlier | None, list[str]]:
    """The leaderboard to resume, and a warning where nothing of it can be used. Raises DataError."""
    if resume is None:
        return None, []
    from lossctl.batches.resume import read_earlier

    earlier = read_earlier(resume, asked)
    return earlier, [f"every file is evaluated: {earlier.why_not}"] if earlier.why_not else []


def _board(todo: Batch, place: int, resume: str | None, facts: dict[str, Any]) -> Leaderboard:
    """The leaderboard; where it is interrupted, what there is of it is kept for the next time."""
    if resume is None:
        todo.run()
        return todo.board(place, **facts)
    from lossctl.batches.resume import write_leaderboard

    def keep() -> None:
        write_leaderboard(resume, todo.board(place, **facts))

    try:
        todo.run(keep)
    except BaseException:
        keep()
        raise
    return todo.board(place, **facts)


def _tell(board: Leaderboard, keep_going: bool, quiet: bool) -> None:
    """Warnings, what went wrong and which gates are not passed, on stderr; quiet leaves only what decides the code."""
    from lossctl.outputs.leaderboards import said_of, told_gates

    warnings = [*board.warnings, *(_of(row, warning) for row in board.rows for warning in row.warnings)]
    gates = [(row, line) for row in board.rows for line in told_gates(row)]
    failures = [_of(row, said_of(row)) for row in board.failed]
    if not quiet:
        _say_most([f"warning: {warning}" for warning in warnings], "warnings")
    _say_most([f"{row.path}: {line}" for row, line in gates if not quiet or line.startswith("fail")], "gates")
    if keep_going and not quiet:
        _say_most([f"warning: {failure}" for failure in failures], "failures")
    if not keep_going:
        _say_most(failures, "failures")
    if board.taken and not quiet:
        _say(f"{board.taken} of {len(board.rows)} files have not changed: their results are taken over")


def _of(row: Row, message: str) -> str:
    """A message with the file that it is about, which most of them name by themselves."""
    return message if visible(row.path) in message else f"{row.path}: {message}"


def _deliver(
    board: Leaderboard, shown: str, outputs: Sequence[str], resume: str | None, verdict: Callable[[], str], quiet: bool
) -> None:
    """Writes the files that were asked for, then the leaderboard to stdout; says last what it means."""
    from lossctl.batches.resume import write_leaderboard
    from lossctl.outputs.leaderboards import deliver, encoded, render

    if resume is not None:
        write_leaderboard(resume, board)
    deliver(board, outputs)
    gone = None
    try:
        if shown == "parquet":
            sys.stdout.buffer.write(encoded(board, shown))
        else:
            sys.stdout.write(render(board, shown, sys.stdout))
        sys.stdout.flush()
    except BrokenPipeError as error:  # who reads stdout has no part in the verdict
        gone = error
    told = verdict()
    if told and not quiet:
        _say(told)
    if gone is not None:
        raise gone


def _say_most(lines: Sequence[str], what: str) -> None:
    """The first of many lines: all of them are in the leaderboard."""
    for line in lines[:MOST_LINES]:
        _say(line)
    if len(lines) > MOST_LINES:
        _say(f"{len(lines) - MOST_LINES} more {what} are told by -o FILE.json")


def _say(line: str) -> None:
    from lossctl.cli.show import tell

    tell([f"lossctl: {visible(line, 2000)}"])
