"""The words of gates that are no names of losses: what the grammar keeps for itself, and the functions there are."""

from __future__ import annotations

from lossctl.results import COUNTS

WORDS = ("and", "or", "not", "base")
"""What is no name of anything."""

GAP = "gap"
"""The function of all slices by some columns: the largest value less the smallest."""

QUANTILES = ("p50", "p90", "p95", "p99")

STATISTICS = ("std_error", "ci_low", "ci_high", "min", *QUANTILES, "max")
"""What only losses of single samples have."""

FUNCTIONS = ("mean", *STATISTICS, "count", *COUNTS)

OF_SLICES = ("mean", "std_error", "ci_low", "ci_high", "count", "samples", "nonfinite")
"""The functions that slices have."""
