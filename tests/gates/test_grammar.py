"""The language of gates: what an expression means, and what is said of one that means nothing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lossctl.errors import UsageError
from lossctl.gates.grammar import parse_gate
from lossctl.gates.tokens import LONGEST
from lossctl.gates.trees import (
    And,
    Arithmetic,
    Base,
    Comparison,
    Condition,
    Measure,
    Negative,
    Not,
    Number,
    Or,
    Quantity,
)
from lossctl.gates.vocabulary import FUNCTIONS, OF_SLICES

LOSSES = {"bce": 0, "mae": 1, "huber:delta=2": 2, "my.py:loss": 3}
BCE, MAE, HUBER = Measure("", 0, "bce"), Measure("", 1, "mae"), Measure("", 2, "huber:delta=2")


def parsed(text: str) -> Condition:
    return parse_gate(text, LOSSES.get, tuple(LOSSES))


def more(left: Quantity, right: Quantity) -> Comparison:
    return Comparison(left, ">", right)


HALF = more(BCE, Number(0.5))
CASES: dict[str, Condition] = {
    "bce > 0.35": more(BCE, Number(0.35)),
    "bce>.5": HALF,
    " bce  >\t5e-1 ": HALF,
    "bce > 50%": HALF,
    "bce > 0.5E+0": HALF,
    "0.5 < bce": Comparison(Number(0.5), "<", BCE),
    "bce != 1": Comparison(BCE, "!=", Number(1.0)),
    "bce == 1": Comparison(BCE, "==", Number(1.0)),
    "bce >= 1": Comparison(BCE, ">=", Number(1.0)),
    "bce <= 1": Comparison(BCE, "<=", Number(1.0)),
    "bce > -1": more(BCE, Negative(Number(1.0))),
    "bce > --1": more(BCE, Negative(Negative(Number(1.0)))),
    "p95(mae) > 2": more(Measure("p95", 1, "mae"), Number(2.0)),
    "max( mae )>10": more(Measure("max", 1, "mae"), Number(10.0)),
    "ci_low(bce) > 0.5": more(Measure("ci_low", 0, "bce"), Number(0.5)),
    "nonfinite > 0": more(Measure("nonfinite"), Number(0.0)),
    "nonfinite(bce) > 0": more(Measure("nonfinite", 0, "bce"), Number(0.0)),
    "'huber:delta=2' > 1": more(HUBER, Number(1.0)),
    'p50("huber:delta=2") > 1': more(Measure("p50", 2, "huber:delta=2"), Number(1.0)),
    "'my.py:loss' > 1": more(Measure("", 3, "my.py:loss"), Number(1.0)),
    "bce + mae * 2 > 1": more(Arithmetic(BCE, "+", Arithmetic(MAE, "*", Number(2.0))), Number(1.0)),
    "(bce + mae) * 2 > 1": more(Arithmetic(Arithmetic(BCE, "+", MAE), "*", Number(2.0)), Number(1.0)),
    "bce - mae - 1 > 0": more(Arithmetic(Arithmetic(BCE, "-", MAE), "-", Number(1.0)), Number(0.0)),
    "bce / mae / 2 > 1": more(Arithmetic(Arithmetic(BCE, "/", MAE), "/", Number(2.0)), Number(1.0)),
    "(bce) > (0.5)": HALF,
    "((bce > 0.5))": HALF,
    "(bce + 1) > 2": more(Arithmetic(BCE, "+", Number(1.0)), Number(2.0)),
    "not bce > 0.5": Not(HALF),
    "not not (bce > 0.5)": Not(Not(HALF)),
    "bce > 0.5 and mae > 1 or mae > 2": Or(And(HALF, more(MAE, Number(1.0))), more(MAE, Number(2.0))),
    "bce > 0.5 or mae > 1 and mae > 2": Or(HALF, And(more(MAE, Number(1.0)), more(MAE, Number(2.0)))),
    "(bce > 0.5 or mae > 1) and not mae > 2": And(Or(HALF, more(MAE, Number(1.0))), Not(more(MAE, Number(2.0)))),
    "bce > base": more(BCE, Base(BCE, False)),
    "bce > base * 1.02 and mae > base + 0.001": And(
        more(BCE, Arithmetic(Base(BCE, False), "*", Number(1.02))),
        more(MAE, Arithmetic(Base(MAE, False), "+", Number(0.001))),
    ),
    "p95(mae) > base": more(Measure("p95", 1, "mae"), Base(Measure("p95", 1, "mae"), False)),
    "ci_low(bce) > base": more(Measure("ci_low", 0, "bce"), Base(BCE, False)),
    "nonfinite > base": more(Measure("nonfinite"), Base(Measure("nonfinite"), False)),
    "bce + mae > base(bce)": more(Arithmetic(BCE, "+", MAE), Base(BCE)),
    "max(bce) > base(p95(mae))": more(Measure("max", 0, "bce"), Base(Measure("p95", 1, "mae"))),
    "bce[country=DE] > 0.5": more(replace(BCE, by=("country",), at=("DE",)), Number(0.5)),
    "bce [ country = * ] > 0.5": more(replace(BCE, by=("country",), at=(None,)), Number(0.5)),
    "bce[country=DE,sex=*] > 0.5": more(replace(BCE, by=("country", "sex"), at=("DE", None)), Number(0.5)),
    "bce[country='New ''York'''] > 0.5": more(replace(BCE, by=("country",), at=("New 'York'",)), Number(0.5)),
    'bce["a=b"="x]"",y"] > 0.5': more(replace(BCE, by=("a=b",), at=('x]",y',)), Number(0.5)),
    "bce[year=2024,code=007,d=-5,e=''] > .5": more(
        replace(BCE, by=("year", "code", "d", "e"), at=("2024", "007", "-5", "")), Number(0.5)
    ),
    "'huber:delta=2'[c=*] > 1": more(replace(HUBER, by=("c",), at=(None,)), Number(1.0)),
    "ci_low(bce[c=x]) > 1": more(Measure("ci_low", 0, "bce", ("c",), ("x",)), Number(1.0)),
    "ci_low(bce)[c=x] > base": more(
        Measure("ci_low", 0, "bce", ("c",), ("x",)), Base(replace(BCE, by=("c",), at=("x",)), False)
    ),
    "samples[c=*] < 50": Comparison(Measure("samples", by=("c",), at=(None,)), "<", Number(50.0)),
    "(bce[c=*] - bce) > 1": more(Arithmetic(replace(BCE, by=("c",), at=(None,)), "-", BCE), Number(1.0)),
    "bce[c=*] > base * 1.05": more(
        replace(BCE, by=("c",), at=(None,)),
        Arithmetic(Base(replace(BCE, by=("c",), at=(None,)), False), "*", Number(1.05)),
    ),
    "gap(bce, by=sex) > 0.05": more(Measure("gap", 0, "bce", ("sex",)), Number(0.05)),
    "gap('huber:delta=2', by=sex, 'the age') > base": more(
        Measure("gap", 2, "huber:delta=2", ("sex", "the age")),
        Base(Measure("gap", 2, "huber:delta=2", ("sex", "the age")), False),
    ),
}


@pytest.mark.parametrize("text", CASES)
def test_what_an_expression_means(text: str) -> None:
    assert parsed(text) == CASES[text]


WRONG = {
    "": "character 1: expected a number, a loss or a function of one, found the end",
    "   ": "character 1: expected a number",
    "bce": "character 4: expected one of < <= > >= == !=, found the end; quote the whole of it, 'bce > 0.35'",
    "bce > 0,05": "character 8: expected and, or, or the end, found ','; decimals have a point, as in 0.05",
    "loss > 1": "character 1: unknown loss 'loss'; name the loss itself; known here: bce, mae",
    "p99.9(bce) > 1": "unknown loss 'p99'; quantiles of a loss are p50(bce), p90(bce), p95(bce), p99(bce)",
    "p75 > 1": "unknown loss 'p75'; quantiles of a loss are p50(bce)",
    "mean > 1": "unknown loss 'mean'; it is one of a loss: mean(bce)?",
    "bce >": "character 6: expected a number, a loss or a function of one, found the end",
    "bce > 1 2": "character 9: expected and, or, or the end, found '2'",
    "bce > 1 > 0": "character 9: comparisons do not chain; join them with and",
    "bce = 1": "character 5: expected one of < <= > >= == !=, found '='; equal is ==, at most <=, at least >=",
    "bce =< 1": "character 5: expected one of < <= > >= == !=, found '='; equal is ==, at most <=, at least >=",
    "bce > 1 && mae > 2": "character 9: '&' means nothing",
    "bce > $x": "character 7: '$' means nothing",
    "bce > 1e999": "character 7: 1e999 exceeds float64",
    "bec > 1": "character 1: unknown loss 'bec'; did you mean bce? known here: bce, mae",
    "'huber:delta=3' > 1": "character 1: unknown loss ''huber:delta=3''; did you mean huber:delta=2?",
    "p59(bce) > 1": "character 1: unknown function 'p59'; did you mean p",
    "p95(1) > 1": "character 5: expected the name of a loss, found '1'",
    "p95(bce > 1": "character 9: expected ')', found '>'",
    "p95() > 1": "character 5: expected the name of a loss, found ')'",
    "p95 > 1": "character 1: unknown loss 'p95'; it is one of a loss: p95(bce)?",
    "(bce > 1": "character 9: expected ')', found the end",
    "(bce > 1) + 1 > 2": "character 11: expected and, or, or the end, found '+'",
    "bce + (mae > 1) > 2": "expected ')', found '>'",
    "and > 1": "character 1: expected a number, a loss or a function of one, found 'and'",
    "1 > 2": "measures nothing; name a loss",
    "base > 1": "base is compared with nothing that is measured; say what of the baseline is meant",
    "bce + mae > base": "base is compared with bce and mae",
    "bce > base(1)": "character 12: expected the name of a loss",
    "bce > " + "(" * 60 + "1": "more than 50 levels are nested here",
    "not " * 60 + "bce > 1": "more than 50 levels",
    "bce > " + "1 + " * 200 + "1": "a gate has 807 characters, and at most 500 are allowed; write several gates",
    "__import__('os') > 0": "unknown function '__import__'",
    "bce.real > 1": "character 4: '.' means nothing",
    "bce ** 2 > 1": "character 6: expected a number",
    "bce > ٣": "character 7: '٣' means nothing",
    "bce > 'mae": "character 7: ''' means nothing",
    "bce[": "character 5: expected the name of a column, found the end",
    "bce[c] > 1": "character 6: expected '=', found ']'",
    "bce[c==DE] > 1": "character 6: expected '=', found '=='",
    "bce[c=] > 1": "character 7: expected a value, in quotes unless it is a name or a whole number, or *, found ']'",
    "bce[c=New York] > 1": "character 11: expected ',' or ']'; other values than names and whole numbers are in quotes",
    "bce[c=2024-01-01] > 1": "character 11: expected ',' or ']'; other values",
    "bce[c=-x] > 1": "character 8: expected a number, found 'x'",
    "bce[c=or] > 1": "character 7: expected a value",
    "bce[*=DE] > 1": "character 5: expected the name of a column, found '*'",
    "bce[c=a,c=b] > 1": "character 9: the column 'c' stands there twice",
    "bce[c=a][d=b] > 1": "character 9: expected one of",
    "ci_low(bce[c=a])[d=b] > 1": "character 17: expected one of",
    "p95(mae)[c=*] > 1": "character 1: slices have no p95; of a slice there is its value, and mean, std_error",
    "max(mae[c=*]) > 1": "character 1: slices have no max",
    "clipped[c=*] > 1": "character 1: slices have no clipped",
    "bce[c=*] > mae[d=*]": "is about slices of more than one kind; write the same [...] everywhere",
    "bce[c=*] > base(bce[d=*])": "is about slices of more than one kind",
    "gap(bce) > 1": "character 8: expected ', by=COLUMN' as in gap(bce, by=sex), found ')'",
    "gap(bce, sex) > 1": "character 10: expected ', by=COLUMN'",
    "gap(bce, by=) > 1": "character 13: expected the name of a column, found ')'",
    "gap(bce, by=a, a) > 1": "character 17: a column stands there twice",
    "gap(bce, by=*) > 1": "character 13: expected the name of a column, found '*'",
    "gap > 1": "character 1: unknown loss 'gap'",
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:30])
def test_what_is_no_expression_is_told_with_its_place(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parsed(text)
    assert WRONG[text] in str(raised.value)


losses = st.sampled_from(sorted(LOSSES)).map(lambda name: Measure("", LOSSES[name], name))
asked = st.one_of(
    losses,
    st.builds(lambda function, loss: Measure(function, loss.loss, loss.name), st.sampled_from(FUNCTIONS), losses),
    st.sampled_from(["nonfinite", "clipped", "samples"]).map(Measure),
    st.builds(
        lambda loss, function, at: replace(loss, function=function, by=tuple(at), at=tuple(at.values())),
        losses,
        st.sampled_from(["", *OF_SLICES]),
        st.dictionaries(st.text(max_size=8), st.text(max_size=8), min_size=1, max_size=2),
    ),
    st.builds(
        lambda loss, by: replace(loss, function="gap", by=tuple(by)),
        losses,
        st.lists(st.text(max_size=8), min_size=1, max_size=2, unique=True),
    ),
)
leaves: st.SearchStrategy[Quantity] = st.one_of(
    st.floats(0.0, allow_infinity=False).map(Number), asked, asked.filter(lambda m: m.loss is not None).map(Base)
)
amounts = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(Negative), st.builds(Arithmetic, inner, st.sampled_from(["+", "-", "*", "/"]), inner)
    ),
    max_leaves=4,
)
compared = st.builds(Comparison, amounts, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), asked)
conditions = st.recursive(
    compared,
    lambda inner: st.one_of(inner.map(Not), st.builds(And, inner, inner), st.builds(Or, inner, inner)),
    max_leaves=3,
)


@given(conditions)
@settings(max_examples=200, deadline=None)
def test_what_is_written_of_a_tree_means_it(tree: Condition) -> None:
    assume(len(str(tree)) <= LONGEST)
    assert parsed(str(tree)) == tree


@given(st.text(alphabet="bcemae p95()<>=!+-*/%.'\"0123andornot_basex[],", max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_text_is_a_condition_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        tree = parsed(text)
        assert parsed(str(tree)) == tree or "base" in text
