"""The options that commands share, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from lossctl.cli.declarations import Argument, Option
from lossctl.errors import UsageError, visible

__all__ = ["comma_list", "gradient_files", "named_files", "one_of", "preset_list"]

Predictions = Annotated[
    str, Argument(metavar="PREDS", help="Predictions: a file, a folder or glob of shards, - or a URL.")
]
Targets = Annotated[str | None, Argument(metavar="TARGETS", help="File of targets; without it both come from PREDS.")]
LossSpecs = Annotated[
    list[str] | None,
    Option("--loss", "-l", metavar="SPEC", help="A loss: bce, huber:delta=2, or FILE.py:FUNCTION, which runs FILE."),
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
Inputs = Annotated[
    list[str] | None,
    Option("--input", metavar="NAME=FILE", help="Further array of a loss, such as var=variances.npy. Repeatable."),
]
InputColumns = Annotated[
    list[str] | None,
    Option("--input-col", metavar="NAME=NAMES", help="Its column, list or glob, of its --input, else of PREDS."),
]
InputFormats = Annotated[
    list[str] | None,
    Option("--input-format", metavar="NAME=FORMAT", help="The format of an --input, whatever its extension."),
]
GradInputs = Annotated[
    list[str] | None,
    Option("--grad-input", metavar="NAME=FILE", help="Write the gradient by a further array. Repeatable."),
]
PredFormat = Annotated[
    str | None,
    Option(
        "--pred-format",
        metavar="FORMAT",
        help="npy, npz, csv, tsv, jsonl, parquet, arrow, safetensors, hdf5 or zarr, whatever the extension.",
    ),
]
TargetFormat = Annotated[str | None, Option("--target-format", metavar="FORMAT", help="The same, of TARGETS.")]
On = Annotated[
    str | None,
    Option(
        "--on", metavar="NAMES", help="Match rows by the key in these columns, not by their order: id, or user,item."
    ),
]
Missing = Annotated[
    str, Option("--missing", metavar="HOW", help="Keys without a partner: error, or drop to leave their rows out.")
]
Classes = Annotated[
    str | None,
    Option("--classes", metavar="NAMES", help="Targets are names of classes: cat,dog in order, or a file of names."),
]
ClassAxis = Annotated[
    int | None,
    Option(
        "--class-axis",
        metavar="N",
        help="The classes of predictions are on this axis; 1 in PyTorch's layout. The last one by default.",
        envvar="LOSSCTL_CLASS_AXIS",
    ),
]
Nonfinite = Annotated[
    str,
    Option(
        "--nonfinite",
        metavar="HOW",
        help="NaN, infinities, nulls: error, propagate, or skip their rows.",
        envvar="LOSSCTL_NONFINITE",
    ),
]
FromLogits = Annotated[
    bool, Option("--from-logits", help="The predictions are logits (input=logit).", envvar="LOSSCTL_FROM_LOGITS")
]
Preset = Annotated[
    str | None,
    Option("--preset", metavar="NAME", help="Conventions of keras, torch, optax or sklearn.", envvar="LOSSCTL_PRESET"),
]
Presets = Annotated[
    str | None,
    Option(
        "--preset",
        metavar="NAMES",
        help="Conventions of keras, torch, optax or sklearn; of several, torch,keras, side by side.",
        envvar="LOSSCTL_PRESET",
    ),
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
        help="table, json, jsonl, csv, tsv, markdown, latex, junit, openmetrics or github on stdout; table on a "
        "terminal, else tsv.",
        envvar="LOSSCTL_FORMAT",
    ),
]
FailIf = Annotated[
    list[str] | None,
    Option("--fail-if", metavar="EXPR", help="A gate: exit code 1 if 'bce > 0.35' or 'p95(mae) > 2'. Repeatable."),
]
WarnIf = Annotated[
    list[str] | None, Option("--warn-if", metavar="EXPR", help="The same, which only warns. Repeatable.")
]
BaselineFile = Annotated[
    str | None,
    Option("--baseline", metavar="FILE", help="The earlier result that gates call base: a .json, or a name kept."),
]
BaselineAny = Annotated[
    bool, Option("--baseline-any", help="Compare with the baseline whatever its signature and its data.")
]
BaselineFolder = Annotated[
    str | None,
    Option(
        "--baseline-folder",
        metavar="FOLDER",
        help="Where baselines are kept by name: .lossctl/baselines.",
        envvar="LOSSCTL_BASELINE_FOLDER",
    ),
]
StrictGates = Annotated[
    bool,
    Option("--strict-gates", help="Exit code 5 where a gate cannot be decided.", envvar="LOSSCTL_STRICT_GATES"),
]
Stats = Annotated[bool, Option("--stats", help="Also standard error, quantiles, extremes and the worst row.")]
Confidence = Annotated[
    str | None,
    Option(
        "--confidence",
        metavar="LEVEL",
        help="Also the interval of the value at 0.95 or another level; gates heed it.",
        envvar="LOSSCTL_CONFIDENCE",
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


def one_of(option: str, text: str, words: Sequence[str]) -> str:
    """One of some words. Raises UsageError for another."""
    if text not in words:
        raise UsageError(f"{option} '{visible(text)}' is not one of {', '.join(words)}", hint=f"{option} {words[-1]}")
    return text


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
