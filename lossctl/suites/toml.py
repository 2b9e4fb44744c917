"""A resolved suite as TOML: every setting that has a value, and where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lossctl.errors import UsageError, visible
from lossctl.suites.suite import EVALUATIONS, OUTPUTS, Suite
from lossctl.suites.values import key_of

if TYPE_CHECKING:
    from lossctl.declarations import Parameter

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def render(suite: Suite, parameters: Iterable[Parameter]) -> str:
    """The suite, to be read by people and by `lossctl run`, which does the same with it.

    Raises UsageError for a text that TOML cannot hold, such as the name of a file that is not Unicode.
    """
    keys = {parameter.name: key_of(parameter) for parameter in parameters}
    where = f"in '{visible(suite.folder)}'" if suite.folder else "in the current folder"
    lines = [f"# {visible(suite.path)}, resolved; its paths start {where}."]
    if suite.outputs:
        lines.append(f"{OUTPUTS} = {spelled(list(suite.outputs))}")
    for evaluation in suite.evaluations:
        lines += ["", f"[[{EVALUATIONS}]]", f"name = {spelled(evaluation.name)}"]
        lines += [
            f"{keys[name]} = {spelled(value)}  # {source}"
            for name, (value, source) in _ordered(evaluation.settings, keys)
            if value is not None
        ]
    return "".join(f"{line}\n" for line in lines)


def _ordered(settings: Mapping[str, Any], keys: Iterable[str]) -> Iterable[tuple[str, Any]]:
    """Settings in the order in which the command declares them, what is built in last."""
    found = [(name, settings[name]) for name in keys if name in settings]
    return sorted(found, key=lambda item: item[1].source == "built in")


def spelled(value: object) -> str:
    """A truth value, a number, a text or a list of them in TOML, on one line and without control characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(spelled(each) for each in value) + "]"
    return '"' + "".join(_character(each) for each in str(value)) + '"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    if "\ud800" <= character <= "\udfff":
        raise UsageError("a text that is not Unicode cannot be written as TOML", hint="call the file something else")
    code = ord(character)
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
