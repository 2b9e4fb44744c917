"""What people are shown, before it is laid out: rounded numbers, in columns, nothing that says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

from lossctl.errors import visible
from lossctl.outputs.labels import changed_options
from lossctl.results import GradientResult, GradientStatistics, LossResult, RunResult, Statistics
from lossctl.sources.base import shape_text
from lossctl_kernels.records import field_names


@dataclass(frozen=True, slots=True)
class Column:
    """One column: a title and a cell a row. Numbers are set flush right, text flush left.

    What is `verbatim` has its title and its cells from the data.
    """

    title: str
    cells: tuple[str, ...]
    numeric: bool = False
    verbatim: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One table: its columns, and under it the signature of each row; what it is of, and what is not in it."""

    columns: tuple[Column, ...]
    signatures: tuple[str, ...]
    title: str = ""
    note: str = ""


def sections(run: RunResult) -> list[Section]:
    """The losses of a run, then its gradients, each where there are any."""
    found = []
    if run.results:
        found.append(Section(_loss_columns(run.results), tuple(r.signature for r in run.results)))
    if run.gradients:
        found.append(Section(_gradient_columns(run.gradients), tuple(g.signature for g in run.gradients)))
    return found


def details(run: RunResult, *, cut: bool = False) -> list[Section]:
    """The slices and the worst rows of a run, where any were asked for; with `cut` as many as people see."""
    if not any(result.slices or result.worst for result in run.results):
        return []
    from lossctl.outputs.slices import detail_sections

    return detail_sections(run, cut=cut)


def significant(value: float) -> str:
    """`value` with six significant digits: 0.0734213, 1e-12, inf. Small numbers never become 0."""
    return f"{float(value):.6g}"


def count(value: int) -> str:
    """A count with its thousands apart."""
    return f"{int(value):,}"


_COUNTS = {"non-finite": "nonfinite", "skipped": "skipped", "clipped": "clipped", "degenerate": "degenerate"}
_STATISTICS = ("std_error", "ci_low", "ci_high", "min", "p50", "p90", "p95", "p99", "max", "argmax")


def _loss_columns(results: tuple[LossResult, ...]) -> tuple[Column, ...]:
    columns = [
        Column("loss", tuple(visible(r.loss) for r in results)),
        Column("value", tuple(significant(r.value) for r in results), numeric=True),
        Column("unit", tuple(r.unit for r in results)),
        Column("samples", tuple(count(r.samples) for r in results), numeric=True),
    ]
    if any(r.weight != r.samples for r in results):
        columns.append(Column("weight", tuple(significant(r.weight) for r in results), numeric=True))
    for title, name in _COUNTS.items():
        # A count of zero is nothing to tell.
        counts = tuple(getattr(r, name) for r in results)
        columns.append(Column(title, tuple(count(n) if n else "" for n in counts), numeric=True))
    for name in _STATISTICS:
        cells = tuple(_statistic(r.stats, name) for r in results)
        columns.append(Column(name.replace("_", " "), cells, numeric=True))
    columns.append(Column("options", tuple(_loss_options(r) for r in results)))
    return _told(columns)


def _gradient_columns(gradients: tuple[GradientResult, ...]) -> tuple[Column, ...]:
    columns = [
        Column("loss", tuple(visible(g.loss) for g in gradients)),
        Column("wrt", tuple(visible(g.wrt) for g in gradients)),
        Column("scale", tuple("" if g.scale == "reported" else visible(g.scale) for g in gradients)),
        Column("shape", tuple(shape_text(g.shape) for g in gradients)),
        Column("dtype", tuple(g.dtype for g in gradients)),
    ]
    for name in field_names(GradientStatistics):
        title = "non-finite" if name == "nonfinite" else name
        cells = tuple(_rounded(getattr(g.stats, name)) for g in gradients)
        columns.append(Column(title, cells, numeric=True))
    columns.append(Column("file", tuple(visible(g.path, limit=4096) for g in gradients)))
    columns.append(Column("options", tuple(changed_options(g.options, g.changed) for g in gradients)))
    return _told(columns)


def _told(columns: list[Column]) -> tuple[Column, ...]:
    """The columns that have something to say."""
    return tuple(column for column in columns if any(column.cells))


def _statistic(stats: Statistics | None, name: str) -> str:
    """A statistic of a result, empty where it has none."""
    value = getattr(stats, name, None)
    return "" if value is None else _rounded(value)


def _rounded(value: float) -> str:
    """A statistic: a row number or a count as it is, a measure with six digits."""
    return str(int(value)) if isinstance(value, Integral) else significant(value)


def _loss_options(result: LossResult) -> str:
    """What makes this number another than the loss's plain mean."""
    given = changed_options(result.options, result.changed)
    return given if result.reduction == "mean" else f"{given} reduction={result.reduction}".lstrip()
