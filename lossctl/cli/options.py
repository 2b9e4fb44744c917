"""The options that commands share, once."""

from __future__ import annotations

from typing import Annotated, Any

from lossctl.cli.declarations import Argument, Option
from lossctl.errors import UsageError

__all__ = ["comma_list", "flags_of"]

Predictions = Annotated[str, Argument(metavar="PREDS", help="File of predictions: .npy, .csv, .tsv or .parquet.")]
Targets = Annotated[str | None, Argument(metavar="TARGETS", help="File of targets; without it both come from PREDS.")]
LossSpecs = Annotated[
    list[str] | None,
    Option("--loss", "-l", metavar="SPEC", help="Loss, such as bce or huber:delta=2. Repeatable in eval."),
]
PredColumns = Annotated[
    str | None, Option("--pred-col", metavar="NAMES", help="Column, list a,b,c or glob 'p_*' of the predictions.")
]
TargetColumns = Annotated[str | None, Option("--target-col", metavar="NAMES", help="The same, of the targets.")]
Weights = Annotated[str | None, Option("--weights", metavar="FILE", help="File of one weight for each row.")]
WeightColumn = Annotated[
    str | None, Option("--weight-col", metavar="NAME", help="Column of the weights, of PREDS or of --weights.")
]
ClassWeights = Annotated[
    str | None, Option("--class-weights", metavar="FILE", help="File of one weight for each class.")
]
PredFormat = Annotated[
    str | None,
    Option("--pred-format", metavar="FORMAT", help="npy, csv, tsv or parquet, whatever the extension."),
]
TargetFormat = Annotated[str | None, Option("--target-format", metavar="FORMAT", help="The same, of TARGETS.")]
FromLogits = Annotated[
    bool, Option("--from-logits", help="The predictions are logits (input=logit).", envvar="LOSSCTL_FROM_LOGITS")
]
Preset = Annotated[
    str | None,
    Option("--preset", metavar="NAME", help="Conventions of keras, torch, optax or sklearn.", envvar="LOSSCTL_PRESET"),
]
Reduction = Annotated[str, Option("--reduction", metavar="HOW", help="mean or sum.", envvar="LOSSCTL_REDUCTION")]
Denom = Annotated[
    str | None,
    Option(
        "--denom",
        metavar="WHAT",
        help="The mean divides by weight, count, valid, nonzero or elements.",
        envvar="LOSSCTL_DENOM",
    ),
]
IgnoreIndex = Annotated[
    int | None,
    Option(
        "--ignore-index", metavar="INDEX", help="Leave out rows of this class index.", envvar="LOSSCTL_IGNORE_INDEX"
    ),
]
LogBase = Annotated[str | None, Option("--log-base", metavar="BASE", help="e, 2 or 10.", envvar="LOSSCTL_LOG_BASE")]
BackendName = Annotated[
    str, Option("--backend", metavar="NAME", help="auto, python, cpu or cuda.", envvar="LOSSCTL_BACKEND")
]
Threads = Annotated[
    int | None, Option("--threads", metavar="N", help="Threads of the cpu backend.", envvar="LOSSCTL_THREADS")
]
ChunkRows = Annotated[
    int | None,
    Option(
        "--chunk-rows", metavar="N", help="Rows held at a time; the result is the same.", envvar="LOSSCTL_CHUNK_ROWS"
    ),
]
Format = Annotated[
    str | None,
    Option(
        "--format",
        metavar="FORMAT",
        help="table, json, csv, tsv or markdown on stdout; table on a terminal, else tsv.",
        envvar="LOSSCTL_FORMAT",
    ),
]
Quiet = Annotated[bool, Option("--quiet", "-q", help="No warnings and no progress.", envvar="LOSSCTL_QUIET")]
NoProgress = Annotated[bool, Option("--no-progress", help="No progress bar.", envvar="LOSSCTL_NO_PROGRESS")]
Debug = Annotated[bool, Option("--debug", help="Show the traceback of an internal fault.", envvar="LOSSCTL_DEBUG")]


def comma_list(text: str | None) -> tuple[str, ...] | None:
    """ "a,b,c" as names."""
    if text is None:
        return None
    names = tuple(part.strip() for part in text.split(","))
    if not all(names):
        raise UsageError(f"'{text}' is not a list of columns", hint="write a name, a list a,b,c or a glob 'p_*'")
    return names


def flags_of(
    from_logits: bool,
    preset: str | None,
    denom: str | None,
    ignore_index: int | None,
    log_base: str | None,
    weights: str | None,
) -> dict[str, Any]:
    """The options that flags set for every loss of the call, by the names that SPECs give them."""
    flags: dict[str, Any] = {"input": "logit"} if from_logits else {}
    given = {"preset": preset, "denom": denom, "ignore_index": ignore_index, "log_base": log_base}
    flags |= {name: value for name, value in given.items() if value is not None}
    if weights is not None:
        from lossctl.inputs import class_weights

        flags["class_weight"] = class_weights(weights)
    return flags
