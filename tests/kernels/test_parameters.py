"""Parameters of every loss at the ends of their ranges: just inside, on an end, and just outside."""

from __future__ import annotations

import math

import pytest

from lossctl_kernels import LOSSES, Parameter, SpecificationError, resolve

PARAMETERS = [(name, parameter) for name, loss in LOSSES.items() for parameter in loss.parameters]


def ends(facts: Parameter) -> list[tuple[float, bool]]:
    """Numbers at the ends of what a parameter may be, and whether each is allowed."""
    if facts.words:
        return []
    if facts.choices:
        between = sum(facts.choices) / len(facts.choices)
        return [*((choice, True) for choice in facts.choices), (between, between in facts.choices)]
    found = []
    for end, outwards, is_open in (
        (facts.above, -math.inf, True),
        (facts.at_least, -math.inf, False),
        (facts.below, math.inf, True),
        (facts.at_most, math.inf, False),
        *((end, inwards, False) for end, inwards in zip(facts.gap or (), (math.inf, -math.inf), strict=False)),
    ):
        if end is not None:
            inside = (math.nextafter(end, -outwards), not facts.whole)
            found += [inside, (end, not is_open), (math.nextafter(end, outwards), False)]
    return found


def is_refused(loss: str, parameter: str, number: float) -> bool:
    """Whether a number is said to be out of range; that some of a range mean nothing is another matter."""
    try:
        resolve(LOSSES[loss], {**LOSSES[loss].required, parameter: number})
    except SpecificationError as error:
        return f"{parameter} must be {LOSSES[loss].parameters[parameter][1].range()}, found" in str(error)
    return False


@pytest.mark.parametrize(("loss", "parameter"), PARAMETERS)
def test_ends_of_a_range(loss: str, parameter: str) -> None:
    facts = LOSSES[loss].parameters[parameter][1]
    if parameter == "eps" and "eps_mode" in LOSSES[loss].options and not facts.choices:
        facts_ends = [end for end in ends(facts) if end[0] >= 0.0 or not end[1]]
    else:
        facts_ends = ends(facts)
    for number, allowed in facts_ends:
        assert facts.allows(number) is allowed, number
        assert is_refused(loss, parameter, number) is not allowed, number


@pytest.mark.parametrize(("loss", "parameter"), PARAMETERS)
def test_what_is_no_number_is_refused(loss: str, parameter: str) -> None:
    for value in ("", "much", "nan", "inf", "1_0", "0x10"):
        with pytest.raises(SpecificationError, match=parameter):
            resolve(LOSSES[loss], {**LOSSES[loss].required, parameter: value})


@pytest.mark.parametrize(("loss", "parameter"), PARAMETERS)
def test_a_default_and_an_example_are_allowed(loss: str, parameter: str) -> None:
    default, facts = LOSSES[loss].parameters[parameter]
    if facts.words:
        assert default in facts.words
    elif default is not None:
        assert facts.allows(float(default))
    else:
        assert facts.optional or (facts.example is not None and facts.allows(facts.example))


def test_ends_are_those_of_the_facts() -> None:
    assert [allowed for _, allowed in ends(Parameter("", above=0.0))] == [True, False, False]
    assert [allowed for _, allowed in ends(Parameter("", at_least=0.0, below=1.0))] == [
        True,
        True,
        False,
        True,
        False,
        False,
    ]
    gap = ends(Parameter("", gap=(0.0, 1.0)))
    assert [number for number, allowed in gap if allowed] == [
        math.nextafter(0.0, -1.0),
        0.0,
        math.nextafter(1.0, 2.0),
        1.0,
    ]
    assert [allowed for _, allowed in ends(Parameter("", choices=(-1.0, 1.0)))] == [True, True, False]
