"""The text that a loss of one's own consists of: its file, and the files beside it that it imports."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from hashlib import sha256
from importlib.util import resolve_name

DIGITS = 16
"""Of the digest: enough that no two versions of a loss ever share one."""

OTHERS = {*sys.stdlib_module_names, "lossctl", "lossctl_kernels"}


def source_digest(path: str, source: bytes, package: str) -> str:
    """Of the text `source` of the file `path`, whose relative imports are of `package`, and of what it imports.

    Nothing installed counts: those packages have versions of their own. The same on every machine.
    """
    folder = os.path.dirname(os.path.abspath(path))
    digest, seen = sha256(sha256(source).digest()), {os.path.abspath(path)}
    waiting = [(source, package)]
    while waiting:
        for name in sorted(set(_imports(*waiting.pop()))):
            module = sys.modules.get(name)
            file = os.path.abspath(getattr(module, "__file__", None) or "")
            if name.partition(".")[0] in OTHERS or file in seen or not _is_beside(file, folder):
                continue
            seen.add(file)
            with open(file, "rb") as handle:
                text = handle.read()
            digest.update(name.encode() + b"\0" + sha256(text).digest())
            waiting.append((text, getattr(module, "__package__", None) or ""))
    return digest.hexdigest()[:DIGITS]


def _is_beside(file: str, folder: str) -> bool:
    inside = file.startswith(folder + os.sep) and file.endswith(".py") and os.path.isfile(file)
    return inside and "-packages" not in os.path.relpath(os.path.dirname(file), folder)


def _imports(source: bytes, package: str) -> Iterator[str]:
    """The full names of the modules that a text may import."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level and not package:
                continue
            origin = resolve_name("." * node.level + (node.module or ""), package or None)
            yield origin
            yield from (f"{origin}.{name.name}" for name in node.names)
