"""The loss of a sequence of frames in mpmath, by the sum over all alignments: every class in every frame is tried."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import mpmath
from mpmath import mpf

from tests.kernels.formulas import Number, Options, Row, is_on, log_unit, parameter

FRAMES = 4
"""Of the sequences that tests over the registry draw."""


def spelled(alignment: Sequence[int], blank: int) -> list[int]:
    """The labels that an alignment stands for: without repetitions, then without blanks."""
    return [k for k, _ in itertools.groupby(alignment) if k != blank]


def frame_probabilities(frame: Row, form: str) -> Row:
    powers = [mpmath.exp(z) for z in frame]
    return [power / mpmath.fsum(powers) for power in powers] if form == "logit" else powers


def probability(frames: Sequence[Row], labels: Sequence[int], options: Options) -> Number:
    """That frames of scores spell the labels."""
    blank = int(options.get("blank", 0))
    rows = [frame_probabilities(frame, options.get("input", "logit")) for frame in frames]
    classes = len(rows[0]) if rows else 0
    found = mpf(0)
    for alignment in itertools.product(range(classes), repeat=len(rows)):
        if spelled(alignment, blank) == list(labels):
            found += mpmath.fprod(row[k] for row, k in zip(rows, alignment, strict=True))
    return found


def sequence_loss(frames: Sequence[Row], labels: Sequence[int], options: Options) -> Number:
    """Of frames and labels without padding, in nats."""
    found = probability(frames, labels, options)
    if found == 0:
        if is_on(options, "zero_infinity"):
            return mpf(0)
        return mpf("inf") if options.get("infeasible") is None else parameter(options, "infeasible", 0)
    return -mpmath.log(found) / (max(len(labels), 1) if is_on(options, "length_normalize") else 1)


def ctc(prediction: Row, target: Row, options: Options) -> Number:
    """Of `FRAMES` frames in one row, and labels with blanks behind them."""
    classes, labels = len(prediction) // FRAMES, [int(k) for k in target]
    while labels and labels[-1] == int(options.get("blank", 0)):
        labels.pop()
    frames = [prediction[t * classes : (t + 1) * classes] for t in range(FRAMES)]
    return sequence_loss(frames, labels, options) / log_unit(options)
