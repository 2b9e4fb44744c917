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
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

from lossctl.errors import UsageError, visible
from lossctl.gates.trees import (
    GAP,
    WORDS,
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
from lossctl.loss_names import guess
from lossctl_kernels.records import Record, replace

__all__ = ["COUNTS", "FUNCTIONS", "OF_SLICES", "STATISTICS", "parse_gate"]

COUNTS = ("nonfinite", "clipped", "degenerate", "skipped", "samples")
STATISTICS = ("std_error", "ci_low", "ci_high", "min", "p50", "p90", "p95", "p99", "max")
"""What only losses of single samples have."""
FUNCTIONS = ("mean", *STATISTICS, "count", *COUNTS)

OF_SLICES = ("mean", "std_error", "ci_low", "ci_high", "count", "samples", "nonfinite")
"""The functions that slices have."""

_Tree = TypeVar("_Tree")

LONGEST = 500
"""Characters of an expression, which bounds how deep it nests."""

DEEPEST = 50

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?%?)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<symbol><=|>=|==|!=|[-+*/()<>\[\],=])
    )""",
    re.VERBOSE | re.ASCII,
)
_COMPARING = ("<", "<=", ">", ">=", "==", "!=")


class _Token(Record):
    kind: str
    text: str
    start: int
    end: int


def parse_gate(text: str, losses: Callable[[str], int | None], known: tuple[str, ...]) -> Condition:
    """The tree of an expression. `losses` says where in the command a loss of that name stands, None where none does,
    and raises UsageError for a name that is none's alone; `known` are names to suggest.

    Raises UsageError, which says where, for what is no condition.
    """
    return _Parser(text, losses, known).parse()


class _Parser:
    """Recursive descent: a method a rule of the grammar."""

    def __init__(self, text: str, losses: Callable[[str], int | None], known: tuple[str, ...]) -> None:
        self._text, self._losses, self._known = text, losses, known
        if len(text) > LONGEST:
            raise UsageError(
                f"a gate has {len(text)} characters, and at most {LONGEST} are allowed", hint="write several gates"
            )
        self._tokens = list(self._tokenised())
        self._at = self._depth = 0

    def _tokenised(self) -> Iterator[_Token]:
        position, end = 0, len(self._text.rstrip())
        while position < end:
            found = _TOKEN.match(self._text, position)
            if found is None:
                start = position + len(self._text[position:]) - len(self._text[position:].lstrip())
                raise self._error(start, f"'{visible(self._text[start])}' means nothing")
            kind = str(found.lastgroup)
            yield _Token(kind, found[kind], found.start(kind), found.end())
            position = found.end()
        yield _Token("end", "", end, end)

    # ---- conditions

    def parse(self) -> Condition:
        condition = self._condition()
        if self._next.kind != "end":
            self._unexpected("and, or, or the end")
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
            self._unexpected(f"one of {' '.join(_COMPARING)}")
        self._at += 1
        start = self._next.start
        right = self._sum()
        if self._next.text in _COMPARING:
            raise self._error(self._next.start, "comparisons do not chain", hint="join them with and")
        return self._with_base(Comparison(left, operator, right, (left_text, self._since(start))))

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
        name = _unquoted(token)
        position = self._losses(name)
        if position is None:
            self._unknown(token, "loss", (*self._known, *COUNTS))
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
        return _unquoted(token)

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

    def _check_of_slice(self, token: _Token, measure: Measure) -> None:
        if measure.by and measure.function and measure.function not in OF_SLICES:
            raise self._error(
                token.start,
                f"slices have no {measure.function}",
                hint=f"of a slice there is its value, and {', '.join(OF_SLICES)}",
            )

    # ---- tokens

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _advance(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, text: str) -> bool:
        """Goes past a word or symbol where it is the next."""
        taken = self._next.text == text and self._next.kind != "quoted"
        self._at += taken
        return taken

    def _expect(self, text: str) -> None:
        if not self._take(text):
            self._unexpected(f"'{text}'")

    def _since(self, start: int) -> str:
        return self._text[start : self._tokens[self._at - 1].end]

    def _deeper(self, rule: Callable[[], _Tree]) -> _Tree:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(self._next.start, f"more than {DEEPEST} levels are nested here")
        found = rule()
        self._depth -= 1
        return found

    # ---- mistakes

    def _error(self, start: int, what: str, *, hint: str | None = None) -> UsageError:
        return UsageError(f"gate '{visible(self._text)}', character {start + 1}: {what}", hint=hint)

    def _unexpected(self, expected: str) -> NoReturn:
        token = self._next
        found = f"'{visible(token.text)}'" if token.text else "the end"
        raise self._error(token.start, f"expected {expected}, found {found}")

    def _unknown(self, token: _Token, what: str, known: tuple[str, ...]) -> NoReturn:
        listed = ", ".join(dict.fromkeys(known))
        hint = f"{guess(token.text.strip(chr(34) + chr(39)), known)}known here: {listed}"
        raise self._error(token.start, f"unknown {what} '{visible(token.text)}'", hint=hint)


def _unquoted(token: _Token) -> str:
    if token.kind != "quoted":
        return token.text
    quote = token.text[0]
    return token.text[1:-1].replace(2 * quote, quote)


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
