"""The options that losses share: what each means, what it may be, and how what the user gave is resolved.

`resolve` takes a loss and the options given (text from a command line, or Python values) to `Settings`: every option
that the loss has, decided, before any data is read. What contradicts itself, or what the loss does not have, is a
`SpecificationError` that lists what there is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from .domains import TargetKind
from .facts import Pooling
from .numerals import number_of, whole_number_of
from .records import Record, field
from .spec import PEERS, Definition, Loss, Parameter, Scope


class SpecificationError(ValueError):
    """A loss, option or value that does not exist or does not fit; `hint` lists what does."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class Option(Record):
    """One shared option. `kind` is choice, number, integer, flag or vector; the default is what is meant if absent.

    `allowed` says in words what a number may be.
    """

    description: str
    kind: str
    default: Any
    choices: tuple[str, ...] = ()
    allowed: str = ""


OPTIONS: Mapping[str, Option] = {
    "input": Option("what the predictions are", "choice", None, ("prob", "logit", "log_prob")),
    "eps": Option(
        "numeric guard of the prediction; machine is the spacing of its dtype at 1",
        "number",
        0.0,
        allowed="a number or machine",
    ),
    "eps_mode": Option(
        "clip to [eps, 1 - eps], floor at eps, add eps, or floor the logarithm at eps",
        "choice",
        None,
        ("clip", "floor", "add", "log_floor"),
    ),
    "normalize": Option("divide each row of probabilities by its sum", "flag", False),
    "label_smoothing": Option("share of the label that is spread evenly", "number", 0.0, allowed=">= 0 and <= 1"),
    "smoothing_mode": Option(
        "spread over all classes, or only over the others", "choice", "uniform", ("uniform", "others")
    ),
    "class_weight": Option("one weight for each class, such as 0.5|1|2", "vector", None),
    "alpha": Option("factor of the loss of each class, such as 0.25 or 0.5|1|2", "vector", (1.0,)),
    "ignore_index": Option("rows with this class index are left out", "integer", None),
    "log_base": Option("base of the logarithm: nats, bits or dits", "choice", "e", ("e", "2", "10")),
    "row": Option("a row of several values counts as their mean or sum", "choice", "mean", ("mean", "sum")),
    "denom": Option(
        "what the mean divides by: weights, all rows, rows not ignored, rows with a loss, or values",
        "choice",
        "weight",
        ("weight", "count", "valid", "nonzero", "elements"),
    ),
    "empty": Option("the mean of nothing", "choice", "nan", ("nan", "zero", "error")),
    "multioutput": Option(
        "two-dimensional input: one long column, or the mean over columns", "choice", "flat", ("flat", "columns")
    ),
    "grad_wrt": Option("take the gradient with respect to this", "choice", None, ("prob", "logit", "log_prob")),
    "grad_scale": Option(
        "gradient of the reported number, of each sample's loss, of the sum or of the mean",
        "choice",
        "reported",
        ("reported", "sample", "sum", "mean"),
    ),
    "labels": Option("how the targets say what is right", "choice", None),
    "link": Option("what the predictions are: the mean itself, or its logarithm", "choice", None),
    "drop_constant": Option("leave out the terms that do not depend on the prediction", "flag", False),
    "full": Option("add the constant ln y! of the target, exact or by Stirling's formula above 1", "choice", None),
    "max_fun": Option("the maximum that the loss is made of", "choice", None),
    "target": Option("what the targets are", "choice", None),
    "kink": Option(
        "slope where there are two: that of PyTorch or the smallest, of the flat or the steep side, or their mean",
        "choice",
        "torch",
        ("torch", "flat", "steep", "half"),
    ),
    "var_input": Option("what var holds: the variance, its logarithm, or the standard deviation", "choice", None),
    "distance": Option("how far two rows are apart: a norm, its square, or one minus the cosine", "choice", None),
    "swap": Option("take the positive as the anchor of the negative where it is nearer", "flag", False),
    "denominator": Option("what the overlap is compared with: sums, or sums of squares", "choice", None),
    "scope": Option(
        "one loss for all values, or the mean of one a sample, a class, or a class of each sample", "choice", None
    ),
    "ignore_background": Option("leave the first class out of the mean over classes", "flag", False),
    "preset": Option("conventions of a framework", "choice", None, PEERS),
    "source": Option(
        "digest of the code of a loss that is not built in: given, it holds the loss to it", "choice", None
    ),
}

