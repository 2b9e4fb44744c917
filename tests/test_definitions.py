"""The public names for authors of losses."""

from __future__ import annotations

import inspect

from lossctl import definitions
from lossctl_kernels import exponentials, factorials, hyperbolic, logarithms, primitives

ROOMS = {exponentials, factorials, hyperbolic, logarithms, primitives}


def test_every_public_name_is_there_and_every_function_of_numbers_is_told() -> None:
    public = {name for name in vars(definitions) if not name.startswith("_")} - {"annotations"}
    assert set(definitions.__all__) == public
    functions = {name for name in public if inspect.getmodule(getattr(definitions, name)) in ROOMS} | {"power"}
    assert set(definitions.NUMBER_FUNCTIONS.split(", ")) == functions
