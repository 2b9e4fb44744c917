"""The options that commands share, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from lossctl.declarations import Argument, Option
from lossctl.errors import UsageError, visible

Predictions = Annotated[
    str, Argument(metavar="PREDS", help="Predictions: a file, a folder or glob of shards, a URL, or - for stdin.")
]
Targets = Annotated[
    str | None, Argument(metavar="TARGETS", help="Targets, likewise. Without it, they are columns of PREDS.")
]
LossSpecs = Annotated[
    list[str] | None,
    Option(
        "--loss",
        "-l",
        metavar="SPEC",
        help="A loss: bce, huber:delta=2, or your own as FILE.py:FUNCTION (runs FILE). Repeatable.",
    ),
]
PredColumns = Annotated[
    str | None,
    Option(
        "--pred-col", metavar="NAMES", help="Columns or array of the predictions: a name, a list a,b,c or a glob 'p_*'."
    ),
]
TargetColumns = Annotated[str | None, Option("--target-col", metavar="NAMES", help="The same for the targets.")]
Weights = Annotated[str | None, Option("--weights", metavar="FILE", help="File with one weight per row.")]
WeightColumn = Annotated[
    str | None, Option("--weight-col", metavar="NAME", help="Column of the weights, in --weights or else in PREDS.")
]
ClassWeights = Annotated[str | None, Option("--class-weights", metavar="FILE", help="File with one weight per class.")]
Inputs = Annotated[
    list[str] | None,
    Option(
        "--input", metavar="NAME=FILE", help="Further array that a loss takes, such as var=variances.npy. Repeatable."
    ),
]
InputColumns = Annotated[
    list[str] | None,
    Option(
        "--input-col",
        metavar="NAME=NAMES",
        help="Columns of such an array, in its --input or else in PREDS. Repeatable.",
    ),
]
InputFormats = Annotated[
    list[str] | None,
    Option(
        "--input-format", metavar="NAME=FORMAT", help="Format of an --input, if not that of its extension. Repeatable."
    ),
]
GradInputs = Annotated[
    list[str] | None,
    Option("--grad-input", metavar="NAME=FILE", help="Write the gradient with respect to a further array. Repeatable."),
]
PredFormat = Annotated[
    str | None,
    Option(
        "--pred-format",
        metavar="FORMAT",
        help="Format of the predictions, if not that of the extension: npy, npz, csv, tsv, jsonl, parquet, arrow, "
        "safetensors, hdf5 or zarr.",
    ),
]
TargetFormat = Annotated[str | None, Option("--target-format", metavar="FORMAT", help="The same for the targets.")]
On = Annotated[
    str | None,
    Option("--on", metavar="NAMES", help="Match rows by these key columns rather than by position: id, or user,item."),
]
Missing = Annotated[str, Option("--missing", metavar="HOW", help="Keys without a partner: error, or drop their rows.")]
Classes = Annotated[
    str | None,
    Option(
        "--classes",
        metavar="NAMES",
        help="Targets are class names: the list of them in order, cat,dog, or a file with it.",
    ),
]
ClassAxis = Annotated[
    int | None,
    Option(
        "--class-axis",
        metavar="N",
        help="Axis of the classes in predictions, by default the last; 1 in PyTorch's layout.",
        envvar="LOSSCTL_CLASS_AXIS",
    ),
]
Nonfinite = Annotated[
    str,
    Option(
        "--nonfinite",
        metavar="HOW",
        help="What to do about NaN, infinities and nulls: error, propagate, or skip their rows.",
        envvar="LOSSCTL_NONFINITE",
    ),
]
FromLogits = Annotated[
    bool, Option("--from-logits", help="The predictions are logits (input=logit).", envvar="LOSSCTL_FROM_LOGITS")
]
Preset = Annotated[
    str | None,
    Option(
        "--preset",
        metavar="NAME",
        help="Use the conventions of keras, torch, optax or sklearn.",
        envvar="LOSSCTL_PRESET",
    ),
]
Presets = Annotated[
    str | None,
    Option(
        "--preset",
        metavar="NAMES",
        help="Use the conventions of keras, torch, optax or sklearn; several (torch,keras) are shown side by side.",
        envvar="LOSSCTL_PRESET",
    ),
]
Reduction = Annotated[
    str, Option("--reduction", metavar="HOW", help="Reduction over the rows: mean or sum.", envvar="LOSSCTL_REDUCTION")
]
Denom = Annotated[
    str | None,
    Option(
        "--denom",
        metavar="WHAT",
        help="What the mean is divided by: weight, count, valid, nonzero or elements.",
        envvar="LOSSCTL_DENOM",
    ),
]
IgnoreIndex = Annotated[
    int | None,
    Option(
        "--ignore-index", metavar="INDEX", help="Leave out rows with this class index.", envvar="LOSSCTL_IGNORE_INDEX"
    ),
]
LogBase = Annotated[
    str | None, Option("--log-base", metavar="BASE", help="Base of logarithms: e, 2 or 10.", envvar="LOSSCTL_LOG_BASE")
]
BackendName = Annotated[
    str,
    Option("--backend", metavar="NAME", help="Where to compute: auto, python, cpu or cuda.", envvar="LOSSCTL_BACKEND"),
]
Threads = Annotated[
    int | None, Option("--threads", metavar="N", help="Most threads of the cpu backend.", envvar="LOSSCTL_THREADS")
]
ChunkRows = Annotated[
    int | None,
    Option(
        "--chunk-rows",
        metavar="N",
        help="Rows in memory at a time; does not change the result.",
        envvar="LOSSCTL_CHUNK_ROWS",
    ),
]
Format = Annotated[
    str | None,
    Option(
        "--format",
        metavar="FORMAT",
        help="Format on stdout: table, json, jsonl, csv, tsv, markdown, latex, junit, openmetrics or github. By "
        "default table on a terminal, else tsv.",
        envvar="LOSSCTL_FORMAT",
    ),
]
RowsFormat = Annotated[
    str | None,
    Option("--format", metavar="FORMAT", help="table, tsv or json. By default table on a terminal, else tsv."),
]
FailIf = Annotated[
    list[str] | None,
    Option(
        "--fail-if",
        metavar="EXPR",
        help="A gate: exit with code 1 if EXPR holds, such as 'bce > 0.35' or 'p95(mae) > 2'. Repeatable.",
    ),
]
WarnIf = Annotated[list[str] | None, Option("--warn-if", metavar="EXPR", help="The same, but only warn. Repeatable.")]
BaselineFile = Annotated[
    str | None,
    Option(
        "--baseline",
        metavar="FILE",
        help="Earlier result that gates refer to as base: a .json file, or a name from lossctl baseline.",
    ),
]
BaselineAny = Annotated[bool, Option("--baseline-any", help="Allow a baseline with another signature or other data.")]
BaselineFolder = Annotated[
    str | None,
    Option(
        "--baseline-folder",
        metavar="FOLDER",
        help="Folder of the named baselines, by default .lossctl/baselines.",
        envvar="LOSSCTL_BASELINE_FOLDER",
    ),
]
StrictGates = Annotated[
    bool,
    Option("--strict-gates", help="Exit with code 5 if a gate cannot be decided.", envvar="LOSSCTL_STRICT_GATES"),
]
Stats = Annotated[bool, Option("--stats", help="Also show standard error, quantiles, extremes and the worst row.")]
Confidence = Annotated[
    str | None,
    Option(
        "--confidence",
        metavar="LEVEL",
        help="Also show the confidence interval of the value at LEVEL, such as 0.95; gates use it.",
        envvar="LOSSCTL_CONFIDENCE",
    ),
]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Show no warnings and no progress.", envvar="LOSSCTL_QUIET")]
NoProgress = Annotated[bool, Option("--no-progress", help="Show no progress bar.", envvar="LOSSCTL_NO_PROGRESS")]
Debug = Annotated[bool, Option("--debug", help="Show the traceback of an internal error.", envvar="LOSSCTL_DEBUG")]


def comma_list(text: str | None) -> tuple[str, ...] | None:
    """ "a,b,c" as names."""
    if text is None:
        return None
    # Of one name the spaces may be its own.
    names = tuple(part.strip() for part in text.split(",")) if "," in text else (text,)
    if not all(name.strip() for name in names):
        raise UsageError(
            f"'{visible(text)}' is not a list of columns", hint="write a name, a list a,b,c or a glob 'p_*'"
        )
    return names


def one_of(option: str, text: str, words: Sequence[str]) -> str:
    """One of some words. Raises UsageError for another."""
    if text not in words:
        raise UsageError(f"{option} '{visible(text)}' is not one of {', '.join(words)}", hint=f"{option} {words[-1]}")
    return text


def rows_format(name: str | None) -> str | None:
    """Checks the format of a small table."""
    if name not in (None, "table", "tsv", "json"):
        raise UsageError(f"there is no format '{visible(name)}' here", hint="the formats are table, tsv and json")
    return name


def named_files(option: str, texts: Sequence[str] | None) -> dict[str, str]:
    """What a repeatable option NAME=FILE says, by name."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(
                f"{option} '{visible(text)}' is not NAME=VALUE", hint=f"such as {option} {_EXAMPLES[option]}"
            )
        if not value.strip():
            raise UsageError(
                f"{option} {visible(name)} has an empty name after '='", hint="is it a shell variable that is not set?"
            )
        if name in found:
            raise UsageError(f"{option} {visible(name)} is given twice", hint="give it once")
        found[name] = value
    return found


_EXAMPLES = {
    "--input": "var=variances.npy",
    "--input-col": "var=variance",
    "--input-format": "var=npy",
    "--grad-input": "var=gradient.npy",
}


def gradient_files(prediction: str | None, further: Sequence[str] | None) -> dict[str, str]:
    """The files of gradients, by what each gradient is with respect to."""
    named = named_files("--grad-input", further)
    if "prediction" in named:
        raise UsageError("--grad-input prediction is not a further input", hint="its gradient has an option of its own")
    return ({} if prediction is None else {"prediction": prediction}) | named


def preset_list(text: str | None) -> tuple[str, ...]:
    """ "torch,keras" as presets; none where none was given."""
    if text is None:
        return ()
    names = tuple(part.strip() for part in text.split(","))
    twice = next((name for position, name in enumerate(names) if name in names[:position]), None)
    if twice:
        raise UsageError(f"--preset names {visible(twice)} twice", hint="name each preset once")
    if len(names) > 1 and not all(names):
        raise UsageError(f"--preset '{visible(text)}' is not a list of presets", hint="such as torch,keras")
    return names
