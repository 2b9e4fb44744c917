"""`lossctl baseline`: earlier results, kept by name for gates to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from lossctl.cli import options as o
from lossctl.declarations import Argument
from lossctl.errors import UsageError, visible

if TYPE_CHECKING:
    from lossctl.comparisons.baselines import Baseline

HELP = """Store results by name as the reference for gates.

Example: lossctl baseline save main result.json

`save NAME RESULT` stores a result document under a new name; `bless NAME RESULT` replaces an existing baseline and
shows what changes; `show NAME` prints the losses of one; `list` lists all. RESULT is a file written by
`lossctl eval … -o result.json`, or - for stdin. A baseline is one JSON file in a folder to be committed; nothing else
ever changes it.

Use a baseline in a gate: lossctl eval preds.npy labels.npy --loss bce --baseline main --fail-if 'bce > base * 1.02'
"""

Action = Annotated[str, Argument(metavar="ACTION", help="save, bless, show or list.")]
Name = Annotated[str | None, Argument(metavar="NAME", help="Name of the baseline.")]
Document = Annotated[str | None, Argument(metavar="RESULT", help="Result document, for save and bless.")]

_WORDS = {"save": ("NAME", "RESULT"), "bless": ("NAME", "RESULT"), "show": ("NAME",), "list": ()}


def command(
    action: Action,
    name: Name = None,
    result: Document = None,
    folder: o.BaselineFolder = None,
    format: o.RowsFormat = None,
    debug: o.Debug = False,
) -> None:
    """See HELP."""
    from lossctl.cli.show import tell
    from lossctl.cli.text import print_rows
    from lossctl.comparisons.baselines import FOLDER, path_of, read_baseline, store

    wanted = o.rows_format(format)
    _check_words(action, name, result)
    place = folder or FOLDER
    if action == "list":
        rows = _list(place)
        if rows or wanted == "json":
            print_rows(rows, wanted)
        else:
            tell([f"lossctl: no baselines in {visible(place, 4096)}"])
        return
    path = path_of(name or "", place)
    if action == "show":
        print_rows(_losses(read_baseline(name or "", place)), wanted)
        return
    given = read_baseline(result or "")
    before = read_baseline(path) if action == "bless" and name in _kept(place) else None
    store(given, name or "", place, replace=action == "bless")
    print_rows(_losses(given, before), wanted, unless_table=("signature",))


def _kept(folder: str) -> list[str]:
    from lossctl.comparisons.baselines import kept

    return kept(folder)


def _check_words(action: str, name: str | None, result: str | None) -> None:
    """Raises UsageError unless an action that exists has the words that it needs, and no others."""
    if action not in _WORDS:
        raise UsageError(f"there is no action '{visible(action)}'", hint="save, bless, show or list")
    needed, given = _WORDS[action], [word for word in (name, result) if word is not None]
    if len(needed) != len(given):
        found = f"found {len(given)} {'word' if len(given) == 1 else 'words'} after it" if given else "found none"
        takes = f"takes {' and '.join(needed)}" if needed else "takes no name"
        raise UsageError(f"baseline {action} {takes}, {found}", hint="see `lossctl baseline --help`")


def _list(folder: str) -> list[dict[str, Any]]:
    """A row a baseline."""
    from lossctl.comparisons.baselines import path_of, read_baseline

    rows = []
    for name in _kept(folder):
        baseline = read_baseline(path_of(name, folder))
        values = ", ".join(f"{visible(entry['loss'])} {entry['value']:.6g}" for entry in baseline.entries)
        samples = max(int(entry.get("samples", 0)) for entry in baseline.entries)
        rows.append({"name": name, "losses": values, "samples": samples, "lossctl": visible(baseline.version)})
    return rows


def _losses(baseline: Baseline, before: Baseline | None = None) -> list[dict[str, Any]]:
    """A row a loss, with the value that it had before where there was one."""
    earlier = {} if before is None else {entry["signature"]: entry["value"] for entry in before.entries}
    rows = []
    for entry in baseline.entries:
        row = {"loss": visible(entry["loss"]), "value": float(entry["value"])}
        if before is not None:
            old = earlier.get(entry["signature"])
            row["before"] = "" if old is None else float(old)
        rows.append({**row, "samples": entry.get("samples", ""), "signature": visible(entry["signature"], 1000)})
    return rows
