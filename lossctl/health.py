"""What this machine offers to lossctl: versions, backends, threads, and where compiled code is kept."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from lossctl._version import __version__
from lossctl.backends import usable_threads
from lossctl.errors import visible
from lossctl_kernels.gpu import BackendUnavailable

PACKAGES = ("numpy", "numba", "llvmlite", "pyarrow", "pandas", "typer", "rich", "numba-cuda")


def examine() -> dict[str, str]:
    """Names and findings, in the order in which they are shown. Never raises for what is missing."""
    found = {"lossctl": __version__, "python": platform.python_version(), "machine": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    found["threads"] = str(usable_threads())
    found["backend python"] = "ready"
    found["backend cpu"], cache = _compiled()
    found["backend cuda"] = _cuda()
    found["cache"] = cache
    return found


def _compiled() -> tuple[str, str]:
    try:
        from lossctl_kernels.cache import cache_folder
        from lossctl_kernels.linker import linker
        from lossctl_kernels.roads import load_compiler

        load_compiler()
    except (BackendUnavailable, ImportError) as error:
        return f"not usable: {visible(error, 300)}", "none"
    name, _ = linker().processor()
    folder = cache_folder()
    if folder is None:
        return f"ready, for {name}", "none: no folder can be written, so every process compiles anew"
    return f"ready, for {name}", f"{folder}: {_content(folder)}"


def _content(folder: str) -> str:
    """How much compiled code there is, whatever it was made from."""
    sizes = [file.stat().st_size for file in os.scandir(folder) if file.name.endswith((".object", ".kernel"))]
    return f"{len(sizes)} compiled functions, {sum(sizes) / 1e6:.1f} MB"


def _cuda() -> str:
    from lossctl_kernels.gpu import why_unavailable

    reason = why_unavailable()
    if reason is None:
        return "ready"
    return f"not usable: {reason}" + ("" if find_spec("numba_cuda") else "; pip install 'lossctl[cuda]'")
