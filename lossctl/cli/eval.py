"""`lossctl eval`: losses of predictions against targets, in one pass over the data."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

from lossctl.cli import options as o
from lossctl.cli.declarations import Option
from lossctl.cli.groups import DataOptions, GateOptions, LossOptions, RunOptions, request_of
from lossctl.errors import UsageError

HELP = """The loss of predictions against targets.

Example: lossctl eval preds.npy labels.npy --loss bce

One table with both: lossctl eval table.csv --pred-col 'p_*' --target-col label --loss scce

A loss with a further input: lossctl eval mean.npy y.npy --loss gaussian_nll --input var=variance.npy

Files in different order: lossctl eval preds.csv labels.csv --on id --pred-col p --target-col y --loss bce

Names of classes: lossctl eval table.csv --pred-col 'p_*' --target-col animal --classes cat,dog,eel --loss scce

Frameworks side by side: lossctl eval preds.npy labels.npy --loss bce --preset torch,keras

Fail if it is too large: lossctl eval preds.npy labels.npy --loss bce --fail-if 'bce > 0.35'
"""

Outputs = Annotated[
    list[str] | None,
    Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write the result, in the format of the extension: .json, .jsonl, .csv, .tsv, .md, .txt, .tex, .parquet, "
        ".xml (JUnit), .prom, metrics.json. Repeatable.",
    ),
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
    *,
    loss: o.LossSpecs = None,
    preset: o.Presets = None,
    data: DataOptions,
    losses: LossOptions,
    nonfinite: o.Nonfinite = "error",
    gates: GateOptions,
    per_sample: PerSample = None,
    grad: Gradient = None,
    grad_input: o.GradInputs = None,
    output: Outputs = None,
    format: o.Format = None,
    score_only: ScoreOnly = False,
    work: RunOptions,
) -> None:
    """See HELP."""
    from lossctl.cli.show import chosen_format, emit, telling_faults, warn
    from lossctl.cli.work import evaluating, known_losses, under_presets
    from lossctl.files import plan_outputs
    from lossctl.outputs import format_of

    shown = chosen_format(format)
    outputs = output or []
    for path in outputs:
        format_of(path)
    specs = known_losses(loss)
    presets = o.preset_list(preset)
    if len(presets) > 1:
        specs, preset = under_presets(specs, presets), None
    gating = gates.plan(specs, work.quiet)
    gradients = o.gradient_files(grad, grad_input)
    if len(specs) > 1 and gradients:
        one = "--grad writes the gradient of one loss" if len(presets) < 2 else "--grad writes one gradient"
        raise UsageError(one, hint="give one --loss" if len(presets) < 2 else "give one --preset")
    files = data.files(predictions, targets, nonfinite)
    arrays = [*([] if per_sample is None else [per_sample]), *gradients.values()]
    kept = [] if gating is None or gating.baseline is None else [gating.baseline.path]
    plan_outputs([*outputs, *arrays], [*files.paths, *losses.paths, *kept])
    request = request_of(specs, files, losses, work, preset, gradients=tuple(gradients), nonfinite=nonfinite)
    with ExitStack() as stack:
        stack.enter_context(telling_faults(shown, outputs))
        evaluation = stack.enter_context(evaluating(files, request, work.progress))
        losses_out, gradients_out = None, {}
        if arrays:
            from lossctl.extras import gradient_writers, per_sample_writer

            losses_out = stack.enter_context(per_sample_writer(per_sample, evaluation)) if per_sample else None
            gradients_out = stack.enter_context(gradient_writers(gradients, evaluation))
        if gating is not None:
            gating.prepare(evaluation)
        run = evaluation.run(losses_out.write if losses_out else None)
        if gating is not None:
            run = gating.decide(run)
        if gradients_out:
            evaluation.gradients({of: writer.write for of, writer in gradients_out.items()})
    if not work.quiet:
        warn(run.warnings)
    if gating is None:
        emit(run, shown, outputs, score_only)
    else:
        gating.deliver(lambda: emit(run, shown, outputs, score_only))
