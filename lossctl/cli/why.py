"""`lossctl why`: what makes two numbers differ."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from lossctl.cli import options as o
from lossctl.declarations import Argument
from lossctl.errors import UsageError

if TYPE_CHECKING:
    from lossctl.comparisons.why import Explanation

HELP = """Explain why two results differ: options, versions, data, files.

Example: lossctl why yesterday.json today.json

A and B are result documents, as written by `lossctl eval … -o FILE.json`, or - for stdin; results are matched by loss.
The exit code is 0 whatever the outcome.
"""

First = Annotated[str, Argument(metavar="A.json", help="Result document.")]
Second = Annotated[str, Argument(metavar="B.json", help="Result document to compare with.")]


def command(first: First, second: Second, format: o.RowsFormat = None, debug: o.Debug = False) -> None:
    """See HELP."""
    from lossctl.comparisons.why import SCHEMA, explain
    from lossctl.documents import read_document

    wanted = o.rows_format(format)
    if first == second == "-":
        raise UsageError("stdin can be read once, not as both documents", hint="name a file for one")
    found, alone = explain(read_document(first), read_document(second))
    if wanted == "json":
        from lossctl.strict_json import indented

        document = {"schema": SCHEMA, "explanations": [each.to_document() for each in found], "unmatched": alone}
        print(indented(document), end="")
    elif wanted == "table" or (wanted is None and sys.stdout.isatty()):
        print("\n\n".join([*(_told(each) for each in found), *(["\n".join(alone)] if alone else [])]))
    else:
        from lossctl.cli.text import print_rows

        rows = [row for each in found for row in _rows(each)]
        rows += [_row("", "unmatched", "", "", text) for text in alone]
        print_rows(rows, "tsv")


def _told(each: Explanation) -> str:
    """One loss for people: the verdict, the values, then what is not the same, with what it means."""
    values = {"A": each.value[0], "B": each.value[1], "difference": each.difference}
    lines = [f"{each.loss}: {each.verdict}", *(f"  {name:<10}  {text}" for name, text in values.items())]
    for title, findings in each.kinds.items():
        for finding in findings:
            lines.append(f"  {title}: {finding.what}: {finding.first} -> {finding.second}")
            lines += [f"    {finding.meaning}"] if finding.meaning else []
    return "\n".join(_folded(line) for line in lines)


def _folded(line: str) -> str:
    """A line that a terminal is too narrow for, in several, under each other."""
    if not sys.stdout.isatty():
        return line
    import shutil
    import textwrap

    indent = " " * (len(line) - len(line.lstrip()))
    width = max(shutil.get_terminal_size().columns, 40)
    return textwrap.fill(line, width, subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False)


def _rows(each: Explanation) -> list[dict[str, str]]:
    rows = [_row(each.loss, "verdict", "", "", each.verdict)]
    rows.append(_row(each.loss, "value", *each.value, each.difference))
    for title, findings in each.kinds.items():
        rows += [_row(each.loss, f"{title}: {f.what}", f.first, f.second, f.meaning) for f in findings]
    return rows


def _row(loss: str, what: str, first: str, second: str, meaning: str) -> dict[str, str]:
    return {"loss": loss, "what": what, "first": first, "second": second, "meaning": meaning}
