"""Ordinary command lines are understood without Typer, and as Typer understands them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import typer.main
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lossctl.cli.app import app, for_typer
from lossctl.cli.commands import COMMANDS
from lossctl.cli.plain import call_of
from lossctl.declarations import parameters_of

Arguments = dict[str, Any]


def plain(*words: str) -> Arguments | None:
    """The arguments that a command is called with, None where the line is not ordinary."""
    call = call_of(words)
    if call is None:
        return None
    assert isinstance(call, functools.partial)
    assert call.args == ()
    return every_argument(call.func, call.keywords)


def every_argument(command: Callable[..., None], given: Arguments) -> Arguments:
    """The arguments of a call with those that it leaves to their defaults, those of groups one by one."""
    found = {}
    for parameter in parameters_of(command):
        values = given if parameter.group is None else vars(given[parameter.group[0]])
        found[parameter.name] = values.get(parameter.name, parameter.default)
    return found


@functools.cache
def typers(name: str) -> tuple[Any, list[Arguments]]:
    """A command as Typer makes it of the same declarations, and where it leaves the arguments of its calls."""
    command: Callable[..., None] = import_module(COMMANDS[name]).command
    calls: list[Arguments] = []

    @functools.wraps(command)
    def record(**arguments: Any) -> None:
        calls.append(every_argument(command, arguments))

    recorder = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    recorder.command(name)(for_typer(record))
    return typer.main.get_command(recorder), calls


def by_typer(name: str, *words: str) -> Arguments | None:
    """The arguments that Typer calls the command with, None where it finds a mistake."""
    command, calls = typers(name)
    calls.clear()
    try:
        command.main(args=list(words), prog_name="lossctl", standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):  # which only the parser's own errors have
            raise
    return calls[0] if calls else None


ORDINARY = [
    ("eval", "p.npy", "y.npy", "--loss", "bce"),
    ("eval", "p.npy", "y.npy", "-l", "bce", "-l", "huber:delta=2", "--loss=mse"),
    ("eval", "--loss", "bce", "p.npy", "--from-logits", "y.npy", "-q", "-b", "--no-progress", "--debug"),
    ("eval", "t.csv", "--pred-col", "p_*", "--target-col", "y", "--weight-col=w", "-l", "bce"),
    ("eval", "p.npy", "y.npy", "--threads", "2", "--chunk-rows=4096", "--ignore-index", "0", "--backend", "cpu"),
    ("eval", "p.npy", "y.npy", "-o", "a.json", "--output", "b.md", "--format", "json", "--per-sample", "l.npy"),
    ("eval", "p.npy", "", "--preset", "", "--denom=a=b"),
    ("eval", "p.npy", "y.npy", "-l", "gaussian_nll", "--input", "var=v.npy", "--input=a=b=c", "--input-col", "var=x"),
    ("eval", "p.npy", "y.npy", "-l", "bce", "--preset", "torch,keras", "--grad-input", "var=g.npy", "--grad", "h.npy"),
    ("eval", "p.npy", "y.npy", "-l", "bce", "--fail-if", "bce > 0.35", "--warn-if=bce > base", "--baseline", "main"),
    ("eval", "p.npy", "y.npy", "-l", "bce", "--stats", "--confidence", "0.95", "--strict-gates", "--baseline-any"),
    ("eval", "t.csv", "-l", "bce", "--by", "c", "--by=age:bins=0,30", "--cross", "--min-slice", "50", "--worst=5"),
    ("eval", "p.npy", "y.npy", "-l", "bce", "--by-file", "t.csv", "--top", "10", "--id-col=id,name"),
    ("eval", "p.npy", "y.npy", "-l", "scce", "--class-axis", "1"),
    ("baseline", "save", "main", "r.json", "--baseline-folder", "kept"),
    ("grad", "p.npy", "y.npy", "--loss", "bce", "-o", "g.npy", "--reduction", "sum"),
    ("grad", "p.npy", "y.npy", "--loss", "bce", "--grad-input=var=g.npy", "--input", "var=-", "--input-format=var=csv"),
    ("batch", "runs/*.npy", "b.npy", "--targets", "y.npy", "-l", "bce", "--sort", "bce", "-j", "2", "-k", "-q"),
    ("batch", "c.npy", "--resume=r.json", "-t", "y.npy", "-l", "bce", "--format", "json"),
    ("batch", "{m}.npy", "-t", "y.npy", "--loss=bce", "--jobs=4", "--keep-going", "--fail-if", "bce > 1", "-o", "a.md"),
    ("list",),
    ("list", "--format", "json"),
    ("explain", "huber"),
    ("explain", "huber", "--json"),
    ("doctor",),
    ("warmup", "--all", "-q"),
    ("warmup", "--loss", "bce"),
    ("bench", "--loss", "bce", "--values=1000", "--dtype", "float64", "-q"),
    ("run",),
    ("run", "s.toml", "--only", "a", "--only=b*", "-o", "r.xml", "--threads", "2", "--backend=cpu", "--strict-gates"),
    ("run", "--print-config", "--baseline-folder", "kept", "--chunk-rows", "7", "-q", "--format", "json"),
    ("validate", "s.toml", "-q"),
]


@pytest.mark.parametrize("words", ORDINARY, ids=" ".join)
def test_ordinary_lines_mean_what_they_mean_to_typer(words: tuple[str, ...]) -> None:
    assert plain(*words) == by_typer(*words) is not None


LEFT = [
    (),
    ("--help",),
    ("nope",),
    ("eval",),
    ("eval", "--help"),
    ("eval", "-h"),
    ("eval", "a", "b", "c"),
    ("eval", "a", "--nope"),
    ("eval", "a", "--loss"),
    ("eval", "a", "--loss", "-q"),
    ("eval", "a", "-lbce"),
    ("eval", "a", "-qb"),
    ("eval", "a", "--quiet=1"),
    ("eval", "a", "--", "b"),
    ("eval", "-", "b"),
    ("eval", "a", "--threads", "two"),
    ("eval", "a", "--ignore-index", "-100"),
    ("eval", "a", "--threads", "9" * 30),
    ("explain",),
]


@pytest.mark.parametrize("words", LEFT, ids=" ".join)
def test_help_mistakes_and_rarities_are_left_to_typer(words: tuple[str, ...]) -> None:
    assert plain(*words) is None


def test_values_from_the_environment_and_completion_are_left_to_typer(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("eval", "p.npy", "y.npy", "--loss", "bce")
    monkeypatch.setenv("LOSSCTL_BACKEND", "")
    assert plain(*words) is not None
    monkeypatch.setenv("LOSSCTL_BACKEND", "python")
    assert plain(*words) is None
    assert plain("list") is not None
    monkeypatch.setenv("_LOSSCTL_COMPLETE", "complete_bash")
    assert plain("list") is None


def pieces_of(name: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Pieces of command lines, each of a word or two: usual ones, and rare spellings, odd numbers and mistakes."""
    usual: list[tuple[str, ...]] = [("a",), ("b=c",)]
    odd: list[tuple[str, ...]] = [(word,) for word in ("--", "-", "-1", "--no-quiet", "=", "")]
    for parameter in parameters_of(import_module(COMMANDS[name]).command):
        for spelling in parameter.declared.names:
            usual += [(spelling,)] if parameter.kind is bool else [(spelling, "2"), (f"{spelling}=2",)]
            odd += [(spelling, value) for value in ("007", "1_0", " 5", "5 ", "٣", "9" * 20, "-1", "")]
            odd += [(f"{spelling}{value}",) for value in ("", "=", "=-1", "2", "q", "=a")]
    return usual, odd


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, ...]:
    name = draw(st.sampled_from(list(COMMANDS)))
    usual, odd = pieces_of(name)
    pieces = draw(st.lists(st.sampled_from(usual), max_size=5))
    pieces += draw(st.lists(st.sampled_from(odd), max_size=1))
    return name, *(word for piece in draw(st.permutations(pieces)) for word in piece)


@given(lines())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_understood_is_what_typer_understands(words: tuple[str, ...]) -> None:
    found = plain(*words)
    if found is not None:
        assert found == by_typer(*words)


def test_commands_are_shown_in_the_order_of_the_table() -> None:
    assert list(typer.main.get_command(app).commands) == list(COMMANDS)  # type: ignore[attr-defined]
