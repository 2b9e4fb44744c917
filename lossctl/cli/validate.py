"""`lossctl validate`: whether a suite makes sense, without reading its data."""

from __future__ import annotations

from contextlib import chdir, nullcontext

from lossctl.cli import options as o
from lossctl.cli.run import SuiteFile
from lossctl.errors import LossctlError, visible

HELP = """Check a suite without reading its data.

Example: lossctl validate

Checks keys, losses, gates and files, and reports every problem on a line of its own. Files that do not exist yet, such
as a baseline, are warnings.
"""


def command(file: SuiteFile = None, *, quiet: o.Quiet = False, debug: o.Debug = False) -> None:
    """See HELP."""
    from lossctl.cli.show import tell, warn
    from lossctl.cli.suite import open_suite, plan_suite
    from lossctl.suites.suite import SuiteError

    try:
        suite, warnings = open_suite(file, {})
        with chdir(suite.folder) if suite.is_away else nullcontext():
            planned = plan_suite(suite, suite.outputs, {"quiet": quiet, "debug": debug})
    except SuiteError as error:
        *others, last = error.problems
        tell(f"lossctl: {visible(problem, 2000)}" for problem in others)
        raise last from None
    if not quiet:
        warn([*warnings, *(f"{name}: {each}" for name, each in planned.items() if isinstance(each, LossctlError))])
        many = len(planned)
        print(f"{visible(suite.path)}: {many} {'evaluation' if many == 1 else 'evaluations'}")
