"""The definitions, one file a family. Importing this package fills `lossctl_kernels.spec.LOSSES`."""

from . import (
    binary,
    class_margins,
    class_probabilities,
    dice,
    divergences,
    margins,
    multiclass,
    pooled,
    rates,
    regression,
    segmentation,
    similarity,
)

__all__ = [
    "binary",
    "class_margins",
    "class_probabilities",
    "dice",
    "divergences",
    "margins",
    "multiclass",
    "pooled",
    "rates",
    "regression",
    "segmentation",
    "similarity",
]
