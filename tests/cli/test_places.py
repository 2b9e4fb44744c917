"""Tokens and pixels from the command line: `--class-axis` in every command that takes data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import call, document, refused, saved, score

SPEC = ("-l", "scce:input=logit,ignore_index=-100")
TORCH = (*SPEC, "--class-axis", "1")


@pytest.fixture(autouse=True)
def files(here: Path) -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(9, 11, 5)).astype(np.float32), random.integers(0, 5, (9, 11))
    labels[0, :3] = -100
    second = np.ascontiguousarray(logits.transpose(0, 2, 1))
    saved(here, z=second, other=second * 1.1, last=logits, flat=logits.reshape(-1, 5), y=labels, flat_y=labels.ravel())
    np.savez("both.npz", logits=second, labels=labels)


def test_bits_are_those_of_flattened_arrays_for_any_chunk() -> None:
    flat = score("flat.npy", "flat_y.npy", *SPEC)
    assert score("last.npy", "y.npy", *SPEC) == flat
    assert score("both.npz", "--pred-col", "logits", "--target-col", "labels", *TORCH) == flat
    for rows in ("1", "4096", "100000"):
        assert score("z.npy", "y.npy", *TORCH, "--chunk-rows", rows, "--backend", "cpu") == score(
            "flat.npy", "flat_y.npy", *SPEC, "--backend", "cpu"
        )


def test_the_environment_may_say_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSCTL_CLASS_AXIS", "1")
    assert score("z.npy", "y.npy", *SPEC) == score("last.npy", "y.npy", *SPEC, "--class-axis", "-1")


def test_digests_are_of_the_samples_whatever_the_layout(here: Path) -> None:
    soft = np.random.default_rng(1).dirichlet(np.ones(5), (9, 11))
    saved(here, soft=soft, second=np.ascontiguousarray(soft.transpose(0, 2, 1)))
    last = document("last.npy", "soft.npy", "-l", "cce:input=logit")["inputs"][1]["digest"]
    assert document("z.npy", "second.npy", "-l", "cce:input=logit", "--class-axis", "1")["inputs"][1]["digest"] == last


def test_a_byte_that_is_no_bool_is_named_by_its_place_in_the_file(here: Path) -> None:
    saved(here, b=np.ones((2, 3, 4), bool))
    raw = bytearray((here / "b.npy").read_bytes())
    raw[-12 + 6] = 7  # row 1, place 1, entry 2
    (here / "b.npy").write_bytes(raw)
    saved(here, t=np.zeros((2, 3), int))
    assert refused(3, "eval", "b.npy", "t.npy", "-l", "multiclass_hinge").startswith("b.npy, row 1, index (1, 1, 2): ")


def test_a_table_whose_rows_are_not_counted_yet_has_rows_all_the_same(here: Path) -> None:
    (here / "t.csv").write_text("p,y\n0.1,1\n0.2,0\n")
    said = refused(3, "eval", "t.csv", "--pred-col", "p", "--target-col", "y", "-l", "dice", "--class-axis", "1")
    assert said.startswith("t.csv (rows,) has one value a row: no classes")


def test_the_document_has_the_shapes_of_the_files() -> None:
    found = document("z.npy", "y.npy", *TORCH)
    assert [each["shape"] for each in found["inputs"]] == [[9, 5, 11], [9, 11]]
    assert found["results"][0]["options"]["class_axis"] == 1
    assert found["results"][0]["samples"] == 96


def test_gradients_and_losses_in_files() -> None:
    call("eval", "z.npy", "y.npy", *TORCH, "--grad", "g.npy", "--per-sample", "l.npy")
    call("grad", "flat.npy", "flat_y.npy", *SPEC, "-o", "flat_g.npy")
    slopes = np.load("flat_g.npy").reshape(9, 11, 5).transpose(0, 2, 1)
    assert np.array_equal(np.load("g.npy"), slopes)
    assert np.load("l.npy").shape == (99,)
    summary = json.loads(call("grad", "z.npy", "y.npy", *TORCH, "-o", "g.npy", "--format", "json").out)
    assert summary["gradients"][0]["shape"] == [9, 5, 11]


def test_the_worst_are_named_by_row_and_place() -> None:
    call("eval", "z.npy", "y.npy", *TORCH, "--per-sample", "l.npy")
    losses = np.nan_to_num(np.load("l.npy").reshape(9, 11), nan=-1.0)
    row, place = (int(each) for each in np.unravel_index(np.argmax(losses), losses.shape))
    (worst,) = document("z.npy", "y.npy", *TORCH, "--top", "1")["results"][0]["worst"]
    assert (worst["row"], worst["place"], worst["loss"]) == (row, [place], losses.max())
    lines = call("eval", "z.npy", "y.npy", *TORCH, "--top", "1").out.splitlines()
    told = dict(zip(lines[0].split("\t"), lines[2].split("\t"), strict=True))
    assert (told["row"], told["place"]) == (str(row), str(place))
    shown = call("eval", "z.npy", "y.npy", *TORCH, "--top", "1", "--format", "markdown").out
    assert f"| {row} | {place} |" in " ".join(shown.split())


def test_slices_are_of_places_or_of_whole_rows(here: Path) -> None:
    np.savez("s.npz", logits=np.load("z.npy"), labels=np.load("y.npy"), part=np.arange(99).reshape(9, 11) % 2)
    found = document(
        "s.npz", "--pred-col", "logits", "--target-col", "labels", "--by", "part", "--by-file", "s.npz", *TORCH
    )["results"][0]["slices"][0]["slices"]
    even = np.arange(99) % 2 == 0
    saved(here, even=np.load("flat.npy")[even], even_y=np.load("flat_y.npy")[even])
    assert {each["key"]["part"]: each["value"] for each in found}["0"] == pytest.approx(
        score("even.npy", "even_y.npy", *SPEC), rel=1e-14
    )


def test_batch_and_compare_take_it() -> None:
    rows = call("batch", "z.npy", "other.npy", "--targets", "y.npy", *TORCH).out.splitlines()[1:]
    values = {row.split("\t")[1]: float(row.split("\t")[3]) for row in rows}
    assert values == {"z.npy": score("z.npy", "y.npy", *TORCH), "other.npy": score("other.npy", "y.npy", *TORCH)}
    found = json.loads(
        call(
            "compare", "z.npy", "other.npy", "--targets", "y.npy", *TORCH, "--resamples", "100", "--format", "json"
        ).out
    )
    assert [each["shape"] for each in found["inputs"]] == [[9, 5, 11], [9, 5, 11], [9, 11]]
    assert values["z.npy"] in [each["value"] for each in found["comparisons"][0]["systems"]]


def test_the_wrong_axis_names_the_right_one() -> None:
    assert refused(3, "eval", "z.npy", "y.npy", *SPEC).endswith("found y.npy (9, 11); --class-axis 1")


def test_a_square_that_may_be_either_is_refused(here: Path) -> None:
    saved(here, q=np.zeros((2, 5, 5)), labels=np.zeros((2, 5), int))
    assert refused(3, "eval", "q.npy", "labels.npy", *SPEC) == (
        "q.npy (2, 5, 5): the classes may be on axis 1, as PyTorch has them, or on the last one; "
        "--class-axis 1 or --class-axis -1"
    )
    for axis in ("1", "-1"):
        assert score("q.npy", "labels.npy", *SPEC, "--class-axis", axis) == pytest.approx(np.log(5), rel=1e-15)
