"""The definitions, one file a family. Importing this package fills `lossctl_kernels.spec.LOSSES`.

Annotations are values here, and not text as in other modules: parameters are read from them whenever a process starts.
"""

from . import (
    binary,
    brier_scores,
    circle,
    class_margins,
    class_probabilities,
    dice,
    divergences,
    margins,
    multiclass,
    multilabel,
    ntxent,
    paired,
    pooled,
    rates,
    regression,
    relative,
    segmentation,
    sequence,
    similarity,
    simplex,
    triplets,
    tweedie,
)

__all__ = [
    "binary",
    "brier_scores",
    "circle",
    "class_margins",
    "class_probabilities",
    "dice",
    "divergences",
    "margins",
    "multiclass",
    "multilabel",
    "ntxent",
    "paired",
    "pooled",
    "rates",
    "regression",
    "relative",
    "segmentation",
    "sequence",
    "similarity",
    "simplex",
    "triplets",
    "tweedie",
]
