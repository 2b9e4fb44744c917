"""`lossctl grad`: the gradient of a loss to a file, its statistics on stdout."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Annotated

from lossctl.cli import options as o
from lossctl.cli.declarations import Option
from lossctl.errors import UsageError

HELP = """The gradient of the loss with respect to each prediction, or to a further input.

Example: lossctl grad preds.npy labels.npy --loss bce -o gradient.npy
"""

Output = Annotated[
    str | None, Option("--output", "-o", metavar="FILE", help="The gradient; .npy, .csv, .tsv or .parquet.")
]


def command(
    predictions: o.Predictions,
    targets: o.Targets = None,
    loss: o.LossSpecs = None,
    output: Output = None,
    pred_col: o.PredColumns = None,
    target_col: o.TargetColumns = None,
    weights: o.Weights = None,
    weight_col: o.WeightColumn = None,
    class_weights: o.ClassWeights = None,
    input: o.Inputs = None,
    input_col: o.InputColumns = None,
    input_format: o.InputFormats = None,
    grad_input: o.GradInputs = None,
    from_logits: o.FromLogits = False,
    preset: o.Preset = None,
    reduction: o.Reduction = "mean",
    denom: o.Denom = None,
    ignore_index: o.IgnoreIndex = None,
    log_base: o.LogBase = None,
    format: o.Format = None,
    pred_format: o.PredFormat = None,
    target_format: o.TargetFormat = None,
    on: o.On = None,
    missing: o.Missing = "error",
    classes: o.Classes = None,
    nonfinite: o.Nonfinite = "error",
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

    shown = chosen_format(format)
    gradients = o.gradient_files(output, grad_input)
    if not gradients:
        raise UsageError("grad writes a file, and none is named", hint="-o gradient.npy")
    if len(loss or []) != 1:
        raise UsageError(f"grad takes one loss, found {len(loss or [])}", hint="name it with --loss")
    specs = known_losses(loss)
    if len(o.preset_list(preset)) > 1:
        raise UsageError("grad takes one preset", hint="eval prints several side by side")
    files = input_files(
        predictions=predictions,
        targets=targets,
        pred_col=pred_col,
        target_col=target_col,
        weights=weights,
        weight_col=weight_col,
        input=input,
        input_col=input_col,
        input_format=input_format,
        pred_format=pred_format,
        target_format=target_format,
        on=on,
        missing=missing,
        classes=classes,
        nonfinite=nonfinite,
    )
    plan_outputs(gradients.values(), [*files.paths, *([class_weights] if class_weights is not None else [])])

    from lossctl.evaluation import Request
    from lossctl.extras import GradientSummary, gradient_writers

    flags = o.flags_of(from_logits, preset, denom, ignore_index, log_base, class_weights)
    request = Request(specs, flags, reduction, backend, threads, chunk_rows, tuple(gradients), nonfinite, files.options)
    with ExitStack() as stack:
        evaluation = stack.enter_context(evaluating(files, request, not quiet and not no_progress))
        writers = stack.enter_context(gradient_writers(gradients, evaluation))
        summaries = {of: GradientSummary(writer) for of, writer in writers.items()}
        run = evaluation.run()
        evaluation.gradients({of: summary.write for of, summary in summaries.items()})
    if not quiet:
        warn(run.warnings)
    found = tuple(summary.result(evaluation, of) for of, summary in summaries.items())
    emit(replace(run, results=(), gradients=found), shown, [])
