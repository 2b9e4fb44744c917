"""The tokens of a gate: the words that its text is cut into, and how far a parser has read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NoReturn

from lossctl.errors import UsageError, visible
from lossctl_kernels.records import Record

LONGEST = 500
"""Characters of an expression, which bounds how deep it nests."""

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?%?)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<symbol><=|>=|==|!=|[-+*/()<>\[\],=])
    )""",
    re.VERBOSE | re.ASCII,
)


class Token(Record):
    """A word of an expression, and from where to where it stands."""

    kind: str
    text: str
    start: int
    end: int


class TokenReader:
    """The tokens of a text, one after the other; `_next` is the one that is read next. Raises UsageError."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise UsageError(
                f"a gate has {len(text)} characters, and at most {LONGEST} are allowed", hint="write several gates"
            )
        self._text = text
        self._tokens = list(self._tokenised())
        self._at = 0

    def _tokenised(self) -> Iterator[Token]:
        position, end = 0, len(self._text.rstrip())
        while position < end:
            found = _TOKEN.match(self._text, position)
            if found is None:
                start = position + len(self._text[position:]) - len(self._text[position:].lstrip())
                raise self._error(start, f"'{visible(self._text[start])}' means nothing")
            kind = str(found.lastgroup)
            yield Token(kind, found[kind], found.start(kind), found.end())
            position = found.end()
        yield Token("end", "", end, end)

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _advance(self) -> Token:
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

    def _error(self, start: int, what: str, *, hint: str | None = None) -> UsageError:
        return UsageError(f"gate '{visible(self._text)}', character {start + 1}: {what}", hint=hint)

    def _unexpected(self, expected: str, hint: str | None = None) -> NoReturn:
        token = self._next
        found = f"'{visible(token.text)}'" if token.text else "the end"
        raise self._error(token.start, f"expected {expected}, found {found}", hint=hint)


def unquoted(token: Token) -> str:
    """The text of a name, without the quotes that may be around it."""
    if token.kind != "quoted":
        return token.text
    quote = token.text[0]
    return token.text[1:-1].replace(2 * quote, quote)
