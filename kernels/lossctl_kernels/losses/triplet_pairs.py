"""What is said of two rows of a triplet, and meant of each two of them; see `triplets.py`."""

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import NamedTuple, cast

from ..spec import Monoid, Scalar, fold

__all__ = ["PAIRS", "Three", "of_pairs", "with_arguments"]

PAIRS = {"positive": ("prediction", "target"), "direct": ("prediction", "negative"), "swapped": ("target", "negative")}
"""Which rows each distance is between."""


class Three(NamedTuple):
    """A function for each pair of rows."""

    positive: Scalar
    direct: Scalar
    swapped: Scalar


def of_pairs(monoid: Monoid, name: str | None = None) -> Callable[[Scalar], Three]:
    """Makes a scalar function the terms of three folds, `positive_`, `direct_` and `swapped_` this name, or its own.

    Its arguments `first` and `second` are the two rows, `first_x` and `second_x` their folds `prediction_x`, `target_x`
    or `negative_x`, and `own_x` the fold `positive_x`, `direct_x` or `swapped_x` of the pair.
    """

    def decorate(term: Scalar) -> Three:
        made = []
        for pair, rows in PAIRS.items():
            named = f"{pair}_{name or term.__name__}"
            own = named if name is None else f"{term.__name__}_of_{pair}"
            made.append(fold(monoid, named)(with_arguments(term, of_pair(pair, rows, term), own)))
        return Three(*made)

    return decorate


def of_pair(pair: str, rows: tuple[str, str], term: Scalar) -> dict[str, str]:
    """What the arguments of a term are called of one pair."""
    meant = {"first": rows[0], "second": rows[1], "own": pair}
    found = {}
    for argument in term.__annotations__:
        start, line, rest = argument.partition("_")
        if start in meant:
            found[argument] = meant[start] + line + rest
    return found


def with_arguments(function: Scalar, names: Mapping[str, str], name: str) -> Scalar:
    """The same function under another name, with other names of its arguments: compilers ask for real ones."""
    plain = cast(FunctionType, function)
    code = plain.__code__
    variables = tuple(names.get(variable, variable) for variable in code.co_varnames)
    code = code.replace(co_varnames=variables, co_name=name, co_qualname=name)
    made = FunctionType(code, plain.__globals__, name, plain.__defaults__, plain.__closure__)
    made.__annotations__ = {names.get(key, key): kind for key, kind in plain.__annotations__.items()}
    return cast(Scalar, made)
