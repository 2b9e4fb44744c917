"""`lossctl run`: the evaluations of a suite, one after the other, and one verdict."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from lossctl.cli import options as o
from lossctl.declarations import Argument, Option

HELP = """Run the evaluations and gates of a suite, a TOML file.

Example: lossctl run

Some evaluations of another file, by name or glob: lossctl run nightly.toml --only digits --only 'p*'

Show the settings and where each comes from: lossctl run --print-config

Without FILE, run lossctl.toml in this folder, or else [tool.lossctl] in pyproject.toml. Options override environment
variables, and those override the file. The exit code is that of the most serious evaluation.
"""


def _flag(declared: object) -> Option:
    """An option of evaluations; where it is not given, the environment and the suite have their say."""
    option: Option = get_args(declared)[1]
    return Option(*option.names, metavar=option.metavar, help=option.help)


SuiteFile = Annotated[str | None, Argument(metavar="FILE", help="Suite: a TOML file, or - for stdin.")]
Only = Annotated[
    list[str] | None,
    Option("--only", metavar="NAME", help="Run only the evaluations of this name or glob. Repeatable."),
]
PrintConfig = Annotated[bool, Option("--print-config", help="Print the resolved settings as TOML, and read no data.")]
Outputs = Annotated[
    list[str] | None,
    Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write the result of the whole suite, in addition to its own outputs. Repeatable.",
    ),
]
BackendName = Annotated[str | None, _flag(o.BackendName)]
Threads = Annotated[int | None, _flag(o.Threads)]
ChunkRows = Annotated[int | None, _flag(o.ChunkRows)]
BaselineFolder = Annotated[str | None, _flag(o.BaselineFolder)]
StrictGates = Annotated[bool, _flag(o.StrictGates)]


def command(
    file: SuiteFile = None,
    *,
    only: Only = None,
    print_config: PrintConfig = False,
    output: Outputs = None,
    format: o.Format = None,
    backend: BackendName = None,
    threads: Threads = None,
    chunk_rows: ChunkRows = None,
    baseline_folder: BaselineFolder = None,
    strict_gates: StrictGates = False,
    quiet: o.Quiet = False,
    no_progress: o.NoProgress = False,
    debug: o.Debug = False,
) -> None:
    """See HELP."""
    import sys

    from lossctl.cli.show import chosen_format, warn
    from lossctl.cli.suite import open_suite, parameters
    from lossctl.cli.suite_runs import run_suite

    flags: dict[str, Any] = {
        "backend": backend,
        "threads": threads,
        "chunk_rows": chunk_rows,
        "baseline_folder": baseline_folder,
        "strict_gates": strict_gates or None,
    }
    suite, warnings = open_suite(file, flags, only or ())
    if not quiet:
        warn(warnings)
    if print_config:
        from lossctl.suites.toml import render

        sys.stdout.write(render(suite, parameters()))
        return
    shown = chosen_format(format)
    run_suite(suite, output or (), shown, {"quiet": quiet, "no_progress": no_progress, "debug": debug})
