"""Losses of installed packages: the entry points of the group "lossctl.losses".

The name of an entry point is that of the loss; what it points to is its function, decorated or not. A package is
imported when a loss of it is asked for, or the losses are listed.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from importlib import import_module
from types import FunctionType
from typing import TYPE_CHECKING, Any

from lossctl.errors import UsageError, visible
from lossctl.own.prints import printing_aside
from lossctl.process import Ended
from lossctl_kernels import LOSSES, Loss
from lossctl_kernels.spec import registering

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "lossctl.losses"

_registries: dict[str, dict[str, Loss]] = {}
_losses: dict[tuple[str, str], Loss] = {}


def plugin_names() -> list[str]:
    """The names of the losses of installed packages; nothing of them is imported."""
    return list(_entry_points())


def find_plugin(name: str) -> Loss | None:
    """The loss of an installed package that has this name, or None. Raises UsageError where it cannot be loaded."""
    found = _entry_points().get(name)
    return None if found is None else _loaded(found)


def every_plugin() -> tuple[list[Loss], list[str]]:
    """The losses of all installed packages, and what is wrong with those that cannot be had, a line each."""
    losses, faults = [], []
    for name, entry in _entry_points().items():
        if name in LOSSES:
            faults.append(f"{_described(entry)} is not used: there is a built-in loss of that name")
            continue
        try:
            losses.append(_loaded(entry))
        except UsageError as error:
            faults.append(str(error))
    return losses, faults


def _entry_points() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _described(entry: EntryPoint) -> str:
    package = f" of {visible(entry.dist.name)}" if entry.dist is not None else ""
    return f"the loss {visible(entry.name)}{package}"


def _loaded(entry: EntryPoint) -> Loss:
    key = entry.name, entry.value
    if key not in _losses:
        try:
            _losses[key] = _made(entry)
        except Ended:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a package may raise anything
            fault = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
            raise UsageError(
                f"{_described(entry)} cannot be loaded: {visible(fault, 400)}", hint="repair or remove the package"
            ) from None
    return _losses[key]


def _made(entry: EntryPoint) -> Loss:
    from lossctl.own.definitions import make_loss
    from lossctl.own.losses import registered

    registry = _registries.setdefault(entry.module, {})
    with printing_aside, registering(registry):
        found: Any = import_module(entry.module)
        for attribute in entry.attr.split(".") if entry.attr else ():
            found = getattr(found, attribute)
    if not isinstance(found, FunctionType):
        raise UsageError(f"{entry.value} is not a plain function: found {type(found).__name__}")
    path = inspect.getsourcefile(found) or ""
    source = _source(path)
    everywhere: Sequence[dict[str, Loss]] = [*_registries.values(), LOSSES]
    return make_loss(entry.name, found, registered(found, everywhere), _described(entry), source, path)


def _source(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # compiled code without its source: what the functions compute tells versions apart
        return b""
