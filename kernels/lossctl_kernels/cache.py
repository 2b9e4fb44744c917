"""Compiled kernels on disk, in a folder of the user's own: found again by what they were made of, or made again.

The name of a file is a digest of everything that decides the machine code: the sources of this package, the versions of
Python, NumPy, Numba and llvmlite, the processor, and the kernel's own key. An edited definition is therefore another
file; nothing is ever looked up by name or time stamp. A file is written whole or not at all, so several processes may
compile at once, and it begins with a digest of its content, so that a damaged one is compiled again. Without a folder
that can be written, nothing is kept and nothing fails; nor is anything kept by a process whose sources were changed,
by an upgrade or an editor, after it had loaded them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import stat
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from . import LOADED_NS

__all__ = ["KernelCache", "cache_folder", "source_digest"]

_DIGEST_BYTES = 32


@cache
def source_digest() -> str | None:
    """Digest of the sources of this package and of the versions of all that turns them into machine code.

    None where a source is younger than the code of this process: the digest would name other code than what runs.
    """
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
        facts = path.stat()
        if max(facts.st_mtime_ns, facts.st_ctime_ns) >= LOADED_NS:
            return None
    for part in (sys.version, np.__version__, numba.__version__, llvmlite.__version__):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


@cache
def cache_folder() -> Path | None:
    """The folder of compiled kernels, or None where none can be had.

    `LOSSCTL_CACHE_DIR`, else the user's cache folder, else one in the folder for temporary files. It holds code that
    will be run: it must belong to this user, and be writable by no one else.
    """
    chosen = os.environ.get("LOSSCTL_CACHE_DIR")
    candidates = [Path(chosen)] if chosen else _usual_folders()
    return next((folder for folder in candidates if _is_ours(folder)), None)


def _usual_folders() -> list[Path]:
    folders = []
    cache_home = os.environ.get("XDG_CACHE_HOME")
    if cache_home and os.path.isabs(cache_home):
        folders.append(Path(cache_home) / "lossctl")
    with contextlib.suppress(RuntimeError):  # no home directory can be determined
        folders.append(Path.home() / ".cache" / "lossctl")
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return [*folders, Path(tempfile.gettempdir()) / f"lossctl-{user}"]


def _is_ours(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = os.lstat(folder)
        if not stat.S_ISDIR(facts.st_mode):
            return False
        if hasattr(os, "getuid") and (facts.st_uid != os.getuid() or facts.st_mode & 0o022):
            return False
        handle, name = tempfile.mkstemp(dir=folder, prefix=".probe-")
        os.close(handle)
        os.unlink(name)
    except OSError:
        return False
    return True


class KernelCache(_Cache):
    """The cache of one kernel, in the form that a Numba dispatcher asks for. `hits` counts what was found."""

    hits = 0
    misses = 0

    def __init__(self, key: str) -> None:
        self._key = key

    @property
    def cache_path(self) -> str:
        return str(cache_folder() or "")

    def enable(self) -> None:
        """Part of the interface of Numba; there is nothing to switch."""

    disable = flush = enable

    def _path(self, signature: Any, codegen: Any) -> Path | None:
        folder, sources = cache_folder(), source_digest()
        if folder is None or sources is None:
            return None
        made_of = (sources, self._key, str(signature), str(codegen.magic_tuple()))
        return folder / (hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:40] + ".kernel")

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        target_context.refresh()
        path = self._path(sig, target_context.codegen())
        try:
            content = path.read_bytes() if path else b""
            digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
            if payload and hashlib.sha256(payload).digest() == digest:
                result = CompileResult._rebuild(target_context, *pickle.loads(payload))  # noqa: S301 - the folder is ours alone
                KernelCache.hits += 1
                return result
        except OSError:
            pass
        KernelCache.misses += 1
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        path = self._path(sig, data.codegen)
        if path is None:
            return
        payload = dumps(data._reduce())
        with contextlib.suppress(OSError):
            write_whole(path, hashlib.sha256(payload).digest() + payload)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that other processes see whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".write-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def compile_cached(dispatcher: Any, signature: Any, key: str) -> Callable[..., Any]:
    """Compiles a Numba dispatcher for one signature, or loads what an earlier process compiled."""
    dispatcher._cache = KernelCache(key)
    dispatcher.compile(signature)
    dispatcher.disable_compile()
    return dispatcher
