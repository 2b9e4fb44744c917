"""The pages of `--help`: every option is on them, examples can be copied, and they fit the width."""

from __future__ import annotations

from importlib import import_module
from shlex import split

import pytest

from lossctl.cli.commands import COMMANDS
from lossctl.cli.help import page_of
from lossctl.cli.plain import call_of
from lossctl.declarations import Argument, parameters_of
from tests.cli.commands import call, refused


def page(*words: str) -> str:
    found = page_of(words)
    assert found is not None
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_all_that_a_command_takes_is_said(name: str) -> None:
    shown = page(name, "--help")
    flat = " ".join(shown.split())
    for parameter in parameters_of(import_module(COMMANDS[name]).command):
        declared = parameter.declared
        assert " ".join(declared.help.split()) in flat
        if isinstance(declared, Argument):
            assert f"  {declared.metavar}  " in shown
        else:
            assert all(spelling in flat for spelling in declared.names)
            assert declared.envvar is None or f"env: {declared.envvar}" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_it_opens_with_an_example_on_one_line(name: str) -> None:
    example = page(name, "--help").partition("Example")[2].splitlines()[1]
    assert example.startswith(f"  lossctl {name}")


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("width", [40, 80])
def test_nothing_but_examples_and_names_is_wider_than_the_terminal(
    name: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = page(name, "--help").splitlines()
    assert [line for line in lines if len(line) > width and not line.startswith(("  lossctl ", "  # "))] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_command_lines_that_mean_something(name: str) -> None:
    examples = [line.strip() for line in page(name, "-h").splitlines() if line.startswith("  lossctl ")]
    assert examples
    for example in examples:
        assert call_of(split(example)[1:]) is not None


@pytest.mark.parametrize("words", [(), ("--help",), ("-h", "eval"), ("help",), ("--version", "-h")])
def test_the_page_of_all_commands(words: tuple[str, ...]) -> None:
    shown = page(*words)
    assert shown == page("-h")
    assert all(f"\n  {name} " in shown for name in COMMANDS)


def test_ways_to_ask_for_the_page_of_a_command() -> None:
    asked = [("eval", "-h"), ("help", "eval"), ("eval", "p.npy", "--nope", "--help")]
    assert {page(*words) for words in asked} == {page("eval", "--help")}
    assert call("eval", "--help").out == page("eval", "--help") + "\n"


@pytest.mark.parametrize("words", [("eval", "p.npy"), ("evl", "--help"), ("eval", "--", "--help")])
def test_no_page_is_asked_for(words: tuple[str, ...]) -> None:
    assert page_of(words) is None


def test_completion_is_not_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_LOSSCTL_COMPLETE", "complete_bash")
    assert page_of(()) is None


def test_the_page_of_no_command_is_refused() -> None:
    assert refused(2, "evl", "--help") == "there is no command 'evl'; did you mean eval? see `lossctl --help`"
    assert refused(2, "help", "evl") == "there is no command 'evl'; did you mean eval? see `lossctl --help`"
