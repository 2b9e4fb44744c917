"""The alignments of a list of labels to a sequence of frames, and their probability: what CTC is made of.

An alignment names a class for each frame; it spells the labels if what is left of it without repetitions, and then
without blanks, are the labels. After each frame it has reached one of 2 S + 1 states: the blank before label i
(i < S) or after the last one (i = S), or label i itself. A blank is left for its label; a label for the blank behind
it, or, where the next label is another, for that one at once.

Sums over alignments are made in one of two ways. *Sums* are probabilities, over their total in each frame: a few
operations a state, every one of positive numbers, so that each is right to a few units in the last place for each
frame. What falls below `NOTHING` of the total is dropped, and the result stands only if that cannot have mattered.
*Logs* hold any probability that has a logarithm, at the price of an exponential a term: they are for the rest.

The probability of labels that are nearly certain is 1 less what is *lost*: the sum, over frames and states, of the
probability that the frame leads to no state, and of ending in a state that is no end. Its terms keep what 1 - P loses.

Plain loops over slices of one scratch array, so that every compiler takes them. A row of states is its S + 1 blanks,
then its S labels. Arguments: `frames` (T, K) of one sequence, of which `length` count and are enough for the labels;
`labels` (at least S,), `count` is S; `softmax`: whether the frames are logits, and not logarithms of probabilities.
"""

from __future__ import annotations

import math
from typing import Any

__all__ = [
    "backward_logs",
    "backward_sums",
    "forward_logs",
    "forward_lost",
    "forward_sums",
    "frames_needed",
    "weigh",
]

TOTAL = 2.0**500
"""Of the sums after a frame. A power of two: scaling by it rounds nothing."""
NOTHING = 1e-140
"""Sums below this, some 1e-290 of the total, become 0. Times a weight that is not below it, no other underflows."""
UNDROPPED = -600.0
"""What is dropped, of all frames and states, is below e**-640 or so of what there was: next to e**-600, nothing."""


def frames_needed(labels: Any, count: int, skips: Any) -> int:
    """The fewest frames that spell the labels: one each, and a blank between two that are equal.

    skips[i] becomes 1 where label i may follow label i - 1 at once, else 0.
    """
    needed = count
    for i in range(count):
        skips[i] = 1.0 if i > 0 and labels[i] != labels[i - 1] else 0.0
        needed += 1 if i > 0 and skips[i] == 0.0 else 0
    return needed


NEGLIGIBLE = -40.0
"""A term of a sum that is e**-40 of the largest changes no digit of a logarithm beyond 1e-16."""


def weigh(frame: Any, softmax: bool, weights: Any) -> tuple[int, float, float]:
    """(best, rest, scale): ln p of class k is (frame[k] - frame[best]) + scale, of logarithms frame[k].

    Fills `weights` with e**(frame[k] - frame[best]); `rest` is their sum without that of the best class.
    """
    classes, best = frame.size, 0
    for k in range(1, classes):
        if frame[k] > frame[best]:
            best = k
    largest = float(frame[best])
    if largest == -math.inf and not softmax:
        largest = 0.0  # of what is impossible all weights are 0
    for k in range(classes):
        weights[k] = math.exp(float(frame[k]) - largest)
    # Summed without the largest, which is 1: what a nearly certain class leaves to the others is kept.
    one, weights[best] = weights[best], 0.0
    rest, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    fours = classes - classes % 4
    for k in range(0, fours, 4):
        rest += weights[k]
        second += weights[k + 1]
        third += weights[k + 2]
        fourth += weights[k + 3]
    for k in range(fours, classes):
        rest += weights[k]
    weights[best] = one
    rest = (rest + second) + (third + fourth)
    return best, rest, (-math.log1p(rest) if softmax else largest)


# ---- sums


