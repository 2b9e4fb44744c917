"""The gates and the statistics that are asked of a run: read before the data, decided after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lossctl.errors import UsageError, visible
from lossctl.gates.judging import decide, parse_gates
from lossctl.sample_statistics import confidence_level
from lossctl_kernels.records import Record, replace

if TYPE_CHECKING:
    from lossctl.catalogue.loss_spec import LossSpec
    from lossctl.comparisons.baselines import Baseline
    from lossctl.evaluation import Evaluation
    from lossctl.gates.judging import Decision, Gate
    from lossctl.results import RunResult

# Where a gate asks for a bound of the interval and the command for no level.
CONFIDENCE = 0.95


class Gating(Record, frozen=False):
    """What is asked of a run: `prepare` the evaluation, `decide` its result.

    `level` is that of intervals, None for none; `noisy` lets them decide gates; `strict` fails what they leave open.
    """

    gates: Sequence[Gate]
    baseline: Baseline | None
    baseline_any: bool
    statistics: bool
    level: float | None
    noisy: bool
    strict: bool
    _decisions: Sequence[Decision] = ()
    _warnings: Sequence[str] = ()

    @property
    def decisions(self) -> Sequence[Decision]:
        """The answers of the gates, none before they are decided."""
        return self._decisions

    def prepare(self, evaluation: Evaluation) -> None:
        """Asks for statistics where they are needed. Raises UsageError for a gate of a loss that has no samples."""
        for gate in self.gates:
            for position, asked in gate.sampled.items():
                if not evaluation.runs[position].has_samples:
                    name = evaluation.runs[position].settings.loss.name
                    raise UsageError(
                        f"gate '{visible(gate.text)}': {name} has no losses of single samples, so there is no "
                        f"{visible(asked)}",
                        hint=f"ask for its value, as in '{name} > 0.35'",
                    )
        if self.statistics:
            without = dict.fromkeys(run.settings.loss.name for run in evaluation.observe(self.level))
            self._warnings = [f"{name} has no losses of single samples: there are no statistics" for name in without]

    def decide(self, run: RunResult) -> RunResult:
        """The run with the answers of its gates. Raises DataError for a baseline that it cannot be compared with."""
        entries, warnings = None, list(self._warnings)
        if self.baseline is not None:
            entries = self.baseline.entries_of(run, anyway=self.baseline_any, only=self._compared())
            if self.baseline.version != run.version:
                warnings.append(f"the baseline is of lossctl {visible(self.baseline.version)}, this is {run.version}")
        self._decisions = [decide(gate, run.results, entries, noisy=self.noisy) for gate in self.gates]
        gates = tuple(decision.result for decision in self._decisions)
        return replace(run, gates=gates, warnings=(*run.warnings, *warnings))

    def _compared(self) -> set[int] | None:
        """The losses that gates hold against the baseline, None for all."""
        wanted = [measure.loss for gate in self.gates for measure in gate.of_baseline()]
        return None if None in wanted else {loss for loss in wanted if loss is not None}


def plan_gates(
    specs: Sequence[LossSpec],
    *,
    fail_if: Sequence[str],
    warn_if: Sequence[str],
    baseline: str | None,
    baseline_any: bool,
    baseline_folder: str | None,
    statistics: bool,
    confidence: str | None,
    strict: bool,
) -> Gating:
    """What the options ask for. Raises UsageError for what means nothing, DataError for a baseline that is none."""
    gates = parse_gates(fail_if, warn_if, specs)
    level = confidence_level(confidence)
    using = [gate for gate in gates if gate.of_baseline()]
    if using and baseline is None:
        raise UsageError(f"gate '{visible(using[0].text)}' names base", hint="say which with --baseline FILE")
    if baseline is not None and not using:
        raise UsageError("--baseline is for gates that name base", hint="such as --fail-if 'bce > base'")
    found = None
    if baseline == "-":
        raise UsageError("--baseline cannot be stdin", hint="write it to a file first")
    if baseline is not None:
        from lossctl.comparisons.baselines import FOLDER, read_baseline

        found = read_baseline(baseline, baseline_folder or FOLDER)
    wanted = statistics or level is not None or any(gate.uses_statistics for gate in gates)
    intervals = level is None and any(gate.uses_interval for gate in gates)
    shown = CONFIDENCE if intervals else level
    return Gating(gates, found, baseline_any, wanted, shown, level is not None, strict)
