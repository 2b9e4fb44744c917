"""What is said of two rows of a triplet, for each two of them."""

from __future__ import annotations

from lossctl_kernels.arguments import argument_names
from lossctl_kernels.losses.triplet_pairs import of_pairs, with_arguments
from lossctl_kernels.spec import _FOLDS, Monoid


def weighed(first: float, second: float, first_scale: float, own_size: float, eps: float = 0.5) -> float:
    total = first * first_scale + 10.0 * second
    return total / own_size + eps


def test_each_pair_has_a_fold_with_arguments_of_its_own() -> None:
    three = of_pairs(Monoid.SUM)(weighed)
    assert [argument_names(term) for term in three] == [
        ("prediction", "target", "prediction_scale", "positive_size", "eps"),
        ("prediction", "negative", "prediction_scale", "direct_size", "eps"),
        ("target", "negative", "target_scale", "swapped_size", "eps"),
    ]
    folds = [_FOLDS[term] for term in three]
    assert [fold.name for fold in folds] == ["positive_weighed", "direct_weighed", "swapped_weighed"]
    assert [fold.term.__name__ for fold in folds] == [fold.name for fold in folds]
    assert {term(1.0, 2.0, 3.0, 4.0) for term in three} == {weighed(1.0, 2.0, 3.0, 4.0)}


def test_a_fold_with_another_name_says_which_term_it_is_of() -> None:
    """A key tells definitions apart by the terms of folds that have the same names."""
    three = of_pairs(Monoid.ONCE, "distance")(weighed)
    assert [_FOLDS[term].name for term in three] == ["positive_distance", "direct_distance", "swapped_distance"]
    assert [term.__name__ for term in three] == ["weighed_of_positive", "weighed_of_direct", "weighed_of_swapped"]


def test_only_arguments_are_renamed() -> None:
    made = with_arguments(weighed, {"first": "eins"}, "made")
    assert argument_names(made) == ("eins", "second", "first_scale", "own_size", "eps")
    assert made.__annotations__["eins"] is weighed.__annotations__["first"]
    assert made(1.0, 2.0, 3.0, 4.0, eps=0.0) == weighed(1.0, 2.0, 3.0, 4.0, 0.0)
    assert argument_names(weighed)[0] == "first"
