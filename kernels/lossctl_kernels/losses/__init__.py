"""The definitions, one file a family, which fill `lossctl_kernels.spec.LOSSES` as they are loaded.

Their annotations are values, and not text as in other modules: parameters are read from them whenever a process starts.
"""

from __future__ import annotations

from importlib import import_module
from threading import RLock

from ..spec import LOSSES, Loss, registering

# What most processes ask for comes first: they load no more. A family and those before it define its losses whole.
FAMILIES = (
    "regression",
    "binary",
    "multiclass",
    "margins",
    "binary_focal",
    "relative",
    "pooled",
    "rates",
    "tweedie",
    "class_margins",
    "class_probabilities",
    "brier_scores",
    "divergences",
    "fenchel_young",
    "multilabel",
    "rankings",
    "similarity",
    "triplets",
    "circle",
    "ntxent",
    "paired",
    "segmentation",
    "dice",
    "sequence",
)

_loading = RLock()
_unloaded = list(FAMILIES)


def find_loss(name: str) -> Loss | None:
    """The loss with this canonical name, or None. Families are loaded, in turn, until one has it."""
    with _loading:
        while name not in LOSSES and _unloaded:
            _load_next()
        return LOSSES.get(name)


def load_all() -> None:
    """Loads every family that is not loaded yet."""
    with _loading:
        while _unloaded:
            _load_next()


def _load_next() -> None:
    with registering(LOSSES):  # the file of a loss of one's own may be what asks
        import_module(f".{_unloaded[0]}", __name__)
    del _unloaded[0]
