"""What the registry says of each loss, in words and as data: `list`, `explain` and the reference are views of it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from lossctl.catalogue.loss_spec import find, is_own, spec_of
from lossctl.errors import visible
from lossctl.results import spelled
from lossctl_kernels import LOSSES, OPTIONS, Loss
from lossctl_kernels.domains import Domain, TargetKind
from lossctl_kernels.options import allowed_choices, default_of, describe_scope

PEER_NAMES = {"keras": "Keras", "torch": "PyTorch", "optax": "optax", "sklearn": "scikit-learn", "other": "elsewhere"}
# The modules of definitions that make a family, and what is in it.
FAMILIES = {
    "Regression": (
        "Predictions of numbers: by their error, or as the mean of a distribution.",
        ("regression", "relative", "pooled", "rates", "tweedie"),
    ),
    "Binary": (
        "A probability, logit, score or distance against one of two labels; labels against labels.",
        ("binary", "binary_focal", "margins"),
    ),
    "Multiclass": (
        "A row of scores or probabilities against a class, or a distribution over the classes.",
        ("multiclass", "class_probabilities", "brier_scores", "class_margins", "divergences", "fenchel_young"),
    ),
    "Multilabel": ("A row of scores of which several classes are right.", ("multilabel", "rankings")),
    "Similarity and metric learning": (
        "Vectors against vectors, and embeddings against each other.",
        ("similarity", "triplets", "circle", "ntxent"),
    ),
    "With a further array": ("Losses of predictions, targets and one more array.", ("paired",)),
    "Segmentation": ("Masks against masks, by their overlap.", ("segmentation", "dice")),
    "Sequence": ("Frames against a shorter list of labels.", ("sequence",)),
}
GUARDS = {
    "clip": "clip to [eps, 1 - eps]",
    "floor": "floor at eps",
    "add": "add eps",
    "log_floor": "floor the logarithm at eps",
    "shift": "add eps to each difference",
    "sq_add": "add eps to the sum of squares",
}
KINDS = {"number": "a number", "integer": "a whole number", "flag": "true or false", "vector": "w|w|…"}


def overview(installed: Iterable[Loss] = ()) -> list[dict[str, str]]:
    """One row a loss: name, what it is, what the predictions are, what one loss is of, and its other names.

    `installed` are those of other packages, which follow the built-in ones.
    """
    return [
        {
            "name": loss.name,
            "summary": loss.summary,
            "input": ", ".join(loss.forms),
            "of": describe_scope(loss),
            "aliases": ", ".join(
                sorted({alias.partition(":")[0] for names in loss.aliases.values() for alias in names})
            ),
        }
        for loss in (*LOSSES.values(), *installed)
    ]


def families() -> dict[str, tuple[str, list[str]]]:
    """The losses by family: {title: (what it holds, names)}. A module that no family names is one of its own."""
    titles = {module: title for title, (_, modules) in FAMILIES.items() for module in modules}
    found: dict[str, tuple[str, list[str]]] = {title: (said, []) for title, (said, _) in FAMILIES.items()}
    for loss in LOSSES.values():
        module = sys.modules[next(iter(loss.forms.values())).function.__module__]
        short = module.__name__.rpartition(".")[2]
        title = titles.get(short, short.replace("_", " ").capitalize())
        said = (module.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
        found.setdefault(title, (said, []))[1].append(loss.name)
    return {title: (said, names) for title, (said, names) in found.items() if names}


def example(loss: Loss, name: str | None = None) -> str:
    """A command that works for this loss, which is called by `name`."""
    numbers = {name: default for name, (default, _) in loss.parameters.items() if isinstance(default, float)}
    shown = dict(list((loss.required or numbers).items())[:1])
    inputs = "".join(f" --input {name}={name}.npy" for name, facts in loss.inputs.items() if not facts.optional)
    spec = shlex.quote(spec_of(name or loss.name, shown))
    return f"lossctl eval preds.npy targets.npy --loss {spec}{inputs}"


def describe(name: str) -> list[dict[str, Any]]:
    """Everything about the losses that a name may mean. Raises UsageError for an unknown name.

    A loss of one's own is called as it was asked for: its own name is without the folder of its file.
    """
    return [_describe(loss, visible(name, 4096) if is_own(name) else loss.name) for loss, _ in find(name)]


def _describe(loss: Loss, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": loss.description,
        "formula": loss.formula,
        "gradient": loss.gradient_formula,
        "unit": loss.unit or "that of the data",
        "of": describe_scope(loss),
        "predictions": {name: _numbers(form.prediction) for name, form in loss.forms.items()},
        "computed": _computed(loss),
        "targets": _targets(loss.target_kind, loss.target),
        "other_targets": _other_targets(loss),
        "inputs": [_input(name, loss) for name in loss.inputs],
        "options": [_option(loss, name) for name in dict.fromkeys((*loss.parameters, *loss.options))],
        "names": {PEER_NAMES[peer]: list(names) for peer, names in loss.aliases.items()},
        "presets": {PEER_NAMES[peer]: _preset(facts, loss) for peer, facts in loss.presets.items()},
        "source": loss.source,
        "example": example(loss, name),
    }


def _numbers(domain: Domain) -> str:
    """ "probability, [0, 1], each row sums to 1"."""
    return f"{domain.name}, {domain}" + (", each row sums to 1" if domain.rows_sum_to_one else "")


def _computed(loss: Loss) -> dict[str, str]:
    """How a form is computed so that no digits are lost, where its definition says so."""
    forms = list(loss.forms.items())[1:]
    said = {name: " ".join((form.function.__doc__ or "").split()) for name, form in forms}
    return {name: text for name, text in said.items() if text}


def _targets(kind: TargetKind, domain: Domain) -> str:
    numbers = kind in (TargetKind.SAME, TargetKind.DISTRIBUTION)
    return kind.value + (f", each a {domain.name} in {domain}" if numbers else "")


def _other_targets(loss: Loss) -> dict[str, str]:
    """What options make of the targets, where they change them: {"labels=01": …}."""
    plain = _targets(loss.target_kind, loss.target)
    found = {}
    for option, values in loss.variants.items():
        for value, facts in values.items():
            changed = _targets(facts.get("target_kind", loss.target_kind), facts.get("target", loss.target))
            if changed != plain:
                found[f"{option}={value}"] = changed
    return found


def _input(name: str, loss: Loss) -> dict[str, str]:
    facts = loss.inputs[name]
    needed = "may be left out" if facts.optional else "required"
    numbers = f"{facts.domain.name}, {facts.domain}" + (", whole" if facts.integer else "")
    return {"name": name, "meaning": facts.description, "shape": facts.shape.value, "numbers": numbers, "given": needed}


def _preset(facts: Mapping[str, Any], loss: Loss) -> dict[str, str]:
    """The options that a preset sets; numbers that only its backward pass uses are not options."""
    flat: dict[str, str] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            where = name if "=" in name else f"reduction={name}" if name == "mean" else f"input={name}"
            flat |= {option: f"{spelled(setting)} with {where}" for option, setting in value.items()}
        else:
            flat[name] = spelled(value)
    return {option: said for option, said in flat.items() if option in loss.options or option in loss.parameters}


def _option(loss: Loss, name: str) -> dict[str, str]:
    if name in loss.parameters:
        default, facts = loss.parameters[name]
        said = "required" if name in loss.required else spelled(default)
        return {"name": name, "default": said, "allowed": facts.range(), "meaning": facts.description}
    option, choices = OPTIONS[name], allowed_choices(loss, name)
    guards = name == "eps_mode" and all(mode in GUARDS for mode in choices)
    return {
        "name": name,
        "default": spelled(default_of(loss, name)),
        "allowed": option.allowed or ", ".join(choices) or KINDS[option.kind],
        "meaning": ", or ".join(GUARDS[mode] for mode in choices) if guards else option.description,
    }
