"""Losses of one's own: `path/to/file.py:function` to a loss like those built in.

The file is run, and its function tried out on symbols, before any data are read: what cannot be compiled is refused
with its line. A loss carries the digest of its code as the option `source`, so compiled code, signatures and results of
another version are never taken for its own.
"""

from __future__ import annotations

import importlib.util
import os
import stat
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.abc import SourceLoader
from types import FunctionType, ModuleType

from lossctl.errors import EnvironmentFault, UsageError, reason_of, visible
from lossctl.files import protect
from lossctl.guesses import did_you_mean, did_you_mean_file
from lossctl.own.definitions import make_loss
from lossctl.own.prints import printing_aside
from lossctl_kernels.spec import Loss, is_gradient, registering

HOW = "a loss of one's own is path/to/file.py:function"
MOST_BYTES = 1 << 20


def find_own(name: str) -> Loss:
    """The loss "path/to/file.py:function". Runs the file, unless it has been run and is as it was.

    Raises UsageError where there is no such file or function, or it is no loss, EnvironmentFault where it may not be
    read.
    """
    path, _, function = name.rpartition(":") if not name.endswith(".py") else (name, "", "")
    with _loading:
        file = _file(os.path.expanduser(path))
        if function not in file.losses:
            file.losses[function] = _made(file, function)
        return file.losses[function]


# ---- files


@dataclass
class _File:
    """A file that was run: what it defined, and the losses made of that."""

    path: str
    state: tuple[int, ...]
    source: bytes
    module: ModuleType
    registry: dict[str, Loss]
    losses: dict[str, Loss] = field(default_factory=dict)


_files: dict[str, _File] = {}
_loading = threading.RLock()


def _file(path: str) -> _File:
    state = _state(path)
    known = _files.get(os.path.abspath(path))
    if known is None or known.state != state:
        known = _files[os.path.abspath(path)] = _run(path, state)
    return known


def _state(path: str) -> tuple[int, ...]:
    """What changes when a file does. Raises UsageError for what is no file."""
    shown = f"'{visible(path)}'"
    try:
        facts = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"there is no file {shown}", hint=f"{did_you_mean_file(path)}{HOW}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown} cannot be read: {visible(error)}", hint=HOW) from None
    if not stat.S_ISREG(facts.st_mode):
        raise UsageError(f"{shown} is not a file", hint=HOW)
    if facts.st_size > MOST_BYTES:
        raise UsageError(f"{shown} is larger than {MOST_BYTES >> 20} MiB: it is not taken for code", hint=HOW)
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


class _Loader(SourceLoader):
    """Runs a source that was read already; nothing is written beside it."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path, self.source = path, source

    def get_filename(self, fullname: str) -> str:
        return self.path

    def get_data(self, path: str | bytes) -> bytes:
        return self.source


def _run(path: str, state: tuple[int, ...]) -> _File:
    protect(path)
    try:
        with open(path, "rb") as handle:
            source = handle.read(MOST_BYTES + 1)
    except OSError as error:
        raise EnvironmentFault(f"'{visible(path)}' cannot be read: {reason_of(error)}", hint="let it be read") from None
    name = "lossctl_own_" + sha256(os.path.abspath(path).encode(errors="surrogateescape") + b"\0" + source).hexdigest()
    loader = _Loader(path, source)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))  # type: ignore[arg-type]
    registry: dict[str, Loss] = {}
    folder = os.path.dirname(os.path.abspath(path))
    sys.modules[name] = module  # where dataclasses and others look for the names of a module
    sys.path.append(folder)  # what stands beside the file can be imported, and hides nothing
    try:
        with printing_aside, registering(registry):
            loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it may raise anything
        del sys.modules[name]
        from lossctl.own.faults import code_fault

        raise code_fault(error, path, source) from None
    finally:
        sys.path.remove(folder)
    return _File(path, state, source, module, registry)


# ---- their functions


def _made(file: _File, name: str) -> Loss:
    found = vars(file.module).get(name)
    if not isinstance(found, FunctionType):
        raise _no_function(file, name)
    title = f"{visible(os.path.basename(file.path))}:{name}"
    return make_loss(title, found, registered(found, [file.registry]), file.path, file.source, file.path)


def registered(function: FunctionType, registries: Iterable[Mapping[str, Loss]]) -> Loss | None:
    """The loss whose own function this is, where one was registered."""
    for registry in registries:
        for loss in registry.values():
            if next(iter(loss.forms.values())).function is function:
                return loss
    return None


def _no_function(file: _File, name: str) -> UsageError:
    shown = visible(file.path)
    own = [each for each, value in vars(file.module).items() if _may_be_a_loss(file, value)]
    has = f"it has {visible(', '.join(own), 300)}" if own else "it has none with an argument `prediction`"
    if not name:
        example = f", such as {shown}:{own[0]}" if own else ""
        return UsageError(f"'{shown}' is a file: the function is missing", hint=f"write file.py:function{example}")
    if name in vars(file.module):
        kind = type(vars(file.module)[name]).__name__
        return UsageError(f"{shown}: '{visible(name)}' is not a plain function: found {kind}", hint=has)
    return UsageError(f"{shown} has no function '{visible(name)}'", hint=f"{did_you_mean(name, own)}{has}")


def _may_be_a_loss(file: _File, value: object) -> bool:
    if not isinstance(value, FunctionType) or value.__module__ != file.module.__name__:
        return False
    code = value.__code__
    takes_prediction = "prediction" in code.co_varnames[: code.co_argcount]
    return not is_gradient(value) and (takes_prediction or registered(value, [file.registry]) is not None)
