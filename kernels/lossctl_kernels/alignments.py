"""The alignments of a list of labels to a sequence of frames, and their probability: what CTC is made of.

An alignment names a class for each frame; it spells the labels if what is left of it without repetitions, and then
without blanks, are the labels. After each frame it has reached one of 2 S + 1 states: the blank before label i
(i < S) or after the last one (i = S), or label i itself. A blank is left for its label; a label for the blank behind
it, or, where the next label is another, for that one at once.

The probability of a state may be far below the smallest float64. It is a number times a power of `UNIT`, its *units*, a
whole number, minus infinity for what cannot be. Sums and products of those are a few operations, every one of positive
numbers, so that each is right to a few units in the last place for each frame.

The probability of labels that are nearly certain is 1 less what is *lost*: the sum, over frames and states, of the
probability that the frame leads to no state, and of ending in a state that is no end. Its terms keep what 1 - P loses.

Plain loops over slices of one scratch array, so that every compiler takes them. A row of states is its S + 1 blanks,
then its S labels, then the units of all. `emissions` and `units` have the S labels, then the blank, of each frame that
they are of: `FRAMES_AT_ONCE` or fewer, whose numbers are asked of memory together. Other arguments:
`frames` (T, K) of one sequence, of which `length` count and are enough for the labels; `labels` (at least S,), `count`
is S; `softmax`: whether the frames are logits, and not logarithms of probabilities; `facts`: of each frame of logits
the largest, and the sum of e**(logit - largest) of the others.
"""

from __future__ import annotations

import math
from typing import Any

from .row_vectors import exponentials, largest_of, sum_of_others
from .scalar import LN2_HIGH, LN2_LOW, LOG2_E, SHIFT

UNIT, PER_UNIT = 2.0**256, 2.0**-256
LARGEST, SMALLEST = 2.0**128, 2.0**-128
"""Of a number beside its units. What is two units less is then too small to be noticed in a sum."""
UNITS_PER_NAT = LOG2_E / 256.0
UNIT_HIGH, UNIT_LOW = 256.0 * LN2_HIGH, 256.0 * LN2_LOW
"""The logarithm of a unit, in two parts."""
HALF_UNIT = 90.0
"""A little more than half of it."""

FRAMES_AT_ONCE = 8


def frames_needed(labels: Any, count: int, skips: Any) -> int:
    """The fewest frames that spell the labels: one each, and a blank between two that are equal.

    skips[i] becomes 1 where label i may follow label i - 1 at once, else 0.
    """
    needed = count
    for i in range(count):
        skips[i] = 1.0 if i > 0 and labels[i] != labels[i - 1] else 0.0
        needed += 1 if i > 0 and skips[i] == 0.0 else 0
    return needed


# ---- numbers and their units


def settled(number: float, units: float) -> tuple[float, float]:
    """The same, with a number that is neither large nor small, of one that is so by one unit at most."""
    factor = PER_UNIT if number > LARGEST else (UNIT if number < SMALLEST else 1.0)
    return number * factor, units + (1.0 if number > LARGEST else (-1.0 if number < SMALLEST else 0.0))


def within(units: float, most: float) -> float:
    """What a number of so many units is multiplied by to be of `most`, which is more."""
    return 1.0 if units == most else (PER_UNIT if units == most - 1.0 else 0.0)


def weigh(
    frames: Any, start: int, stop: int, labels: Any, count: int, blank: int, softmax: bool, facts: Any,
    emissions: Any, units: Any,
) -> int:  # fmt: skip
    """The emissions of the labels and the blank, e**(frame[k] - largest), and their units, in frames before `stop`.

    Returns how many of them have an exponent that is not 0 or less: no logarithms of probabilities.
    """
    place, wrong = 0, 0
    for t in range(start, stop):
        largest = facts[2 * t] if softmax else 0.0
        for i in range(count + 1):
            x = float(frames[t, labels[i] if i < count else blank]) - largest
            emissions[place] = x
            wrong += 0 if x <= 0.0 else 1
            place += 1
    for i in range(place):
        x = emissions[i]
        whole = (x * UNITS_PER_NAT + SHIFT) - SHIFT
        units[i] = whole
        # Of minus infinity not a number, which max leaves out; of what is beyond 2**52 units without a meaning.
        emissions[i] = min(max(-HALF_UNIT, (x - whole * UNIT_HIGH) - whole * UNIT_LOW), HALF_UNIT)
    exponentials(emissions[:place], 0.0, 1.0, emissions)
    return wrong


# ---- forward and backward


def forward(
    frames: Any, length: int, labels: Any, count: int, blank: int, softmax: bool,
    skips: Any, facts: Any, emissions: Any, units: Any, alphas: Any, kept: int,
) -> float:  # fmt: skip
    """The logarithm of the probability of the labels, -inf if that is 0, NaN if what it is made of is no probability.

    `alphas` gets the states after t frames in row t modulo `kept`, of weights relative to the largest.
    """
    states = 2 * count + 1
    clear(alphas, states)
    alphas[states] = 0.0  # as if a blank had been before
    logarithm, wrong = 0.0, 0
    for start in range(0, length, FRAMES_AT_ONCE):
        stop = min(start + FRAMES_AT_ONCE, length)
        if softmax:
            for t in range(start, stop):
                facts[2 * t] = largest_of(frames[t])
                facts[2 * t + 1] = sum_of_others(frames[t], facts[2 * t])
                logarithm -= math.log1p(facts[2 * t + 1])
        wrong += weigh(frames, start, stop, labels, count, blank, softmax, facts, emissions, units)
        for t in range(start, stop):
            before, now = alphas[(t % kept) * 2 * states :], alphas[((t + 1) % kept) * 2 * states :]
            place = (t - start) * (count + 1)
            step_forward(before, now, count, skips, emissions[place:], units[place:])
    number, more = ending(alphas[(length % kept) * 2 * states :], count)
    if wrong > 0 and not softmax:
        return math.nan
    return logarithm + (math.log(number) + more * (UNIT_HIGH + UNIT_LOW))


