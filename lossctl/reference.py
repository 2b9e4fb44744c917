"""What the registry says of each loss, in words and as data: `list` and `explain` are views of it."""

from __future__ import annotations

from typing import Any

from lossctl.loss_spec import find
from lossctl.results import spelled
from lossctl_kernels import LOSSES, OPTIONS, Loss
from lossctl_kernels.domains import TargetKind
from lossctl_kernels.options import allowed_choices, default_of, describe_scope

__all__ = ["describe", "example", "overview"]

PEER_NAMES = {"keras": "Keras", "torch": "PyTorch", "optax": "optax", "sklearn": "scikit-learn", "other": "elsewhere"}


def overview() -> list[dict[str, str]]:
    """One row a loss: name, what it is, what the predictions are, what one loss is of, and its other names."""
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
        for loss in LOSSES.values()
    ]


def example(loss: Loss) -> str:
    """A command that works for this loss."""
    numbers = {name: default for name, (default, _) in loss.parameters.items() if isinstance(default, float)}
    shown = list((loss.required or numbers).items())[:1]
    options = "".join(f":{name}={number:g}" for name, number in shown)
    return f"lossctl eval preds.npy targets.npy --loss {loss.name}{options}"


def describe(name: str) -> list[dict[str, Any]]:
    """Everything about the losses that a name may mean. Raises UsageError for an unknown name."""
    return [_describe(loss) for loss, _ in find(name)]


def _describe(loss: Loss) -> dict[str, Any]:
    forms = {name: f"{form.prediction.name}, {form.prediction}" for name, form in loss.forms.items()}
    target = loss.target_kind.value
    if loss.target_kind is not TargetKind.INDEX:
        target += f", each a {loss.target.name} in {loss.target}"
    return {
        "name": loss.name,
        "description": loss.description,
        "formula": loss.formula,
        "gradient": loss.gradient_formula,
        "unit": loss.unit or "that of the data",
        "of": describe_scope(loss),
        "predictions": forms,
        "targets": target,
        "options": [_option(loss, name) for name in (*loss.parameters, *loss.options)],
        "names": {PEER_NAMES[peer]: list(names) for peer, names in loss.aliases.items()},
        "presets": {PEER_NAMES[peer]: _preset(facts, loss) for peer, facts in loss.presets.items()},
        "source": loss.source,
        "example": example(loss),
    }


def _preset(facts: Any, loss: Loss) -> dict[str, str]:
    """The options that a preset sets; numbers that only its backward pass uses are not options."""
    flat: dict[str, str] = {}
    for name, value in facts.items():
        if isinstance(value, dict):
            known = {*loss.options, *loss.parameters}
            public = {option: setting for option, setting in value.items() if option in known}
            flat |= {option: f"{spelled(setting)} with input={name}" for option, setting in public.items()}
        else:
            flat[name] = spelled(value)
    return flat


def _option(loss: Loss, name: str) -> dict[str, str]:
    if name in loss.parameters:
        default, facts = loss.parameters[name]
        said = "required" if name in loss.required else spelled(default)
        return {"name": name, "default": said, "allowed": facts.range(), "meaning": facts.description}
    option = OPTIONS[name]
    choices = allowed_choices(loss, name)
    default = default_of(loss, name)
    allowed = {"number": "a number", "integer": "a whole number", "flag": "true or false", "vector": "w|w|…"}
    return {
        "name": name,
        "default": spelled(default),
        "allowed": option.allowed or ", ".join(choices) or allowed[option.kind],
        "meaning": option.description,
    }
