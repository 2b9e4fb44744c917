"""What presets make of a few small rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lossctl.catalogue.conventions import SideBySide, side_by_side, small_rows
from lossctl.catalogue.reference import PEER_NAMES
from lossctl_kernels import LOSSES
from lossctl_kernels.options import default_of, option_names

FORMS = [(name, form) for name, loss in LOSSES.items() for form in loss.forms]


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_small_rows_lie_in_the_domains(name: str, form: str) -> None:
    loss = LOSSES[name]
    settled = loss.settled({option: default_of(loss, option) for option in option_names(loss)} | loss.required)
    rows = small_rows(loss, form)
    low, high = settled.forms[form].prediction.bounds()
    assert ((rows.prediction >= low) & (rows.prediction <= high)).all()
    assert len(rows.prediction) == len(rows.target) == 3
    assert set(rows.inputs) <= set(loss.inputs)
    if rows.target.shape == rows.prediction.shape:
        low, high = settled.target.bounds()
        assert ((rows.target >= low) & (rows.target <= high)).all()


def column(table: SideBySide, title: str) -> list[str]:
    return [line[table.titles.index(title)] for line in table.lines]


def test_probabilities_at_the_end_are_clipped_by_each_framework_elsewhere() -> None:
    (table,) = (table for table in side_by_side(LOSSES["bce"]) if table.form == "prob")
    assert table.titles == ("prediction", "target", "weight", "no preset", "Keras", "PyTorch", "scikit-learn")
    assert column(table, "prediction") == ["0.8", "0.3", "0", "mean"]
    impossible = dict(zip(table.titles, table.lines[2], strict=True))
    expected = {"no preset": "inf", "Keras": "16.1181", "PyTorch": "100", "scikit-learn": "36.0437"}
    assert {title: impossible[title] for title in expected} == expected
    keras = [float(cell) for cell in column(table, "Keras")]
    assert keras[-1] == pytest.approx((keras[0] + 2.0 * keras[1] + keras[2]) / 3.0, rel=1e-5)


def test_a_framework_is_beside_the_form_that_it_has() -> None:
    forms = {table.form: table.titles[4:] for table in side_by_side(LOSSES["cce"])}
    assert forms == {"prob": ("Keras", "scikit-learn"), "logit": ("PyTorch", "optax")}


def test_presets_that_change_no_number_are_not_shown() -> None:
    assert side_by_side(LOSSES["soft_margin"]) == []


@pytest.mark.parametrize("name", LOSSES)
def test_tables_are_whole_and_one_column_differs(name: str) -> None:
    for table in side_by_side(LOSSES[name]):
        assert table.form in LOSSES[name].forms
        assert {len(line) for line in table.lines} == {len(table.titles)}
        assert len(table.lines) == 4
        plain = table.titles.index("no preset")
        assert set(table.titles[plain + 1 :]) <= set(PEER_NAMES.values())
        columns = [column(table, title) for title in table.titles[plain:]]
        assert any(other != columns[0] for other in columns)
        assert all(math.isfinite(float(cell)) or cell == "inf" for cells in columns for cell in cells if cell)


def test_rows_are_the_same_every_time() -> None:
    first, second = (small_rows(LOSSES["mse"], "value") for _ in range(2))
    np.testing.assert_array_equal(first.prediction, [0.8, 2.0, -1.0])
    np.testing.assert_array_equal(first.target, [1.0, 0.0, 2.0])
    np.testing.assert_array_equal(first.prediction, second.prediction)
