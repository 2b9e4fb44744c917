"""The ways to an output file: through links, folders that are not there, and the other names of an input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lossctl.errors import UsageError
from lossctl.files import OutputFile, plan_outputs, write_text


@pytest.mark.parametrize("name", ["gone/../labels.npy", "file/../labels.npy", "gone/../new.npy", "link.npy"])
def test_a_way_through_a_folder_that_is_not_there_leads_nowhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.npy").write_bytes(b"labels")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link.npy").symlink_to("gone/../labels.npy")
    with pytest.raises(UsageError, match="there is no folder"):
        plan_outputs([name], ["labels.npy"])
    with pytest.raises(UsageError, match="there is no folder"), OutputFile(name):
        pass
    assert (tmp_path / "labels.npy").read_bytes() == b"labels"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "labels.npy", "link.npy"]


def test_a_way_through_a_linked_folder_is_that_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "far" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/inner")
    (tmp_path / "labels.npy").write_bytes(b"labels")
    write_text("link/../labels.npy", "losses")
    assert (tmp_path / "far" / "labels.npy").read_text() == "losses"
    assert (tmp_path / "labels.npy").read_bytes() == b"labels"


def spellings(folder: Path) -> list[str]:
    """Ways to name `folder`/data.npy, which exists."""
    (folder / "sub").mkdir()
    (folder / "symbolic.npy").symlink_to("data.npy")
    (folder / "chain.npy").symlink_to("symbolic.npy")
    (folder / "hard.npy").hardlink_to(folder / "data.npy")
    (folder / "other").symlink_to(folder)
    return [
        "data.npy",
        "./data.npy",
        "sub/../data.npy",
        f"{folder}/data.npy",
        "symbolic.npy",
        "chain.npy",
        "hard.npy",
        "other/data.npy",
    ]


def test_an_output_is_never_an_input_or_another_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.npy").touch()
    Path("different.npy").touch()
    for spelling in spellings(tmp_path):
        with pytest.raises(UsageError, match=r"the output '.*' is the same file as the input 'data\.npy'") as caught:
            plan_outputs([spelling], ["different.npy", "data.npy"])
        assert f"'{spelling}'" in caught.value.message
        with pytest.raises(UsageError, match=r"the same file as the output 'data\.npy'"):
            plan_outputs(["data.npy", spelling], [])
        plan_outputs([spelling], ["different.npy"])


def test_two_names_of_one_file_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other").symlink_to(tmp_path)
    Path("dangling.json").symlink_to("new.json")
    for spelling in ("new.json", "./new.json", f"{tmp_path}/new.json", "other/new.json", "dangling.json"):
        with pytest.raises(UsageError, match="the same file as the output"):
            plan_outputs(["new.json", spelling], [])
    plan_outputs(["new.json", "newer.json"], [])


def test_the_input_of_a_redirection_is_an_input(tmp_path: Path) -> None:
    data = tmp_path / "data.npy"
    data.touch()
    code = "import sys; from lossctl.files import plan_outputs; plan_outputs(sys.argv[1:], ['-'])"
    with data.open() as stdin:
        done = subprocess.run(
            [sys.executable, "-c", code, data], stdin=stdin, capture_output=True, text=True, check=False
        )
    assert "is the same file as the input '-'" in done.stderr


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(folder / "real.json")
    write_text(link, "x")
    assert link.is_symlink()
    assert (folder / "real.json").read_text() == "x"
    assert [path.name for path in folder.iterdir()] == ["real.json"]
