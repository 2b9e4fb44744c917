"""What this machine offers to lossctl: versions, backends, threads, and where compiled code is kept."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from lossctl._version import __version__
from lossctl.backends import usable_threads

__all__ = ["examine"]

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
    found["backend cpu"], found["cache"] = _compiled()
    found["backend cuda"] = _cuda()
    return found


def _compiled() -> tuple[str, str]:
    try:
        from numba.core.registry import cpu_target

        from lossctl_kernels.cache import cache_folder
    except ImportError as error:
        return f"not usable: {error}", "none"
    folder = cache_folder()
    processor = cpu_target.target_context.codegen().magic_tuple()[1]
    if folder is None:
        return f"ready, for {processor}", "none: no folder can be written, so every process compiles anew"
    kept = list(folder.glob("*.kernel"))
    size = sum(path.stat().st_size for path in kept)
    return f"ready, for {processor}", f"{folder}: {len(kept)} compiled functions, {size / 1e6:.1f} MB"


def _cuda() -> str:
    from lossctl_kernels.gpu import why_unavailable

    reason = why_unavailable()
    return "ready" if reason is None else f"not usable: {reason}; pip install 'lossctl[cuda]'"
