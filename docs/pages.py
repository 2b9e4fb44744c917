"""The reference of the losses in Markdown: an index by family and a page a loss, all from the registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lossctl.catalogue.conventions import Rows, SideBySide, side_by_side, small_rows
from lossctl.catalogue.reference import describe, families, overview
from lossctl.results import spelled
from lossctl_kernels import LOSSES, Loss, Scope
from lossctl_kernels.domains import LOGIT, REAL, SIGN_LABEL, TargetKind
from lossctl_kernels.facts import Pooling

DOCS = Path(__file__).resolve().parent
INDEX, PAGES = DOCS / "losses.md", DOCS / "losses"

GENERATED = "<!-- Written by scripts/docs from the registry: edit the definitions, not this file. -->\n"
INTRODUCTION = f"""\
{GENERATED}
# The losses

`lossctl explain NAME` prints what stands on the page of a loss, and takes every name that it has elsewhere. A loss is
written `name:option=value,option=value`, such as `huber:delta=2` or `bce:input=logit,log_base=2`. The path that a name
has in a framework, such as `torch.nn.BCELoss` or `keras.losses.Hinge:margin=2`, implies the preset of that framework.

Throughout, `y` is the target, `p` a probability, `z` a logit, `e` the prediction minus the target, `w` the weight of a
class (of a row, where one loss is for the whole data set) and `ε` the label smoothing. Gradients are those of one loss;
in the gradient of a mean each is multiplied by its row's weight and divided by what the mean divides by.
"""


def pages() -> dict[Path, str]:
    """Every file of the reference with its text, with the commands of its examples but not what they print."""
    return {INDEX: index(), **{PAGES / f"{name}.md": page(loss) for name, loss in LOSSES.items()}}


def index() -> str:
    """The losses by family, each with a link to its page."""
    rows = {row["name"]: row for row in overview()}
    parts = [INTRODUCTION]
    for title, (said, names) in families().items():
        shown = [rows[name] for name in names]
        parts.append(f"## {title}\n\n{said}\n")
        cells = [(f"[`{row['name']}`](losses/{row['name']}.md)", row["summary"], row["input"]) for row in shown]
        of = [row["of"] for row in shown]
        table = [(*cell, one) for cell, one in zip(cells, of, strict=True)]
        parts.append(_table(("loss", "what it is", "predictions", "one loss for"), table))
    return "\n".join(parts)


def page(loss: Loss) -> str:
    """One loss, whole."""
    facts = next(found for found in describe(loss.name) if found["name"] == loss.name)
    parts = [GENERATED, f"# {loss.name}\n", f"{facts['description']}\n", _facts(facts)]
    parts += ["## Predictions and targets\n", _data(facts)]
    parts += ["## Options\n", _options(facts["options"])]
    if facts["names"]:
        names = [(peer, _code(names)) for peer, names in facts["names"].items()]
        parts += ["## Names elsewhere\n", _table(("where", "names"), names)]
    if facts["presets"]:
        settings = [(peer, _settings(sets)) for peer, sets in facts["presets"].items()]
        parts += ["## Presets\n", _table(("preset", "sets"), settings)]
        parts += [_side_by_side(table) for table in side_by_side(loss)]
    parts += ["## Example\n", _example(loss), "[All losses](../losses.md)\n"]
    return "\n".join(parts)


def _facts(facts: Mapping[str, Any]) -> str:
    lines = {
        "Loss": f"`{facts['formula']}`",
        "Gradient": f"`{facts['gradient']}`",
        "One loss for": facts["of"],
        "Unit": facts["unit"],
        "Source": facts["source"],
    }
    return "".join(f"- {title}: {value}\n" for title, value in lines.items() if value)


def _data(facts: Mapping[str, Any]) -> str:
    lines = []
    for form, domain in facts["predictions"].items():
        said = f", computed as {facts['computed'][form].rstrip('.')}" if form in facts["computed"] else ""
        lines.append(f"- predictions, `{form}`: {domain}{said}\n")
    lines.append(f"- targets: {facts['targets']}\n")
    lines += [f"- targets with `{option}`: {said}\n" for option, said in facts["other_targets"].items()]
    for each in facts["inputs"]:
        said = "; ".join((each["meaning"], each["shape"], each["numbers"], each["given"]))
        lines.append(f"- `--input {each['name']}=FILE`: {said}\n")
    return "".join(lines)


def _options(options: Sequence[Mapping[str, str]]) -> str:
    rows = [(f"`{option['name']}`", option["default"], option["allowed"], option["meaning"]) for option in options]
    return _table(("option", "default", "allowed", "meaning"), rows)


def _settings(settings: Mapping[str, str]) -> str:
    """What a preset sets: "`eps=1e-07` with input=prob, `denom=count`"."""
    found = []
    for name, value in settings.items():
        option, _, condition = value.partition(" ")
        found.append(f"`{name}={option}` {condition}".rstrip())
    return ", ".join(found) or "the defaults"


def _side_by_side(table: SideBySide) -> str:
    form = "" if table.form == "value" else f", with `input={table.form}`"
    return f"The same rows under each{form}:\n\n{_table(table.titles, table.lines)}"


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


# ---- examples

SAMPLED = (TargetKind.SAME, TargetKind.DISTRIBUTION, TargetKind.INDEX)


def _example(loss: Loss) -> str:
    """A command that fits the loss: on the sample data, or on small arrays that other commands make."""
    options = [f"{name}={number:g}" for name, number in loss.required.items()]
    if SIGN_LABEL in (loss.target, *(facts.get("target") for facts in loss.variants.get("labels", {}).values())):
        options.append("labels=01")
    spec = ":".join([loss.name, *([",".join(options)] if options else [])])
    made = small_rows(loss, next(iter(loss.forms)))
    # The sample data hold no logarithms, no lists or sequences of labels, no groups and no further inputs.
    if made.inputs or "log_prob" in list(loss.forms)[:1] or loss.target_kind not in SAMPLED:
        return f"```console\n{_made(made)} --loss {loss.name}{_inputs(made)}\n```\n"
    predictions, targets = _example_data(loss)
    return f"```console\n$ lossctl eval sample_data/{predictions}.npy sample_data/{targets}.npy --loss {spec}\n```\n"


def _made(rows: Rows) -> str:
    """Commands that make arrays, and the start of one that reads them."""
    arrays = {"preds": rows.prediction, "targets": rows.target, **rows.inputs}
    lines = [f"$ python -c \"import numpy; numpy.save('{name}', {_literal(array)})\"" for name, array in arrays.items()]
    return "\n".join([*lines, "$ lossctl eval preds.npy targets.npy"])


def _literal(array: Any) -> str:
    """An array as Python's lists: "[[0.8, 2], [0.3, 0]]"."""
    if array.ndim:
        return "[" + ", ".join(_literal(part) for part in array) + "]"
    return spelled(array.item())


def _inputs(rows: Rows) -> str:
    return "".join(f" --input {name}={name}.npy" for name in rows.inputs)


def _example_data(loss: Loss) -> tuple[str, str]:
    """The sample data that a loss takes: arrays of predictions and of targets."""
    domain = next(iter(loss.forms.values())).prediction
    has_scores = domain in (REAL, LOGIT)
    if not loss.has_gradient and loss.scope is Scope.ELEMENT and loss.pooling is Pooling.MEAN:
        return "multiclass/labels", "multiclass/labels"
    if loss.target_kind is TargetKind.INDEX:
        return "multiclass/logits" if has_scores else "multiclass/preds", "multiclass/labels"
    of_classes = loss.scope is Scope.ROW and (domain is not REAL or bool(loss.target.labels))
    if loss.target_kind is TargetKind.DISTRIBUTION or of_classes:
        return "multiclass/logits" if has_scores else "multiclass/preds", "multiclass/onehot"
    if loss.scope is Scope.ROW:
        return "vectors/preds", "vectors/targets"
    if loss.target.high == 1.0:
        return "binary/logits" if has_scores else "binary/preds", "binary/labels"
    return "regression/preds", "regression/targets"
