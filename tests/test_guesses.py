"""What was probably meant."""

from __future__ import annotations

import pytest

from lossctl.guesses import MOST_COMPARED, did_you_mean


@pytest.mark.parametrize(
    ("name", "known", "told"),
    [
        ("targt", ["prediction", "target"], "did you mean target? "),
        ("delta", ["prediction", "target"], ""),
        ("delta", [], ""),
    ],
)
def test_what_is_close_is_proposed(name: str, known: list[str], told: str) -> None:
    assert did_you_mean(name, known) == told


def test_names_of_the_data_are_quoted_and_made_visible() -> None:
    assert did_you_mean("label", ["labe\x1bl"], quoted=True) == r"did you mean 'labe\x1bl'? "


def test_not_every_name_of_a_wide_table_is_compared() -> None:
    others = (f"{number:08}" for number in range(MOST_COMPARED))
    assert did_you_mean("label", [*others, "labels"]) == ""


def test_another_case_is_close_however_short_a_name_is() -> None:
    assert did_you_mean("p", ["prediction", "P"]) == "did you mean P? "
    assert did_you_mean("a ", ["b", "a"], quoted=True) == "did you mean 'a'? "
