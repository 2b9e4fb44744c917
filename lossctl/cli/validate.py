"""`lossctl validate`: whether a suite makes sense, without reading its data."""

from __future__ import annotations

import sys
from contextlib import chdir, nullcontext, suppress

from lossctl.cli import options as o
from lossctl.cli.run import SuiteFile
from lossctl.errors import LossctlError, visible

HELP = """Whether a suite makes sense, without reading its data.

Example: lossctl validate

Its keys, losses, gates and files are looked at. Everything that is wrong is told, a line each; what is not there yet,
such as a baseline, is a warning.
"""


def command(file: SuiteFile = None, *, quiet: o.Quiet = False, debug: o.Debug = False) -> None:
    """See HELP."""
    from lossctl.cli.show import warn
    from lossctl.cli.suite import open_suite, plan_suite
    from lossctl.suites.suite import SuiteError

    try:
        suite, warnings = open_suite(file, {})
        with chdir(suite.folder) if suite.is_away else nullcontext():
            planned = plan_suite(suite, suite.outputs, {"quiet": quiet, "debug": debug})
    except SuiteError as error:
        *others, last = error.problems
        with suppress(OSError):  # the exit code says it as well
            for problem in others:
                print(f"lossctl: {visible(problem, 2000)}", file=sys.stderr)
        raise last from None
    if not quiet:
        warn([*warnings, *(f"{name}: {each}" for name, each in planned.items() if isinstance(each, LossctlError))])
        many = len(planned)
        print(f"{visible(suite.path)}: {many} {'evaluation' if many == 1 else 'evaluations'}")
