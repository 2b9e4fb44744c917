"""The formats of a result, one small module each, loaded by name when asked for.

A format's module has `render(run) -> str`, which returns the whole text, newline at the end, and writes nothing.
"""

from __future__ import annotations

from importlib import import_module
from os.path import splitext
from typing import TextIO

from lossctl.errors import UsageError, visible
from lossctl.results import RunResult

# Name -> module, and extension -> name. A new format is one file and a line in each.
FORMATS = {
    "table": "lossctl.outputs.table",
    "json": "lossctl.outputs.json",
    "csv": "lossctl.outputs.csv",
    "tsv": "lossctl.outputs.tsv",
    "markdown": "lossctl.outputs.markdown",
}
EXTENSIONS = {".json": "json", ".csv": "csv", ".tsv": "tsv", ".md": "markdown", ".txt": "table"}


def render(run: RunResult, format: str, stream: TextIO | None = None) -> str:
    """`run` in one of `FORMATS`, as text.

    `stream` is where the text will be shown: a table is styled and laid out for it. None is a file: plain, unlimited
    width. Raises UsageError for a format that does not exist.
    """
    if format not in FORMATS:
        raise UsageError(f"there is no output format '{visible(format)}'", hint=f"the formats are {', '.join(FORMATS)}")
    module = import_module(FORMATS[format])
    text: str = module.render(run, stream) if format == "table" else module.render(run)
    return text


def format_of(path: str) -> str:
    """The format that the extension of `path` names, in any case. Raises UsageError for one that is not known."""
    extension = splitext(path)[1].lower()
    if extension not in EXTENSIONS:
        found = f"'{visible(extension)}' is not one of a format" if extension else "it has no extension"
        raise UsageError(
            f"cannot tell the format of output '{visible(path)}' from its name: {found}",
            hint=f"the extensions are {', '.join(EXTENSIONS)}",
        )
    return EXTENSIONS[extension]


def scores(run: RunResult) -> str:
    """The bare values, one a line and in full precision; "inf", "-inf" and "nan" where they are not finite."""
    return "".join(f"{float(result.value)!r}\n" for result in run.results)
