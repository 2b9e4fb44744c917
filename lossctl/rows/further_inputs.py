"""The further arrays that losses take by name, such as the variances of `gaussian_nll`: what is taken and what given.

What is asked of them is settled before any data is read: an array that no loss takes, and one that a loss misses, are
usage errors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from lossctl.catalogue.loss_spec import LossSpec, find
from lossctl.errors import UsageError, visible
from lossctl_kernels import Loss
from lossctl_kernels.spec import Input, InputShape


def check_names(specs: Sequence[LossSpec], given: Collection[str]) -> None:
    """Raises UsageError for a name that no loss of the call takes, and for an array that one of them always needs."""
    losses = {loss.name: loss for spec in specs for loss, _ in find(spec.name)}
    choices = [inputs for loss in losses.values() for inputs in _choices(loss)]
    # As each is by default, where options make something else of it.
    taken = {name: facts for inputs in reversed(choices) for name, facts in inputs.items()}
    _refuse_unknown(list(losses), taken, given)
    for spec in specs:
        candidates = [loss for loss, _ in find(spec.name)]
        # Which of several losses a name means, the shapes of the data decide.
        if len(candidates) == 1:
            always = set.intersection(*({*_required(inputs)} for inputs in _choices(candidates[0])))
            _refuse_missing(candidates[0], sorted(always), given)


def check_settled(losses: Sequence[Loss], given: Collection[str]) -> None:
    """The same, of losses whose options and shapes are known."""
    taken = {name: facts for loss in losses for name, facts in loss.inputs.items()}
    _refuse_unknown(list(dict.fromkeys(loss.name for loss in losses)), taken, given)
    for loss in losses:
        _refuse_missing(loss, _required(loss.inputs), given)
        _refuse_half(loss, given)


def whole_inputs(specs: Sequence[LossSpec], given: Collection[str]) -> set[str]:
    """Those of the given arrays that are not in step with the rows."""
    taken = [inputs for spec in specs for loss, _ in find(spec.name) for inputs in _choices(loss)]
    return {name for inputs in taken for name, facts in inputs.items() if facts.shape is InputShape.WHOLE} & set(given)


def check_differentiable(loss: str, known: Sequence[str], wanted: str) -> None:
    """Raises UsageError unless `wanted` is among the arrays that a loss has a derivative by."""
    if wanted not in known:
        from lossctl.guesses import did_you_mean

        raise UsageError(
            f"{loss} has no gradient by '{visible(wanted)}'",
            hint=f"{did_you_mean(wanted, known)}it has one by {' and by '.join(known)}",
        )


def _choices(loss: Loss) -> list[Mapping[str, Input]]:
    """What a loss takes, by itself and as options make it."""
    varied = [facts["inputs"] for values in loss.variants.values() for facts in values.values() if "inputs" in facts]
    return [loss.inputs, *varied]


def _required(inputs: Mapping[str, Input]) -> list[str]:
    return [name for name, facts in inputs.items() if not facts.optional]


def _refuse_unknown(losses: Sequence[str], taken: dict[str, Input], given: Collection[str]) -> None:
    for name in given:
        if name in taken:
            continue
        one, found = len(losses) == 1, f"an input '{visible(name)}'"
        if not taken:
            takes = f"{losses[0]} takes no further input" if one else f"{', '.join(losses)} take no further input"
            raise UsageError(f"{takes}: found {found}", hint="leave it out")
        from lossctl.guesses import did_you_mean

        known = ", ".join(f"{each} ({facts.description})" for each, facts in taken.items())
        takes = f"{losses[0]} does not take" if one else f"none of {', '.join(losses)} takes"
        raise UsageError(f"{takes} {found}", hint=f"{did_you_mean(name, taken)}known: {known}")


def _refuse_missing(loss: Loss, required: Sequence[str], given: Collection[str]) -> None:
    for name in required:
        if name not in given:
            raise UsageError(
                f"{loss.name} needs an input '{name}': {loss.inputs[name].description}",
                hint=f"give it with --input {name}=FILE, in Python with inputs={{'{name}': array}}",
            )


def _refuse_half(loss: Loss, given: Collection[str]) -> None:
    """What is not in step with the rows is in step with itself: all of it, or nothing."""
    whole = [name for name, facts in loss.inputs.items() if facts.shape is InputShape.WHOLE]
    missing, there = ([name for name in whole if (name in given) is is_given] for is_given in (False, True))
    if missing and there:
        raise UsageError(
            f"{loss.name} needs an input '{missing[0]}' next to '{there[0]}': {loss.inputs[missing[0]].description}",
            hint=f"give it with --input {missing[0]}=FILE, or leave out {there[0]}",
        )
