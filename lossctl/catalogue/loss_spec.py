"""SPECs: "huber:delta=2" to a loss and its options, whatever the framework that the name comes from.

A name may also be "path/to/file.py:function", a loss of one's own, or that of a loss of an installed package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from lossctl.catalogue.loss_names import argument, guess, in_framework
from lossctl.errors import UsageError, visible
from lossctl.results import spelled
from lossctl_kernels import Loss, Settings, SpecificationError, resolve
from lossctl_kernels.domains import TargetKind
from lossctl_kernels.losses import find_loss
from lossctl_kernels.options import option_names
from lossctl_kernels.records import Record

OWN = re.compile(r"(.*?\.py)(?::([^:=,/]*)(?::(.*))?)?", re.DOTALL)
"""A file, its function, and options: the path may hold colons."""


class LossSpec(Record):
    """What the user wrote for one loss: a name, and options as text."""

    text: str
    name: str
    options: Mapping[str, str]


class Shapes(Record):
    """The shapes of one row of predictions and of targets: () for (N,), (C,) for (N, C)."""

    prediction: tuple[int, ...]
    target: tuple[int, ...]

    @property
    def width(self) -> int:
        """Values in a row of predictions."""
        width = 1
        for size in self.prediction:
            width *= size
        return width


def parse(text: str) -> LossSpec:
    """Takes "name:option=value,option=value" apart. Raises UsageError where that is not its form."""
    name, rest = _split(text.strip())
    options: dict[str, str] = {}
    for part in () if rest is None else rest.split(","):
        option, equals, value = part.partition("=")
        option = option.strip()
        if not equals or not option or not value.strip():
            raise UsageError(
                f"loss '{visible(text)}': '{visible(part)}' is not option=value",
                hint="write name:option=value,option=value, such as huber:delta=2",
            )
        if option in options:
            raise UsageError(f"loss '{visible(text)}': {visible(option)} is given twice", hint="give it once")
        options[option] = value.strip()
    if not name.strip():
        raise UsageError(f"loss '{visible(text)}' has no name", hint="see `lossctl list`")
    return LossSpec(text.strip(), name.strip(), options)


def spec_of(name: str, options: Mapping[str, object]) -> str:
    """The SPEC of a loss with these options, which `parse` takes apart."""
    given = ",".join(f"{option}={spelled(value)}" for option, value in options.items())
    return f"{name}:{given}" if given else name


def is_own(name: str) -> bool:
    """Whether a name is that of a function in a file."""
    return OWN.fullmatch(name) is not None


def _split(text: str) -> tuple[str, str | None]:
    """A name, and the text of its options where there are any."""
    own = OWN.fullmatch(text)
    if own is not None:
        path, function, options = own.groups()
        return path if function is None else f"{path}:{function}", options
    name, colon, rest = text.partition(":")
    return name, rest if colon else None


@cache
def names() -> Mapping[str, tuple[tuple[Loss, Mapping[str, str]], ...]]:
    """Every name that is understood, with the losses that it may mean and the options that it implies.

    A canonical name means that loss alone. A name of several losses (`log_loss`, `CrossEntropyLoss`) is decided by the
    shape of the data.
    """
    from lossctl_kernels import LOSSES

    index: dict[str, list[tuple[Loss, Mapping[str, str]]]] = {}
    for loss in LOSSES.values():
        for peer_names in loss.aliases.values():
            for alias in peer_names:
                implied = parse(alias)
                if implied.name not in LOSSES:
                    index.setdefault(implied.name, []).append((loss, implied.options))
    for others in index.values():  # a loss that two frameworks call alike is one
        others[:] = {loss.name: (loss, implied) for loss, implied in others}.values()
    for loss in LOSSES.values():
        index[loss.name] = [(loss, {})]
    return {name: tuple(losses) for name, losses in index.items()}


def find(name: str) -> tuple[tuple[Loss, Mapping[str, str]], ...]:
    """The losses that a name may mean: of a file, built in, or of an installed package.

    The path of a name in a framework, such as torch.nn.BCELoss, implies the preset of that framework.

    Raises UsageError, with a suggestion for a slip.
    """
    built_in = find_loss(name)
    if built_in is not None:
        return ((built_in, {}),)
    known = names()
    if name in known:
        return known[name]
    of_path, bare = in_framework(name)
    if of_path and (theirs := _of_framework(bare, of_path)):
        return theirs
    if is_own(name):
        from lossctl.own.losses import find_own

        return ((find_own(name), {}),)
    from lossctl.catalogue.plugins import find_plugin, plugin_names
    from lossctl_kernels import LOSSES

    installed = find_plugin(name)
    if installed is not None:
        return ((installed, {}),)
    hint = guess(bare.rpartition(".")[2], (*LOSSES, *known, *plugin_names()))
    if "," in name:
        hint = "give each loss a --loss of its own; "
    raise UsageError(f"unknown loss '{visible(name)}'", hint=f"{hint}`lossctl list` shows the losses")


def _of_framework(name: str, of_path: Mapping[str, str]) -> tuple[tuple[Loss, Mapping[str, str]], ...]:
    """The losses that the framework of this preset calls so, with the options that the path to the name implies."""
    return tuple(
        (loss, {**implied, **{option: value for option, value in of_path.items() if option in option_names(loss)}})
        for loss, implied in names().get(name, ())
        if name == loss.name or name in [parse(alias).name for alias in loss.aliases.get(of_path["preset"], ())]
    )


def gradient_hint(loss: Loss) -> str:
    """What to do where a loss has no gradient and one is asked for."""
    if not loss.origin:
        return "`lossctl list` shows which losses have one"
    name = next(iter(loss.forms.values())).name
    return f"add a function under @gradient_of({name}) to {loss.origin}, as docs/own-losses.md shows"


def loss_of(spec: LossSpec, shapes: Shapes) -> Loss:
    """The loss that a SPEC names, for data of these shapes. Raises UsageError."""
    return _by_shape(spec, find(spec.name), shapes)[0]


def settle(spec: LossSpec, flags: Mapping[str, Any], shapes: Shapes, reduction: str = "mean") -> Settings:
    """The loss of a SPEC with all its options decided. `flags` are options given for every loss of the call.

    Raises UsageError where options do not exist, do not fit, or contradict a flag.
    """
    loss, implied = _by_shape(spec, find(spec.name), shapes)
    for option in flags:
        if option not in loss.options and option not in loss.parameters:
            raise UsageError(
                f"{loss.name} has no option '{option}', which the command gives to every loss",
                hint="leave it out, or give it to the losses that have it, as in bce:input=logit; "
                f"{loss.name} has: {', '.join(sorted(option_names(loss)))}",
            )
    for option in spec.options:
        if meant := argument(option, option_names(loss)):
            raise UsageError(f"{loss.name} has no option '{option}'", hint=f"here that is {meant}")
    given = dict(spec.options)
    implied = _meant(loss, implied, {**flags, **given})
    for source, options in ((f"the name {spec.name} means", implied), ("the command says", flags)):
        for option, value in options.items():
            if option in given and str(given[option]) != str(value):
                said = f"{option}={visible(given[option])}"
                raise UsageError(
                    f"loss '{visible(spec.text)}' says {said}, but {source} {option}={visible(value)}",
                    hint="leave out one of them",
                )
            given[option] = value
    try:
        return resolve(loss, given, reduction)
    except SpecificationError as error:
        raise UsageError(visible(str(error), 300), hint=error.hint) from None


def _meant(loss: Loss, implied: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, str]:
    """What a name implies, but for parameters whose usual value in its framework is replaced.

    optax.dice_loss:smooth=0.5 is dice_loss(smooth=0.5) of optax, and no contradiction; jaccard:alpha=2 is one.
    """
    usual = loss.presets.get(str({**implied, **given}.get("preset")), {})
    return {
        option: value
        for option, value in implied.items()
        if option not in given or option not in loss.parameters or option not in usual or usual[option] != float(value)
    }


def _by_shape(
    spec: LossSpec, candidates: tuple[tuple[Loss, Mapping[str, str]], ...], shapes: Shapes
) -> tuple[Loss, Mapping[str, str]]:
    if len(candidates) == 1:
        return candidates[0]
    if shapes.width == 1:
        kind = TargetKind.SAME
    elif shapes.target == shapes.prediction:
        kind = TargetKind.DISTRIBUTION
    else:
        kind = TargetKind.INDEX
    for loss, implied in candidates:
        if loss.target_kind is kind:
            return loss, implied
    for loss, implied in candidates:
        if kind is TargetKind.INDEX and "index" in loss.variants.get("labels", ()):
            return loss, {**implied, "labels": "index"}
    meant = " or ".join(loss.name for loss, _ in candidates)
    raise UsageError(
        f"{visible(spec.name)} is {meant}, and neither fits predictions with {shapes.width} value a row",
        hint="name the loss that you mean",
    )
