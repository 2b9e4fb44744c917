"""Which columns of a table a role takes: names and globs against the names that exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from itertools import islice

from lossctl.errors import DataError, UsageError, visible
from lossctl.sources.base import Selection, option
from lossctl.sources.opening import is_glob

_SHOWN_NAMES = 20


def check_names(table: str, names: Sequence[str]) -> None:
    """Raises DataError if the table `table` has no columns, or two share a name; one may have none, as an index has."""
    if not names:
        raise DataError(f"{table} has no columns", hint="was it written to its end?")
    name, count = Counter(names).most_common(1)[0]
    if count > 1 and not name:
        raise DataError(
            f"{table}: {count} columns have no name",
            hint="name every column; of an index that pandas writes, with to_csv(index=False)",
        )
    if count > 1:
        raise DataError(f"{table}: {count} columns are named '{visible(name)}'", hint="give each column its own name")


def select_columns(
    table: str, names: Sequence[str], roles: dict[str, Selection], kind: str = "column"
) -> dict[str, tuple[str, ...]]:
    """The names of each role's columns: those of a glob in file order, those of a list in the list's order.

    `kind` is what the names are of: columns, or whole arrays.

    Raises UsageError for a name that does not exist, a glob that matches nothing, a column selected twice by a role,
    and a role without a selection where the table does not have exactly one column to give besides the keys.
    """
    among = dict.fromkeys(names)  # in which each is found at once, of however many
    named = {
        role: _expand(table, among, role, selection.columns, kind)
        for role, selection in roles.items()
        if selection.columns is not None
    }
    unnamed = [role for role in roles if role not in named]
    keys = {name for role, columns in named.items() if roles[role].is_key for name in columns}
    left = tuple(name for name in names if name not in keys)
    if unnamed and (len(left) != 1 or len(unnamed) > 1):
        wanted = " and ".join(option(role, "col") for role in unnamed)
        columns = f"one {kind}" if len(names) == 1 else f"{len(names)} {kind}s"
        raise UsageError(
            f"{table} has {columns}: {_listed(names)}; which is the {' and which the '.join(unnamed)}?",
            hint=f"name the {kind}s with {wanted}",
        )
    return {role: named.get(role, left) for role in roles}


def _expand(table: str, names: Collection[str], role: str, wanted: tuple[str, ...], kind: str) -> tuple[str, ...]:
    chosen: list[str] = []
    for each in _joined(names, wanted):
        matches = _matches(names, each)
        if not matches:
            raise _missing(table, names, role, each, kind)
        chosen += matches
    if not chosen:
        raise UsageError(f"{option(role, 'col')} names no {kind}", hint=f"{kind}s: {_listed(names)}")
    name, count = Counter(chosen).most_common(1)[0]
    if count > 1:
        raise UsageError(
            f"{option(role, 'col')} selects the {kind} '{visible(name)}' {count} times", hint="name it once"
        )
    return tuple(chosen)


def _matches(names: Collection[str], wanted: str) -> list[str]:
    """A name that exists is that column, whatever characters it has, and one that looks like no other may be meant.

    A column without a name, such as the index that pandas writes, is in no glob.
    """
    if wanted in names:
        return [wanted]
    alike = [name for name in names if _look(name) == _look(wanted)]
    return alike if len(alike) == 1 else [name for name in names if name and fnmatchcase(name, wanted)]


def _look(name: str) -> str:
    """A name as it is seen: without spaces around it, whichever way its accents are encoded."""
    if not name.isascii():
        from unicodedata import normalize

        name = normalize("NFC", name)
    return name.strip()


def _joined(names: Collection[str], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """`wanted`, or the one name with commas that was taken apart as a list: pandas calls columns "('a', 'p')"."""
    if len(wanted) < 2 or all(each in names for each in wanted):
        return wanted
    return next(((name,) for name in names if tuple(part.strip() for part in name.split(",")) == wanted), wanted)


def _missing(table: str, names: Collection[str], role: str, wanted: str, kind: str) -> UsageError:
    if is_glob(wanted):
        found = f"no {kind} of {table} matches '{visible(wanted)}' ({option(role, 'col')})"
    else:
        found = f"{table} has no {kind} '{visible(wanted)}' ({option(role, 'col')})"
    from lossctl.guesses import did_you_mean

    return UsageError(found, hint=f"{did_you_mean(wanted, names, quoted=True)}{kind}s: {_listed(names)}")


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(visible(name, 40) or "''" for name in islice(names, _SHOWN_NAMES))
    more = len(names) - _SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def text_columns(table: str, roles: dict[str, Selection], selected: dict[str, tuple[str, ...]]) -> dict[str, Selection]:
    """The columns that are keys or names of classes, each with the selection that says so.

    Several columns of targets are numbers, one for each class. Raises UsageError for several columns of a key, and for
    a column that is taken as text and as numbers.
    """
    found: dict[str, Selection] = {}
    of_classes = {role for role, names in selected.items() if roles[role].classes is not None and len(names) > 1}
    texts = {role: selection for role, selection in roles.items() if selection.is_text and role not in of_classes}
    numbers = {name for role, names in selected.items() if role not in texts for name in names}
    for role, selection in texts.items():
        if len(selected[role]) > 1:
            raise UsageError(
                f"{option(role, 'col')} takes {len(selected[role])} columns of {table} for one",
                hint=f"name each: {', '.join(visible(each, 40) for each in selected[role][:5])}",
            )
        (name,) = selected[role]
        if name in numbers or found.setdefault(name, selection) != selection:
            raise UsageError(
                f"the column '{visible(name)}' of {table} is taken as text and as numbers",
                hint="save the stream to a file, which can be read for both" if selection.encoder is not None else None,
            )
    return found
