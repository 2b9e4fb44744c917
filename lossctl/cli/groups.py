"""Options that commands take together, and what each group of them means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lossctl.cli import options as o
from lossctl.declarations import OptionGroup

if TYPE_CHECKING:
    from lossctl.catalogue.loss_spec import LossSpec
    from lossctl.gates.gating import Gating
    from lossctl.requests import Request
    from lossctl.rows.inputs import InputFiles


class DataOptions(OptionGroup):
    """What is read, beside the files of predictions and of targets."""

    heading = "Data options"

    pred_col: o.PredColumns = None
    target_col: o.TargetColumns = None
    weights: o.Weights = None
    weight_col: o.WeightColumn = None
    input: o.Inputs = None
    input_col: o.InputColumns = None
    input_format: o.InputFormats = None
    pred_format: o.PredFormat = None
    target_format: o.TargetFormat = None
    on: o.On = None
    missing: o.Missing = "error"
    classes: o.Classes = None
    class_axis: o.ClassAxis = None

    def files(self, predictions: str, targets: str | None, nonfinite: str = "error") -> InputFiles:
        """The inputs, with lists of columns and further arrays by name taken apart. Raises UsageError."""
        from lossctl.rows.inputs import InputFiles

        names = names_file = None
        if self.classes is not None:
            from lossctl.values.class_names import file_of_classes, read_classes

            names, names_file = read_classes(self.classes), file_of_classes(self.classes)
        columns = {
            name: o.comma_list(text) or () for name, text in o.named_files("--input-col", self.input_col).items()
        }
        return InputFiles(
            predictions,
            targets,
            pred_columns=o.comma_list(self.pred_col),
            target_columns=o.comma_list(self.target_col),
            weights=self.weights,
            weight_column=self.weight_col,
            pred_format=self.pred_format,
            target_format=self.target_format,
            inputs=o.named_files("--input", self.input),
            input_columns=columns,
            input_formats=o.named_files("--input-format", self.input_format),
            on=o.comma_list(self.on) or (),
            missing=o.one_of("--missing", self.missing, ("error", "drop")),
            classes=names,
            gaps=nonfinite != "error",
            classes_file=names_file,
            class_axis=self.class_axis,
        )


class LossOptions(OptionGroup):
    """What holds for every loss of the command, beside its presets."""

    heading = "Loss options"

    class_weights: o.ClassWeights = None
    from_logits: o.FromLogits = False
    reduction: o.Reduction = "mean"
    denom: o.Denom = None
    ignore_index: o.IgnoreIndex = None
    log_base: o.LogBase = None

    @property
    def paths(self) -> list[str]:
        """The files that are read for it."""
        return [] if self.class_weights is None else [self.class_weights]

    def flags(self, preset: str | None) -> dict[str, Any]:
        """The options of every loss, by the names that SPECs give them. Raises DataError for bad class weights."""
        flags: dict[str, Any] = {"input": "logit"} if self.from_logits else {}
        given = {"preset": preset, "denom": self.denom, "ignore_index": self.ignore_index, "log_base": self.log_base}
        flags |= {name: value for name, value in given.items() if value is not None}
        if self.class_weights is not None:
            from lossctl.rows.inputs import class_weights

            flags["class_weight"] = class_weights(self.class_weights)
        return flags


class RunOptions(OptionGroup):
    """How the work is done, and what is said meanwhile."""

    heading = "Execution options"

    backend: o.BackendName = "auto"
    threads: o.Threads = None
    chunk_rows: o.ChunkRows = None
    quiet: o.Quiet = False
    no_progress: o.NoProgress = False
    debug: o.Debug = False

    @property
    def progress(self) -> bool:
        """Whether a person may be shown how far the work is."""
        return not self.quiet and not self.no_progress


def request_of(
    specs: Sequence[LossSpec],
    files: InputFiles,
    losses: LossOptions,
    work: RunOptions,
    preset: str | None,
    *,
    gradients: Sequence[str] = (),
    nonfinite: str = "error",
    compared: bool = False,
) -> Request:
    """What is computed of these files; `compared` with a baseline, or by whoever reads the document.

    Raises UsageError, and DataError for bad class weights.
    """
    from lossctl.requests import Request

    return Request(
        specs,
        losses.flags(preset),
        reduction=losses.reduction,
        backend=work.backend,
        threads=work.threads,
        chunk_rows=work.chunk_rows,
        gradients=tuple(gradients),
        nonfinite=nonfinite,
        data_options=files.options,
        # Matched by key, rows stand in the order of the predictions, which is that of nothing else.
        digests=compared and not files.on,
        class_axis=files.class_axis,
        class_weights_file=losses.class_weights,
    )


class GateOptions(OptionGroup):
    """What a run has to pass, and the statistics of its samples."""

    heading = "Gates and statistics"

    stats: o.Stats = False
    confidence: o.Confidence = None
    fail_if: o.FailIf = None
    warn_if: o.WarnIf = None
    strict_gates: o.StrictGates = False
    baseline: o.BaselineFile = None
    baseline_any: o.BaselineAny = False
    baseline_folder: o.BaselineFolder = None

    def plan(self, specs: Sequence[LossSpec]) -> Gating | None:
        """What is asked of a run of `specs`, None for nothing. Raises UsageError, DataError for a bad baseline."""
        asked = self.stats or self.confidence is not None or self.fail_if or self.warn_if or self.baseline is not None
        if not asked:
            return None
        from lossctl.gates.gating import plan_gates

        return plan_gates(
            specs,
            fail_if=self.fail_if or (),
            warn_if=self.warn_if or (),
            baseline=self.baseline,
            baseline_any=self.baseline_any,
            baseline_folder=self.baseline_folder,
            statistics=self.stats,
            confidence=self.confidence,
            strict=self.strict_gates,
        )
