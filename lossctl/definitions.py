"""What a loss of one's own is written with: decorators, the facts of arguments, domains, and functions of numbers.

    from lossctl.definitions import Annotated, Parameter, gradient_of, where

A definition is a plain function of scalars that selects with `where` instead of branching; see docs/own-losses.md.
Everything here is also what the built-in losses are written with.
"""

from __future__ import annotations

from typing import Annotated

from lossctl_kernels.domains import (
    ABOVE_MINUS_ONE,
    BINARY_LABEL,
    CLASS_PROBABILITY,
    LOG_PROBABILITY,
    LOGIT,
    NONNEGATIVE,
    POSITIVE,
    PROBABILITY,
    REAL,
    SIGN_LABEL,
    Domain,
    TargetKind,
)
from lossctl_kernels.losses.parts import power
from lossctl_kernels.scalar import (
    absolute,
    exp,
    expm1,
    log,
    log1p,
    log1p_gap,
    log_cosh,
    log_factorial,
    log_sigmoid,
    maximum,
    minimum,
    sigmoid,
    sign,
    softplus,
    sqrt,
    square,
    tanh,
    where,
    xlogy,
)
from lossctl_kernels.spec import (
    Input,
    InputShape,
    Monoid,
    Parameter,
    Scope,
    degenerate_for,
    fold,
    form_of,
    gradient_of,
    loss,
)

__all__ = [
    "ABOVE_MINUS_ONE",
    "BINARY_LABEL",
    "CLASS_PROBABILITY",
    "LOGIT",
    "LOG_PROBABILITY",
    "NONNEGATIVE",
    "NUMBER_FUNCTIONS",
    "POSITIVE",
    "PROBABILITY",
    "REAL",
    "SIGN_LABEL",
    "Annotated",
    "Domain",
    "Input",
    "InputShape",
    "Monoid",
    "Parameter",
    "Scope",
    "TargetKind",
    "absolute",
    "degenerate_for",
    "exp",
    "expm1",
    "fold",
    "form_of",
    "gradient_of",
    "log",
    "log1p",
    "log1p_gap",
    "log_cosh",
    "log_factorial",
    "log_sigmoid",
    "loss",
    "maximum",
    "minimum",
    "power",
    "sigmoid",
    "sign",
    "softplus",
    "sqrt",
    "square",
    "tanh",
    "where",
    "xlogy",
]

NUMBER_FUNCTIONS = (
    "absolute, exp, expm1, log, log1p, log1p_gap, log_cosh, log_factorial, log_sigmoid, maximum, minimum, power, "
    "sigmoid, sign, softplus, sqrt, square, tanh, where, xlogy"
)
"""The functions of numbers that a definition may call, in words."""
