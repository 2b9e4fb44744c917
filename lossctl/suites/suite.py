"""Suites: files of named evaluations, read, checked and resolved before any of their data is.

A suite is TOML: `[defaults]` with options of every evaluation, a table `[[eval]]` for each, and `output`, the files for
the result of the whole. All that is wrong with it is found at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from lossctl.errors import UsageError, visible
from lossctl.suites.files import SuiteText, parse_toml
from lossctl.suites.values import from_environment, from_toml, guess, key_of, keys_of, named

if TYPE_CHECKING:
    from lossctl.declarations import Parameter

OF_THE_COMMAND = ("format", "score_only", "quiet", "no_progress", "debug")
"""Parameters that say what is shown meanwhile and at the end: of a suite once, on the command line."""

DEFAULTS, EVALUATIONS, OUTPUTS = "defaults", "eval", "output"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class SuiteError(UsageError):
    """A suite that makes no sense, in one way or in several: `problems` are all of them."""

    def __init__(self, problems: Sequence[UsageError]) -> None:
        first, *others = problems
        told = f" (and {len(others)} more: `lossctl validate` lists them)" if others else ""
        super().__init__(f"{first.message}{told}", hint=first.hint)
        self.problems = tuple(problems)


class Setting(NamedTuple):
    """The value of a parameter, and who says so: "[[eval]]", "[defaults]", "--threads", "LOSSCTL_THREADS"."""

    value: Any
    source: str


@dataclass(frozen=True)
class SuiteEvaluation:
    """An evaluation by name, with its settings by the names of parameters."""

    name: str
    settings: Mapping[str, Setting]

    @property
    def values(self) -> dict[str, Any]:
        """What is set, by the names of parameters."""
        return {name: setting.value for name, setting in self.settings.items()}


@dataclass(frozen=True)
class Suite:
    """The evaluations of a file; `folder` is where its paths start, `outputs` are those of the whole."""

    path: str
    folder: str
    evaluations: tuple[SuiteEvaluation, ...]
    outputs: tuple[str, ...] = ()

    @property
    def is_away(self) -> bool:
        """Whether its folder is another than the current one."""
        return os.path.realpath(self.folder) != os.path.realpath(os.curdir)


def load(text: SuiteText, parameters: Iterable[Parameter]) -> Suite:
    """The suite in `text`, of evaluations with these parameters. Raises SuiteError."""
    document = parse_toml(text)
    reading = _Reading(text.path, keys_of(parameters))
    suite = reading.suite(document, text.folder)
    if reading.problems:
        raise SuiteError(reading.problems)
    return suite


def selected(suite: Suite, patterns: Sequence[str]) -> Suite:
    """The evaluations that one of the names or globs names, or all where there are none.

    Raises UsageError for a pattern that no evaluation has.
    """
    names = [each.name for each in suite.evaluations]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(
                f"{visible(suite.path)} has no evaluation '{visible(pattern)}'",
                hint=visible(f"{guess(pattern, names)}", 1000),
            )
    kept = [e for e in suite.evaluations if not patterns or any(fnmatchcase(e.name, each) for each in patterns)]
    return replace(suite, evaluations=tuple(kept))


def resolved(
    suite: Suite,
    parameters: Iterable[Parameter],
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
) -> Suite:
    """The suite with a setting for every parameter: flags before the environment, the file and what is built in.

    `flags` are values by the names of parameters, None where none was given. Raises UsageError for a variable that
    does not say what it should.
    """
    outer: dict[str, Setting] = {}
    built_in: dict[str, Setting] = {}
    for each in parameters:
        if each.name in OF_THE_COMMAND:
            continue
        given = Setting(flags.get(each.name), f"--{key_of(each)}")
        if given.value is None:
            given = Setting(from_environment(each, environment), each.declared.envvar or "")
        if given.value is not None:
            outer[each.name] = (
                given._replace(value=from_here(given.value)) if suite.is_away and _is_path(each) else given
            )
        built_in[each.name] = Setting(each.default, "built in")
    found = tuple(replace(each, settings={**built_in, **each.settings, **outer}) for each in suite.evaluations)
    return replace(suite, evaluations=found)


def from_here(path: str) -> str:
    """A path of the command line, wherever the work is done later."""
    # As it is spelled: with its .. resolved, a path through a link to a folder would lead elsewhere.
    return os.path.join(os.getcwd(), path) if path else path


def _is_path(parameter: Parameter) -> bool:
    return parameter.declared.metavar in ("FILE", "FOLDER") and parameter.kind in (str, str | None)


@dataclass
class _Reading:
    """One suite being read; `problems` are what is wrong with it so far."""

    path: str
    keys: Mapping[str, Parameter]
    problems: list[UsageError] = field(default_factory=list)

    def suite(self, document: Mapping[str, Any], folder: str) -> Suite:
        for key in document:
            if key not in (DEFAULTS, EVALUATIONS, OUTPUTS):
                self._problem(f"unknown key '{visible(key)}'", self._unknown(key, True))
        outputs = self._outputs(document.get(OUTPUTS, []))
        defaults = document.get(DEFAULTS, {})
        if not isinstance(defaults, dict):
            self._problem(f"{DEFAULTS} is a table", f"write [{DEFAULTS}] above its keys")
            defaults = {}
        elif "name" in defaults:
            self._problem(f"[{DEFAULTS}] has a name", f"each [[{EVALUATIONS}]] has its own")
        common = self._settings(f"[{DEFAULTS}]", {key: value for key, value in defaults.items() if key != "name"})
        evaluations = self._evaluations(document.get(EVALUATIONS, []), common, set(defaults))
        return Suite(self.path, folder, evaluations, outputs)

    def _outputs(self, value: object) -> tuple[str, ...]:
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, list) and all(isinstance(each, str) for each in texts):
            return tuple(texts)
        self._problem(f"{OUTPUTS} is the name of a file, or a list of them", f'such as {OUTPUTS} = ["report.xml"]')
        return ()

    def _evaluations(
        self, tables: object, common: Mapping[str, Setting], defaults: Collection[str]
    ) -> tuple[SuiteEvaluation, ...]:
        if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
            self._problem(
                f"{EVALUATIONS} is a list of tables", f"write [[{EVALUATIONS}]], with two brackets, above each"
            )
            return ()
        if not tables:
            self._problem("there is no evaluation", f"each is a table [[{EVALUATIONS}]] with a name")
        found: dict[str, SuiteEvaluation] = {}
        for number, table in enumerate(tables, 1):
            where = self._named(number, table, found)
            own = self._settings(where, {key: value for key, value in table.items() if key != "name"})
            settings = {**common, **own}
            for key, parameter in self.keys.items():
                if parameter.required and key not in table and key not in defaults:
                    self._problem(f"{where} has no {key}", f"name them there, or in [{DEFAULTS}]")
            name = str(table.get("name"))
            found[name] = SuiteEvaluation(
                name, {each: Setting(named(value, name), source) for each, (value, source) in settings.items()}
            )
        return tuple(found.values())

    def _named(self, number: int, table: Mapping[str, Any], taken: Iterable[str]) -> str:
        """How messages call a table; its name is unique, and may be one of a file."""
        name = table.get("name")
        where = f"[[{EVALUATIONS}]] {number}"
        if not isinstance(name, str):
            told = "has no name" if name is None else "has a name that is no text"
            self._problem(f"{where} {told}", 'such as name = "digits"')
            return where
        if not _NAME.fullmatch(name):
            self._problem(f"{where}: '{visible(name)}' is no name", "letters, digits, '.', '-' and '_', such as digits")
        elif name in taken:
            self._problem(f"{where}: another evaluation is called '{name}'", "give each a name of its own")
        return f"[[{EVALUATIONS}]] '{visible(name)}'"

    def _settings(self, where: str, table: Mapping[str, Any]) -> dict[str, Setting]:
        """The settings of a table, by the names of parameters, without those that are wrong."""
        found = {}
        for key, value in table.items():
            parameter = self.keys.get(key)
            if parameter is None or parameter.name in OF_THE_COMMAND:
                self._problem(f"{where}: unknown key '{visible(key)}'", self._unknown(key, False))
                continue
            try:
                found[parameter.name] = Setting(from_toml(parameter, value), where.partition(" ")[0])
            except UsageError as error:
                self._problem(f"{where}: {key} {error.message}", error.hint)
        return found

    def _unknown(self, key: str, at_top: bool) -> str:
        """What to do about a key that has no place where it is."""
        parameter = self.keys.get(key)
        if parameter is not None and parameter.name in OF_THE_COMMAND:
            return "what is shown is for the options of `lossctl run` to say"
        if at_top and (parameter is not None or key == "name"):
            return f"it belongs into [[{EVALUATIONS}]], or into [{DEFAULTS}] for all of them"
        if at_top:
            return guess(key, (DEFAULTS, EVALUATIONS, OUTPUTS))
        return guess(key, ("name", *(key for key, each in self.keys.items() if each.name not in OF_THE_COMMAND)))

    def _problem(self, message: str, hint: str | None) -> None:
        self.problems.append(UsageError(f"{visible(self.path)}: {message}", hint=hint))
