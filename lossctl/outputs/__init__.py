"""The formats of a result, one small module each, loaded by name when asked for.

A format's module has `render(run) -> str`, which returns the whole text, newline at the end, or, of a format that is
not text, `encode(run) -> bytes`; it writes nothing. `render_suite` and `encode_suite` are the same of a whole suite.
One that a CI host reads has `render_fault(error) -> str` too: what it says of a run that failed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from os.path import basename, splitext
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO

from lossctl.errors import EnvironmentFault, LossctlError, UsageError, visible
from lossctl.results import RunResult

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult

# Name -> module, and extension -> name. A new format is one file and a line in each.
FORMATS = {
    "table": "lossctl.outputs.table",
    "json": "lossctl.outputs.json",
    "csv": "lossctl.outputs.csv",
    "tsv": "lossctl.outputs.tsv",
    "markdown": "lossctl.outputs.markdown",
    "jsonl": "lossctl.outputs.jsonl",
    "latex": "lossctl.outputs.latex",
    "parquet": "lossctl.outputs.parquet",
    "junit": "lossctl.outputs.junit",
    "openmetrics": "lossctl.outputs.openmetrics",
    "metrics": "lossctl.outputs.metrics",
    "github": "lossctl.outputs.github",
    "github-summary": "lossctl.outputs.github_summary",
    "github-output": "lossctl.outputs.github_output",
}
EXTENSIONS = {
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".md": "markdown",
    ".txt": "table",
    ".jsonl": "jsonl",
    ".tex": "latex",
    ".parquet": "parquet",
    ".xml": "junit",
    ".prom": "openmetrics",
    ".metrics.json": "metrics",
}
# Formats that are not text.
BINARY = frozenset({"parquet"})
# Formats that hold the whole result document, which later runs may be compared with.
DOCUMENTS = frozenset({"json", "jsonl", "parquet", "github-output"})
# Files that GitHub names in the environment, and reads when the step is over. They are appended to.
HOST_FILES = {"GITHUB_STEP_SUMMARY": "github-summary", "GITHUB_OUTPUT": "github-output"}

# Formats that a library writes: what it is imported as, and the extra that installs it.
_LIBRARIES = {"junit": ("junitparser", "junit"), "openmetrics": ("prometheus_client", "openmetrics")}


def render(run: RunResult | SuiteResult, format: str, stream: TextIO | None = None) -> str:
    """`run`, or a suite of runs, in one of `FORMATS`, as text.

    `stream` is where the text will be shown: a table is styled and laid out for it. None is a file: plain, unlimited
    width. Raises UsageError for a format that does not exist or is not text, EnvironmentFault for one whose library is
    missing.
    """
    module = import_module(FORMATS[known_format(format)])
    if format in BINARY:
        raise UsageError(f"{format} is not text", hint="write it to a file")
    renderer = _of(module, "render", run)
    text: str = renderer(run, stream) if format == "table" else renderer(run)
    return text


def _of(module: ModuleType, function: str, run: RunResult | SuiteResult) -> Callable[..., Any]:
    """A function of a format, for what it is given."""
    found: Callable[..., Any] = getattr(module, function if isinstance(run, RunResult) else f"{function}_suite")
    return found


def encoded(run: RunResult | SuiteResult, format: str) -> bytes:
    """`run` in any of `FORMATS`, as the bytes of a file. Raises as `render`."""
    if format in BINARY:
        return bytes(_of(import_module(FORMATS[known_format(format)]), "encode", run)(run))
    # A file name that is not UTF-8 holds surrogates: they go out as the bytes that they came in as.
    return render(run, format).encode("utf-8", "surrogateescape")


def render_fault(error: LossctlError, format: str) -> str | None:
    """What a format says of a run that failed; None for one that says nothing of it."""
    say = getattr(import_module(FORMATS[known_format(format)]), "render_fault", None)
    return None if say is None else str(say(error))


def known_format(name: str) -> str:
    """`name`, if it is one of `FORMATS`. Raises as `render`, before there is anything to render."""
    if name not in FORMATS:
        raise UsageError(f"there is no output format '{visible(name)}'", hint=f"the formats are {', '.join(FORMATS)}")
    if name in _LIBRARIES:
        from importlib.util import find_spec

        library, extra = _LIBRARIES[name]
        if find_spec(library) is None:
            raise EnvironmentFault(
                f"{library}, which writes the format {name}, is not installed", hint=f"pip install 'lossctl[{extra}]'"
            )
    return name


def format_of(path: str) -> str:
    """The format of an output file: the host's own, or the one that its extension names, in any case.

    `metrics.json` is "metrics", with or without something before it. Raises UsageError for an extension that is not
    known, EnvironmentFault for a format whose library is missing.
    """
    host = host_format(path)
    if host is not None:
        return host
    name = basename(path).lower()
    extension = ".metrics.json" if f".{name}".endswith(".metrics.json") else splitext(name)[1]
    if extension not in EXTENSIONS:
        found = f"'{visible(extension)}' is not one of a format" if extension else "it has no extension"
        raise UsageError(
            f"cannot tell the format of output '{visible(path)}' from its name: {found}",
            hint=f"the extensions are {', '.join(EXTENSIONS)}",
        )
    return known_format(EXTENSIONS[extension])


def host_format(path: str) -> str | None:
    """The format of a file that the CI host has named in the environment; None for every other file."""
    found = (format for variable, format in HOST_FILES.items() if path and path == os.environ.get(variable))
    return next(found, None)


def scores(run: RunResult) -> str:
    """The bare values, one a line and in full precision; "inf", "-inf" and "nan" where they are not finite."""
    return "".join(f"{float(result.value)!r}\n" for result in run.results)
