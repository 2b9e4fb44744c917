"""The numerical core of lossctl: losses, defined once, and the engines that run them. It knows no files."""

import time as _time

# Before any other source is read: what is changed later is not what runs in this process.
LOADED_NS = _time.time_ns()

from . import losses as _losses  # noqa: E402 - fills the registry
from .options import OPTIONS, Settings, SpecificationError, resolve  # noqa: E402
from .plan import Plan  # noqa: E402
from .spec import LOSSES, Definition, Loss, Parameter, Scope  # noqa: E402

__all__ = [
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

del _losses, _time
