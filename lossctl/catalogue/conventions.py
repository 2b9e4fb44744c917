"""What each framework's preset makes of a few small rows, side by side with the plain loss.

The rows are the first numbers of fixed lists that lie in the domains of a loss, so that a new loss has some without a
word. They have unequal weights, because that is where the frameworks' means differ, and touch the ends of a domain,
because that is where they clip.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossctl.catalogue.loss_spec import parse, spec_of
from lossctl.catalogue.reference import PEER_NAMES
from lossctl.errors import UsageError
from lossctl.results import spelled
from lossctl_kernels import Loss, Scope
from lossctl_kernels.domains import LOG_PROBABILITY, Domain, TargetKind
from lossctl_kernels.facts import InputShape, Pooling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PREDICTIONS = (0.8, 2.0, -1.0, 0.3, 0.0, 3.0, -0.5, 0.1, 1.0, -2.0)
TARGETS = (1.0, 0.0, 2.0, -1.0, 1.0, 3.0, 0.5, -0.25, 4.0)
SHARES = ((0.7, 0.2, 0.1), (0.1, 0.6, 0.3), (0.0, 0.5, 0.5))
POSSIBLE_SHARES = ((0.7, 0.2, 0.1), (0.1, 0.6, 0.3), (0.25, 0.5, 0.25))
TRUE_SHARES = ((1.0, 0.0, 0.0), (0.0, 0.75, 0.25), (1.0, 0.0, 0.0))
CLASSES = (0, 2, 0)
LABELS = ((0, 2, -1), (1, -1, -1), (2, 0, -1))
EMBEDDINGS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.6, 0.8, 0.0))
SEQUENCES = ((1, 2), (2, 0), (1, 1))
WEIGHTS = (1.0, 2.0, 1.0)
ROWS, WIDTH, FRAMES = 3, 3, 4
LONGEST_SHOWN = 6


@dataclass(frozen=True)
class Rows:
    """A few rows of data for one loss in one form; `inputs` are the further arrays that it needs, by name."""

    prediction: NDArray[np.float64]
    target: NDArray[Any]
    inputs: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class SideBySide:
    """Losses of the same rows without a preset and with each: a column each, a line each row, and one for their mean.

    `form` is the `input` of the predictions; `titles` and `lines` have one entry a column, all of them text.
    """

    form: str
    titles: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def small_rows(loss: Loss, form: str) -> Rows:
    """Three rows in the domains of a loss whose predictions are in this form, all options left alone."""
    import numpy as np

    settled = loss.settled(_defaults(loss))
    shape = _shape(settled)
    labels_on_both_sides = not loss.has_gradient and settled.scope is Scope.ELEMENT and loss.pooling is Pooling.MEAN
    candidates = TARGETS[::2] if labels_on_both_sides else PREDICTIONS
    prediction = _numbers(settled.forms[form].prediction, candidates, shape)
    if settled.target_kind is TargetKind.GROUP:
        prediction = np.array(EMBEDDINGS)
    inputs = {}
    for name, facts in loss.inputs.items():
        if not facts.optional:
            like = shape if facts.shape is InputShape.LIKE_PREDICTION else (ROWS,)
            array = _numbers(facts.domain, PREDICTIONS[::-1], like)
            inputs[name] = array.astype(np.int64) if facts.integer else array
    return Rows(prediction, _targets(settled, shape), inputs)


def _shape(loss: Loss) -> tuple[int, ...]:
    if loss.target_kind is TargetKind.SEQUENCE:
        return ROWS, FRAMES, WIDTH
    return (ROWS,) if loss.scope in (Scope.ELEMENT, Scope.DATASET) and "scope" not in loss.options else (ROWS, WIDTH)


def _targets(loss: Loss, shape: tuple[int, ...]) -> NDArray[Any]:
    import numpy as np

    if loss.target_kind is TargetKind.DISTRIBUTION:
        return np.array(TRUE_SHARES)
    if loss.target_kind is TargetKind.SAME:
        return _numbers(loss.target, TARGETS, shape)
    classes = {TargetKind.LABELS: LABELS, TargetKind.SEQUENCE: SEQUENCES}
    return np.array(classes.get(loss.target_kind, CLASSES))


def _numbers(domain: Domain, candidates: Iterable[float], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The first of the candidates that lie in the domain, over and over; rows of shares where each must be one."""
    import numpy as np

    if domain.rows_sum_to_one:
        return np.array(SHARES)
    if domain == LOG_PROBABILITY and len(shape) > 1:
        return np.resize(np.round(np.log(POSSIBLE_SHARES), 3), shape)
    low, high = domain.bounds()
    allowed = [x for x in candidates if low <= x <= high and (not domain.labels or x in domain.labels)]
    return np.resize(np.array(allowed), shape)


def _defaults(loss: Loss) -> dict[str, Any]:
    from lossctl_kernels.options import default_of, option_names

    return {name: default_of(loss, name) for name in option_names(loss)} | loss.required


def side_by_side(loss: Loss) -> list[SideBySide]:
    """What the presets of the frameworks that have a loss make of it, for each form in which one changes a number."""
    found = (_compared(loss, form) for form in loss.forms)
    return [table for table in found if table is not None]


def _peers(loss: Loss, form: str) -> list[str]:
    """The frameworks that have a loss for predictions in this form: its names there say so, or the preset."""
    usual = next(iter(loss.forms))
    found = []
    for peer, facts in loss.presets.items():
        said = [parse(alias).options.get("input") for alias in loss.aliases.get(peer, ())]
        if form in [taken or facts.get("input", usual) for taken in said]:
            found.append(peer)
    return found


def _compared(loss: Loss, form: str) -> SideBySide | None:
    peers = _peers(loss, form)
    if not peers:
        return None
    data = small_rows(loss, form)
    columns = [_column(loss, form, data, peer) for peer in (None, *peers)]
    if all(column == columns[0] for column in columns):
        return None
    arrays = (data.prediction, data.target, *data.inputs.values())
    given = [[*_column_of(array), ""] for array in arrays] + [[*(spelled(weight) for weight in WEIGHTS), ""]]
    given[0][-1] = "mean" if any(columns[0][:ROWS]) else "all"
    titles = ("prediction", "target", *data.inputs, "weight", "no preset", *(PEER_NAMES[peer] for peer in peers))
    return SideBySide(form, titles, tuple(zip(*given, *columns, strict=True)))


def _column_of(array: NDArray[Any]) -> list[str]:
    """The rows of an array as text: "0.7 0.2 0.1", and the start of a row of many numbers."""
    rows = [[spelled(float(number)) for number in row] for row in array.reshape(len(array), -1)]
    return [" ".join(row if len(row) <= LONGEST_SHOWN else [*row[:WIDTH], "…"]) for row in rows]


def _column(loss: Loss, form: str, data: Rows, peer: str | None) -> list[str]:
    """The losses of the rows, and last their weighted mean; of all the data together, where that has no rows."""
    from lossctl.api import evaluate, per_sample

    chosen = {"input": form if "input" in loss.options else None, "preset": peer}
    options = {**loss.required, **{name: value for name, value in chosen.items() if value is not None}}
    spec = spec_of(loss.name, options)
    mean = evaluate(
        data.prediction, data.target, spec, weights=list(WEIGHTS), inputs=data.inputs or None, backend="python"
    ).value
    try:
        each = per_sample(data.prediction, data.target, spec, inputs=data.inputs or None, backend="python").tolist()
    except UsageError:  # one number for all the data
        return [""] * ROWS + [_rounded(mean)]
    return [_rounded(value) for value in (*each, mean)]


def _rounded(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else str(value)
