"""The language of gates: "p95(mae) > 2", "bce > base * 1.02 and bce > base + 0.001". Text to a typed tree.

    condition  = both { "or" both }
    both       = negation { "and" negation }
    negation   = "not" negation | comparison
    comparison = sum ("<" | "<=" | ">" | ">=" | "==" | "!=") sum | "(" condition ")"
    sum        = product { ("+" | "-") product }
    product    = factor { ("*" | "/") factor }
    factor     = "-" factor | number | "base" [ "(" measure ")" ] | measure | "(" sum ")"
    measure    = ( loss | count | function "(" loss [ slice ] ")" ) [ slice ]
               | "gap" "(" loss "," "by" "=" name { "," name } ")"
    slice      = "[" name "=" ( value | "*" ) { "," name "=" ( value | "*" ) } "]"

A loss is a name, or any SPEC in quotes: 'huber:delta=2'. A number may end in "%". The names of columns and the values
of slices are names, values numbers too, or anything in quotes, where a quote of the same kind is written twice.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NoReturn, TypeVar

from lossctl.catalogue.loss_names import guess
from lossctl.errors import UsageError, visible
from lossctl.gates.tokens import Token, TokenReader, unquoted
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
    comparisons,
    measures,
    quantities,
)
from lossctl.gates.vocabulary import FUNCTIONS, GAP, OF_SLICES, QUANTILES, WORDS
from lossctl.results import COUNTS
from lossctl_kernels.records import replace

DEEPEST = 50

_COMPARING = ("<", "<=", ">", ">=", "==", "!=")

_ANY_LOSS = ("loss", "value", "metric", "score")
"""What a loss is called where there is no more than one."""

_Tree = TypeVar("_Tree")


def parse_gate(text: str, losses: Callable[[str], int | None], known: tuple[str, ...]) -> Condition:
    """The tree of an expression. `losses` says where in the command a loss of that name stands, None where none does,
    and raises UsageError for a name that is none's alone; `known` are names to suggest.

    Raises UsageError, which says where, for what is no condition.
    """
    return _Parser(text, losses, known).parse()


class _Parser(TokenReader):
    """Recursive descent: a method a rule of the grammar."""

    def __init__(self, text: str, losses: Callable[[str], int | None], known: tuple[str, ...]) -> None:
        super().__init__(text)
        self._losses, self._known = losses, known
        self._depth = 0

    # ---- conditions

    def parse(self) -> Condition:
        condition = self._condition()
        if self._next.kind != "end":
            self._unexpected("and, or, or the end", "decimals have a point, as in 0.05" if self._is_comma() else None)
        sides = [side for each in comparisons(condition) for side in (each.left, each.right)]
        if not any(isinstance(part, Measure | Base) for side in sides for part in quantities(side)):
            raise UsageError(f"gate '{visible(self._text)}' measures nothing", hint="name a loss, as in 'bce > 0.35'")
        parts = [part.measure if isinstance(part, Base) else part for side in sides for part in quantities(side)]
        patterns = {(part.by, part.at) for part in parts if isinstance(part, Measure) and part.is_pattern}
        if len(patterns) > 1:
            raise UsageError(
                f"gate '{visible(self._text)}' is about slices of more than one kind",
                hint="write the same [...] everywhere, or several gates",
            )
        return condition

    def _condition(self) -> Condition:
        condition = self._both()
        while self._take("or"):
            condition = Or(condition, self._both())
        return condition

    def _both(self) -> Condition:
        condition = self._negation()
        while self._take("and"):
            condition = And(condition, self._negation())
        return condition

    def _negation(self) -> Condition:
        if not self._take("not"):
            return self._comparison()
        return Not(self._deeper(self._negation))

    def _comparison(self) -> Condition:
        """A parenthesis may hold a condition or begin a sum: what follows its end tells."""
        if self._next.text == "(" and self._holds_condition():
            self._take("(")
            condition = self._deeper(self._condition)
            self._expect(")")
            return condition
        start = self._next.start
        left = self._sum()
        left_text = self._since(start)
        operator = self._next.text
        if operator not in _COMPARING:
            self._unexpected(f"one of {' '.join(_COMPARING)}", self._remedy_of_comparison())
        self._at += 1
        start = self._next.start
        right = self._sum()
        if self._next.text in _COMPARING:
            raise self._error(self._next.start, "comparisons do not chain", hint="join them with and")
        return self._with_base(Comparison(left, operator, right, (left_text, self._since(start))))

    def _remedy_of_comparison(self) -> str | None:
        if self._next.text == "=":
            return "equal is ==, at most <=, at least >="
        if self._next.kind == "end" and not any(token.text in _COMPARING for token in self._tokens):
            return f"quote the whole of it, '{visible(self._text)} > 0.35': a shell takes > for a file"
        return None

    def _is_comma(self) -> bool:
        """Whether a comma between two numbers is next."""
        around = self._tokens[self._at - 1 : self._at + 2]
        return [token.kind for token in around] == ["number", "symbol", "number"] and around[1].text == ","

    def _holds_condition(self) -> bool:
        """Whether the parenthesis that is next has a comparison in it, outside of what it nests or within."""
        depth = 0
        for token in self._tokens[self._at :]:
            depth += (token.text == "(") - (token.text == ")")
            if token.text in _COMPARING or token.text in ("and", "or", "not"):
                return True
            if depth == 0:
                return False
        return False

    def _with_base(self, comparison: Comparison) -> Comparison:
        """A bare `base` is what the baseline has for the one measure that it is compared with."""
        sides = (comparison.left, comparison.right)
        if not any(isinstance(each, Base) and not each.explicit for side in sides for each in quantities(side)):
            return comparison
        found = list(dict.fromkeys(_held_against(measure) for measure in measures(comparison)))
        if len(found) != 1:
            said = " and ".join(str(each) for each in found) or "nothing that is measured"
            raise UsageError(
                f"gate '{visible(self._text)}': base is compared with {said}",
                hint="say what of the baseline is meant, such as base(bce)",
            )
        left, right = (_bound(side, found[0]) for side in sides)
        return Comparison(left, comparison.operator, right, comparison.texts)

    # ---- quantities

    def _sum(self) -> Quantity:
        quantity = self._product()
        while self._next.text in ("+", "-"):
            quantity = Arithmetic(quantity, self._advance().text, self._product())
        return quantity

    def _product(self) -> Quantity:
        quantity = self._factor()
        while self._next.text in ("*", "/"):
            quantity = Arithmetic(quantity, self._advance().text, self._factor())
        return quantity

    def _factor(self) -> Quantity:
        token = self._next
        if token.kind == "number":
            self._at += 1
            number = float(token.text.removesuffix("%")) / (100.0 if token.text.endswith("%") else 1.0)
            if not math.isfinite(number):
                raise self._error(token.start, f"{visible(token.text, 40)} exceeds float64")
            return Number(number)
        if self._take("-"):
            return Negative(self._deeper(self._factor))
        if self._take("("):
            inner = self._deeper(self._sum)
            self._expect(")")
            return inner
        if self._take("base"):
            return self._base()
        if token.kind == "quoted" or (token.kind == "name" and token.text not in WORDS):
            return self._measure()
        self._unexpected("a number, a loss or a function of one")

    def _base(self) -> Base:
        if not self._take("("):
            return Base(Measure(""), explicit=False)
        measure = self._measure()
        self._expect(")")
        return Base(measure)

    def _measure(self) -> Measure:
        token = self._next
        if token.kind == "name" and self._tokens[self._at + 1].text == "(":
            if token.text == GAP:
                return self._gap()
            if token.text not in FUNCTIONS:
                self._unknown(token, "function", (*FUNCTIONS, GAP))
            self._at += 2
            inner = self._sliced(self._loss())
            self._expect(")")
            measure = replace(inner, function=token.text)
            self._check_of_slice(token, measure)
        elif token.kind == "name" and token.text in COUNTS and self._losses(token.text) is None:
            self._at += 1
            measure = Measure(token.text)
        else:
            measure = self._loss()
        if not measure.by:
            measure = self._sliced(measure)
            self._check_of_slice(token, measure)
        return measure

    def _loss(self) -> Measure:
        token = self._next
        if token.kind not in ("name", "quoted"):
            self._unexpected("the name of a loss")
        name = unquoted(token)
        position = self._losses(name)
        if position is None:
            self._unknown(token, "loss", (*self._known, *COUNTS), self._instead_of(name))
        self._at += 1
        return Measure("", position, name)

    # ---- slices

    def _sliced(self, measure: Measure) -> Measure:
        """The measure of a slice, where one follows."""
        if not self._take("["):
            return measure
        found: dict[str, str | None] = {}
        while True:
            start = self._next.start
            name = self._name("the name of a column")
            if name in found:
                raise self._error(start, f"the column '{visible(name)}' stands there twice")
            self._expect("=")
            found[name] = self._value()
            if self._take("]"):
                return replace(measure, by=tuple(found), at=tuple(found.values()))
            if not self._take(","):
                self._unexpected("',' or ']'; other values than names and whole numbers are in quotes")

    def _value(self) -> str | None:
        """The value of a slice, None for all."""
        if self._take("*"):
            return None
        sign = "-" if self._take("-") else ""
        token = self._next
        if token.kind == "number":
            self._at += 1
            return sign + token.text
        if sign:
            self._unexpected("a number")
        return self._name("a value, in quotes unless it is a name or a whole number, or *")

    def _name(self, expected: str) -> str:
        token = self._next
        if token.kind != "quoted" and (token.kind != "name" or token.text in WORDS):
            self._unexpected(expected)
        self._at += 1
        return unquoted(token)

    def _gap(self) -> Measure:
        self._at += 2
        loss = self._loss()
        if not (self._take(",") and self._take("by") and self._take("=")):
            self._unexpected(f"', by=COLUMN' as in {GAP}(bce, by=sex)")
        names = [self._name("the name of a column")]
        while self._take(","):
            names.append(self._name("the name of a column"))
        if len(set(names)) < len(names):
            raise self._error(self._next.start, "a column stands there twice")
        self._expect(")")
        return replace(loss, function=GAP, by=tuple(names))

    def _check_of_slice(self, token: Token, measure: Measure) -> None:
        if measure.by and measure.function and measure.function not in OF_SLICES:
            raise self._error(
                token.start,
                f"slices have no {measure.function}",
                hint=f"of a slice there is its value, and {', '.join(OF_SLICES)}",
            )

    # ---- depth and mistakes

    def _deeper(self, rule: Callable[[], _Tree]) -> _Tree:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(self._next.start, f"more than {DEEPEST} levels are nested here")
        found = rule()
        self._depth -= 1
        return found

    def _instead_of(self, name: str) -> str:
        """What to write in place of what is no loss: of which there are functions, or which stands for any."""
        loss = next(iter(self._known), "bce")
        if re.fullmatch(r"p[0-9]+", name) and (name not in FUNCTIONS or self._tokens[self._at + 1].kind == "number"):
            return f"quantiles of a loss are {', '.join(f'{each}({loss})' for each in QUANTILES)}; "
        if name in FUNCTIONS:
            return f"it is one of a loss: {name}({loss})? "
        return "name the loss itself; " if name.lower() in _ANY_LOSS else ""

    def _unknown(self, token: Token, what: str, known: tuple[str, ...], remedy: str = "") -> NoReturn:
        listed = ", ".join(dict.fromkeys(known))
        hint = f"{remedy or guess(token.text.strip(chr(34) + chr(39)), known)}known here: {listed}"
        raise self._error(token.start, f"unknown {what} '{visible(token.text)}'", hint=hint)


def _held_against(measure: Measure) -> Measure:
    """What a measure is held against: the bounds of an interval against the baseline's value."""
    return replace(measure, function="") if measure.function in ("ci_low", "ci_high") else measure


def _bound(quantity: Quantity, measure: Measure) -> Quantity:
    match quantity:
        case Base(_, False):
            return Base(measure, explicit=False)
        case Negative(operand):
            return Negative(_bound(operand, measure))
        case Arithmetic(left, operator, right):
            return Arithmetic(_bound(left, measure), operator, _bound(right, measure))
    return quantity
