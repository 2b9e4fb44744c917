"""Files of suites: which one is read, from where its paths start, and what is no TOML."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lossctl.cli.suite import parameters
from lossctl.errors import EnvironmentFault, UsageError
from lossctl.suites.files import LARGEST_BYTES, SuiteText, find_suite, parse_toml
from lossctl.suites.suite import load

ONE = '[[eval]]\nname = "a"\npredictions = "p.npy"\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_name_it_is_the_suite_of_this_folder(here: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no lossctl.toml here, and no \[tool.lossctl\] in pyproject.toml"):
        find_suite(None)
    shared = here / "pyproject.toml"
    shared.write_text("[tool.ruff]\n")
    with pytest.raises(UsageError, match=r"there is no lossctl\.toml here"):
        find_suite(None)
    shared.write_text('[tool.lossctl.defaults]\nloss = "bce"\n')
    assert find_suite(None).path == "pyproject.toml"
    assert parse_toml(find_suite(None)) == {"defaults": {"loss": "bce"}}
    (here / "lossctl.toml").write_text(ONE)
    found = find_suite(None)
    assert (found.path, found.overlooked) == ("lossctl.toml", "[tool.lossctl] of pyproject.toml")
    shared.write_text("[tool.ruff]\n")
    assert find_suite(None).overlooked is None


def test_a_file_is_read_where_it_is_and_its_folder_is_where_paths_start(here: Path) -> None:
    (here / "sub").mkdir()
    for name, table in (("nightly.toml", ""), ("pyproject.toml", "tool.lossctl")):
        (here / "sub" / name).write_text("")
        found = find_suite(f"sub/{name}")
        assert (found.path, found.folder, found.table) == (f"sub/{name}", "sub", table)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EACCES, EnvironmentFault),
        (errno.EIO, EnvironmentFault),
        (errno.EMFILE, EnvironmentFault),
        (errno.ENAMETOOLONG, UsageError),
    ],
)
def test_what_the_machine_refuses_is_no_mistake_of_the_command(
    number: int, kind: type[Exception], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    (here / "s.toml").write_text(ONE)
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(kind, match=r"^cannot read 's\.toml': "):
        find_suite("s.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"s.toml has no table \[tool\]"),
        ("tool = 3", r"s.toml has no table \[tool\]"),
        ("[tool]\nlossctl = 3", r"s.toml has no table \[tool.lossctl\]"),
    ],
)
def test_a_shared_file_without_a_suite(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_toml(SuiteText("s.toml", text.encode(), table="tool.lossctl"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[[eval]]\nname = \n", "s.toml, line 2, column 8: it is no TOML: invalid value"),
        (b"a = 1\na = 2\n", "s.toml, line 2, column 6: it is no TOML: cannot overwrite a value"),
        (b"x", "s.toml: it is no TOML: expected '=' after a key"),
        (b"a = 1979-99-99", "s.toml, line 1, column"),
        (b'a = "\x1b[31m"', "s.toml, line 1, column 6: it is no TOML: illegal character"),
        (b"a = 1\n\xff", "s.toml, line 2: it is not UTF-8"),
        (b"\xff\xfea\x00", "s.toml, line 1: it is not UTF-8"),
        (b"a = " + b"[" * 100_000, "s.toml is nested too deeply"),
        (b"a = " + b"9" * 5000, "s.toml: it is no TOML: exceeds the limit"),
        (b"#" * (LARGEST_BYTES + 1), "s.toml is larger than 4 MiB"),
    ],
)
def test_hostile_files_are_refused_in_a_line(content: bytes, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_toml(SuiteText("s.toml", content))
    message = str(raised.value)
    assert message.startswith(said)
    assert message.isprintable()


def test_marks_of_other_systems_change_nothing() -> None:
    windows = b"\xef\xbb\xbf" + ONE.replace("\n", "\r\n").encode()
    first, second = (load(SuiteText("s.toml", content), parameters()) for content in (windows, ONE.encode()))
    assert first == second
