"""`lossctl compare`: several files of predictions against the same targets, row by row."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from lossctl.cli import options as o
from lossctl.cli.groups import DataOptions, LossOptions, RunOptions, request_of
from lossctl.declarations import Argument, Option
from lossctl.errors import UsageError, visible
from lossctl_kernels.numerals import number_of, whole_number_of

if TYPE_CHECKING:
    from lossctl.comparisons.results import ComparisonResult, Inference, Margin

HELP = """Test which of several models has the smaller loss, row by row.

Example: lossctl compare a.npy b.npy --targets labels.npy --loss bce

Test for equivalence within half a percent: lossctl compare a.npy b.npy --targets y.npy --loss bce --margin 0.5%

Several models: lossctl compare runs/*/preds.npy --targets labels.npy --loss bce --loss brier

Shows each difference with its confidence interval, p-values, and how many rows each model wins. The exit code is 0
whatever the outcome.
"""

Systems = Annotated[list[str], Argument(metavar="PREDS", help="Two or more prediction files.")]
Targets = Annotated[str | None, Option("--targets", "-t", metavar="FILE", help="File with the targets.")]
Tests = Annotated[
    str,
    Option("--test", metavar="NAMES", help="Tests: bootstrap, permutation, wilcoxon; the first one gives the verdict."),
]
Confidence = Annotated[
    str, Option("--confidence", metavar="LEVEL", help="Confidence level of the intervals and tests.")
]
Resamples = Annotated[str, Option("--resamples", metavar="N", help="Number of resamples of bootstrap and permutation.")]
Seed = Annotated[str, Option("--seed", metavar="N", help="Seed of the resamples; part of the signature.")]
MarginOption = Annotated[
    str | None,
    Option(
        "--margin",
        metavar="SIZE",
        help="Also test equivalence and non-inferiority within SIZE: 0.002, or 0.5% of the first loss.",
    ),
]
Format = Annotated[
    str | None,
    Option(
        "--format",
        metavar="FORMAT",
        help="Format on stdout: table, json, csv, tsv or markdown. By default table on a terminal, else tsv.",
        envvar="LOSSCTL_FORMAT",
    ),
]
Outputs = Annotated[
    list[str] | None,
    Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write the result in the format of the extension: .json, .csv, .tsv, .md, .txt. Repeatable.",
    ),
]


def command(
    systems: Systems,
    *,
    targets: Targets = None,
    loss: o.LossSpecs = None,
    test: Tests = "bootstrap,permutation",
    confidence: Confidence = "0.95",
    resamples: Resamples = "1000",
    seed: Seed = "0",
    margin: MarginOption = None,
    preset: o.Preset = None,
    data: DataOptions,
    losses: LossOptions,
    output: Outputs = None,
    format: Format = None,
    work: RunOptions,
) -> None:
    """See HELP."""
    from lossctl.cli.show import warn
    from lossctl.cli.work import known_losses, whole_inputs_of
    from lossctl.files import plan_outputs

    shown = _format(format)
    outputs = output or []
    for path in outputs:
        _format_of(path)
    inference = _inference(test, confidence, resamples, seed, margin)
    specs = known_losses(loss)
    if len(o.preset_list(preset)) > 1:
        raise UsageError("compare takes one preset", hint="eval prints several side by side")
    if targets is None:
        raise UsageError("compare needs targets", hint="--targets labels.npy; they may be a column of a table")
    files = data.files(systems[0], targets)
    plan_outputs(outputs, [*systems[1:], *files.paths, *losses.paths])

    from lossctl.cli.progress import Progress
    from lossctl.comparisons.comparison import Comparison
    from lossctl.comparisons.systems import check_systems, open_systems

    check_systems(systems)
    request = request_of(specs, files, losses, work, preset)
    whole = sorted(whole_inputs_of(files, specs))
    with (
        open_systems(systems, files, whole) as feed,
        Progress(feed.rows, work.progress) as progress,
    ):
        found = Comparison(feed, systems, request, inference, progress).run()
    if not work.quiet:
        warn(found.warnings)
    _emit(found, shown, outputs)


def _inference(test: str, confidence: str, resamples: str, seed: str, margin: str | None) -> Inference:
    from lossctl.comparisons.results import Inference

    return Inference(
        tuple(name.strip() for name in test.split(",")),
        _share("--confidence", confidence, "0.95"),
        _whole("--resamples", resamples),
        _whole("--seed", seed),
        None if margin is None else _margin(margin),
    )


def _margin(text: str) -> Margin:
    from lossctl.comparisons.results import Margin

    number = _share("--margin", text, "0.002, or 0.5% of the first value")
    return Margin(text.strip(), number, text.strip().endswith("%"))


def _share(option: str, text: str, example: str) -> float:
    """A number, or one of hundredths."""
    number = _number(option, text.strip().removesuffix("%"), example)
    return number / 100.0 if text.strip().endswith("%") else number


def _number(option: str, text: str, example: str) -> float:
    try:
        return number_of(text)
    except ValueError:
        raise UsageError(f"{option} is not a number: '{visible(text)}'", hint=f"{option} {example}") from None


def _whole(option: str, text: str) -> int:
    try:
        number = whole_number_of(text)
    except ValueError:
        number = -1
    if not 0 <= number < 10**20:
        raise UsageError(f"{option} is not a whole number from 0 up: '{visible(text)}'", hint=f"{option} 1000")
    return number


def _format(name: str | None) -> str:
    from lossctl.outputs.comparisons import FORMATS

    if name is None:
        return "table" if sys.stdout.isatty() else "tsv"
    if name not in FORMATS:
        raise UsageError(f"there is no format '{visible(name)}' here", hint=f"the formats are {', '.join(FORMATS)}")
    return name


def _format_of(path: str) -> str:
    """The format that an extension names. Raises UsageError for one that a comparison does not come in."""
    from lossctl.outputs import format_of

    return _format(format_of(path))


def _emit(found: ComparisonResult, shown: str, outputs: list[str]) -> None:
    """Writes the files that were asked for, then the result to stdout."""
    import shutil

    from lossctl.files import write_text
    from lossctl.outputs.comparisons import render

    for path in outputs:
        write_text(path, render(found, _format_of(path)))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    sys.stdout.write(render(found, shown, width))
    sys.stdout.flush()
