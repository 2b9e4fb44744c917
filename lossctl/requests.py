"""What is asked of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lossctl.errors import UsageError, visible
from lossctl_kernels.records import Record, field

if TYPE_CHECKING:
    from lossctl.catalogue.loss_spec import LossSpec

POLICIES = ("error", "propagate", "skip")
"""What is done about NaN, infinities and what is missing: see `rows/nonfinite.py`."""

_REDUCTIONS = {
    "none": "--per-sample FILE writes the loss of each row; in Python, lossctl.per_sample",
    "batchmean": "here it is mean: the losses of rows, and not their elements, are counted",
    "sum_over_batch_size": "here it is mean, with weights that of LOSS:denom=count",
    "mean_with_sample_weight": "here it is mean, with weights that of LOSS:denom=weight",
}
"""What to ask for in place of what frameworks call a reduction."""


class Request(Record):
    """What to compute: losses, options that hold for all of them, and how."""

    specs: Sequence[LossSpec]
    flags: Mapping[str, Any] = field(default_factory=dict)
    reduction: str = "mean"
    backend: str = "auto"
    threads: int | None = None
    chunk_rows: int | None = None
    gradients: Sequence[str] = ()
    """What gradients of the first loss will be with respect to: "prediction", "target", or a further array's name."""
    nonfinite: str = "error"
    data_options: Mapping[str, Any] = field(default_factory=dict)
    """How the data was read, where that is not the default: part of every signature."""
    digests: bool = False
    """Whether `inputs` will have digests of the values of all but the predictions."""
    class_axis: int | None = None
    """The axis of predictions that the classes are on; the last one by default."""
    class_weights_file: str | None = None
    """The file that the class weights of `flags` are from."""

    def __post_init__(self) -> None:
        check_policy(self.nonfinite)
        if self.reduction not in ("mean", "sum"):
            hint = _REDUCTIONS.get(self.reduction)
            raise UsageError(f"reduction must be mean or sum, found {visible(self.reduction)}", hint=hint)
        if self.class_axis is not None and type(self.class_axis) is not int:
            raise UsageError(
                f"the class axis is a whole number, found {visible(repr(self.class_axis))}", hint="such as class_axis=1"
            )
        if self.chunk_rows is not None and self.chunk_rows < 1:
            raise UsageError(f"--chunk-rows must be 1 or more, found {self.chunk_rows}")
        if not self.specs:
            raise UsageError("no loss was asked for", hint="name one, such as --loss bce; `lossctl list` shows them")


def check_policy(policy: str) -> None:
    """Raises UsageError for a policy that does not exist."""
    if policy not in POLICIES:
        raise UsageError(
            f"--nonfinite '{visible(policy)}' is not one of {', '.join(POLICIES)}", hint=f"--nonfinite {POLICIES[-1]}"
        )
