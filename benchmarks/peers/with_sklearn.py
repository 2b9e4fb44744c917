"""scikit-learn: its metrics, which take the target first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.peers import Key, optional
from lossctl.catalogue.typical_data import Data

metrics = optional("sklearn.metrics")

VALUES: Mapping[Key, Callable[..., Any]] = {
    ("mse", "value"): lambda p, y: metrics.mean_squared_error(y, p),
    ("mae", "value"): lambda p, y: metrics.mean_absolute_error(y, p),
    ("rmse", "value"): lambda p, y: metrics.root_mean_squared_error(y, p),
    ("mape", "value"): lambda p, y: 100 * metrics.mean_absolute_percentage_error(y, p),
    ("msle", "value"): lambda p, y: metrics.mean_squared_log_error(y, p),
    ("rmsle", "value"): lambda p, y: metrics.root_mean_squared_log_error(y, p),
    ("quantile", "value"): lambda p, y: metrics.mean_pinball_loss(y, p, alpha=0.5),
    ("poisson_deviance", "value"): lambda p, y: metrics.mean_poisson_deviance(y, p),
    ("gamma_deviance", "value"): lambda p, y: metrics.mean_gamma_deviance(y, p),
    ("tweedie_deviance", "value"): lambda p, y: metrics.mean_tweedie_deviance(y, p, power=1.5),
    ("max_error", "value"): lambda p, y: metrics.max_error(y, p),
    ("median_ae", "value"): lambda p, y: metrics.median_absolute_error(y, p),
    ("bce", "prob"): lambda p, y: metrics.log_loss(y, p),
    ("brier", "prob"): lambda p, y: metrics.brier_score_loss(y, p),
    ("hinge", "value"): lambda s, t: metrics.hinge_loss(t, s),
    ("zero_one", "value"): lambda p, y: metrics.zero_one_loss(y, p),
    ("hamming", "value"): lambda p, y: metrics.hamming_loss(y, p),
    ("label_ranking", "value"): lambda s, y: metrics.label_ranking_loss(y, s),
    ("coverage_error", "value"): lambda s, y: metrics.coverage_error(y, s),
    ("scce", "prob"): lambda p, i: metrics.log_loss(i, p, labels=np.arange(p.shape[1])),
}


def value(key: Key, data: Data) -> Callable[[], Any] | None:
    """A task that gives the mean loss, or None where scikit-learn has no metric or is not installed."""
    call = VALUES.get(key)
    return None if metrics is None or call is None else lambda: call(*data.arrays)
