"""What a shell is offered: commands, options, and the values of those that have a few."""

from __future__ import annotations

import os
from importlib import import_module

import pytest

from lossctl.cli.commands import COMMANDS
from lossctl.cli.completion import completion_of
from lossctl.declarations import parameters_of
from lossctl_kernels import LOSSES
from tests.cli.commands import process


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("lossctl ev", {"eval"}),
        ("lossctl eval p.npy --pres", {"--preset"}),
        ("lossctl eval p.npy y.npy --loss hub", {"huber"}),
        ("lossctl eval p.npy y.npy -l BCEL", {"BCELoss"}),
        ("lossctl explain cosine_g", {"cosine_global"}),
        ("lossctl check log_c", {"log_cosh"}),
        ("lossctl baseline bl", {"bless"}),
        ("lossctl eval p.npy y.npy --nonfinite s", {"skip"}),
        ("lossctl eval p.n", set()),
    ],
    ids=str,
)
def test_what_is_offered(line: str, offered: set[str]) -> None:
    asked = {"_LOSSCTL_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    assert set(process(env={**os.environ, **asked}).stdout.split()) == offered


@pytest.mark.parametrize("name", COMMANDS)
def test_words_that_are_offered_are_those_of_the_help(name: str) -> None:
    for parameter in parameters_of(import_module(COMMANDS[name]).command):
        offered = completion_of(parameter.declared)
        words = [] if offered is None else offered("")
        assert words == list(LOSSES) or all(word in parameter.declared.help for word in words)
