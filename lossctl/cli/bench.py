"""`lossctl bench`: how fast this machine computes each loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from lossctl.cli import options as o
from lossctl.declarations import Option
from lossctl.errors import UsageError
from lossctl.sources.base import shape_text

if TYPE_CHECKING:
    from lossctl.throughput import Throughput

HELP = """Measure how fast this machine computes losses and gradients.

Example: lossctl bench --loss bce --loss scce:input=logit

Measures typical data of each loss in memory; without --loss, every loss in its default form. Each loss is compiled
first and run several times; the median is reported. GB/s counts the bytes of predictions, targets and further inputs.
"""

Values = Annotated[int, Option("--values", metavar="N", help="Approximate number of predicted values.")]
Precision = Annotated[str, Option("--dtype", metavar="NAME", help="float32 or float64.")]

LEAST_VALUES, MOST_VALUES = 1, 1 << 28


def command(
    loss: o.LossSpecs = None,
    values: Values = 1 << 22,
    dtype: Precision = "float32",
    backend: o.BackendName = "cpu",
    threads: o.Threads = None,
    format: o.RowsFormat = None,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """See HELP."""
    from dataclasses import asdict

    from lossctl.cli.progress import Progress
    from lossctl.cli.text import print_rows
    from lossctl.cli.work import known_losses

    wanted = o.rows_format(format)
    o.one_of("--dtype", dtype, ("float32", "float64"))
    if not LEAST_VALUES <= values <= MOST_VALUES:
        raise UsageError(f"--values must be from {LEAST_VALUES} to {MOST_VALUES}, found {values}")
    specs = known_losses(loss)

    from lossctl.catalogue.loss_spec import parse
    from lossctl.throughput import measure
    from lossctl_kernels import LOSSES

    specs = specs or [parse(name) for name in LOSSES]
    found: list[Throughput] = []
    with Progress(len(specs), not quiet, "losses") as progress:
        for position, spec in enumerate(specs):
            progress(position)
            found.append(measure(spec, values, dtype, backend, threads))
    print_rows([asdict(each) if wanted == "json" else _row(each) for each in found], wanted)


def _row(found: Throughput) -> dict[str, str]:
    both = found.gradient_seconds
    return {
        "name": found.spec,
        "shape": shape_text((found.values,) if found.width == 1 else (found.values // found.width, found.width)),
        "ms": f"{found.seconds * 1e3:.3g}",
        "M values/s": _millions(found.values, found.seconds),
        "GB/s": f"{found.bytes / found.seconds / 1e9:.3g}",
        "ms with gradient": "" if both is None else f"{both * 1e3:.3g}",
        "backend": found.backend,
    }


def _millions(values: int, seconds: float) -> str:
    return f"{values / seconds / 1e6:.4g}"
