"""`lossctl explain`: one loss, whole."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from lossctl.cli import options as o
from lossctl.declarations import Argument, Option

if TYPE_CHECKING:
    from lossctl.catalogue.conventions import SideBySide

HELP = """Describe a loss: formula, gradient, options, names elsewhere.

Example: lossctl explain huber

For your own loss, NAME is path/to/file.py:function, which runs the file.
"""

LOSS = Argument(metavar="NAME", help="A loss, by any of its names.")
LossName = Annotated[str, LOSS]
Json = Annotated[bool, Option("--json", help="The same as --format json.")]
PageFormat = Annotated[str, Option("--format", metavar="FORMAT", help="text or json.")]

NARROWEST, WIDEST = 40, 100


def command(name: LossName, json: Json = False, format: PageFormat = "text", debug: o.Debug = False) -> None:
    """See HELP."""
    from lossctl.catalogue.conventions import side_by_side
    from lossctl.catalogue.loss_spec import find, parse
    from lossctl.catalogue.reference import describe

    o.one_of("--format", format, ("text", "json"))
    meant = parse(name).name
    found = describe(meant)
    tables = [side_by_side(loss) for loss, _ in find(meant)]
    if json or format == "json":
        from lossctl.strict_json import indented

        documents = [
            {**loss, "side_by_side": [_as_json(table) for table in of_loss]}
            for loss, of_loss in zip(found, tables, strict=True)
        ]
        print(indented(documents if len(found) > 1 else documents[0]), end="")
        return
    page = _Page.of_stdout()
    texts = ["\n".join(page.lines(loss, of_loss)) for loss, of_loss in zip(found, tables, strict=True)]
    if len(found) > 1:
        names = ", ".join(loss["name"] for loss in found)
        texts.insert(0, f"{name} is decided by the shape of the data: {names}.")
    print("\n\n".join(texts))


def _as_json(table: SideBySide) -> dict[str, Any]:
    return {"input": table.form, "columns": table.titles, "rows": table.lines}


@dataclass(frozen=True)
class _Page:
    """How a loss is shown: lines are folded at `width`, if it is not None, and titles are bold if `bold`."""

    width: int | None
    bold: bool

    @staticmethod
    def of_stdout() -> _Page:
        """What stdout can show; nothing is folded in a pipe."""
        from lossctl.outputs.table import display_of

        display = display_of(sys.stdout)
        return _Page(min(max(display.width, NARROWEST), WIDEST) if sys.stdout.isatty() else None, display.color)

    def lines(self, loss: Mapping[str, Any], tables: Sequence[SideBySide]) -> Iterator[str]:
        """All that is said of a loss."""
        yield self._title(loss["name"])
        yield ""
        for paragraph in loss["description"].split("\n\n"):
            yield from self._folded(" ".join(paragraph.split()), "", "") if self.width else paragraph.splitlines()
            yield ""
        facts = {"loss": loss["formula"], "gradient": loss["gradient"], "unit": loss["unit"], "loss for": loss["of"]}
        yield from self._entries(facts, indent="")
        yield from self._section("predictions", loss["predictions"])
        yield from self._section("computed as", loss["computed"])
        yield from self._section("targets", {"": loss["targets"], **loss["other_targets"]})
        inputs = {each["name"]: _joined(each, "meaning", "shape", "numbers", "given") for each in loss["inputs"]}
        yield from self._section("further inputs", inputs)
        yield from self._options(loss["options"])
        yield from self._section("names elsewhere", {peer: ", ".join(names) for peer, names in loss["names"].items()})
        yield from self._section("presets", {peer: _settings(sets) for peer, sets in loss["presets"].items()})
        for table in tables:
            form = "" if table.form == "value" else f", input={table.form}"
            yield from ("", self._title(f"the same rows under each preset{form}"), *self._table(table))
        yield ""
        yield from self._entries({"source": loss["source"], "example": loss["example"]}, indent="")

    def _title(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.bold else text

    def _section(self, title: str, entries: Mapping[str, str]) -> Iterator[str]:
        if entries:
            yield from ("", self._title(title), *self._entries(entries))

    def _entries(self, entries: Mapping[str, str], indent: str = "  ") -> Iterator[str]:
        """A line each, what is said of them in a column of its own."""
        shown = {name: said for name, said in entries.items() if said}
        column = max((len(name) + 2 for name in shown if name), default=0)
        for name, said in shown.items():
            start = indent + (name.ljust(column) if name else "")
            yield from self._folded(said, start, " " * len(start))

    def _options(self, options: Sequence[Mapping[str, str]]) -> Iterator[str]:
        yield from ("", self._title("options"))
        column = " " * (max((len(option["name"]) for option in options), default=0) + 4)
        for option in options:
            yield from self._folded(option["meaning"], f"  {option['name']}".ljust(len(column)), column)
            yield from self._folded(f"default {option['default']}; {option['allowed']}", column, column)

    def _table(self, table: SideBySide) -> list[str]:
        """Columns as wide as what is in them; those that do not fit a terminal come below, by the rows again."""
        columns = list(zip(table.titles, *table.lines, strict=True))
        sizes = [max(map(len, column)) for column in columns]
        rows = [*range(table.titles.index("weight") + 1)]
        blocks = [list(rows)]
        for position in range(len(rows), len(columns)):
            full = self.width and sum(sizes[i] + 2 for i in (*blocks[-1], position)) > self.width
            if full and blocks[-1] != rows:
                blocks.append(list(rows))
            blocks[-1].append(position)
        lines: list[str] = []
        for block in blocks:
            lines += [""] if lines else []
            for line in range(len(columns[0])):
                lines.append("  " + "  ".join(columns[i][line].rjust(sizes[i]) for i in block).rstrip())
        return lines

    def _folded(self, text: str, start: str, rest: str) -> Iterable[str]:
        from textwrap import wrap

        if self.width is None:
            return [start + text]
        return wrap(
            text,
            self.width,
            initial_indent=start,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _settings(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{option}={value}" for option, value in settings.items()) or "the defaults"


def _joined(entry: Mapping[str, str], *keys: str) -> str:
    return "; ".join(entry[key] for key in keys)
