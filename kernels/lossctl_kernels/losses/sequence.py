"""Losses of a sequence of frames against a shorter list of labels."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from ..alignments import FRAMES_AT_ONCE, backward, clear, forward, forward_lost, frames_needed, weigh
from ..domains import LOG_PROBABILITY, LOGIT, NONNEGATIVE, TargetKind
from ..options import SpecificationError
from ..row_vectors import exponentials
from ..spec import (
    Input,
    InputShape,
    Loss,
    Parameter,
    Scope,
    degenerate_for,
    form_of,
    gradient_of,
    loss,
    row_function,
)
from .parts import KERAS

NEARLY_CERTAIN = 1e-3
"""A loss below this, times the square root of the frames, is taken from what is lost: what sums round of a probability
near 1 is about 1e-16 times that root."""


def scratch_of_a_row(prediction: tuple[int, ...], target: tuple[int, ...]) -> int:
    """One number a label, two a frame, one a class, those of frames at once, and rows of states: three, and one after
    each frame."""
    own = target[1] + 2 * FRAMES_AT_ONCE * (target[1] + 1) + 2 * prediction[1] + prediction[2]
    return own + (prediction[1] + 4) * row_of_states(target[1])


def labels_and_blanks(prediction: tuple[int, ...], target: tuple[int, ...]) -> int:
    """How many scores of a row count: in each frame those of its labels, and of the blank."""
    return prediction[1] * (target[1] + 1)


def row_of_states(labels: int) -> int:
    """How many numbers a row of states has: see `alignments.py`."""
    return 2 * (2 * labels + 1)


def length_of(row: int, lengths: Any, full: int) -> int:
    """The length of a row; all of it where no lengths are given."""
    return int(lengths[row]) if lengths.size else full


def label_count(row: int, target: Any, target_lengths: Any, blank: int) -> int:
    """How many labels a row has: without lengths, the blanks at its end are padding."""
    count = length_of(row, target_lengths, target.shape[1])
    while not target_lengths.size and count > 0 and target[row, count - 1] == blank:
        count -= 1
    return count


def divided(scratch: Any, labels: int, frames: int) -> tuple[Any, Any, Any, Any, Any]:
    """Room for what each label, and each frame, needs, and the rest: see `alignments.py`."""
    weighed = FRAMES_AT_ONCE * (labels + 1)
    units, facts = labels + weighed, labels + 2 * weighed
    rest = facts + 2 * frames
    return scratch[:labels], scratch[labels:units], scratch[units:facts], scratch[facts:rest], scratch[rest:]


def likelihood_loss(
    row: int, prediction: Any, target: Any, input_lengths: Any, target_lengths: Any, softmax: bool, scratch: Any,
    blank: int, length_normalize: float, zero_infinity: float, infeasible: float,
) -> float:  # fmt: skip
    """-ln of the probability of the labels of a row, as the options make it."""
    frames, labels = prediction[row], target[row]
    length = length_of(row, input_lengths, prediction.shape[1])
    count = label_count(row, target, target_lengths, blank)
    skips, emissions, units, facts, rest = divided(scratch, target.shape[1], prediction.shape[1])
    logarithm = -math.inf
    if frames_needed(labels, count, skips) <= length:
        logarithm = forward(
            frames, length, labels, count, blank, softmax, skips, facts, emissions, units, rest, 2
        )  # fmt: skip
        if logarithm >= -NEARLY_CERTAIN * math.sqrt(length):
            logarithm = math.log1p(
                -forward_lost(frames, length, labels, count, blank, softmax, skips, facts, emissions, rest)
            )
    if logarithm == -math.inf:
        return 0.0 if zero_infinity > 0.0 else (infeasible if infeasible == infeasible else math.inf)
    return -logarithm / (max(count, 1) if length_normalize > 0.0 else 1)


def fill_gradient(
    row: int, prediction: Any, target: Any, input_lengths: Any, target_lengths: Any, softmax: bool, scale: float,
    scratch: Any, gradient: Any, blank: int, length_normalize: float,
) -> None:  # fmt: skip
    """The derivative of `likelihood_loss` times `scale`; 0 where that is infinite, and behind the end of the row."""
    frames, labels, slopes_of_row = prediction[row], target[row], gradient[row]
    length, classes = length_of(row, input_lengths, prediction.shape[1]), prediction.shape[2]
    count = label_count(row, target, target_lengths, blank)
    width = row_of_states(count)
    skips, emissions, units, facts, rest = divided(scratch, target.shape[1], prediction.shape[1])
    slopes, betas, shares = rest[:classes], rest[classes:], rest[classes + width :]
    spans, alphas = rest[classes + width + width // 2 :], rest[classes + 2 * width :]
    if frames_needed(labels, count, skips) > length:
        return
    logarithm = forward(
        frames, length, labels, count, blank, softmax, skips, facts, emissions, units, alphas, length + 1
    )  # fmt: skip
    if logarithm == -math.inf:
        return
    scale /= max(count, 1) if length_normalize > 0.0 else 1
    clear(betas, width // 2)
    betas[width // 2 + count] = betas[width - 1] = 0.0  # the two ends
    slopes[:] = 0.0
    for t in range(length - 1, -1, -1):
        weigh(frames, t, t + 1, labels, count, blank, softmax, facts, emissions, units)
        backward(count, skips, emissions, units, alphas[(t + 1) * width :], betas, spans, shares)
        if softmax:
            fill_slopes(frames[t], labels, count, blank, facts[2 * t], facts[2 * t + 1], shares, slopes)
            for k in range(classes):
                slopes_of_row[t, k] = scale * slopes[k]
        else:
            take_shares(labels, count, blank, shares, slopes)
            for i in range(count + 1):
                k = labels[i] if i < count else blank
                slopes_of_row[t, k] = scale * slopes[k]
            for i in range(count + 1):
                slopes[labels[i] if i < count else blank] = 0.0


def take_shares(labels: Any, count: int, blank: int, shares: Any, slopes: Any) -> None:
    """Takes the share of each state from the slope of its class."""
    for i in range(count + 1):
        slopes[blank] -= shares[i]
    for i in range(count):
        slopes[labels[i]] -= shares[count + 1 + i]


def fill_slopes(
    frame: Any, labels: Any, count: int, blank: int, largest: float, rest: float, shares: Any, slopes: Any
) -> None:
    """The derivative by the logits of one frame: its probabilities, less the shares of the classes.

    They sum to 0: that of a class that is likeliest of all, 1 from nearly 1, is got from what the others have.
    """
    exponentials(frame, largest, 1.0 / (1.0 + rest), slopes)
    take_shares(labels, count, blank, shares, slopes)
    best = blank if frame[blank] == largest else -1
    for i in range(count):
        best = labels[i] if best < 0 and frame[labels[i]] == largest else best
    if best >= 0:
        others = 0.0
        for i in range(count + 1):
            others += 0.0 if blank == best else shares[i]
        for i in range(count):
            others += 0.0 if labels[i] == best else shares[count + 1 + i]
        slopes[best] = others - rest / (1.0 + rest)


# ---- the loss

Blank = Annotated[float, Parameter("the class that separates labels and is none itself", at_least=0.0, whole=True)]
LengthNormalize = Annotated[float, Parameter("divide each loss by its number of labels, or 1", words=("false", "true"))]
ZeroInfinity = Annotated[float, Parameter("an infinite loss counts as 0", words=("false", "true"))]
Infeasible = Annotated[float, Parameter("the loss of what has no alignment, in place of infinity", optional=True)]


def check_options(loss: Loss, options: Mapping[str, Any]) -> dict[str, Any]:
    """Refuses what contradicts itself, but for what a preset says."""
    infeasible = options["infeasible"]
    by_preset = loss.presets.get(str(options["preset"]), {}).get("infeasible")
    if options["zero_infinity"] == "true" and infeasible not in (None, 0.0, by_preset):
        raise SpecificationError(
            f"{loss.name}: zero_infinity=true means infeasible=0, but infeasible={infeasible:g}",
            "leave out one of them",
        )
    return {}


@loss(
    input="logit",
    prediction=LOGIT,
    target_kind=TargetKind.SEQUENCE,
    scope=Scope.ROW,
    formula="-ln Σ over alignments π of Π_t p_t(π_t), p_t = softmax(z_t)",
    gradient_formula="p_t - γ_t, of log-probabilities -γ_t: γ_t(k) is the probability of k at t given the labels",
    options=("input", "log_base", "denom", "empty", "grad_scale", "preset"),
    unit="nat",
    inputs={
        "input_lengths": Input(
            "frames of each row; default: all", InputShape.ONE_A_ROW, NONNEGATIVE, optional=True, integer=True
        ),
        "target_lengths": Input(
            "labels of each row; default: all but the blanks at its end",
            InputShape.ONE_A_ROW,
            NONNEGATIVE,
            optional=True,
            integer=True,
        ),
    },
    aliases={
        "keras": ("CTC",),
        "torch": ("CTCLoss", "ctc_loss"),
        "optax": ("ctc_loss", "ctc_loss_with_forward_probs"),
    },
    presets={
        "keras": KERAS,
        "torch": {"input": "log_prob", "mean": {"length_normalize": "true"}},
        "optax": {"infeasible": 1e5},
    },
    source="Graves, Fernández, Gomez and Schmidhuber (2006), Connectionist temporal classification",
    adapt=check_options,
)
@row_function(scratch=scratch_of_a_row, dimensions=3)
def ctc(
    row: int,
    prediction: Any,
    target: Any,
    input_lengths: Any,
    target_lengths: Any,
    scratch: Any,
    blank: Blank = 0.0,
    length_normalize: LengthNormalize = 0.0,
    zero_infinity: ZeroInfinity = 0.0,
    infeasible: Infeasible = math.nan,
) -> float:
    """The negative log-likelihood of a list of labels under frames of class scores, whatever their alignment.

    Predictions are (rows, frames, classes), targets (rows, labels) of class indices. An alignment names a class for
    each frame and spells the labels once repetitions, and then blanks, are dropped. Without `target_lengths` the
    blanks at the end of a row are padding, as in Keras; no other label may be the blank. Labels that need more frames
    than there are have an infinite loss, which is counted, and the gradient 0; optax gives them about 1e5. The gradient
    is that by what is given: that of PyTorch, for log-probabilities, is the one by the logits, a difference of
    probabilities that is right to some 1e-16 of them, or to that times how far labels are below the largest logit; a γ
    below 1e-77 may count as 0. PyTorch's mean is of each loss over its number of labels, which its preset says.
    """
    return likelihood_loss(
        row, prediction, target, input_lengths, target_lengths, True, scratch,
        int(blank), length_normalize, zero_infinity, infeasible,
    )  # fmt: skip


@form_of("ctc", "log_prob", LOG_PROBABILITY)
@row_function(scratch=scratch_of_a_row, dimensions=3, reads=labels_and_blanks)
def ctc_of_log_probabilities(
    row: int,
    prediction: Any,
    target: Any,
    input_lengths: Any,
    target_lengths: Any,
    scratch: Any,
    blank: float,
    length_normalize: float,
    zero_infinity: float,
    infeasible: float,
) -> float:
    return likelihood_loss(
        row, prediction, target, input_lengths, target_lengths, False, scratch,
        int(blank), length_normalize, zero_infinity, infeasible,
    )  # fmt: skip


@gradient_of(ctc)
def ctc_gradient(
    row: int,
    prediction: Any,
    target: Any,
    input_lengths: Any,
    target_lengths: Any,
    scale: float,
    scratch: Any,
    gradient: Any,
    blank: float,
    length_normalize: float,
) -> None:
    fill_gradient(
        row, prediction, target, input_lengths, target_lengths, True, scale, scratch, gradient,
        int(blank), length_normalize,
    )  # fmt: skip


@gradient_of(ctc_of_log_probabilities)
def ctc_gradient_of_log_probabilities(
    row: int,
    prediction: Any,
    target: Any,
    input_lengths: Any,
    target_lengths: Any,
    scale: float,
    scratch: Any,
    gradient: Any,
    blank: float,
    length_normalize: float,
) -> None:
    fill_gradient(
        row, prediction, target, input_lengths, target_lengths, False, scale, scratch, gradient,
        int(blank), length_normalize,
    )  # fmt: skip


def ctc_too_short(
    row: int, prediction: Any, target: Any, input_lengths: Any, target_lengths: Any, scratch: Any, blank: float
) -> float:
    """1 for a row whose frames are too few for its labels, else 0."""
    count = label_count(row, target, target_lengths, int(blank))
    needed = frames_needed(target[row], count, scratch)
    return 1.0 if needed > length_of(row, input_lengths, prediction.shape[1]) else 0.0


TOO_SHORT = "labels that do not fit into their frames: no alignment, an infinite loss unless options say otherwise"
degenerate_for(ctc, TOO_SHORT)(ctc_too_short)
degenerate_for(ctc_of_log_probabilities, TOO_SHORT)(ctc_too_short)
