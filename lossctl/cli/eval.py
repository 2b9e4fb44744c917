"""`lossctl eval`: losses of predictions against targets, in one pass over the data."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

from lossctl.cli import options as o
from lossctl.cli.declarations import Option
from lossctl.errors import UsageError

HELP = """The loss of predictions against targets.

Example: lossctl eval preds.npy labels.npy --loss bce

One table with both: lossctl eval table.csv --pred-col 'p_*' --target-col label --loss scce
"""

Outputs = Annotated[
    list[str] | None,
    Option("--output", "-o", metavar="FILE", help="Write the result; .json, .csv, .tsv, .md, .txt. Repeatable."),
]
PerSample = Annotated[
    str | None, Option("--per-sample", metavar="FILE", help="Write the loss of each row; .npy, .csv, .tsv, .parquet.")
]
Gradient = Annotated[
    str | None, Option("--grad", metavar="FILE", help="Write the gradient of the loss; formats as --per-sample.")
]
ScoreOnly = Annotated[bool, Option("--score-only", "-b", help="Print the bare number, one a loss.")]


def command(
    predictions: o.Predictions,
    targets: o.Targets = None,
    loss: o.LossSpecs = None,
    pred_col: o.PredColumns = None,
    target_col: o.TargetColumns = None,
    weights: o.Weights = None,
    weight_col: o.WeightColumn = None,
    class_weights: o.ClassWeights = None,
    from_logits: o.FromLogits = False,
    preset: o.Preset = None,
    reduction: o.Reduction = "mean",
    denom: o.Denom = None,
    ignore_index: o.IgnoreIndex = None,
    log_base: o.LogBase = None,
    per_sample: PerSample = None,
    grad: Gradient = None,
    output: Outputs = None,
    format: o.Format = None,
    score_only: ScoreOnly = False,
    pred_format: o.PredFormat = None,
    target_format: o.TargetFormat = None,
    backend: o.BackendName = "auto",
    threads: o.Threads = None,
    chunk_rows: o.ChunkRows = None,
    quiet: o.Quiet = False,
    no_progress: o.NoProgress = False,
    debug: o.Debug = False,
) -> None:
    """See HELP."""
    from lossctl.cli.show import chosen_format, emit, warn
    from lossctl.cli.work import evaluating, input_files, known_losses
    from lossctl.files import plan_outputs
    from lossctl.outputs import format_of

    shown = chosen_format(format)
    outputs = output or []
    for path in outputs:
        format_of(path)
    specs = known_losses(loss)
    if len(specs) > 1 and grad is not None:
        raise UsageError("--grad writes the gradient of one loss", hint="give one --loss")
    files = input_files(predictions, targets, pred_col, target_col, weights, weight_col, pred_format, target_format)
    arrays = [path for path in (per_sample, grad) if path is not None]
    plan_outputs([*outputs, *arrays], [*files.paths, *([class_weights] if class_weights is not None else [])])

    from lossctl.evaluation import Request

    flags = o.flags_of(from_logits, preset, denom, ignore_index, log_base, class_weights)
    request = Request(specs, flags, reduction, backend, threads, chunk_rows, grad is not None)
    with ExitStack() as stack:
        evaluation = stack.enter_context(evaluating(files, request, not quiet and not no_progress))
        losses_out = gradient_out = None
        if arrays:
            from lossctl.extras import gradient_writer, per_sample_writer

            losses_out = stack.enter_context(per_sample_writer(per_sample, evaluation)) if per_sample else None
            gradient_out = stack.enter_context(gradient_writer(grad, evaluation)) if grad else None
        run = evaluation.run(losses_out.write if losses_out else None)
        if gradient_out:
            evaluation.gradient(evaluation.runs[0], gradient_out.write)
    if not quiet:
        warn(run.warnings)
    emit(run, shown, outputs, score_only)
