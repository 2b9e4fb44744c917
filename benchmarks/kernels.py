"""Every loss of the registry on arrays in memory: values and gradients, next to the peers in the same process."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.engine import Engine
from benchmarks.options import Options
from benchmarks.peers import Key, with_jax, with_numpy, with_sklearn, with_torch
from benchmarks.report import Section, Table, milliseconds, percent, times
from benchmarks.roofline import PlainRead
from benchmarks.targets import Targets
from benchmarks.timing import Task, Times, geometric_mean, race
from lossctl.catalogue.typical_data import Data, draw
from lossctl.throughput import width_of
from lossctl_kernels import LOSSES, Settings, resolve

CLASSES = (1000, 10, 3)
QUICK = ("bce", "scce", "mse", "rmse", "cosine_similarity")
ALL_WIDTHS = ("cce", "scce")
"""The width of a row decides how it is worked on, whatever the loss: it is tried on these."""

# A peer that computes in float32 sums in float32 as well.
TOLERANCE = {"float32": 2e-3, "float64": 1e-9}
COMPARED_ROWS = 100

Maker = Callable[[Key, Data], Task | None]
VALUE_PEERS: Mapping[str, Maker] = {
    "NumPy": with_numpy.value,
    "PyTorch": with_torch.value,
    "JAX": with_jax.value,
    "scikit-learn": with_sklearn.value,
}
GRADIENT_PEERS: Mapping[str, Maker] = {"PyTorch": with_torch.gradient, "JAX": with_jax.gradient}


@dataclass(frozen=True)
class Case:
    """A loss in one form, on rows of one width."""

    loss: str
    form: str
    width: int = 1
    soft: bool = False

    def __str__(self) -> str:
        options = f":input={self.form}" if self.form != next(iter(LOSSES[self.loss].forms)) else ""
        soft = ", soft labels" if self.soft else ""
        width = f", {self.width}" if self.width > 1 else ""
        return f"{self.loss}{options}{soft}{width}"

    @property
    def settings(self) -> Settings:
        """With what has to be given, and otherwise as the loss is by default."""
        loss = LOSSES[self.loss]
        return resolve(loss, {**({"input": self.form} if "input" in loss.options else {}), **loss.required})

    def data(self, values: int, dtype: str) -> Data:
        """About so many predicted values."""
        return draw(self.settings, max(1, values // self.width), self.width, dtype, soft=self.soft)


@dataclass(frozen=True)
class Measured:
    """The times of one case, and by contender what stands in place of a time: "failed", or "differs" where the answer
    is not the same, by more than rounding: it was asked something else, or loses too many digits.
    """

    case: Case
    times: Times
    verdicts: Mapping[str, str]

    @property
    def share(self) -> float:
        """Its speed as a share of that of the plain read."""
        return self.times.ratio("read", "lossctl")

    def ratio(self, peer: str) -> float:
        """NaN where there is nothing to compare."""
        return math.nan if peer in self.verdicts else self.times.ratio(peer, "lossctl")

    def cell(self, peer: str) -> str:
        return self.verdicts.get(peer) or times(self.ratio(peer))


def cases(options: Options) -> Iterator[Case]:
    """Every form of every loss that is asked for, in the order of the registry."""
    wanted = options.losses or (QUICK if options.quick else tuple(LOSSES))
    for name, loss in LOSSES.items():
        for form in loss.forms if name in wanted else ():
            widths = CLASSES if name in ALL_WIDTHS and not options.quick else (width_of(loss),)
            yield from (Case(name, form, width) for width in widths)
            if name == "bce":
                yield Case(name, form, soft=True)


# ---- one case


def measure(case: Case, data: Data, gradients: bool, read: PlainRead, options: Options) -> Measured | None:
    """Runs everyone who has the loss in turn; None where there is no gradient to compute."""
    engine = Engine(case.settings, data)
    make = engine.gradient if gradients else engine.value
    small, ours = make(data.head(COMPARED_ROWS)), make(data)
    if small is None or ours is None:
        return None
    small()  # compiles, or loads what is compiled
    verdicts: dict[str, str] = {}
    answers: dict[str, Any] = {}

    def read_all() -> int:
        return read(data.arrays)

    tasks: dict[str, Task] = {"read": read_all, "lossctl": _remembering(answers, "lossctl", ours)}
    for name, maker in (GRADIENT_PEERS if gradients else VALUE_PEERS).items():
        try:
            task = _peer(name, maker, case, data)
        except Exception:  # noqa: BLE001 - a release that has changed is no end of the run
            verdicts[name] = "failed"
            continue
        if task is not None:
            tasks[name] = _remembering(answers, name, task)
    # Where one value of each row is read, who comes second would find those in the caches.
    found = race(tasks, options.rounds, options.share_seconds, options.clock, before=read_all)
    tolerance = TOLERANCE[data.prediction.dtype.name]
    compared = {name: answer[:COMPARED_ROWS] if gradients else answer for name, answer in answers.items()}
    for name, answer in compared.items():
        if not agrees(answer, compared["lossctl"], tolerance):
            verdicts[name] = "differs"
    return Measured(case, found, verdicts)


def _peer(name: str, maker: Maker, case: Case, data: Data) -> Task | None:
    """A task that is ready to run, with its threads started and its libraries loaded."""
    key = case.loss, case.form
    if case.soft and name == "scikit-learn":
        return None  # its labels are classes, not probabilities
    if name != "JAX":  # compiles for one shape
        small = maker(key, data.head(COMPARED_ROWS))
        if small is not None:
            small()
    return maker(key, data)


def _remembering(answers: dict[str, Any], name: str, task: Task) -> Task:
    """The task, which leaves its first answer."""
    return lambda: answers.setdefault(name, task())


def agrees(found: Any, expected: Any, tolerance: float) -> bool:
    """Whether two numbers, or two arrays of gradients, are the same to `tolerance` of the largest."""
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    scale = float(np.max(np.abs(b), initial=0.0))
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= tolerance * scale))


# ---- tables

SHARES = (
    (
        "arithmetic",
        0.8,
        ("mse", "half_mse", "mae", "huber", "smooth_l1", "quantile", "epsilon_insensitive", "hinge", "squared_hinge"),
    ),
    ("one logarithm", 0.5, ("poisson", "gamma_deviance", "msle", "log_cosh", "soft_margin", "bce:input=logit")),
    ("binary cross-entropy of hard labels", 0.8, ("bce",)),
    ("softmax cross-entropy, 1000 classes", 0.35, ("cce:input=logit, 1000", "scce:input=logit, 1000")),
    (
        "softmax cross-entropy, 3 and 10 classes",
        0.25,
        ("cce:input=logit, 10", "cce:input=logit, 3", "scce:input=logit, 10", "scce:input=logit, 3"),
    ),
)
"""What is aimed at: the share of the speed of a plain read, and the rows that it is about."""

WHAT = {
    False: "The mean loss of arrays in memory{size}: this project's time, its speed as a share of that of merely "
    "reading both arrays, and how many times as long each peer takes. Before each run all of the arrays is read once.",
    True: "The gradient of the mean loss{size}. This project computes the gradient alone, PyTorch and JAX run forward "
    "and backward. A gradient is as large as the predictions and has to be written, so it cannot reach the speed of "
    "the plain read.",
}


def sections(options: Options) -> Iterator[Section]:
    """Values and gradients, for each dtype."""
    read = PlainRead(options.threads)
    with_torch.use_threads(options.threads)
    single: dict[bool, list[Measured]] = {}
    for dtype in ("float32", "float64"):
        # As many bytes of either.
        values = options.values * 4 // np.dtype(dtype).itemsize
        found: dict[bool, list[Measured]] = {False: [], True: []}
        failures: dict[bool, list[str]] = {False: [], True: []}
        for case in cases(options):
            options.progress(f"{dtype} {case}")
            for gradients, measured in found.items():
                try:
                    one = measure(case, case.data(values, dtype), gradients, read, options)
                except Exception as error:  # noqa: BLE001 - one loss that cannot be timed is no end of the run
                    failures[gradients].append(f"{case} is not timed: {type(error).__name__}: {error}")
                    continue
                if one is not None:
                    measured.append(one)
        single = single or found
        for gradients, peers in ((False, tuple(VALUE_PEERS)), (True, tuple(GRADIENT_PEERS))):
            title = f"{'Gradients' if gradients else 'Values'}, {dtype}"
            what = WHAT[gradients].format(size=f": {values:,} predicted values")
            table, notes = _table(found[gradients], peers)
            yield Section(title, what, table, notes + failures[gradients])
    yield _targets(single[False], single[True])


def _targets(values: list[Measured], gradients: list[Measured]) -> Section:
    """In float32."""
    targets = Targets("kernels in float32")
    shares = {str(one.case): one.share for one in values}
    for what, wanted, names in SHARES:
        targets.at_least(
            f"{what}: speed of the plain read", wanted, {name: shares.get(name, math.nan) for name in names}, percent
        )
    for what, wanted, measured in (("values", 8.0, values), ("gradients", 5.0, gradients)):
        ratios = {str(one.case): one.ratio("PyTorch") for one in measured}
        targets.at_least(f"PyTorch, {what}: geometric mean", wanted, {"": geometric_mean(ratios.values())}, times)
        targets.at_least(f"PyTorch, {what}: every loss", 1.5, ratios, times)
    return targets.section()


def _table(measured: list[Measured], peers: tuple[str, ...]) -> tuple[Table, list[str]]:
    table = Table(["loss", "read, ms", "lossctl, ms", "of the read", *peers])
    for one in measured:
        table.add(
            str(one.case),
            milliseconds(one.times.median("read")),
            milliseconds(one.times.median("lossctl")),
            percent(one.share),
            *map(one.cell, peers),
        )
    return table, [note for peer in peers if (note := _summary(measured, peer))]


def _summary(measured: list[Measured], peer: str) -> str:
    """The geometric mean over the rows that a peer has, by medians and by the least times, and the least ratio."""
    compared = [one for one in measured if not math.isnan(one.ratio(peer))]
    if not compared:
        return ""
    mean = geometric_mean(one.ratio(peer) for one in compared)
    by_least = geometric_mean(one.times.least(peer) / one.times.least("lossctl") for one in compared)
    slowest = min(compared, key=lambda one: one.ratio(peer))
    return (
        f"{peer}: geometric mean {times(mean)} over {len(compared)} rows ({times(by_least)} by the least times), "
        f"least {times(slowest.ratio(peer))} ({slowest.case})."
    )
