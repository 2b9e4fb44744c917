"""The median of absolute errors over streams: against NumPy's, in one pass or several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lossctl
from lossctl.catalogue.loss_spec import parse
from lossctl.errors import DataError, UsageError
from lossctl.evaluation import Evaluation
from lossctl.requests import Request
from lossctl.rows.feed import Feed
from lossctl.sources import memory_reader
from lossctl_kernels import selection

RANDOM = np.random.default_rng(31)
PREDICTION, TARGET = RANDOM.normal(size=(2, 9001, 3))
WEIGHTS = RANDOM.uniform(0.0, 2.0, 9001)
WEIGHTS[::7] = 0.0
BACKENDS = pytest.mark.parametrize("backend", ["python", "cpu"])


def value(prediction: Any, target: Any, spec: str = "median_ae", **more: Any) -> Any:
    return lossctl.evaluate(prediction, target, spec, **more).value


@BACKENDS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_the_median_of_all_values_or_the_mean_of_those_of_columns(dtype: str, backend: str) -> None:
    prediction, target = PREDICTION.astype(dtype), TARGET.astype(dtype)
    errors = np.abs(prediction.astype(float) - target.astype(float))
    assert value(prediction, target, backend=backend) == np.median(errors)
    columns = value(prediction, target, spec="median_ae:multioutput=columns", backend=backend)
    assert columns == pytest.approx(np.median(errors, axis=0).mean(), rel=1e-15)
    assert value(prediction[:, 0], target[:, 0], backend=backend) == np.median(errors[:, 0])


@pytest.mark.parametrize("spec", ["median_ae", "median_ae:multioutput=columns"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["equal", "weighted"])
def test_passes_and_chunks_change_no_bit(spec: str, weights: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = value(PREDICTION, TARGET, spec=spec, weights=weights)
    monkeypatch.setattr(selection, "MOST_KEPT", 100)
    arrays = {"prediction": PREDICTION, "target": TARGET} | ({} if weights is None else {"weights": weights})
    for rows in (4096, 1 << 20):
        feed = Feed([memory_reader({role: array}) for role, array in arrays.items()])
        run = Evaluation(feed, Request([parse(spec), parse("mae")], chunk_rows=rows)).run()
        assert run.results[0].value == expected
        assert run.results[0].samples == len(PREDICTION)
        assert run.results[0].weight == pytest.approx(len(PREDICTION) if weights is None else weights.sum())
        assert run.results[1].value == pytest.approx(value(PREDICTION, TARGET, spec="mae", weights=weights), rel=1e-14)


def test_half_of_the_errors_may_overflow_but_not_more() -> None:
    big = np.array([1e308, 1e308, 1.0, 2.0, 3.0])
    assert value(big, -big) == 6.0
    with pytest.raises(DataError, match="the value of median_ae exceeds float64"):
        value(big[:4], -big[:4])


@BACKENDS
def test_what_is_no_number_is_refused(backend: str) -> None:
    data = PREDICTION.copy()
    data[5, 2] = np.nan
    with pytest.raises(DataError, match="row 5, column 2: the prediction is nan"):
        value(data, TARGET, backend=backend)


def test_there_is_no_sum_none_of_a_sample_and_no_gradient() -> None:
    with pytest.raises(UsageError, match="median_ae is one number for all the data: it has no sum"):
        value([1.0], [1.0], reduction="sum")
    with pytest.raises(UsageError, match="it has no per-sample losses"):
        lossctl.per_sample([1.0], [1.0], "median_ae")
    with pytest.raises(UsageError, match="median_ae has no gradient"):
        lossctl.gradient([1.0], [1.0], "median_ae")
