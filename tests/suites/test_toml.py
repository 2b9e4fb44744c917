"""A resolved suite as TOML, which reads back as what it was."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.cli.suite import parameters
from lossctl.errors import UsageError
from lossctl.suites.files import SuiteText
from lossctl.suites.suite import load, resolved
from lossctl.suites.toml import render, spelled

KNOWN = parameters()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS
VALUES = SCALARS | st.floats(allow_nan=False) | st.lists(SCALARS)


@given(VALUES)
def test_every_value_reads_back_as_it_was(value: object) -> None:
    text = spelled(value)
    assert text.isprintable()
    found = tomllib.loads(f"a = {text}\n")["a"]
    assert found == value
    assert type(found) is type(value)


def test_what_is_not_unicode_is_refused() -> None:
    with pytest.raises(UsageError, match="not Unicode"):
        spelled("\udcff")


@given(st.lists(TEXTS.filter(lambda text: "\0" not in text and "{name}" not in text), max_size=3), st.booleans())
def test_what_is_printed_is_the_same_suite(texts: list[str], flag: bool) -> None:
    quoted = spelled(texts)
    text = f"output = {quoted}\n[defaults]\nstats = {spelled(flag)}\nthreads = 3\n"
    text += f'[[eval]]\nname = "a"\npredictions = "p"\nloss = {quoted}\n[[eval]]\nname = "b"\npredictions = "p"\n'
    first = resolved(load(SuiteText("s.toml", text.encode()), KNOWN), KNOWN, {"backend": "cpu"}, {})
    printed = render(first, KNOWN)
    second = resolved(load(SuiteText("s.toml", printed.encode()), KNOWN), KNOWN, {}, {})
    assert second.outputs == first.outputs
    assert [each.values for each in second.evaluations] == [each.values for each in first.evaluations]


def test_each_setting_says_where_it_comes_from() -> None:
    text = '[defaults]\nloss = "bce"\n[[eval]]\nname = "a"\npredictions = "p"\n'
    suite = load(SuiteText("sub/s.toml", text.encode(), "sub"), KNOWN)
    lines = render(resolved(suite, KNOWN, {"threads": 2}, {"LOSSCTL_PRESET": "torch"}), KNOWN).splitlines()
    assert lines[:6] == [
        "# sub/s.toml, resolved; its paths start in 'sub'.",
        "",
        "[[eval]]",
        'name = "a"',
        'predictions = "p"  # [[eval]]',
        'loss = ["bce"]  # [defaults]',
    ]
    assert 'preset = "torch"  # LOSSCTL_PRESET' in lines
    assert "threads = 2  # --threads" in lines
    assert 'reduction = "mean"  # built in' in lines
    assert not any(line.startswith(("quiet", "format", "targets")) for line in lines)
