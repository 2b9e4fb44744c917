"""The numerical core of lossctl: losses, defined once, and the engines that run them. It knows no files."""

from . import losses as _losses  # fills the registry
from .options import OPTIONS, Settings, SpecificationError, resolve
from .plan import Plan
from .spec import LOSSES, Definition, Loss, Parameter, Scope

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

del _losses
