"""What `run` and `validate` do with a suite: evaluations as `lossctl eval` has them, all planned before one runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lossctl.cli import eval as evaluation
from lossctl.declarations import Parameter, arguments_of, parameters_of
from lossctl.errors import LossctlError, UsageError, visible
from lossctl.suites.files import STDIN, find_suite
from lossctl.suites.suite import OF_THE_COMMAND, OUTPUTS, Suite, SuiteError, SuiteEvaluation, load, resolved, selected

if TYPE_CHECKING:
    from lossctl.cli.eval import PlannedEvaluation


def parameters() -> list[Parameter]:
    """What an evaluation takes."""
    return parameters_of(evaluation.command)


def open_suite(file: str | None, flags: Mapping[str, Any], only: Sequence[str] = ()) -> tuple[Suite, list[str]]:
    """The suite with every setting resolved, and warnings. Raises SuiteError, UsageError and EnvironmentFault."""
    text = find_suite(file)
    known = parameters()
    suite = resolved(selected(load(text, known), only), known, flags, os.environ)
    return suite, [] if text.overlooked is None else [f"{text.path} is read, {text.overlooked} is not"]


def plan_suite(
    suite: Suite, outputs: Sequence[str], screen: Mapping[str, Any], shown: str = ""
) -> dict[str, PlannedEvaluation | LossctlError]:
    """What each evaluation will do, by name, or why it will not: a baseline or class weights that are wrong.

    The current folder is that of the suite; `outputs` are those of the whole, `shown` is the format for stdout, and
    `screen` has the values of options `OF_THE_COMMAND`. Raises SuiteError for all that makes no sense, in an evaluation
    or between two.
    """
    from lossctl.outputs import DOCUMENTS, format_of

    known = parameters()
    found: dict[str, PlannedEvaluation | LossctlError] = {}
    problems: list[UsageError] = []
    formats = [shown]
    try:
        formats += [format_of(path) for path in outputs]
    except UsageError as error:
        problems.append(_of(suite, OUTPUTS, error))
    # The documents of the evaluations are part of that of the suite.
    document = next((each for each in formats if each in DOCUMENTS), "")
    for each in suite.evaluations:
        try:
            found[each.name] = _planned(each, known, screen, document)
        except UsageError as error:
            problems.append(_of(suite, each.name, error))
        except LossctlError as error:
            found[each.name] = error
    try:
        _check_files(
            [(name, each) for name, each in found.items() if not isinstance(each, LossctlError)], outputs, suite
        )
    except UsageError as error:
        problems.append(UsageError(f"{visible(suite.path)}: {error.message}", hint=error.hint))
    if problems:
        raise SuiteError(problems)
    return found


def _of(suite: Suite, name: str, error: UsageError) -> UsageError:
    return UsageError(f"{visible(suite.path)}: {name}: {error.message}", hint=error.hint)


def _planned(
    each: SuiteEvaluation, known: Sequence[Parameter], screen: Mapping[str, Any], shown: str
) -> PlannedEvaluation:
    from lossctl.cli.work import whole_inputs_of

    of_suite = {name: screen[name] for name in OF_THE_COMMAND if name in screen}
    taken = [parameter for parameter in known if parameter.name in {**each.settings, **of_suite}]
    planned = evaluation.plan(**arguments_of(taken, {**each.values, **of_suite}), shown=shown)
    whole_inputs_of(planned.files, planned.request.specs)
    return planned


def _check_files(planned: Sequence[tuple[str, PlannedEvaluation]], outputs: Sequence[str], suite: Suite) -> None:
    """Raises UsageError where two evaluations want one file for themselves."""
    from lossctl.files import plan_outputs

    piped = [name for name, each in planned if STDIN in each.read]
    if suite.path == STDIN and piped:
        raise UsageError(f"{piped[0]} reads stdin, and so does the suite", hint="name a file for one of them")
    if len(piped) > 1:
        raise UsageError(f"stdin can be read once, not by {' and by '.join(piped)}", hint="name a file for one of them")
    read = [path for _, each in planned for path in each.read]
    written = [path for _, each in planned for path in each.written]
    from_file = [] if suite.path == STDIN else [os.path.basename(suite.path)]
    plan_outputs([*outputs, *written], [*from_file, *read])
