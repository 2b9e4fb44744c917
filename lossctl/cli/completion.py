"""What a shell completes the values of options and arguments with; where nothing is said, with files."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lossctl.cli.explain import LOSS
from lossctl.declarations import Argument, Option

_WORDS = {
    "--backend": ("auto", "python", "cpu", "cuda"),
    "--denom": ("weight", "count", "valid", "nonzero", "elements"),
    "--dtype": ("float32", "float64"),
    "--log-base": ("e", "2", "10"),
    "--missing": ("error", "drop"),
    "--nonfinite": ("error", "propagate", "skip"),
    "--preset": ("keras", "torch", "optax", "sklearn"),
    "--reduction": ("mean", "sum"),
    "ACTION": ("save", "bless", "show", "list"),
}


def completion_of(declared: Argument | Option) -> Callable[[str], list[str]] | None:
    """The values that begin as a word does; None where any text, or a file, may stand."""
    names = declared.names if isinstance(declared, Option) else (declared.metavar,)
    if declared is LOSS or declared.metavar == "SPEC":
        return _losses
    words = next((_WORDS[name] for name in names if name in _WORDS), None)
    return None if words is None else lambda incomplete: _beginning(incomplete, words)


def _losses(incomplete: str) -> list[str]:
    from lossctl.catalogue.loss_spec import names
    from lossctl_kernels import LOSSES

    # Names of frameworks come where one of them was begun: here there are enough.
    return _beginning(incomplete, LOSSES) or _beginning(incomplete, names())


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]