def forward_sums(
    frames: Any, length: int, labels: Any, count: int, blank: int, softmax: bool,
    weights: Any, skips: Any, emissions: Any, alphas: Any, kept: int,
) -> float:  # fmt: skip
    """The logarithm of the probability of the labels; NaN where sums that may matter were dropped.

    `alphas` gets the states after t frames, over their total, in row t modulo `kept`.
    """
    states = 2 * count + 1
    for s in range(states):
        alphas[s] = 0.0
    alphas[0] = TOTAL  # as if a blank had been before
    logarithm, growth, dropped = 0.0, 0.0, -math.inf
    for t in range(length):
        _, rest, scale = weigh(frames[t], softmax, weights)
        # By how much probabilities can grow in this frame: not at all if its own sum to 1.
        growth += 0.0 if softmax else max(0.0, scale + math.log1p(rest))
        before, now = (t % kept) * states, ((t + 1) % kept) * states
        labels_before, labels_now = before + count + 1, now + count + 1
        blank_weight = weights[blank]
        smallest = blank_weight
        for i in range(count):
            emissions[i] = weights[labels[i]]
            smallest = min(smallest, emissions[i])
        alphas[now] = alphas[before] * blank_weight
        total = alphas[now]
        for i in range(count):
            # Before the first label stands a blank in this row, with a factor of 0.
            reached = alphas[labels_before + i] + alphas[before + i] + skips[i] * alphas[labels_before + i - 1]
            alphas[labels_now + i] = reached * emissions[i]
            alphas[now + i + 1] = (alphas[before + i + 1] + alphas[labels_before + i]) * blank_weight
            total += alphas[labels_now + i] + alphas[now + i + 1]
        if not total > NOTHING:
            return math.nan
        factor = TOTAL / total
        for s in range(now, now + states):
            alphas[s] *= factor
            if alphas[s] < NOTHING:
                smallest = 0.0 if alphas[s] > 0.0 else smallest
                alphas[s] = 0.0
        logarithm += math.log(total / TOTAL) + scale
        if smallest < NOTHING and dropped == -math.inf:
            dropped = logarithm - growth
    end = (length % kept) * states
    at_end = alphas[end + count] + (alphas[end + 2 * count] if count > 0 else 0.0)
    if not at_end > 0.0:
        return math.nan
    logarithm += math.log(at_end / TOTAL)
    return logarithm if logarithm - growth - dropped > UNDROPPED else math.nan


def backward_sums(
    count: int, blank_weight: float, emissions: Any, skips: Any, alphas: Any, now: int, betas: Any, shares: Any
) -> None:
    """One frame backward: `shares` gets the probability of each state given the labels, `betas` goes a frame back.

    `betas` are the sums over the rest of the alignments, without the frame itself, on any scale.
    """
    states = 2 * count + 1
    total = 0.0
    for s in range(states):
        shares[s] = alphas[now + s] * betas[s]
        total += shares[s]
    for s in range(states):
        shares[s] /= total
        # About 1 where most alignments are, so that no weight makes it underflow. What is not reached has no share,
        # whatever follows: kept, it might overflow.
        weight = blank_weight if s <= count else emissions[s - count - 1]
        betas[s] = betas[s] * (TOTAL / total) * weight if alphas[now + s] > 0.0 else 0.0
    for i in range(count):
        follows = skips[i + 1] * betas[count + 2 + i] if i + 1 < count else 0.0
        label = betas[count + 1 + i]
        betas[count + 1 + i] = label + betas[i + 1] + follows
        betas[i] += label


# ---- what is lost


