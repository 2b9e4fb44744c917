"""Compiled code on disk, in a folder of the user's own: found again by what it was made of, or made again.

The name of a file is a digest of everything that decides the machine code: the sources of this package, the versions of
Python, NumPy, Numba and llvmlite, and the key of what is kept, which names the processor. An edited definition is
therefore another file; nothing is ever looked up by name or time stamp. A file is written whole or not at all, so
several processes may compile at once, and it begins with a digest of its name and content, so that a damaged one is
compiled again. Without a folder that can be written, nothing is kept and nothing fails; what is there is found, for an
image may be read-only and filled by root. Nor is anything kept by a process whose sources were changed, by an upgrade
or an editor, after it had loaded them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from functools import cache, partial
from importlib.util import find_spec
from typing import BinaryIO

import numpy as np

from . import LOADED_NS

_PACKAGE = os.path.dirname(__file__)
_DIGEST_BYTES = 32
_MOST_BYTES = 64 << 20
_PROBE, _UNFINISHED = ".probe-", ".write-"
_ABANDONED_SECONDS = 3600
"""No file takes so long to write: the process that began it was killed."""


@cache
def source_digest() -> str | None:
    """Digest of the sources of this package and of the versions of all that turns them into machine code.

    None where a source is younger than the code of this process: the digest would name other code than what runs.
    """
    digest, sources = hashlib.sha256(), _sources()
    for path in sources:
        digest.update(path.removeprefix(_PACKAGE).encode() + b"\0")
        digest.update(hashlib.sha256(_content(path)).digest())
    if not _are_as_loaded(sources):
        return None
    for part in (sys.version, np.__version__, _version("numba"), _version("llvmlite")):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _sources() -> list[str]:
    folders = os.walk(_PACKAGE)
    return sorted(os.path.join(folder, name) for folder, _, names in folders for name in names if name.endswith(".py"))


def _content(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _are_as_loaded(sources: list[str]) -> bool:
    """Whether no source is younger than this process: modules that it has yet to import are those of the digest too."""
    states = (os.stat(path) for path in sources)
    return all(max(state.st_mtime_ns, state.st_ctime_ns) < LOADED_NS for state in states)


def _version(package: str) -> str:
    """What says the version of a package, found without importing it; "" where it is not installed."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return ""
    try:
        return _content(os.path.join(os.path.dirname(spec.origin), "_version.py")).decode()
    except OSError:
        from importlib.metadata import version

        return version(package)


@cache
def cache_folder() -> str | None:
    """The folder where compiled code is kept, or None where none can be had.

    `LOSSCTL_CACHE_DIR`, else the user's cache folder, else one in the folder for temporary files. It holds code that
    will be run: it must belong to this user, and be writable by no one else.
    """
    return next((folder for folder in _candidates() if _can_be_filled(folder)), None)


def _candidates() -> Iterator[str]:
    chosen = os.environ.get("LOSSCTL_CACHE_DIR")
    if chosen:
        yield chosen
        return
    cache_home = os.environ.get("XDG_CACHE_HOME")
    if cache_home and os.path.isabs(cache_home):
        yield os.path.join(cache_home, "lossctl")
    home = os.path.expanduser("~")
    if home != "~":  # as it is where no home directory can be determined
        yield os.path.join(home, ".cache", "lossctl")
    # It takes some milliseconds to load, which the usual folders do without.
    from tempfile import gettempdir

    user = os.getuid() if hasattr(os, "getuid") else "user"
    with contextlib.suppress(OSError):  # there is no folder for temporary files that can be written
        yield os.path.join(gettempdir(), f"lossctl-{user}")


def _can_be_filled(folder: str) -> bool:
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if not _is_owned(folder, by_root=False):
            return False
        with _unfinished(folder, _PROBE) as probe, _created(probe):
            pass
    except OSError:
        return False
    return True


def _is_owned(folder: str, by_root: bool) -> bool:
    """Whether it is a folder that nobody but this user, or root where that is enough, can have put anything into."""
    try:
        facts = os.lstat(folder)
    except OSError:
        return False
    if not stat.S_ISDIR(facts.st_mode):
        return False
    if not hasattr(os, "getuid"):
        return True
    return not facts.st_mode & 0o022 and (facts.st_uid == os.getuid() or (by_root and facts.st_uid == 0))


def _name(kind: str, key: str) -> str | None:
    sources = source_digest()
    return None if sources is None else hashlib.sha256(f"{sources}\0{key}".encode()).hexdigest()[:40] + kind


def _places(kind: str, key: str) -> Iterator[str]:
    """Where a file of this kind (how its name ends) and key may be: where what is there may be run, writable or not."""
    name = _name(kind, key)
    if name is not None:
        yield from (os.path.join(folder, name) for folder in _candidates() if _is_owned(folder, by_root=True))


def is_kept(kind: str, key: str) -> bool:
    """Whether there is a file of this kind and key, undamaged."""
    return kept(kind, key) is not None


def kept(kind: str, key: str) -> bytes | None:
    """What was kept, or None where nothing was or it is damaged."""
    for path in _places(kind, key):
        with contextlib.suppress(OSError):
            facts = os.stat(path)
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > _MOST_BYTES:
                continue  # a pipe would be waited for, and none of ours is that large
            content = _content(path)
            digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
            if payload and _digest(os.path.basename(path), payload) == digest:
                return payload
    return None


def keep(kind: str, key: str, payload: bytes) -> None:
    """Keeps the payload for later processes, where that is possible."""
    folder, name = cache_folder(), _name(kind, key)
    if folder is not None and name is not None:
        with contextlib.suppress(OSError):
            if not _are_as_loaded(_sources()):
                return
            write_whole(os.path.join(folder, name), _digest(name, payload) + payload)
            _remove_abandoned(folder)


def _digest(name: str, payload: bytes) -> bytes:
    """Of a payload in its place: whole code under the name of other code would be called as what it is not."""
    digest = hashlib.sha256(name.encode() + b"\0")
    digest.update(payload)
    return digest.digest()


@cache
def _remove_abandoned(folder: str) -> None:
    """Removes what processes that were killed have left half written; once a process is often enough."""
    latest = time.time() - _ABANDONED_SECONDS
    for entry in os.scandir(folder):
        if entry.name.startswith((_PROBE, _UNFINISHED)):
            with contextlib.suppress(OSError):  # another process may be as quick
                if entry.stat(follow_symlinks=False).st_mtime < latest:
                    os.unlink(entry.path)


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file that other processes see whole or not at all. Whoever may read its folder may read the file."""
    folder = os.path.dirname(path)
    with _unfinished(folder, _UNFINISHED) as name:
        with _created(name) as file:
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), 0o600 | (os.stat(folder or os.curdir).st_mode & 0o044))
            file.write(content)
        os.replace(name, path)


@contextlib.contextmanager
def _unfinished(folder: str, prefix: str) -> Iterator[str]:
    """A name for a file that nobody has, and that is gone at the end: by a signal too, whenever it comes."""
    name = os.path.join(folder, f"{prefix}{os.getpid()}-{os.urandom(8).hex()}")
    try:
        yield name
    finally:
        with contextlib.suppress(OSError):  # it has its own name by now, or has never been
            os.unlink(name)


def _created(path: str) -> BinaryIO:
    """A file that is new, and no one else's to open."""
    return open(path, "xb", opener=partial(os.open, mode=0o600))
