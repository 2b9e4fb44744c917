"""The keys of an evaluation in a suite, and what may stand for them: both follow from what a command declares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, get_args

from lossctl.errors import UsageError, visible
from lossctl.guesses import did_you_mean
from lossctl_kernels.numerals import number_of, whole_number_of

if TYPE_CHECKING:
    from lossctl.declarations import Parameter

PLACEHOLDER = "{name}"
"""In the texts of a suite: the name of the evaluation."""

# What the standard promises of a whole number; longer ones may not even have a text.
LONGEST_BITS = 63

_YES, _NO = ("y", "yes", "t", "true", "on", "1"), ("n", "no", "f", "false", "off", "0")
_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list[str]: "text, or a list of texts",
}


def key_of(parameter: Parameter) -> str:
    """What a suite calls an argument or an option: its long name, without dashes in front."""
    names = (name.removeprefix("--") for name in parameter.declared.names if name.startswith("--"))
    return next(names, parameter.name)


def keys_of(parameters: Iterable[Parameter]) -> dict[str, Parameter]:
    """What a command takes, by its keys."""
    return {key_of(parameter): parameter for parameter in parameters}


def guess(name: str, known: Iterable[str]) -> str:
    """A hint for a key or a name that nothing has: what was probably meant, else what there is."""
    names = list(known)
    alike = [each for each in names if each.lower() == name.lower().replace("_", "-")]
    meant = f"did you mean {alike[0]}?" if alike else did_you_mean(name, names).rstrip()
    return meant or f"there are {', '.join(names)}"


def from_toml(parameter: Parameter, value: object) -> Any:
    """`value` as the command takes it. Raises UsageError for another type.

    One text stands for a list of it, a table of texts for a list of NAME=VALUE, and a number for its text where an
    option takes text.
    """
    kind = _kind(parameter)
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"is {_KINDS[kind]}, found {value}")
    if isinstance(value, int) and value.bit_length() > LONGEST_BITS:
        raise UsageError(f"is {_KINDS[kind]}, found a number of more than 64 bits")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # A file that is called by a number is more often a slip.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is str and is_number and parameter.declared.names:
        return str(value)
    if kind == list[str]:
        return _texts(parameter, value)
    if type(value) is kind:
        return _text(value) if isinstance(value, str) else value
    raise UsageError(f"is {_KINDS[kind]}, found {_found(value)}")


def _kind(parameter: Parameter) -> Any:
    """The type of a parameter, where it is given."""
    kinds = [kind for kind in get_args(parameter.kind) if kind is not type(None)]
    return kinds[0] if len(kinds) == 1 and parameter.kind != list[str] else parameter.kind


def _texts(parameter: Parameter, value: object) -> list[str]:
    if isinstance(value, str):
        return [_text(value)]
    if isinstance(value, dict) and "=" in (parameter.declared.metavar or ""):
        return [f"{name}={text}" for name, text in zip(value, _texts(parameter, [*value.values()]), strict=True)]
    if not isinstance(value, list):
        raise UsageError(f"is {_KINDS[list[str]]}, found {_found(value)}")
    other = next((each for each in value if not isinstance(each, str)), None)
    if other is not None:
        raise UsageError(f"is {_KINDS[list[str]]}, found {_found(other)} in it")
    return [_text(each) for each in value]


def _text(text: str) -> str:
    if "\0" in text:
        raise UsageError(f"holds a null character: '{visible(text)}'")
    return text


def _found(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text '{visible(value)}'"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a table"
    # All else that TOML has are dates and times.
    return visible(value) if isinstance(value, int | float) else f"the date or time {visible(value)}"


def named(value: Any, name: str) -> Any:
    """A value of a suite, for the evaluation of that name."""
    if isinstance(value, str):
        return value.replace(PLACEHOLDER, name)
    return [named(each, name) for each in value] if isinstance(value, list) else value


def from_environment(parameter: Parameter, environment: Mapping[str, str]) -> Any:
    """What the option's variable says, as on the command line; None where there is none or it is empty.

    Raises UsageError for a text that does not say it.
    """
    variable = parameter.declared.envvar
    text = environment.get(variable, "") if variable else ""
    if not text:
        return None
    kind = _kind(parameter)
    try:
        if kind is bool:
            return _truth(text)
        if kind is int:
            return whole_number_of(text)
        if kind is float:
            return number_of(text)
    except ValueError:
        raise UsageError(f"{variable} is {_KINDS[kind]}, found '{visible(text)}'") from None
    return text.split() if kind == list[str] else text


def _truth(text: str) -> bool:
    word = text.strip().lower()
    if word not in (*_YES, *_NO):
        raise ValueError(text)
    return word in _YES