def clear(row: Any, states: int) -> None:
    """States of which none can be."""
    for s in range(states):
        row[s], row[states + s] = 1.0, -math.inf


def ending(row: Any, count: int) -> tuple[float, float]:
    """The probability of the two states that are ends, and its units."""
    states = 2 * count + 1
    label, label_units = row[states - 1], row[2 * states - 1] if count > 0 else -math.inf
    most = max(row[states + count], label_units)
    return row[count] * within(row[states + count], most) + label * within(label_units, most), most


def step_forward(before: Any, now: Any, count: int, skips: Any, emissions: Any, units: Any) -> None:
    """The states after a frame from those before it."""
    states, first = 2 * count + 1, count + 1
    weight, weight_units = emissions[count], units[count]
    now[0], now[states] = settled(before[0] * weight, before[states] + weight_units)
    for i in range(count):
        label, label_units = before[first + i], before[states + first + i]
        blank, blank_units = before[i], before[states + i]
        # Before the first label stands a blank in this row, which is not skipped to.
        last, last_units = before[count + i], before[states + count + i] if skips[i] > 0.0 else -math.inf
        most = max(label_units, blank_units, last_units)
        reached = label * within(label_units, most) + blank * within(blank_units, most)
        reached += last * within(last_units, most)
        now[first + i], now[states + first + i] = settled(reached * emissions[i], most + units[i])
        following, following_units = before[i + 1], before[states + i + 1]
        most = max(label_units, following_units)
        reached = label * within(label_units, most) + following * within(following_units, most)
        now[i + 1], now[states + i + 1] = settled(reached * weight, most + weight_units)


def backward(
    count: int, skips: Any, emissions: Any, units: Any, alphas: Any, betas: Any, spans: Any, shares: Any
) -> None:
    """One frame backward: `shares` gets the probability of each state given the labels, `betas` goes a frame back.

    `betas` are the sums over the rest of the alignments, without the frame itself. Shares are over their own sum, and
    not over the probability of the labels: of extreme weights both are rounded alike.
    """
    states, first = 2 * count + 1, count + 1
    for s in range(states):
        i = count if s <= count else s - first
        shares[s], spans[s] = alphas[s] * betas[s], alphas[states + s] + betas[states + s]
        betas[s], betas[states + s] = settled(betas[s] * emissions[i], betas[states + s] + units[i])
    total, most = 0.0, largest_of(spans[:states])
    for s in range(states):
        # Products of two numbers reach two units further.
        shares[s] *= within(spans[s], most) + (PER_UNIT * PER_UNIT if spans[s] == most - 2.0 else 0.0)
        total += shares[s]
    for s in range(states):
        shares[s] /= total
    for i in range(count):
        label, label_units = betas[first + i], betas[states + first + i]
        blank, blank_units = betas[i + 1], betas[states + i + 1]
        following, following_units = 0.0, -math.inf
        if i + 1 < count and skips[i + 1] > 0.0:
            following, following_units = betas[first + i + 1], betas[states + first + i + 1]
        most = max(label_units, blank_units, following_units)
        total = label * within(label_units, most) + blank * within(blank_units, most)
        betas[first + i] = total + following * within(following_units, most)
        betas[states + first + i] = most
        own_units = betas[states + i]
        most = max(own_units, label_units)
        betas[i] = betas[i] * within(own_units, most) + label * within(label_units, most)
        betas[states + i] = most


# ---- what is lost


def forward_lost(
    frames: Any, length: int, labels: Any, count: int, blank: int, softmax: bool,
    skips: Any, facts: Any, emissions: Any, alphas: Any,
) -> float:  # fmt: skip
    """1 less the probability of the labels, for labels that are likely. `alphas` are two rows, without units."""
    states = 2 * count + 1
    for s in range(states):
        alphas[s] = 0.0
    alphas[0] = 1.0
    lost = 0.0
    for t in range(length):
        best, missed = weigh_all(frames[t], labels, count, blank, softmax, facts, t, emissions)
        before, now = (t % 2) * states, ((t + 1) % 2) * states
        labels_before, labels_now = before + count + 1, now + count + 1
        blank_weight, blank_is_best = emissions[count], 1.0 if best == blank else 0.0
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


def weigh_all(
    frame: Any, labels: Any, count: int, blank: int, softmax: bool, facts: Any, t: int, emissions: Any
) -> tuple[int, float]:
    """(the likeliest class among the blank and the labels, 1 less its probability); the emissions become
    probabilities."""
    largest, rest = (facts[2 * t], facts[2 * t + 1]) if softmax else (0.0, 0.0)
    emissions[count] = float(frame[blank]) - largest
    best, ahead = blank, emissions[count]
    for i in range(count):
        emissions[i] = float(frame[labels[i]]) - largest
        if emissions[i] > ahead:
            best, ahead = labels[i], emissions[i]
    exponentials(emissions[: count + 1], 0.0, 1.0 / (1.0 + rest), emissions)
    if softmax:
        # Where it is the largest of all, what it lacks is what the others have.
        return best, (rest if ahead == 0.0 else (1.0 + rest) - math.exp(ahead)) / (1.0 + rest)
    return best, -math.expm1(ahead)
