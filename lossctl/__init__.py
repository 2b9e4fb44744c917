"""Exact losses and gradients of saved model outputs, from the command line and from Python.

    import lossctl

    lossctl.evaluate(predictions, targets, "bce").value
    lossctl.per_sample(predictions, targets, "huber:delta=2")
    lossctl.gradient(predictions, targets, "cce:input=logit")
    lossctl.losses()

Importing this package loads nothing heavy: NumPy comes with the first call.
"""

from __future__ import annotations

from lossctl._version import __version__

TYPE_CHECKING = False  # as type checkers know it; importing `typing` costs as much as starting Python
if TYPE_CHECKING:
    from typing import Any

    from lossctl.api import evaluate, gradient, losses, per_sample
    from lossctl.results import LossResult

__all__ = ["LossResult", "__version__", "evaluate", "gradient", "losses", "per_sample"]

_HOMES = {
    "evaluate": "lossctl.api",
    "gradient": "lossctl.api",
    "losses": "lossctl.api",
    "per_sample": "lossctl.api",
    "LossResult": "lossctl.results",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lossctl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