def forward_lost(
    frames: Any, length: int, labels: Any, count: int, blank: int, softmax: bool,
    weights: Any, skips: Any, emissions: Any, alphas: Any,
) -> float:  # fmt: skip
    """1 less the probability of the labels, for labels that are likely. `alphas` are two rows of states."""
    states = 2 * count + 1
    for s in range(states):
        alphas[s] = 0.0
    alphas[0] = 1.0
    lost = 0.0
    for t in range(length):
        best, rest, scale = weigh(frames[t], softmax, weights)
        factor = math.exp(scale)
        missed = rest * factor if softmax else -math.expm1(scale)  # 1 less the probability of the best
        before, now = (t % 2) * states, ((t + 1) % 2) * states
        labels_before, labels_now = before + count + 1, now + count + 1
        blank_weight, blank_is_best = weights[blank] * factor, 1.0 if best == blank else 0.0
        for i in range(count):
            emissions[i] = weights[labels[i]] * factor
        alphas[now] = alphas[before] * blank_weight
        for i in range(count + 1):
            # What may follow the blank, then label i: its probability, but for that of the best class, is taken from 1
            # or, where the best is among it, from what the best leaves.
            found, others = blank_is_best, 0.0 if best == blank else blank_weight
            if i < count:
                found += 1.0 if labels[i] == best else 0.0
                others += 0.0 if labels[i] == best else emissions[i]
            lost += alphas[before + i] * ((missed if found > 0.0 else 1.0) - others)
            if i < count:
                reached = alphas[labels_before + i] + alphas[before + i] + skips[i] * alphas[labels_before + i - 1]
                alphas[labels_now + i] = reached * emissions[i]
                alphas[now + i + 1] = (alphas[before + i + 1] + alphas[labels_before + i]) * blank_weight
                if i + 1 < count and skips[i + 1] > 0.0:
                    found += 1.0 if labels[i + 1] == best else 0.0
                    others += 0.0 if labels[i + 1] == best else emissions[i + 1]
                lost += alphas[labels_before + i] * ((missed if found > 0.0 else 1.0) - others)
    end = (length % 2) * states
    for s in range(states - 1):
        lost += alphas[end + s] if s != count else 0.0
    return lost


# ---- logs


def log_of_sum(a: float, b: float, c: float) -> float:
    """ln(e**a + e**b + e**c) to 1e-16; NaN where one is."""
    if b > a:
        a, b = b, a
    if c > a:
        a, c = c, a
    if a == -math.inf:
        return a + b + c
    b -= a
    c -= a
    if b < NEGLIGIBLE and c < NEGLIGIBLE:
        return a
    return a + math.log1p(math.exp(b) + math.exp(c))


def forward_logs(
    frames: Any, length: int, labels: Any, count: int, blank: int, softmax: bool,
    weights: Any, skips: Any, alphas: Any, kept: int,
) -> float:  # fmt: skip
    """The logarithm of the probability of the labels, -inf if that is 0; `alphas` gets logarithms, as they are."""
    states = 2 * count + 1
    for s in range(states):
        alphas[s] = -math.inf
    alphas[0] = 0.0
    for t in range(length):
        frame = frames[t]
        best, _, scale = weigh(frame, softmax, weights)
        largest = float(frame[best]) if softmax else scale
        before, now = (t % kept) * states, ((t + 1) % kept) * states
        for s in range(states):
            i = s if s <= count else s - count - 1
            if s <= count:
                moved = alphas[before + count + i] if i > 0 else -math.inf
                skipped, emitted = -math.inf, blank
            else:
                moved, emitted = alphas[before + i], labels[i]
                skipped = alphas[before + s - 1] if skips[i] > 0.0 else -math.inf
            log_weight = (float(frame[emitted]) - largest) + scale
            alphas[now + s] = log_of_sum(alphas[before + s], moved, skipped) + log_weight
    end = (length % kept) * states
    return log_of_sum(alphas[end + count], alphas[end + 2 * count] if count > 0 else -math.inf, -math.inf)


def backward_logs(
    frame: Any, labels: Any, count: int, blank: int, offset: float, skips: Any, alphas: Any, now: int, betas: Any,
    shares: Any,
) -> None:  # fmt: skip
    """As `backward_sums`, of logarithms; `offset` is ln p less what `frame` has.

    Shares are over their own sum, and not over the probability of the labels: what logarithms as large as these have
    rounded is nearly the same for all states.
    """
    states = 2 * count + 1
    largest, total = -math.inf, 0.0
    for s in range(states):
        shares[s] = alphas[now + s] + betas[s]
        largest = max(largest, shares[s])
        betas[s] += float(frame[blank if s <= count else labels[s - count - 1]]) + offset
    for s in range(states):
        shares[s] = math.exp(shares[s] - largest)
        total += shares[s]
    for s in range(states):
        shares[s] /= total
    for i in range(count):
        follows = betas[count + 2 + i] if i + 1 < count and skips[i + 1] > 0.0 else -math.inf
        label = betas[count + 1 + i]
        betas[count + 1 + i] = log_of_sum(label, betas[i + 1], follows)
        betas[i] = log_of_sum(betas[i], label, -math.inf)
