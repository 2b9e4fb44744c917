"""Systems against each other: values as `eval` has them, tests against enumeration, the same bits however read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl.api import evaluate, per_sample
from lossctl.catalogue.conventions import small_rows
from lossctl.catalogue.loss_spec import parse
from lossctl.comparisons.comparison import Comparison
from lossctl.comparisons.results import ComparisonResult, Inference, Margin
from lossctl.comparisons.systems import check_systems, open_systems
from lossctl.errors import DataError, EnvironmentFault, UsageError
from lossctl.requests import Request
from lossctl.rows.inputs import InputFiles
from lossctl_kernels import LOSSES

Array = NDArray[Any]
ROWS = 9


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(**arrays: Array) -> None:
    for name, array in arrays.items():
        np.save(f"{name}.npy", array)


def probabilities(seed: int, rows: int = ROWS) -> Array:
    return np.random.default_rng(seed).uniform(0.05, 0.95, rows)


def labels(rows: int = ROWS) -> Array:
    return np.random.default_rng(99).integers(0, 2, rows)


def compared(
    systems: Sequence[str],
    specs: str | Sequence[str] = "bce",
    inference: Inference | None = None,
    reduction: str = "mean",
    chunk_rows: int | None = None,
    threads: int | None = None,
    backend: str = "auto",
    **files: Any,
) -> ComparisonResult:
    given = InputFiles(systems[0], **{"targets": "y.npy", **files})
    losses = [parse(spec) for spec in ([specs] if isinstance(specs, str) else specs)]
    request = Request(losses, {}, reduction, backend, threads, chunk_rows, data_options=given.options)
    with open_systems(systems, given) as feed:
        return Comparison(feed, systems, request, inference or Inference()).run()


# ---- values


@pytest.mark.parametrize(
    "spec",
    ["bce", "bce:denom=count", "bce:denom=nonzero", "bce:denom=elements", "bce:log_base=2", "zero_one"],
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_values_are_those_of_eval_and_the_interval_is_around_them(
    folder: Path, spec: str, weighted: bool, reduction: str
) -> None:
    """A quotient of other sums would put the interval elsewhere."""
    a, b, y, w = probabilities(1, 300), probabilities(2, 300), labels(300), np.random.default_rng(3).uniform(0, 2, 300)
    if spec.startswith("zero_one"):
        a, b = np.round(a), np.round(b)
    saved(a=a, b=b, y=y, w=w)
    files: dict[str, Any] = {"weights": "w.npy"} if weighted else {}
    found = compared(["a.npy", "b.npy"], spec, reduction=reduction, **files).comparisons[0]
    for system, predictions in zip(found.systems, (a, b), strict=True):
        expected = evaluate(predictions, y, spec, weights=w if weighted else None, reduction=reduction).value
        assert system.value == expected
    pair = found.pairs[0]
    assert pair.difference == found.systems[1].value - found.systems[0].value
    assert pair.relative == pytest.approx(pair.difference / found.systems[0].value)
    assert pair.low < pair.difference < pair.high


@pytest.mark.parametrize("spec", ["mse", "mse:denom=elements,row=sum", "mse:row=sum", "mse:row=mean,denom=elements"])
def test_rows_of_several_values_have_one_loss_each(folder: Path, spec: str) -> None:
    a, b, y = np.random.default_rng(0).normal(size=(3, 200, 4))
    saved(a=a, b=b, y=y)
    found = compared(["a.npy", "b.npy"], spec).comparisons[0]
    assert [system.value for system in found.systems] == [evaluate(each, y, spec).value for each in (a, b)]
    rows = per_sample(b, y, spec) - per_sample(a, y, spec)
    scale = found.pairs[0].difference / rows.mean()
    assert found.pairs[0].high - found.pairs[0].low == pytest.approx(
        2 * 1.96 * scale * rows.std() / math.sqrt(200), rel=0.15
    )


@pytest.mark.parametrize("ignored", [False, True])
def test_rows_that_are_ignored_count_nowhere(folder: Path, ignored: bool) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.dirichlet(np.ones(3), 200) for _ in range(2))
    y = rng.integers(0, 3, 200)
    spec = f"scce:class_weight=1|2|0.5{',ignore_index=1' if ignored else ''}"
    saved(a=a, b=b, y=y)
    found = compared(["a.npy", "b.npy"], spec, Inference(tests=("wilcoxon",))).comparisons[0]
    pair = found.pairs[0]
    assert pair.wins + pair.losses + pair.ties == found.samples == np.count_nonzero(y != 1) if ignored else 200
    assert found.systems[0].value == evaluate(a, y, spec).value
    kept = y != 1 if ignored else np.ones(200, bool)
    alone = per_sample(a[kept], y[kept], "scce"), per_sample(b[kept], y[kept], "scce")
    weight = np.array([1.0, 2.0, 0.5])[y[kept]]
    errors = (alone[1] - alone[0] - pair.difference) * weight
    assert pair.high - pair.low == pytest.approx(
        2 * 1.96 * math.sqrt(float((errors**2).sum())) / float(weight.sum()), rel=0.15
    )


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_compared_or_refused(folder: Path, name: str) -> None:
    """Of rows and the same rows again, in every form of the predictions."""
    loss = LOSSES[name]
    for form in loss.forms:
        rows = small_rows(loss, form)
        saved(a=rows.prediction, b=rows.prediction, y=rows.target, **rows.inputs)
        options = [f"{option}={value:g}" for option, value in loss.required.items()]
        options += [f"input={form}"] if "input" in loss.options else []
        spec = ":".join([name, *([",".join(options)] if options else [])])
        expected = evaluate(rows.prediction, rows.target, spec, inputs=rows.inputs or None)
        try:
            each = per_sample(rows.prediction, rows.target, spec, inputs=rows.inputs or None)
        except UsageError:
            with pytest.raises(UsageError, match="no losses of rows"):
                compared(["a.npy", "b.npy"], spec, inputs={role: f"{role}.npy" for role in rows.inputs})
            continue
        if not np.isfinite(each).all():
            with pytest.raises(DataError, match="is infinite"):
                compared(["a.npy", "b.npy"], spec, inputs={role: f"{role}.npy" for role in rows.inputs})
            continue
        found = compared(["a.npy", "b.npy"], spec, inputs={role: f"{role}.npy" for role in rows.inputs}).comparisons[0]
        assert [system.value for system in found.systems] == [expected.value] * 2
        assert (found.pairs[0].difference, found.pairs[0].ties) == (0.0, len(rows.prediction))


# ---- tests against enumeration


def enumerated(value: Callable[[Array], float], first: Array, second: Array) -> float:
    """The share of all ways to let rows change places in which the values are as far apart as they are."""
    found = abs(value(second) - value(first))
    extreme = 0
    for swaps in product([False, True], repeat=len(first)):
        moved = np.array(swaps)
        extreme += abs(value(np.where(moved, first, second)) - value(np.where(moved, second, first))) >= found * (
            1 - 1e-9
        )
    return float(extreme / 2 ** len(first))


def test_permutation_of_weighted_rows_is_that_of_enumeration(folder: Path) -> None:
    a, b, y, w = probabilities(1), probabilities(2), labels(), np.arange(float(ROWS))
    saved(a=a, b=b, y=y, w=w)
    first, second = per_sample(a, y, "bce"), per_sample(b, y, "bce")
    found = compared(["a.npy", "b.npy"], weights="w.npy").comparisons[0].pairs[0]
    assert found.p["permutation"] == pytest.approx(enumerated(lambda x: float((x * w).sum() / w.sum()), first, second))


def test_permutation_where_each_system_has_a_denominator_of_its_own(folder: Path) -> None:
    a, b, y = np.array([0, 1, 3, 0, 0.5, 2.0]), np.array([0, 0, 1, 1, 0, 1.0]), np.zeros(6)
    saved(a=a, b=b, y=y)
    found = compared(["a.npy", "b.npy"], "mae:denom=nonzero").comparisons[0].pairs[0]
    expected = enumerated(lambda x: float(x.sum() / np.count_nonzero(x)) if x.any() else math.nan, a, b)
    assert found.p["permutation"] == pytest.approx(expected)


def test_wins_losses_and_ties(folder: Path) -> None:
    saved(a=np.array([1.0, 2, 3, 4, 0]), b=np.array([0.0, 3, 3, 1, 5]), y=np.zeros(5), w=np.array([1.0, 1, 1, 1, 0]))
    pair = compared(["a.npy", "b.npy"], "mae", weights="w.npy").comparisons[0].pairs[0]
    assert (pair.wins, pair.losses, pair.ties) == (2, 1, 1)  # a row without weight is absent


def test_equal_systems_are_not_told_apart(folder: Path) -> None:
    saved(a=probabilities(1, 50), b=probabilities(1, 50), y=labels(50))
    inference = Inference(tests=("bootstrap", "permutation", "wilcoxon"), margin=Margin("1%", 0.01, True))
    found = compared(["a.npy", "b.npy"], "bce", inference).comparisons[0]
    pair = found.pairs[0]
    assert (pair.difference, pair.low, pair.high, pair.ties) == (0.0, 0.0, 0.0, 50)
    assert set(pair.p.values()) == {1.0}
    assert pair.verdict == "undecided"
    assert pair.equivalent
    assert pair.non_inferior
    assert [system.letters for system in found.systems] == ["a", "a"]


def test_several_systems_get_letters_and_corrected_p_values(folder: Path) -> None:
    y, noise = labels(500), np.random.default_rng(0)
    near = np.where(y == 1, 0.9, 0.1)
    saved(a=near, b=np.clip(near + noise.normal(0, 0.001, 500), 0.01, 0.99), c=np.where(y == 1, 0.6, 0.4), y=y)
    found = compared(["c.npy", "a.npy", "b.npy"]).comparisons[0]
    assert (found.systems[0].name, found.systems[0].rank, found.systems[0].letters) == ("c", 3, "b")
    assert {system.letters for system in found.systems[1:]} == {"a"}
    smallest = min(pair.p["bootstrap"] for pair in found.pairs)
    assert [pair.adjusted["bootstrap"] for pair in found.pairs[:2]] == [3 * smallest, 3 * smallest]
    assert [pair.verdict for pair in found.pairs] == ["better", "better", "undecided"]


def test_margins_tell_equivalence_from_non_inferiority(folder: Path) -> None:
    y, noise = np.zeros(400), np.random.default_rng(0).normal(0, 0.1, 400)
    saved(a=np.ones(400), b=0.5 + noise, y=y)
    within = compared(["a.npy", "b.npy"], "mae", Inference(margin=Margin("0.6", 0.6, False))).comparisons[0].pairs[0]
    beyond = compared(["a.npy", "b.npy"], "mae", Inference(margin=Margin("40%", 0.4, True))).comparisons[0].pairs[0]
    assert (within.margin, within.equivalent, within.non_inferior) == (0.6, True, True)
    assert (beyond.margin, beyond.equivalent, beyond.non_inferior) == (0.4, False, True)


# ---- the same, however it is read


def numbers(result: ComparisonResult) -> list[dict[str, Any]]:
    return [each.to_document() for each in result.comparisons]


@pytest.mark.parametrize("changed", [{"chunk_rows": 4096}, {"backend": "cpu", "threads": 1}, {"backend": "cpu"}])
def test_chunks_threads_and_backends_change_no_number(folder: Path, changed: dict[str, Any]) -> None:
    rows = 70_000  # more than there are groups
    saved(a=probabilities(1, rows).astype(np.float32), b=probabilities(2, rows).astype(np.float32), y=labels(rows))
    inference = Inference(tests=("bootstrap", "permutation", "wilcoxon"), resamples=100)
    plain = numbers(compared(["a.npy", "b.npy"], ["mae", "mse"], inference, backend="python"))
    again = numbers(compared(["a.npy", "b.npy"], ["mae", "mse"], inference, **{"backend": "python", **changed}))
    assert plain == again


def test_the_seed_is_in_the_signature_and_changes_what_is_drawn(folder: Path) -> None:
    saved(a=probabilities(1, 100), b=probabilities(2, 100), y=labels(100))
    first, second = (compared(["a.npy", "b.npy"], "bce", Inference(seed=seed)).comparisons[0] for seed in (0, 1))
    assert first.signature.endswith("|tests=bootstrap+permutation|confidence=0.95|resamples=1000|seed=0")
    assert second.signature.endswith("|seed=1")
    assert first.pairs[0].low != second.pairs[0].low


def test_systems_are_matched_by_key(folder: Path) -> None:
    y, a, b = labels(), probabilities(1), probabilities(2)
    order = np.random.default_rng(0).permutation(ROWS)
    for name, column, place in (("y", y, order), ("a", a, np.arange(ROWS)), ("b", b, order[::-1])):
        lines = [f"{row},{column[row].item()!r}" for row in place]
        Path(f"{name}.csv").write_text("\n".join(["id,v", *lines]) + "\n")
    saved(a=a, b=b, y=y)
    by_row = compared(["a.npy", "b.npy"]).comparisons[0]
    columns: dict[str, Any] = {"pred_columns": ("v",), "target_columns": ("v",)}
    by_key = compared(["a.csv", "b.csv"], targets="y.csv", on=("id",), **columns).comparisons[0]
    assert by_key.pairs == by_row.pairs
    assert "on=id" in by_key.signature


# ---- names


# ---- what is refused


@pytest.mark.parametrize("paths", [["a.npy"], ["a.npy"] * 2, [f"{n}.npy" for n in range(27)]])
def test_systems_are_several_and_not_too_many(paths: list[str]) -> None:
    with pytest.raises(UsageError):
        check_systems(paths)


@pytest.mark.parametrize("spec", ["rmse", "cosine_global", "median_ae", "dice:scope=all"])
def test_losses_without_rows_are_refused(folder: Path, spec: str) -> None:
    saved(a=probabilities(1), b=probabilities(2), y=labels())
    with pytest.raises(UsageError, match="no losses of rows"):
        compared(["a.npy", "b.npy"], spec)


@pytest.mark.parametrize("spec", ["cosine_similarity:sign=1", "cosine_similarity:preset=torch"])
def test_what_is_better_when_it_is_larger_is_refused(folder: Path, spec: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(3, ROWS, 4))
    saved(a=vectors[0], b=vectors[1], y=vectors[2])
    with pytest.raises(UsageError, match="better when it is larger") as refusal:
        compared(["a.npy", "b.npy"], spec)
    assert refusal.value.hint is not None
    assert "sign=-1" in refusal.value.hint
    assert compared(["a.npy", "b.npy"], "cosine_similarity:preset=torch,sign=-1").comparisons


def test_signed_ranks_take_no_weights(folder: Path) -> None:
    saved(a=probabilities(1), b=probabilities(2), y=labels(), w=np.ones(ROWS))
    with pytest.raises(UsageError, match="no weights"):
        compared(["a.npy", "b.npy"], "bce", Inference(tests=("wilcoxon",)), weights="w.npy")


def test_differences_that_do_not_fit_in_memory_are_the_machines_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(a=probabilities(1), b=probabilities(2), y=labels())
    monkeypatch.setattr("lossctl.comparisons.statistics.available_bytes", lambda: 8 * ROWS)
    with pytest.raises(EnvironmentFault, match=r"out of memory: the signed-rank test .* 72 bytes are available"):
        compared(["a.npy", "b.npy"], "bce", Inference(tests=("wilcoxon",)))
    assert compared(["a.npy", "b.npy"]).comparisons


def test_what_is_wrong_in_the_second_file_is_found_there(folder: Path) -> None:
    wrong = probabilities(2)
    wrong[4] = 1.5
    certain = probabilities(3)
    certain[6] = 1 - labels()[6]
    saved(a=probabilities(1), wrong=wrong, certain=certain, short=probabilities(1, 5), y=labels())
    with pytest.raises(DataError, match=r"wrong\.npy, row 4"):
        compared(["a.npy", "wrong.npy"])
    with pytest.raises(DataError, match=r"certain\.npy, row 6: bce is infinite"):
        compared(["a.npy", "certain.npy"])
    with pytest.raises(DataError, match=r"short\.npy has 5 rows"):
        compared(["a.npy", "short.npy"])


def test_one_row_is_too_few(folder: Path) -> None:
    saved(a=probabilities(1, 1), b=probabilities(2, 1), y=labels(1))
    with pytest.raises(DataError, match="at least two"):
        compared(["a.npy", "b.npy"])


def test_rows_without_any_weight_are_nothing_to_compare(folder: Path) -> None:
    saved(a=probabilities(1), b=probabilities(2), y=labels(), w=np.zeros(ROWS))
    with pytest.raises(DataError, match="nothing to compare"):
        compared(["a.npy", "b.npy"], weights="w.npy")
