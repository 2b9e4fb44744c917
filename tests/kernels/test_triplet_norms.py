"""The powers of a norm: of shares of the largest difference, and the root of their sum."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from lossctl_kernels.losses.triplet_norms import power_of_share, root

SHARES = [1.0, 1.0 - 2.0**-53, 0.9, 0.5, 1e-3, 1e-100, 2.2250738585072014e-308, 5e-324, 0.0]
EXPONENTS = [1.0, 1.0 + 1e-9, 1.3, 3.0, 7.5, 200.0]


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("share", SHARES)
def test_powers_of_shares(share: float, exponent: float) -> None:
    """To what a sum of them and 1 can show, and relative to the power as far as its logarithm is exact."""
    found = power_of_share(share, exponent)
    exact = mpmath.mpf(share) ** exponent
    size = 0.0 if share == 0.0 else abs(exponent * math.log(share))
    assert abs(found - exact) <= max((size + 2.0) * 2.0**-52 * exact, mpmath.exp(-700))


@pytest.mark.parametrize("norm", EXPONENTS)
@pytest.mark.parametrize("total", [1.0, 1.0 + 2.0**-52, 1.5, 2.0, 40.0, 1e6, 1e300])
def test_roots(total: float, norm: float) -> None:
    exact = mpmath.mpf(total) ** (1 / mpmath.mpf(norm))
    assert abs(root(total, norm) - exact) <= (math.log(total) / norm + 2.0) * 2.0**-52 * exact


@pytest.mark.parametrize("norm", EXPONENTS)
def test_nothing_infinity_and_nan_stay_what_they_are(norm: float) -> None:
    with np.errstate(all="ignore"):
        assert root(0.0, norm) == 0.0
        for function in (power_of_share, root):
            assert function(math.inf, norm) == math.inf
            assert math.isnan(function(math.nan, norm))