KINKS = {"flat": 0.0, "steep": 1.0, "half": 0.5}
FLAGS = {"false": "false", "no": "false", "0": "false", "true": "true", "yes": "true", "1": "true"}

SWITCHES = {"true": "on", "false": "off"}

LOG_BASES = {"e": 1.0, "2": math.log(2.0), "10": math.log(10.0)}
UNITS = {"e": "nat", "2": "bit", "10": "dit"}


class Settings(Record):
    """A loss with every option decided. `options` holds them by name; `hidden` what a preset sets in a definition."""

    loss: Loss
    options: Mapping[str, Any]
    hidden: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """The value of a shared option, or what its absence means for a loss that does not have it."""
        return self.options[name] if name in self.options else OPTIONS[name].default

    @property
    def input(self) -> str:
        return str(self.options["input"]) if "input" in self.options else next(iter(self.loss.forms))

    @property
    def definition(self) -> Definition:
        return self.loss.forms[self.input]

    @property
    def unit(self) -> str:
        return UNITS[self["log_base"]] if self.loss.unit == "nat" else self.loss.unit

    @property
    def value_divisor(self) -> float:
        return LOG_BASES[self["log_base"]]


def suggestion(word: str, known: list[str]) -> str:
    """ "; did you mean X?" where something known is close, else nothing."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def resolve(loss: Loss, given: Mapping[str, Any], reduction: str = "mean") -> Settings:
    """Decides every option of `loss`, whose losses are reduced to a "mean" or "sum". Raises SpecificationError."""
    names = option_names(loss)
    for name in given:
        if name not in names:
            has = ", ".join(sorted(names)) or "no options"
            raise SpecificationError(f"{loss.name} has no option {name!r}{suggestion(name, names)}", f"it has: {has}")
    parsed = {name: _parse(loss, name, value) for name, value in given.items()}
    input = parsed.get("input") or _preset_value(loss, parsed.get("preset"), "input") or next(iter(loss.forms))
    words = [str(input), reduction, *(f"{name}={parsed.get(name, default_of(loss, name))}" for name in loss.variants)]
    preset, hidden = _preset(loss, parsed.get("preset"), words)
    chosen = {**preset, **parsed}
    if "eps" in parsed and parsed["eps"] != preset.get("eps"):
        hidden.pop("variance_floor", None)  # of the guard that the preset had
    options: dict[str, Any] = {}
    for name in names:
        if name == "input":
            options[name] = input
        elif name in chosen:
            options[name] = chosen[name]
        else:
            options[name] = default_of(loss, name)
    for name, example in loss.required.items():
        if options[name] is None:
            raise SpecificationError(f"{loss.name} needs {name}", f"such as {loss.name}:{name}={example:g}")
    _refuse_unused(loss, str(input), parsed)
    settings = Settings(loss.settled(options), options, hidden)
    _check(settings, parsed)
    return settings


def _refuse_unused(loss: Loss, input: str, given: Mapping[str, Any]) -> None:
    """A parameter of another form of the predictions would change nothing."""
    for name in given:
        if name in loss.parameters and name not in loss.forms[input].asks_for():
            raise SpecificationError(f"{loss.name}: {name} means nothing for predictions that are input={input}")


def option_names(loss: Loss) -> list[str]:
    """Every option and parameter of a loss, in order."""
    return [*loss.options, *(name for name in loss.parameters if name not in loss.options)]


def default_of(loss: Loss, name: str) -> Any:
    """What an option or parameter of a loss is if nobody says."""
    if name in loss.parameters:
        return loss.parameters[name][0]
    if name == "input":
        return next(iter(loss.forms))
    if name == "eps_mode":
        return eps_modes(loss)[0]
    return next(iter(loss.variants[name])) if name in loss.variants else OPTIONS[name].default


def eps_modes(loss: Loss) -> tuple[str, ...]:
    """The guards that make sense for a loss: probabilities have them all, other losses say which."""
    return loss.parameters["eps"][1].modes if "eps" in loss.parameters else ("clip", "floor", "add", "log_floor")


def _preset_value(loss: Loss, preset: str | None, name: str) -> Any:
    return loss.presets[preset].get(name) if preset else None


def _preset(loss: Loss, preset: str | None, words: Iterable[str]) -> tuple[dict[str, Any], dict[str, float]]:
    """(options, hidden numbers) of the preset; `words` are the form of the prediction, the reduction and choices."""
    if not preset:
        return {}, {}
    facts = loss.presets[preset]
    own = {name: value for word in words for name, value in facts.get(word, {}).items()}
    flat = {name: value for name, value in {**facts, **own}.items() if not isinstance(value, Mapping)}
    public = {name: value for name, value in flat.items() if name in loss.options or name in loss.parameters}
    return public, {name: value for name, value in flat.items() if name not in public}


def _parse(loss: Loss, name: str, value: Any) -> Any:
    if name in loss.parameters:
        facts = loss.parameters[name][1]
        if facts.words:
            return _word(loss, name, facts, value)
        if facts.optional and str(value).lower() == "none":
            return None
        numbers = tuple(_allowed(loss, name, facts, part) for part in (_parts(value) if facts.by_column else [value]))
        return numbers if len(numbers) > 1 else numbers[0]
    return _PARSERS[OPTIONS[name].kind](loss, name, value)


def _allowed(loss: Loss, name: str, facts: Parameter, value: Any) -> float:
    number = _number(loss, name, value)
    if not facts.allows(number):
        raise SpecificationError(f"{loss.name}: {name} must be {facts.range()}, found {value}")
    return number


def _word(loss: Loss, name: str, facts: Parameter, value: Any) -> str:
    text = str(value).lower()
    text = FLAGS.get(text, text) if "true" in facts.words else text
    text = SWITCHES.get(FLAGS.get(text, text), text) if "on" in facts.words else text
    if text not in facts.words:
        raise SpecificationError(
            f"{loss.name}: {name} cannot be {str(value)!r}{suggestion(text, list(facts.words))}",
            f"it is one of: {facts.range()}",
        )
    return text


def allowed_choices(loss: Loss, name: str) -> tuple[str, ...]:
    """What a choice may be for this loss; nothing for other kinds of option."""
    if name in ("input", "grad_wrt"):
        return tuple(loss.forms)
    if name == "preset":
        return tuple(peer for peer in PEERS if peer in loss.presets)
    if name == "eps_mode":
        return eps_modes(loss)
    if name in loss.variants:
        return tuple(loss.variants[name])
    return OPTIONS[name].choices


def _choice(loss: Loss, name: str, value: Any) -> str:
    text, allowed = str(value), allowed_choices(loss, name)
    if text not in allowed:
        raise SpecificationError(
            f"{loss.name}: {name} cannot be {text!r}{suggestion(text, list(allowed))}",
            f"it is one of: {', '.join(allowed)}",
        )
    return text


def _number(loss: Loss, name: str, value: Any) -> float:
    try:
        number = number_of(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        raise SpecificationError(f"{loss.name}: {name} must be a number, found {value!r}") from None
    if not math.isfinite(number):
        raise SpecificationError(f"{loss.name}: {name} must be finite, found {value!r}")
    return number


def _eps_or_number(loss: Loss, name: str, value: Any) -> float | str:
    if name == "eps" and value == "machine":
        return "machine"
    return _number(loss, name, value)


def _integer(loss: Loss, name: str, value: Any) -> int:
    try:
        return whole_number_of(str(value))
    except ValueError:
        raise SpecificationError(f"{loss.name}: {name} must be a whole number, found {value!r}") from None


def _flag(loss: Loss, name: str, value: Any) -> bool:
    text = FLAGS.get(str(value).lower())
    if text is None:
        raise SpecificationError(f"{loss.name}: {name} must be true or false, found {value!r}")
    return text == "true"


def _parts(value: Any) -> list[Any]:
    """The numbers of a vector: 0.5|1|2, or several, or one."""
    if isinstance(value, str):
        return list(value.split("|"))
    return list(value) if isinstance(value, Iterable) else [value]


def _vector(loss: Loss, name: str, value: Any) -> tuple[float, ...]:
    numbers = tuple(_number(loss, name, part) for part in _parts(value))
    if any(number < 0.0 for number in numbers) or not any(numbers):
        raise SpecificationError(
            f"{loss.name}: {name} must be weights that are not negative and not all 0, found {value}"
        )
    return numbers


_PARSERS = {"choice": _choice, "number": _eps_or_number, "integer": _integer, "flag": _flag, "vector": _vector}


def _check(settings: Settings, given: Mapping[str, Any]) -> None:
    """Refuses what contradicts itself. `given` is what the user said: presets never contradict."""
    name, input = settings.loss.name, settings.input
    for option in settings.loss.idle:
        if option in given:
            raise SpecificationError(f"{name}: {option} means nothing with the other options", "leave it out")
    guarded = [
        option for option in ("eps", "eps_mode", "normalize") if given.get(option) and option in settings.loss.options
    ]
    if "eps" in settings.loss.options and input != "prob" and any(option in given for option in guarded):
        raise SpecificationError(
            f"{name}: {guarded[0]} guards probabilities, but the predictions are input={input}", "leave out one of them"
        )
    if "eps_mode" in given and not settings.options.get("eps"):
        raise SpecificationError(f"{name}: eps_mode={given['eps_mode']} without eps", "give eps as well")
    _check_eps(settings)
    smoothing = settings["label_smoothing"]
    if not 0.0 <= smoothing <= 1.0:
        raise SpecificationError(f"{name}: label_smoothing must be >= 0 and <= 1, found {smoothing:g}")
    if settings["smoothing_mode"] != "uniform" and not smoothing:
        raise SpecificationError(
            f"{name}: smoothing_mode={settings['smoothing_mode']} without label_smoothing", "give label_smoothing too"
        )
    if settings.loss.target_kind is TargetKind.SAME and settings["smoothing_mode"] != "uniform":
        raise SpecificationError(f"{name}: smoothing_mode needs classes")
    wrt = settings["grad_wrt"]
    if wrt and wrt != input and (settings["eps"] or settings["normalize"]):
        raise SpecificationError(f"{name}: grad_wrt={wrt} cannot be combined with eps or normalize")


def _check_eps(settings: Settings) -> None:
    eps = settings.options.get("eps", 0.0)
    if eps == "machine" or "eps" not in settings.loss.options:
        return
    mode = settings["eps_mode"]
    fits = {"clip": 0.0 <= eps < 0.5, "floor": eps >= 0.0, "add": eps >= 0.0, "log_floor": True}[mode]
    if not fits:
        allowed = ">= 0 and < 0.5" if mode == "clip" else ">= 0"
        raise SpecificationError(f"{settings.loss.name}: eps must be {allowed} with eps_mode={mode}, found {eps:g}")


def describe_scope(loss: Loss) -> str:
    """One loss a value, a row or a data set, in words."""
    if loss.pooling is not Pooling.MEAN:
        return "the whole data set"
    words = {Scope.ELEMENT: "each value", Scope.ROW: "each row", Scope.DATASET: "the whole data set"}
    return words.get(loss.scope, "each row against all rows")
