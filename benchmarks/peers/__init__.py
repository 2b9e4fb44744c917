"""What the peers are asked, loss by loss. Each function takes (prediction, target) and returns the mean loss.

Keys are (loss, form), as the registry has them. A peer is imported where its module is, and nowhere else.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

Key = tuple[str, str]

# By the module that is imported, what pip calls it.
DISTRIBUTIONS = {
    "torch": "torch",
    "sklearn": "scikit-learn",
    "jax": "jax",
    "optax": "optax",
    "polars": "polars",
    "duckdb": "duckdb",
    "pandas": "pandas",
}


def optional(module: str) -> Any:
    """The module, or None where it is not installed."""
    return import_module(module) if find_spec(module.partition(".")[0]) else None


def missing() -> list[str]:
    """What pip calls those that are not installed."""
    return [name for module, name in DISTRIBUTIONS.items() if find_spec(module) is None]
