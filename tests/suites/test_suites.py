"""Suites: what may stand in one, who has the last word, and all that is wrong with one at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lossctl.cli.suite import parameters
from lossctl.declarations import Argument, Parameter
from lossctl.errors import UsageError
from lossctl.suites.files import SuiteText
from lossctl.suites.suite import OF_THE_COMMAND, Suite, SuiteError, load, resolved, selected
from lossctl.suites.values import key_of, keys_of

ONE = '[[eval]]\nname = "a"\npredictions = "p.npy"\n'
KNOWN = parameters()


def suite(text: str, **changes: Any) -> Suite:
    return load(SuiteText("s.toml", text.encode(), **changes), KNOWN)


def problems(text: str) -> list[str]:
    """All that is wrong, without the name of the file."""
    with pytest.raises(SuiteError) as raised:
        suite(text)
    messages = [str(problem) for problem in raised.value.problems]
    assert all(message.startswith("s.toml: ") and message.isprintable() for message in messages)
    return [message.removeprefix("s.toml: ") for message in messages]


def values(text: str, name: str = "a") -> dict[str, Any]:
    """What is set for an evaluation, by the file alone."""
    (found,) = (each for each in suite(text).evaluations if each.name == name)
    return found.values


# ---- what may stand in it


def example_of(parameter: Parameter) -> tuple[str, Any]:
    """A value in TOML that a parameter takes, and what the command is given."""
    if parameter.kind is bool:
        return "true", True
    if parameter.kind in (int, int | None):
        return "7", 7
    if parameter.kind in (list[str], list[str] | None):
        return '["x", "y"]', ["x", "y"]
    return '"x"', "x"


@pytest.mark.parametrize("parameter", KNOWN, ids=key_of)
def test_every_option_of_eval_is_a_key(parameter: Parameter) -> None:
    """Whatever eval is given tomorrow is one too, with the type that it declares."""
    text, value = example_of(parameter)
    line = f"{key_of(parameter)} = {text}\n"
    if parameter.name in OF_THE_COMMAND:
        assert "for the options of `lossctl run` to say" in problems(ONE + line)[0]
        return
    base = ONE if parameter.name != "predictions" else '[[eval]]\nname = "a"\n'
    assert values(base + line)[parameter.name] == value
    assert values(f"[defaults]\n{line}{base}")[parameter.name] == value


def test_keys_are_long_names_without_dashes() -> None:
    keys = list(keys_of(KNOWN))
    assert {"predictions", "targets", "loss", "fail-if", "pred-col", "per-sample", "threads"} <= set(keys)
    assert len(keys) == len(KNOWN)
    assert not any(key.startswith("-") or "_" in key for key in keys)
    assert [key for key, each in keys_of(KNOWN).items() if isinstance(each.declared, Argument)] == [
        "predictions",
        "targets",
    ]


def test_one_text_is_a_list_of_it_and_a_table_is_one_of_pairs() -> None:
    found = values(ONE + 'loss = "bce"\ninput = {var = "v.npy", "a b" = "c.npy"}\nfail-if = []\n')
    assert found["loss"] == ["bce"]
    assert found["input"] == ["var=v.npy", "a b=c.npy"]
    assert found["fail_if"] == []


def test_a_number_is_its_text_where_an_option_takes_text() -> None:
    found = values(ONE + "confidence = 0.95\nlog-base = 2\nignore-index = -100\n")
    assert (found["confidence"], found["log_base"], found["ignore_index"]) == ("0.95", "2", -100)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("threads = true", "threads is a whole number, found true"),
        ("threads = 2.0", "threads is a whole number, found 2.0"),
        ('threads = "2"', "threads is a whole number, found the text '2'"),
        ("threads = 99999999999999999999", "threads is a whole number, found a number of more than 64 bits"),
        ("stats = 1", "stats is true or false, found 1"),
        ('stats = "true"', "stats is true or false, found the text 'true'"),
        ("loss = 3", "loss is text, or a list of texts, found 3"),
        ('loss = ["bce", 3]', "loss is text, or a list of texts, found 3 in it"),
        ('loss = {bce = "x"}', "loss is text, or a list of texts, found a table"),
        ("input = {var = 3}", "input is text, or a list of texts, found 3 in it"),
        ('preset = ["torch"]', "preset is text, found a list"),
        ("preset = true", "preset is text, found true"),
        ("targets = 3", "targets is text, found 3"),
        ("confidence = nan", "confidence is text, found nan"),
        ("confidence = inf", "confidence is text, found inf"),
        ("targets = 1979-05-27", "targets is text, found the date or time 1979-05-27"),
        ("targets = 07:32:00", "targets is text, found the date or time 07:32:00"),
        ("targets = {}", "targets is text, found a table"),
        ('targets = "a\\u0000"', "targets holds a null character: 'a\\x00'"),
        ("threds = 2", "unknown key 'threds'; did you mean threads?"),
        ('fail_if = "bce > 1"', "unknown key 'fail_if'; did you mean fail-if?"),
        ('Loss = "bce"', "unknown key 'Loss'; did you mean loss?"),
        ('"\\u001b[31m" = 2', "unknown key '\\x1b[31m'; there are name, predictions,"),
    ],
)
def test_types_and_names_are_checked_in_both_tables(line: str, said: str) -> None:
    (message,) = problems(f"{ONE}{line}\n")
    assert message.startswith(f"[[eval]] 'a': {said}")
    (message,) = problems(f"[defaults]\n{line}\n{ONE}")
    assert message.startswith(f"[defaults]: {said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no evaluation; each is a table [[eval]] with a name"),
        ("eval = []", "there is no evaluation"),
        ("eval = 3", "eval is a list of tables"),
        ("eval = [3]", "eval is a list of tables"),
        ('[eval]\nname = "a"', "eval is a list of tables; write [[eval]], with two brackets, above each"),
        (f"defaults = 3\n{ONE}", "defaults is a table; write [defaults] above its keys"),
        (f'[defaults]\nname = "x"\n{ONE}', "[defaults] has a name"),
        (f"output = 3\n{ONE}", "output is the name of a file, or a list of them"),
        (f"output = [3]\n{ONE}", "output is the name of a file, or a list of them"),
        (f'loss = "bce"\n{ONE}', "unknown key 'loss'; it belongs into [[eval]], or into [defaults]"),
        (f"[default]\n{ONE}", "unknown key 'default'; did you mean defaults?"),
        ('[[eval]]\npredictions = "p"', "[[eval]] 1 has no name"),
        ('[[eval]]\nname = 3\npredictions = "p"', "[[eval]] 1 has a name that is no text"),
        ('[[eval]]\nname = ""\npredictions = "p"', "[[eval]] 1: '' is no name"),
        ('[[eval]]\nname = "../a"\npredictions = "p"', "[[eval]] 1: '../a' is no name"),
        ('[[eval]]\nname = "a\\nb"\npredictions = "p"', "[[eval]] 1: 'a\\nb' is no name"),
        (ONE + ONE, "[[eval]] 2: another evaluation is called 'a'"),
        ('[[eval]]\nname = "a"', "[[eval]] 'a' has no predictions"),
    ],
)
def test_what_is_no_suite(text: str, said: str) -> None:
    (message,) = problems(text)
    assert message.startswith(said)


def test_all_problems_are_found_and_the_first_is_told() -> None:
    text = '[[evals]]\n[defaults]\nthredas = 2\n[[eval]]\nname = "a"\npredictions = "p"\nloss = 3\nstats = 1\n'
    with pytest.raises(
        SuiteError, match=r"unknown key 'evals' \(and 3 more: `lossctl validate` lists them\)"
    ) as raised:
        suite(text)
    assert raised.value.exit_code == 2
    assert len(raised.value.problems) == 4


# ---- what its names stand for


def test_an_evaluation_has_the_defaults_and_what_it_says_itself() -> None:
    text = (
        f'[defaults]\nloss = ["bce", "mae"]\nstats = true\n{ONE}loss = "mse"\n[[eval]]\nname = "b"\npredictions = "q"\n'
    )
    assert values(text) == {"loss": ["mse"], "stats": True, "predictions": "p.npy"}
    assert values(text, "b") == {"loss": ["bce", "mae"], "stats": True, "predictions": "q"}


def test_the_placeholder_is_the_name() -> None:
    text = '[defaults]\npredictions = "runs/{name}.npy"\noutput = ["{name}.json", "{name}/{name}.md"]\n'
    text += '[[eval]]\nname = "a"\n'
    assert values(text) == {"predictions": "runs/a.npy", "output": ["a.json", "a/a.md"]}


def test_some_are_selected_by_name_or_glob() -> None:
    several = suite("".join(f'[[eval]]\nname = "{name}"\npredictions = "p"\n' for name in ("digits", "dogs", "cats")))

    def names(*patterns: str) -> list[str]:
        return [each.name for each in selected(several, patterns).evaluations]

    assert names() == ["digits", "dogs", "cats"]
    assert names("cats", "digits") == ["digits", "cats"]
    assert names("d*") == ["digits", "dogs"]
    assert names("[cd]?[gt]s") == ["dogs", "cats"]
    for pattern, hint in (("dgos", "did you mean dogs?"), ("x", "there are digits, dogs, cats"), ("", "there are")):
        with pytest.raises(UsageError, match=f"has no evaluation '{pattern}'") as raised:
            names("cats", pattern)
        assert str(raised.value.hint).startswith(hint)


# ---- who has the last word

LADDER = [
    # flag, variable, table, [defaults]: the first that is there
    ((5, "4", 3, 2), 5, "--threads"),
    ((None, "4", 3, 2), 4, "LOSSCTL_THREADS"),
    ((None, "", 3, 2), 3, "[[eval]]"),
    ((None, None, 3, 2), 3, "[[eval]]"),
    ((None, None, None, 2), 2, "[defaults]"),
    ((None, None, None, None), None, "built in"),
    ((5, None, None, 2), 5, "--threads"),
    ((None, "4", None, None), 4, "LOSSCTL_THREADS"),
]


@pytest.mark.parametrize(("given", "value", "source"), LADDER)
def test_flags_before_the_environment_before_the_file(given: tuple[Any, ...], value: Any, source: str) -> None:
    flag, variable, table, default = given
    text = "" if default is None else f"[defaults]\nthreads = {default}\n"
    text += ONE + ("" if table is None else f"threads = {table}\n")
    environment = {} if variable is None else {"LOSSCTL_THREADS": variable}
    (found,) = resolved(suite(text), KNOWN, {"threads": flag}, environment).evaluations
    assert found.settings["threads"] == (value, source)
    assert found.settings["backend"] == ("auto", "built in")
    assert set(found.settings) == {each.name for each in KNOWN if each.name not in OF_THE_COMMAND}


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("LOSSCTL_FROM_LOGITS", "YES", "from_logits", True),
        ("LOSSCTL_FROM_LOGITS", "0", "from_logits", False),
        ("LOSSCTL_IGNORE_INDEX", "-100", "ignore_index", -100),
        ("LOSSCTL_CONFIDENCE", "0.9", "confidence", "0.9"),
        ("LOSSCTL_PRESET", "torch,keras", "preset", "torch,keras"),
    ],
)
def test_variables_say_what_they_say_to_eval(variable: str, text: str, name: str, value: Any) -> None:
    (found,) = resolved(suite(ONE), KNOWN, {}, {variable: text}).evaluations
    assert found.settings[name] == (value, variable)


@pytest.mark.parametrize(("variable", "text"), [("LOSSCTL_THREADS", "two"), ("LOSSCTL_FROM_LOGITS", "maybe")])
def test_variables_that_say_nothing_are_refused(variable: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"^{variable} is .*, found '{text}'"):
        resolved(suite(ONE), KNOWN, {}, {variable: text})


def test_folders_of_the_command_line_are_those_of_where_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = f'[defaults]\nbaseline-folder = "kept"\n{ONE}'

    def folder(flags: dict[str, Any], environment: dict[str, str], **changes: str) -> Any:
        return resolved(suite(text, **changes), KNOWN, flags, environment).evaluations[0].values["baseline_folder"]

    assert folder({}, {}, folder="other") == "kept"
    assert folder({"baseline_folder": "mine"}, {}) == "mine"
    assert folder({"baseline_folder": "mine"}, {}, folder="other") == str(tmp_path / "mine")
    assert folder({}, {"LOSSCTL_BASELINE_FOLDER": "mine"}, folder="other") == str(tmp_path / "mine")
