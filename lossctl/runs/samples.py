"""A loss of single samples over a stream of chunks: values or rows, each with a loss of its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lossctl.diagnoses.diagnosis import diagnose
from lossctl.errors import DataError
from lossctl.results import LossResult
from lossctl.rows.nonfinite import Mask
from lossctl.rows.propagation import chosen_batch, odd_gradients, odd_losses
from lossctl.runs.denominators import Denominator
from lossctl.runs.run import Floats, Run, Task
from lossctl.sources.base import Array
from lossctl.values.preparation import Prepared, prepare
from lossctl_kernels import Scope
from lossctl_kernels.batch import Batch, Column, input_arrays
from lossctl_kernels.records import replace
from lossctl_kernels.reduce import ExactSum, tree_sum

SAFE_SUM = 2.0**-900  # of products with weights: those that decide it have all their digits
WIDEST = 2.0**64  # a row has fewer values


class SampleRun(Run):
    """A loss with a value for each row, reduced to a sum or a mean."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.sum, self.denominator = ExactSum(), Denominator(task.plan)
        self.nonfinite = self.degenerate = self.clipped = 0
        self.negative_labels: dict[int, int] = {}
        self.first_infinite: int | None = None

    def consume(self, chunk: dict[str, Array], weights: Floats | None, wanted: bool) -> Floats:
        if self.settings["labels"] == "auto-batch":
            self._refuse_mixed_labels(chunk["target"])
        prepared = self._prepare(chunk, weights)
        return self._observed(self._add(prepared, wanted), prepared)

    def _observed(self, losses: Floats, prepared: Prepared) -> Floats:
        if self.statistics is not None:
            self.statistics.add_rows(losses, prepared, self.settings["denom"])
        for observer in self.observers:
            observer.add_rows(losses, prepared, self.settings["denom"])
        return losses

    def propagate(
        self, chunk: dict[str, Array], weights: Floats | None, wanted: bool, odd: Mask, given: dict[str, Array]
    ) -> Floats:
        """An odd row has the loss that arithmetic gives it, NaN or infinite as a rule, on every backend the same."""
        if self.settings["labels"] == "auto-batch":
            self._refuse_mixed_labels(chunk["target"])
        prepared = self._prepare(chunk, weights)
        losses = self._add(prepared, wanted, odd)
        keep = prepared.batch.keep
        kept = odd if keep is None else odd & keep
        own = np.where(kept[odd], odd_losses(self.plan, given, odd, self.feed.whole, self._batch_of), np.nan)
        self.nonfinite += int(np.count_nonzero(kept[odd] & ~np.isfinite(own)))
        self.denominator.positive += int(np.count_nonzero(own > 0.0))
        each = np.ones(len(own)) if weights is None else weights[odd]
        present = kept[odd] & (each > 0.0)
        self.sum.add(own[present] * each[present])
        if wanted:
            losses = losses.copy()
            losses[odd] = own
        return self._observed(losses, prepared)

    def odd_gradient(
        self, chunk: dict[str, Array], weights: Floats | None, of: str, odd: Mask, given: dict[str, Array]
    ) -> Array:
        """Each row has its own gradient: that of an odd one is what arithmetic gives it, and 0 where it is absent."""
        gradient = self.gradient(chunk, weights, of)
        scales = self._row_scales(self._prepare(chunk, weights), weights)[odd]
        whole = self.feed.whole
        gradient[odd] = odd_gradients(self.plan, given, odd, whole, self._batch_of, scales, of, gradient)
        return gradient

    def _batch_of(self, chunk: dict[str, Array]) -> Batch:
        return prepare(self.plan, self.dtype, chunk, None, self.paths).batch

    def _refuse_mixed_labels(self, target: Array) -> None:
        """A 0 stands for -1 only where there is no -1 in all the data."""
        for label in (-1, 0):
            wrong = (target == label).reshape(len(target), -1).any(axis=1)
            if wrong.any():
                self.negative_labels.setdefault(label, self.rows + int(np.argmax(wrong)))
        if len(self.negative_labels) == 2:
            (other, first), (label, row) = sorted(self.negative_labels.items(), key=lambda item: item[1])
            place = self.feed.place("target", row)
            raise DataError(
                f"{place}: there is a label {label}, and at row {first} a label {other}",
                hint="labels are -1 and 1, or 0 and 1, in all the data",
            )

    def _add(self, prepared: Prepared, wanted: bool, odd: Mask | None = None) -> Floats:
        """Adds rows that are prepared; returns their losses where they are wanted.

        Those that are `odd` count in the denominator, and their losses are added elsewhere.
        """
        batch = replace(prepared.batch, first_row=self.rows)
        if odd is not None:
            batch = replace(batch, keep=~odd if batch.keep is None else batch.keep & ~odd)
        # Backends count the losses above 0 only where they deliver them.
        report, losses = self.backend.losses(self.plan, batch, wanted or self.settings["denom"] == "nonzero")
        self._refuse_bad(report)
        extreme = self._extreme_blocks(report[:, Column.SUM], batch)
        if extreme.any():
            losses = self._checked_losses(batch)
            self._add_each(losses, batch, np.repeat(extreme, self.plan.block_rows)[: batch.rows])
        self.sum.add(report[~extreme, Column.SUM])
        self.rows += batch.rows
        self.denominator.add(prepared)
        self.denominator.positive += int(report[:, Column.POSITIVE].sum())
        if self.plan.degenerate is not None:
            alone = Batch(batch.prediction, batch.target, inputs=batch.inputs)
            if odd is not None:  # a stand-in is another row once more
                alone = chosen_batch(alone, ~odd, self.feed.whole)
            counted, _ = self.backend.losses(self.plan.degenerate, alone, False)
            self.degenerate += int(counted[:, Column.SUM].sum())
        self.clipped += self._count_clipped(batch)
        return losses

    def _extreme_blocks(self, sums: Floats, batch: Batch) -> Mask:
        """Of which blocks the sum says nothing: infinite ones, and those that tiny weights have taken the digits from.

        The bits of the others do not depend on which chunk they share with them.
        """
        extreme = ~np.isfinite(sums)
        if batch.weights is not None:
            for block in np.flatnonzero(np.abs(sums) < SAFE_SUM):
                start = block * self.plan.block_rows
                extreme[block] = 0.0 < batch.weights[start : start + self.plan.block_rows].max() < 1.0
        return extreme

    def _add_each(self, losses: Floats, batch: Batch, rows: Mask) -> None:
        """Adds the losses of these rows one by one, none of whose products with their weights loses digits."""
        weights = np.ones(batch.rows) if batch.weights is None else batch.weights
        # A sample of weight 0 is absent, whatever its loss.
        present = rows & (weights > 0.0) if batch.keep is None else rows & (weights > 0.0) & batch.keep
        infinite = present & np.isinf(losses)
        if infinite.any():  # nothing else matters
            if self.first_infinite is None:
                self.first_infinite = self.rows + int(np.argmax(infinite))
            self.sum.add(losses[infinite])
        else:
            self.sum.add_products(losses[present], weights[present])

    def _checked_losses(self, batch: Batch) -> Floats:
        """The losses of a batch with infinite ones: right answers for some losses, an overflow for others."""
        _, losses = self.backend.losses(self.plan, batch, True)
        kept = np.ones(batch.rows, np.bool_) if batch.keep is None else batch.keep
        undefined = np.isnan(losses) & kept
        if undefined.any():
            raise self._undefined(self.rows + int(np.argmax(undefined)))
        infinite = np.isinf(losses) & kept
        if infinite.any() and self.plan.scope is Scope.ELEMENT and self.settings["row"] == "mean":
            losses[infinite] = self._row_means(chosen_batch(batch, infinite, self.feed.whole))
            infinite &= np.isinf(losses)
        if infinite.any() and not self.settings.loss.may_be_infinite:
            raise self._overflow("the loss", self.feed.place("prediction", self.rows + int(np.argmax(infinite))))
        self.nonfinite += int(np.count_nonzero(infinite))
        return losses

    def _row_means(self, batch: Batch) -> Floats:
        """The mean losses of rows whose sums may exceed float64."""
        from lossctl_kernels.interpreted import evaluate

        program, inputs = self.plan.value, input_arrays(self.plan, batch)
        with np.errstate(all="ignore"):
            values = evaluate(self.plan, program, batch.prediction, batch.target, self.plan.vector(program), inputs)
            parts = values.reshape(batch.rows, -1) / self.settings.value_divisor / WIDEST
            return tree_sum(parts) / self.plan.width * WIDEST

    def _undefined(self, row: int) -> DataError:
        """Why the loss of a row is not a number."""
        if self.settings.loss.target.labels:
            return diagnose(self.feed, self.plan, self.chunk_rows)
        place = self.feed.place("prediction", row)
        if self.plan.scope is Scope.ROW and self.settings.input in ("logit", "log_prob"):
            return DataError(f"{place}: every class has a logit of minus infinity", hint="one class must be possible")
        if self.plan.scope is Scope.ROW:
            return DataError(
                f"{place}: the row has no sum to divide by", hint="probabilities of a row must not all be 0"
            )
        return DataError(f"{place}: {self.settings.loss.name} is not defined there", hint="rescale the data")

    def _count_clipped(self, batch: Batch) -> int:
        """Rows with a probability that the guard changes."""
        eps, mode = self.plan.eps, self.settings["eps_mode"]
        if not eps or self.settings.input != "prob" or "eps" not in self.settings.loss.options:
            return 0
        values = batch.prediction.astype(np.float64)
        if self.settings["normalize"]:
            values = values / values.sum(axis=1, keepdims=True)
        low = math.exp(eps) if mode == "log_floor" else eps
        held = values < low
        if mode == "clip" or (mode == "log_floor" and values.ndim == 1):
            held |= values > 1.0 - low
        if mode == "add":
            return 0
        rows = held if held.ndim == 1 else held.any(axis=1)
        return int(np.count_nonzero(rows if batch.keep is None else rows & batch.keep))

    def end_pass(self) -> bool:
        return False

    def result(self) -> LossResult:
        weight = self.denominator.value
        self._refuse_endless(weight)
        total = self.sum.value
        if self.reduction == "sum":
            value = total
        elif weight == 0.0:
            value = self._empty()
        else:
            value = self.sum.over(self.denominator.exact)
        if math.isinf(value) and not self.nonfinite:
            raise self._overflow("the sum")
        if math.isinf(value) and self.first_infinite is not None:
            self._warn_infinite(self.feed.place("prediction", self.first_infinite))
        self._warn_degenerate(self.degenerate)
        return self._result(
            value=value,
            sum=total,
            weight=weight,
            samples=self.denominator.kept,
            nonfinite=self.nonfinite,
            clipped=self.clipped,
            degenerate=self.degenerate,
        )

    def _warn_infinite(self, place: str) -> None:
        loss, others = self.settings.loss, f" and of {self.nonfinite - 1} more rows" if self.nonfinite > 1 else ""
        remedies = ["give logits with --from-logits"] if "logit" in loss.forms else []
        if "eps" in loss.options:
            remedies.append(f"keep probabilities from 0 with {loss.name}:eps=1e-7")
        hint = f"; {', or '.join(remedies)}" if remedies and self.settings.input == "prob" else ""
        self.warnings.append(f"{place}: the loss is infinite here{others}: the prediction rules out the target{hint}")

    def _empty(self) -> float:
        name, empty = self.settings.loss.name, self.settings["empty"]
        if empty == "error":
            raise DataError(f"{name}: nothing is left to average", hint="every row is ignored or has no weight")
        self.warnings.append(
            f"{name}: nothing is left to average; the mean is {'0' if empty == 'zero' else 'not a number'}"
        )
        return 0.0 if empty == "zero" else math.nan

    def gradient(self, chunk: dict[str, Array], weights: Floats | None, of: str = "prediction") -> Array:
        prepared = self._prepare(chunk, weights)
        scales = self._row_scales(prepared, weights)
        gradient = self.backend.gradient(self.plan, prepared.batch, scales, {}, of)
        absent = (scales[:1] if scales.strides == (0,) else scales) == 0.0
        if absent.any():  # a sample that is absent has no slope, an infinite one neither
            gradient[np.broadcast_to(absent, len(scales))] = 0.0
        return self._like(chunk[of], gradient)

    def _row_scales(self, prepared: Prepared, weights: Floats | None) -> Floats:
        """What each row's gradient is multiplied by, as `grad_scale` says; where it is one number, of stride 0."""
        scale = self.settings["grad_scale"]
        if scale == "reported":
            scale = self.reduction
        each: Any = np.float64(1.0) if weights is None or scale == "sample" else weights
        if scale == "mean":
            denominator = self.denominator.value
            each = each / denominator if denominator else each * 0.0
        if self.settings["row"] == "mean" and self.plan.scope is Scope.ELEMENT:
            each = each / self.plan.width
        each = each / self.settings.value_divisor
        keep = prepared.batch.keep
        return np.broadcast_to(each, prepared.batch.rows) if keep is None else np.where(keep, each, 0.0)
