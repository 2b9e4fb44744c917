"""JSON that says one thing only."""

from __future__ import annotations

import json

import pytest

from lossctl.strict_json import loads


@pytest.mark.parametrize("value", [None, True, 0, -1.5, 1e-320, "é\ud800", [], [[[]]], {"a": {"b": [1, None]}}])
def test_what_json_can_say_reads_back(value: object) -> None:
    assert loads(json.dumps(value).encode(), 4) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a": 1, "a": 1}', "a name stands twice in one object"),
        (b'[{"a": {"b": 1, "b": 2}}]', "a name stands twice in one object"),
        (b"[NaN]", "NaN is no number of JSON"),
        (b"-Infinity", "-Infinity is no number of JSON"),
        (b"-1e309", "-1e309 is too large for a number"),
        (b"1" + b"0" * 400 + b".0", "0 is too large for a number"),
        (b"[[[[[]]]]]", "nested more than 4 deep"),
        (b"[" * 100_000, "nested more than 4 deep"),
        (b'{"a": ' * 100_000, "nested more than 4 deep"),
        (b"", "Expecting value"),
        (b"{} {}", "Extra data"),
        (b'{"a"', "Expecting ':' delimiter"),
        (b"\x80", "invalid start byte"),
    ],
)
def test_what_it_cannot_say_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        loads(text, 4)
    assert len(str(raised.value)) < 200
