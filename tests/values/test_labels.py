"""Targets that are labels: what each kind may hold, what stands behind the end of a row, what a backend gets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lossctl
from lossctl.catalogue.loss_spec import Shapes, parse, settle
from lossctl.errors import DataError, UsageError
from lossctl.values.labels import inexact, integers, label_rows, wrong
from lossctl_kernels import Plan
from lossctl_kernels.domains import TargetKind

CLASSES = 4


def plan(spec: str, *target: int) -> Plan:
    row = (5, CLASSES) if spec.startswith("ctc") else (CLASSES,)
    shapes = Shapes(row, target)
    return Plan(settle(parse(spec), {}, shapes), shapes.width)


def chunk(target: Any, frames: int | None = None, **more: Any) -> dict[str, Any]:
    array = np.asarray(target)
    shape = (len(array), CLASSES) if frames is None else (len(array), frames, CLASSES)
    return {"prediction": np.zeros(shape), "target": array, **{name: np.asarray(each) for name, each in more.items()}}


# ---- labels that are only compared


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.uint8, np.bool_, np.float32, np.float64])
def test_different_integers_stay_different(dtype: Any) -> None:
    array = np.array([0, 1, 1, 0], dtype)
    found = integers(array)
    assert found.dtype == np.int64
    assert found.tolist() == [0, 1, 1, 0]
    assert not inexact(array).any()


def test_the_largest_integers_are_no_exception() -> None:
    large = np.array([2**64 - 1, 2**64 - 2, 2**63, 2**53, 2**53 + 1, 0], np.uint64)
    assert len(set(integers(large).tolist())) == 6
    floats = np.array([2.0**53, -(2.0**53), 2.0**53 - 1, 0.5, np.nan, np.inf, -3.0])
    assert inexact(floats).tolist() == [True, True, False, True, True, True, False]


def test_any_whole_numbers_make_groups() -> None:
    of_circle = plan("circle")
    assert of_circle.settings.loss.target_kind is TargetKind.GROUP
    assert wrong(of_circle, chunk([-5, 10**15, 0])).tolist() == [False, False, False]
    assert wrong(of_circle, chunk([[0.5], [1.0], [np.nan]])).tolist() == [True, False, True]
    assert label_rows(of_circle, chunk([[-5.0], [7.0]])).tolist() == [-5, 7]
    angles = np.linspace(0.0, 3.0, 6)
    vectors, labels = np.stack([np.cos(angles), np.sin(angles)], axis=1), np.array([0, 1, 0, 1, 2, 2])
    expected = lossctl.evaluate(vectors, labels, "circle:gamma=4").value
    large = labels.astype(np.uint64) + np.uint64(2**63)
    for other in (labels - 7, labels * 10**15, large, labels[:, None].astype(np.float32)):
        assert lossctl.evaluate(vectors, other, "circle:gamma=4").value == expected


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([0, 1, 1.5], "row 2: 1.5 is not a label; 1 of 3 labels are not; labels are whole numbers"),
        ([np.nan, 0, 1], "row 0: nan is not a label"),
        ([0, 1, 2.0**60], "row 2: label 1.15292e[+]18 is not exact in float64; 1 of 3 labels are; save labels as int"),
        (np.zeros((3, 2)), r"circle needs one whole number for each row: found .* \(3, 2\) float64; .*\(rows,\)"),
    ],
)
def test_what_is_no_group(labels: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        lossctl.evaluate(np.eye(3), labels, "circle")


# ---- lists of labels


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.float64])
def test_a_list_ends_at_its_first_minus_1(dtype: Any) -> None:
    of_lists = plan("multilabel_margin", CLASSES)
    assert of_lists.settings.loss.target_kind is TargetKind.LABELS
    given = chunk(np.array([[3, 0, -1, 2], [-1, 99, -7, 0], [0, 1, 2, 3]], dtype))
    assert not wrong(of_lists, given).any()
    assert label_rows(of_lists, given).tolist() == [[3, 0, -1, -1], [-1, -1, -1, -1], [0, 1, 2, 3]]


def test_a_list_may_have_any_length() -> None:
    scores = np.array([[0.1, 0.2, 0.4, 0.8], [0.3, 0.2, 0.1, 0.0]])
    expected = lossctl.per_sample(scores, [[3, 0, -1, -1], [1, -1, -1, -1]], "multilabel_margin")
    assert np.array_equal(lossctl.per_sample(scores, [[3, 0], [1, -1]], "multilabel_margin"), expected)
    assert lossctl.per_sample(scores[1:], [1], "multilabel_margin") == expected[1:]
    assert lossctl.per_sample(scores[1:], [[1]], "multilabel_margin") == expected[1:]


@pytest.mark.parametrize("backend", ["python", "cpu"])
@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([[0, 4], [1, -1]], r"row 0, column 1: class index 4 is outside 0\.\.3; 1 of 4 labels are; .*-1 ends a list"),
        ([[0, -1], [-2, 1]], r"row 1, column 0: class index -2 is outside 0\.\.3"),
        ([[0, 0.5], [1, -1]], "row 0, column 1: 0.5 is not a class index; 1 of 4 labels are not"),
        ([[0, np.nan], [1, np.nan]], "row 0, column 1: nan is not a class index; 2 of 4"),
        (np.zeros((2, 2, 2)), r"needs a row of class indices for each row, ended by -1: found .*\(2, 2, 2\)"),
    ],
)
def test_what_is_no_list(labels: Any, says: str, backend: str) -> None:
    with pytest.raises(DataError, match=says):
        lossctl.evaluate(np.zeros((2, 4)), labels, "multilabel_margin", backend=backend)


def test_a_wrong_label_is_counted_from_the_start_of_the_data() -> None:
    labels = np.zeros((9000, 1), np.int64)
    labels[8999] = 3
    with pytest.raises(DataError, match=r"row 8999.*: class index 3 is outside 0\.\.2; 1 of 9000"):
        lossctl.evaluate(np.zeros((9000, 3)), labels, "multilabel_margin")


# ---- sequences


def test_only_the_end_of_a_sequence_is_padded() -> None:
    of_sequences = plan("ctc", 3)
    assert of_sequences.settings.loss.target_kind is TargetKind.SEQUENCE
    given = chunk([[1, 2, 0], [0, 0, 0], [3, 1, 2]], frames=5)
    assert not wrong(of_sequences, given).any()
    assert label_rows(of_sequences, given).tolist() == given["target"].tolist()
    assert wrong(of_sequences, chunk([[0, 2, 0], [1, 0, 3]], frames=5)).tolist() == [
        [True, False, False],
        [False, True, False],
    ]


def test_what_is_beyond_a_given_length_is_nothing() -> None:
    of_sequences = plan("ctc:blank=3", 3)
    given = chunk([[1, 2, -1], [99, -5, 0], [0, 1, 2]], frames=5, target_lengths=[[2], [0], [3]])
    assert not wrong(of_sequences, given).any()
    assert label_rows(of_sequences, given).tolist() == [[1, 2, 3], [3, 3, 3], [0, 1, 2]]
    longer = {**given, "target_lengths": np.array([3, 1, 3])}
    assert wrong(of_sequences, longer).tolist() == [[False, False, True], [True, False, False], [False] * 3]


SEQUENCE_FAULTS: list[tuple[Any, dict[str, Any], str]] = [
    ([[1, 4], [1, 2]], {}, r"target array, row 0, column 1: class index 4 is outside 0\.\.3; 1 of 4"),
    ([[1, 2], [0, 2]], {}, "row 1, column 0: class index 0 among the labels is the blank; 1 of 4 .* blank=CLASS"),
    ([[1, 2.5], [1, 2]], {}, "2.5 is not a class index"),
    ([[1, 2], [1, 2]], {"input_lengths": [6, 5]}, "row 0: input_lengths 6 is more than the 5 that a row of pred.* 1 "),
    ([[1, 2], [1, 2]], {"target_lengths": [2, 3]}, "row 1: target_lengths 3 is more than the 2 that a row of target"),
    ([[1, 2], [1, 2]], {"input_lengths": [5, -1]}, r"row 1: input_lengths -1 is outside \[0, inf\)"),
    ([[1, 2], [1, 2]], {"input_lengths": [5, 2.5]}, "row 1: input_lengths 2.5 is not a whole number"),
    ([[1, 2], [1, 2]], {"target_lengths": [[1, 1], [2, 2]]}, "ctc needs one target_lengths a row"),
    (np.ones((2, 2, 2)), {}, r"ctc needs the class indices that each row spells.* \(2, 2, 2\)"),
]  # fmt: skip


@pytest.mark.parametrize(("labels", "inputs", "says"), SEQUENCE_FAULTS, ids=lambda part: str(part)[:50])
def test_what_is_no_sequence(labels: Any, inputs: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        lossctl.evaluate(np.zeros((2, 5, CLASSES)), labels, "ctc", inputs=inputs)


def test_sequences_need_frames_and_a_blank_that_is_a_class() -> None:
    with pytest.raises(
        DataError, match=r"ctc needs predictions of three dimensions, \(rows, frames, classes\): .*array.None"
    ):
        lossctl.evaluate(np.zeros((5, CLASSES)), [1, 2, 3, 1, 2], "ctc")
    with pytest.raises(
        UsageError, match="ctc: blank=4 is no class of predictions with 4 classes; blank is from 0 to 3"
    ):
        lossctl.evaluate(np.zeros((2, 5, CLASSES)), [[1, 2], [1, 2]], "ctc:blank=4")


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_what_pads_a_sequence_changes_nothing(backend: str) -> None:
    frames = np.random.default_rng(3).normal(0, 1, (3, 6, CLASSES))
    lengths: dict[str, Any] = {"input_lengths": [6, 4, 5], "target_lengths": [2, 1, 0]}
    expected = lossctl.per_sample(frames, [[1, 2], [3, 0], [0, 0]], "ctc", inputs=lengths, backend=backend)
    other = np.array([[1, 2, -100], [3, 77, 0], [5.5, np.nan, -1]])
    assert np.array_equal(lossctl.per_sample(frames, other, "ctc", inputs=lengths, backend=backend), expected)
    gradient = lossctl.gradient(frames, other, "ctc", inputs=lengths, backend=backend)
    assert gradient.shape == frames.shape
    assert not gradient[1, 4:].any()
