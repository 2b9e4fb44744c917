"""`lossctl grad`: the gradient of a loss to a file, its statistics on stdout."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

from lossctl.cli import options as o
from lossctl.cli.groups import DataOptions, LossOptions, RunOptions, request_of
from lossctl.declarations import Option
from lossctl.errors import UsageError
from lossctl_kernels.records import replace

HELP = """Write the gradient of the loss with respect to the predictions.

Example: lossctl grad preds.npy labels.npy --loss bce -o gradient.npy
"""

Output = Annotated[
    str | None, Option("--output", "-o", metavar="FILE", help="File for the gradient: .npy, .csv, .tsv or .parquet.")
]


def command(
    predictions: o.Predictions,
    targets: o.Targets = None,
    *,
    loss: o.LossSpecs = None,
    output: Output = None,
    grad_input: o.GradInputs = None,
    preset: o.Preset = None,
    data: DataOptions,
    losses: LossOptions,
    nonfinite: o.Nonfinite = "error",
    format: o.Format = None,
    work: RunOptions,
) -> None:
    """See HELP."""
    from lossctl.cli.show import chosen_format, emit, warn
    from lossctl.cli.work import evaluating, known_losses
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
    files = data.files(predictions, targets, nonfinite)
    plan_outputs(gradients.values(), [*files.paths, *losses.paths])
    request = request_of(specs, files, losses, work, preset, gradients=tuple(gradients), nonfinite=nonfinite)

    from lossctl.array_outputs import GradientSummary, gradient_writers

    with ExitStack() as stack:
        evaluation = stack.enter_context(evaluating(files, request, work.progress))
        writers = stack.enter_context(gradient_writers(gradients, evaluation))
        summaries = {of: GradientSummary(writer) for of, writer in writers.items()}
        run = evaluation.run()
        evaluation.gradients({of: summary.write for of, summary in summaries.items()})
    if not work.quiet:
        warn(run.warnings)
    found = tuple(summary.result(evaluation, of) for of, summary in summaries.items())
    emit(replace(run, results=(), gradients=found), shown, [])
