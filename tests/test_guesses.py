"""What was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossctl.guesses import MOST_COMPARED, did_you_mean, did_you_mean_file


@pytest.mark.parametrize(
    ("name", "known", "told"),
    [
        ("targt", ["prediction", "target"], "did you mean target? "),
        ("delta", ["prediction", "target"], ""),
        ("delta", [], ""),
    ],
)
def test_what_is_close_is_proposed(name: str, known: list[str], told: str) -> None:
    assert did_you_mean(name, known) == told


def test_names_of_the_data_are_quoted_and_made_visible() -> None:
    assert did_you_mean("label", ["labe\x1bl"], quoted=True) == r"did you mean 'labe\x1bl'? "


def test_not_every_name_of_a_wide_table_is_compared() -> None:
    others = (f"{number:08}" for number in range(MOST_COMPARED))
    assert did_you_mean("label", [*others, "labels"]) == ""


def test_another_case_is_close_however_short_a_name_is() -> None:
    assert did_you_mean("p", ["prediction", "P"]) == "did you mean P? "
    assert did_you_mean("a ", ["b", "a"], quoted=True) == "did you mean 'a'? "


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("runs/label.npy", "runs/labels.npy"),
        ("run/labels.npy", "runs/labels.npy"),
        ("runs/labels.np", "runs/labels.npy"),
        ("runs/labels.csv", "runs/labels.npy"),
        ("./Runs/labels.npy", "./runs/labels.npy"),
        ("rnus", "runs"),
        ("y.npy", "Y.npy"),
        ("p.npy", None),  # the extension makes no name close
        ("run/nothing.npy", None),
        ("elsewhere/labels.npy", None),
        ("runs/labels.npy/x", None),
        ("", None),
    ],
)
def test_a_file_that_is_there_is_proposed_for_one_that_is_not(
    missing: str, told: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    for name in ("runs/labels.npy", "runs/preds.npy", "Y.npy"):
        Path(name).touch()
    assert did_you_mean_file(missing) == (f"did you mean '{told}'? " if told else "")
    assert did_you_mean_file(str(tmp_path / "runs" / "lables.npy")) == f"did you mean '{tmp_path}/runs/labels.npy'? "
