"""`lossctl eval`: losses of predictions against targets, in one pass over the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, NamedTuple

from lossctl.cli import options as o
from lossctl.cli.groups import DataOptions, GateOptions, LossOptions, RunOptions, request_of
from lossctl.cli.slicing import SliceOptions
from lossctl.declarations import Option, OptionGroup
from lossctl.errors import UsageError

if TYPE_CHECKING:
    from lossctl.gates.gating import Gating
    from lossctl.requests import Request
    from lossctl.results import RunResult
    from lossctl.rows.inputs import InputFiles
    from lossctl.slices.plan import SlicePlan

HELP = """Compute the loss of predictions against targets.

Example: lossctl eval preds.npy labels.npy --loss bce

Both from one table: lossctl eval table.csv --pred-col 'p_*' --target-col label --loss scce

A loss with a further input: lossctl eval mean.npy y.npy --loss gaussian_nll --input var=variance.npy

Match rows by key: lossctl eval preds.csv labels.csv --on id --pred-col p --target-col y --loss bce

Targets are class names: lossctl eval table.csv --pred-col 'p_*' --target-col animal --classes cat,dog,eel --loss scce

Frameworks side by side: lossctl eval preds.npy labels.npy --loss bce --preset torch,keras

Also by group, and the worst rows: lossctl eval table.csv --pred-col p --target-col y --loss bce --by country --top 10

Fail if the loss is too large: lossctl eval preds.npy labels.npy --loss bce --fail-if 'bce > 0.35'
"""

Outputs = Annotated[
    list[str] | None,
    Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write the result in the format of the extension: .json, .jsonl, .csv, .tsv, .md, .txt, .tex, .parquet, "
        ".xml (JUnit), .prom, metrics.json. Repeatable.",
    ),
]
PerSample = Annotated[
    str | None,
    Option("--per-sample", metavar="FILE", help="Write the loss of each row to a .npy, .csv, .tsv or .parquet file."),
]
Gradient = Annotated[
    str | None,
    Option(
        "--grad",
        metavar="FILE",
        help="Write the gradient with respect to the predictions; formats as for --per-sample.",
    ),
]
ScoreOnly = Annotated[
    bool, Option("--score-only", "-b", help="Print only the number, one line per loss, whatever --format is.")
]


class EvaluationOptions(OptionGroup):
    """What is computed, and where it goes beside stdout."""

    loss: o.LossSpecs = None
    preset: o.Presets = None
    nonfinite: o.Nonfinite = "error"
    per_sample: PerSample = None
    grad: Gradient = None
    grad_input: o.GradInputs = None
    output: Outputs = None


def command(
    predictions: o.Predictions,
    targets: o.Targets = None,
    *,
    options: EvaluationOptions,
    data: DataOptions,
    losses: LossOptions,
    gates: GateOptions,
    slices: SliceOptions,
    format: o.Format = None,
    score_only: ScoreOnly = False,
    work: RunOptions,
) -> None:
    """See HELP."""
    from lossctl.cli.show import chosen_format, emit, telling_faults, warn

    shown = chosen_format(format)
    planned = plan(
        predictions,
        targets,
        options=options,
        data=data,
        losses=losses,
        gates=gates,
        slices=slices,
        work=work,
        shown=shown,
    )
    with telling_faults(shown, planned.outputs):
        run = planned.run()
    if not work.quiet:
        warn(run.warnings)
    if planned.gating is None:
        emit(run, shown, planned.outputs, score_only)
    else:
        from lossctl.cli.gating import deliver

        deliver(planned.gating, lambda: emit(run, shown, planned.outputs, score_only), work.quiet)


class PlannedEvaluation(NamedTuple):
    """An evaluation whose options make sense, before any of its data is read.

    `read` and `written` are its files; `outputs` are those for its result, which `run` does not write.
    """

    files: InputFiles
    request: Request
    gating: Gating | None
    slicing: SlicePlan | None
    outputs: Sequence[str]
    per_sample: str | None
    gradients: Mapping[str, str]
    read: Sequence[str]
    written: Sequence[str]
    progress: bool

    def run(self) -> RunResult:
        """What it finds, with the answers of its gates. Raises every error of an evaluation."""
        from lossctl.cli.work import evaluating

        with ExitStack() as stack:
            evaluation = stack.enter_context(evaluating(self.files, self.request, self.progress))
            losses_out, gradients_out = None, {}
            if self.per_sample or self.gradients:
                from lossctl.array_outputs import gradient_writers, per_sample_writer

                if self.per_sample:
                    losses_out = stack.enter_context(per_sample_writer(self.per_sample, evaluation))
                gradients_out = stack.enter_context(gradient_writers(self.gradients, evaluation))
            if self.gating is not None:
                self.gating.prepare(evaluation)
            if self.slicing is not None:
                self.slicing.prepare(evaluation, self.files, self.gating)
            run = evaluation.run(losses_out.write if losses_out else None)
            if self.gating is not None:
                run = self.gating.decide(run)
            if gradients_out:
                evaluation.gradients({of: writer.write for of, writer in gradients_out.items()})
        return run


def plan(
    predictions: str,
    targets: str | None = None,
    *,
    options: EvaluationOptions,
    data: DataOptions,
    losses: LossOptions,
    gates: GateOptions,
    slices: SliceOptions,
    work: RunOptions,
    shown: str = "",
) -> PlannedEvaluation:
    """What the options of an evaluation ask for, as `command` takes them; `shown` is the format for stdout.

    Raises UsageError for what makes no sense, DataError for a baseline or class weights that are wrong.
    """
    from lossctl.cli.work import losses_under
    from lossctl.files import plan_outputs
    from lossctl.outputs import DOCUMENTS, format_of

    outputs = options.output or []
    formats = {shown, *(format_of(path) for path in outputs)}
    specs, preset = losses_under(options.loss, options.preset)
    gating = gates.plan(specs)
    gradients = o.gradient_files(options.grad, options.grad_input)
    if len(specs) > 1 and gradients:
        if preset == options.preset:
            raise UsageError("--grad writes the gradient of one loss", hint="give one --loss")
        raise UsageError("--grad writes one gradient", hint="give one --preset")
    files = data.files(predictions, targets, options.nonfinite)
    slicing = slices.plan(gating)
    files = files if slicing is None else slicing.reading(files)
    kept = [] if gating is None or gating.baseline is None else [gating.baseline.path]
    read = [*files.paths, *losses.paths, *kept]
    written = [*outputs, *([] if options.per_sample is None else [options.per_sample]), *gradients.values()]
    plan_outputs(written, read)
    request = request_of(
        specs,
        files,
        losses,
        work,
        preset,
        gradients=tuple(gradients),
        nonfinite=options.nonfinite,
        compared=bool(kept) or not formats.isdisjoint(DOCUMENTS),
    )
    return PlannedEvaluation(
        files, request, gating, slicing, outputs, options.per_sample, gradients, read, written, work.progress
    )
