"""The definitions, one file a family. Importing this package fills `lossctl_kernels.spec.LOSSES`."""

from . import binary, multiclass, regression, similarity

__all__ = ["binary", "multiclass", "regression", "similarity"]
