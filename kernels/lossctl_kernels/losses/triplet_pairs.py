"""What is said of two rows of a triplet, and meant of each two of them; see `triplets.py`."""

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import NamedTuple, cast

from ..spec import Monoid, Scalar, fold

PAIRS = {"positive": ("prediction", "target"), "direct": ("prediction", "negative"), "swapped": ("target", "negative")}
"""Which rows each distance is between."""


class Three(NamedTuple):
    """A function for each pair of rows."""

    positive: Scalar
    direct: Scalar
    swapped: Scalar


def of_pairs(monoid: Monoid, name: str | None = None, when: Three | None = None) -> Callable[[Scalar], Three]:
    """Makes a scalar function the terms of three folds, `positive_`, `direct_` and `swapped_` this name, or its own.

    `when` has the conditions of `Fold`, one for each pair. The arguments `first` and `second` are the two rows,
    `first_x` and `second_x` their folds `prediction_x`, `target_x` or `negative_x`, and `own_x` the fold `positive_x`,
    `direct_x` or `swapped_x` of the pair.
    """

    def decorate(term: Scalar) -> Three:
        conditions = cast(tuple[Callable[..., bool] | None, ...], when or (None, None, None))
        terms = of_each_pair(term, "{term}_of_{pair}" if name else "{pair}_{term}")
        made = zip(PAIRS, terms, conditions, strict=True)
        return Three(*(fold(monoid, f"{pair}_{name or term.__name__}", own)(of_one) for pair, of_one, own in made))

    return decorate


def of_each_pair(function: Scalar, named: str = "{term}_of_{pair}") -> Three:
    """A scalar function with the arguments of each pair, as `of_pairs` has them."""
    made = []
    for pair, rows in PAIRS.items():
        own = named.format(term=function.__name__, pair=pair)
        made.append(with_arguments(function, of_pair(pair, rows, function), own))
    return Three(*made)


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
