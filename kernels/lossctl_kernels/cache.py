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
import tempfile
import time
from collections.abc import Iterator
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import numpy as np

from . import LOADED_NS

__all__ = ["cache_folder", "is_kept", "keep", "kept", "source_digest"]

_PACKAGE = Path(__file__).parent
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
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    if not _are_as_loaded(sources):
        return None
    for part in (sys.version, np.__version__, _version("numba"), _version("llvmlite")):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _sources() -> list[Path]:
    return sorted(_PACKAGE.rglob("*.py"))


def _are_as_loaded(sources: list[Path]) -> bool:
    """Whether no source is younger than this process: modules that it has yet to import are those of the digest too."""
    states = (path.stat() for path in sources)
    return all(max(state.st_mtime_ns, state.st_ctime_ns) < LOADED_NS for state in states)


def _version(package: str) -> str:
    """What says the version of a package, found without importing it; "" where it is not installed."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return ""
    try:
        return Path(spec.origin).with_name("_version.py").read_text(encoding="utf-8")
    except OSError:
        from importlib.metadata import version

        return version(package)


@cache
def cache_folder() -> Path | None:
    """The folder where compiled code is kept, or None where none can be had.

    `LOSSCTL_CACHE_DIR`, else the user's cache folder, else one in the folder for temporary files. It holds code that
    will be run: it must belong to this user, and be writable by no one else.
    """
    return next((folder for folder in _candidates() if _can_be_filled(folder)), None)


def _candidates() -> Iterator[Path]:
    chosen = os.environ.get("LOSSCTL_CACHE_DIR")
    if chosen:
        yield Path(chosen)
        return
    cache_home = os.environ.get("XDG_CACHE_HOME")
    if cache_home and os.path.isabs(cache_home):
        yield Path(cache_home) / "lossctl"
    with contextlib.suppress(RuntimeError):  # no home directory can be determined
        yield Path.home() / ".cache" / "lossctl"
    user = os.getuid() if hasattr(os, "getuid") else "user"
    with contextlib.suppress(OSError):  # there is no folder for temporary files that can be written
        yield Path(tempfile.gettempdir()) / f"lossctl-{user}"


def _can_be_filled(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_owned(folder, by_root=False):
            return False
        with _unfinished(folder, _PROBE) as probe, _created(probe):
            pass
    except OSError:
        return False
    return True


def _is_owned(folder: Path, by_root: bool) -> bool:
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


@cache
def _filled_before() -> list[Path]:
    """The folders whose content may be run, though this process may not be able to add to it."""
    return [folder for folder in _candidates() if _is_owned(folder, by_root=True)]


def _name(kind: str, key: str) -> str | None:
    sources = source_digest()
    return None if sources is None else hashlib.sha256(f"{sources}\0{key}".encode()).hexdigest()[:40] + kind


def _places(kind: str, key: str) -> list[Path]:
    """Where a file of this kind (how its name ends) and key may be."""
    folder, name = cache_folder(), _name(kind, key)
    if name is None:
        return []
    folders = _filled_before() if folder is None else [folder, *_filled_before()]
    return [each / name for each in dict.fromkeys(folders)]


def is_kept(kind: str, key: str) -> bool:
    """Whether there is a file of this kind and key, undamaged."""
    return kept(kind, key) is not None


def kept(kind: str, key: str) -> bytes | None:
    """What was kept, or None where nothing was or it is damaged."""
    for path in _places(kind, key):
        with contextlib.suppress(OSError):
            facts = path.stat()
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > _MOST_BYTES:
                continue  # a pipe would be waited for, and none of ours is that large
            content = path.read_bytes()
            digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
            if payload and _digest(path.name, payload) == digest:
                return payload
    return None


def keep(kind: str, key: str, payload: bytes) -> None:
    """Keeps the payload for later processes, where that is possible."""
    folder, name = cache_folder(), _name(kind, key)
    if folder is not None and name is not None:
        with contextlib.suppress(OSError):
            if not _are_as_loaded(_sources()):
                return
            write_whole(folder / name, _digest(name, payload) + payload)
            _remove_abandoned(folder)


def _digest(name: str, payload: bytes) -> bytes:
    """Of a payload in its place: whole code under the name of other code would be called as what it is not."""
    digest = hashlib.sha256(name.encode() + b"\0")
    digest.update(payload)
    return digest.digest()


@cache
def _remove_abandoned(folder: Path) -> None:
    """Removes what processes that were killed have left half written; once a process is often enough."""
    latest = time.time() - _ABANDONED_SECONDS
    for pattern in (f"{_PROBE}*", f"{_UNFINISHED}*"):
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError):  # another process may be as quick
                if path.lstat().st_mtime < latest:
                    path.unlink()


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that other processes see whole or not at all. Whoever may read its folder may read the file."""
    with _unfinished(path.parent, _UNFINISHED) as name:
        with _created(name) as file:
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), 0o600 | (path.parent.stat().st_mode & 0o044))
            file.write(content)
        os.replace(name, path)


@contextlib.contextmanager
def _unfinished(folder: Path, prefix: str) -> Iterator[Path]:
    """A name for a file that nobody has, and that is gone at the end: by a signal too, whenever it comes."""
    name = folder / f"{prefix}{os.getpid()}-{os.urandom(8).hex()}"
    try:
        yield name
    finally:
        with contextlib.suppress(OSError):  # it has its own name by now, or has never been
            os.unlink(name)


def _created(path: Path) -> BinaryIO:
    """A file that is new, and no one else's to open."""
    return open(path, "xb", opener=partial(os.open, mode=0o600))
