"""The numerical core of lossctl: losses, defined once, and the engines that run them. It knows no files.

Importing this package loads nothing: what the names here need comes with them, and all losses with `LOSSES`.
"""

from __future__ import annotations

import time as _time

# Before any other source is read: what is changed later is not what runs in this process.
LOADED_NS = _time.time_ns()

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .options import OPTIONS, Settings, SpecificationError, resolve
    from .plan import Plan
    from .spec import LOSSES, Definition, Loss, Parameter, Scope
else:
    _HOMES = {
        "LOSSES": ".spec",
        "OPTIONS": ".options",
        "Definition": ".spec",
        "Loss": ".spec",
        "Parameter": ".spec",
        "Plan": ".plan",
        "Scope": ".spec",
        "Settings": ".options",
        "SpecificationError": ".options",
        "resolve": ".options",
    }

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module 'lossctl_kernels' has no attribute {name!r}")
        if name == "LOSSES":
            import_module(".losses", __name__).load_all()
        return getattr(import_module(_HOMES[name], __name__), name)


__all__ = [
    "LOADED_NS",
    "LOSSES",
    "OPTIONS",
    "Definition",
    "Loss",
    "Parameter",
    "Plan",
    "Scope",
    "Settings",
    "SpecificationError",
    "resolve",
]
