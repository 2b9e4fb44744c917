"""Losses of one mask for each sample and class, over a stream of chunks: their mean, or one that weighs the classes."""

from __future__ import annotations

import math

import numpy as np

from lossctl.results import LossResult
from lossctl.runs.class_masks import ClassMasks
from lossctl.runs.dataset import PooledRun
from lossctl.runs.denominators import sums_of_weights
from lossctl.runs.run import BAD, Floats, Run, Task
from lossctl.runs.samples import SampleRun
from lossctl.sources.base import Array
from lossctl_kernels.batch import Batch
from lossctl_kernels.records import replace
from lossctl_kernels.reduce import ExactSum, block_sums, tree_sum

FREQUENCY_EPS = 1e-7
"""What optax adds to the squared frequency of a class, so that one that never occurs has a weight."""


class MaskRun(Run):
    """What both have in common: rows taken apart into masks, each a row of places."""

    masks: ClassMasks

    def _take_apart(self) -> None:
        self.masks = ClassMasks.of(self.feed.arrays["prediction"], self.plan)
        self.mask_plan = replace(self.plan, width=self.masks.places)

    def _mask_batch(self, batch: Batch) -> Batch:
        """The masks of one class after those of the other."""
        prediction, target = self.masks.split(batch)
        return Batch(prediction.reshape(-1, self.masks.places), target.reshape(-1, self.masks.places))

    def _mask_losses(self, batch: Batch, masks: Batch) -> tuple[Floats, int]:
        """(losses of shape (classes, rows), how many rows hold a degenerate mask) of a batch and its masks."""
        report, losses = self.backend.losses(self.mask_plan, masks, True)
        if report[:, BAD].any():
            self.masks.refuse_impossible(batch, self.feed, self.rows)
        self._refuse_bad(report)
        degenerate = 0
        if self.mask_plan.degenerate is not None:
            _, without = self.backend.losses(self.mask_plan.degenerate, masks, True)
            degenerate = int(np.count_nonzero(without.reshape(self.masks.classes, -1).any(axis=0)))
        return losses.reshape(self.masks.classes, -1), degenerate

    def _mask_gradient(self, batch: Batch, scales: Floats) -> Array:
        """The gradient of the masks' losses times `scales`, of shape (classes, rows), as that of the rows."""
        masks = self._mask_batch(batch)
        gradient = self.backend.gradient(self.mask_plan, masks, scales.reshape(-1), {})
        shape = (self.masks.classes, batch.rows, self.masks.places)
        return self.masks.join(gradient.reshape(shape), masks.prediction.reshape(shape))


class SampleClassRun(MaskRun, SampleRun):
    """A loss for each sample and class: that of a sample is the mean over its classes."""

    propagate = Run.propagate

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._take_apart()

    def consume(self, chunk: dict[str, Array], weights: Floats | None, wanted: bool) -> Floats:
        prepared = self._prepare(chunk, weights)
        by_class, degenerate = self._mask_losses(prepared.batch, self._mask_batch(prepared.batch))
        losses = tree_sum(by_class.T) / self.masks.classes
        self.sum.add_products(losses, np.ones(losses.size) if weights is None else weights)
        self.rows += prepared.batch.rows
        self.denominator.add(prepared)
        self.denominator.positive += int(np.count_nonzero(losses > 0.0))
        self.degenerate += degenerate
        return self._observed(losses, prepared)

    def gradient(self, chunk: dict[str, Array], weights: Floats | None, of: str = "prediction") -> Array:
        prepared = self._prepare(chunk, weights)
        scales = self._row_scales(prepared, weights) / self.masks.classes
        every = np.broadcast_to(scales, (self.masks.classes, prepared.batch.rows))
        return self._like(chunk[of], self._mask_gradient(prepared.batch, every))


class FrequencyRun(MaskRun, PooledRun):
    """The mean over samples and classes, where a class counts by the inverse square of how much of it the targets hold.

    The weights of all classes together are the number of classes, also where the first, the background, is left out of
    the mean.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._take_apart()
        self.first_class = int(self.settings["ignore_background"] and self.masks.classes > 1)
        self.losses = [ExactSum() for _ in range(self.masks.classes)]
        self.frequencies = [ExactSum() for _ in range(self.masks.classes)]
        self.weight = ExactSum()
        self.degenerate = 0

    def consume(self, chunk: dict[str, Array], weights: Floats | None, wanted: bool) -> Floats:
        self._refuse_per_sample(wanted)
        batch = self._prepare(chunk, weights).batch
        each = np.ones(batch.rows) if weights is None else weights
        masks = self._mask_batch(batch)
        by_class, degenerate = self._mask_losses(batch, masks)
        targets = masks.target.reshape(self.masks.classes, batch.rows, -1)
        for of_class, target, losses, frequency in zip(by_class, targets, self.losses, self.frequencies, strict=True):
            losses.add_products(of_class, each)
            frequency.add(block_sums(tree_sum(target.astype(np.float64)) * each, self.plan.block_rows))
        self.rows += batch.rows
        self.degenerate += degenerate
        self.weight.add(sums_of_weights(each, self.plan.block_rows))
        return np.empty(0)

    def end_pass(self) -> bool:
        return False

    @property
    def _shares(self) -> Floats:
        """What each class counts in the mean over samples and classes; 0 for a background that is left out."""
        classes = self.masks.classes
        with np.errstate(over="ignore"):
            weights = 1.0 / (np.array([total.value for total in self.frequencies]) ** 2 + FREQUENCY_EPS)
        shares = weights / math.fsum(weights) * classes / (classes - self.first_class)
        shares[: self.first_class] = 0.0
        return np.asarray(shares)

    def result(self) -> LossResult:
        self._refuse_endless(self.weight.value)
        means = np.array([total.over(self.weight) for total in self.losses])
        value = math.fsum(self._shares * means)
        self._warn_degenerate(self.degenerate)
        return self._result(
            value=value, sum=math.nan, weight=self.weight.value, samples=self.rows, degenerate=self.degenerate
        )

    def gradient(self, chunk: dict[str, Array], weights: Floats | None, of: str = "prediction") -> Array:
        batch = self._prepare(chunk, weights).batch
        each = np.ones(batch.rows) if weights is None else weights
        scales = self._shares[:, None] * (each / self.weight.value)
        return self._like(chunk[of], self._mask_gradient(batch, scales))
