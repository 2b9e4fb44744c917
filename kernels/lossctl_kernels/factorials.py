"""Logarithms of factorials. Written as `scalar.py` says."""

from __future__ import annotations

import numpy as np

from .logarithms import log, log_of_positive
from .primitives import HALF_LOG_TWO_PI, square, where


def _up_to_five_quarters(x: float) -> float:
    """ln Γ(1 + x) over x (x - 1) for 0 <= x <= 1.25."""
    t = 1.6 * x - 1.0
    p = -9.464334454479569e-11
    p = p * t + 2.472578992713468e-10
    p = p * t + -1.5040429259814036e-10
    p = p * t + 4.6197855873232734e-10
    p = p * t + -2.5101057299509634e-09
    p = p * t + 6.765254086129429e-09
    p = p * t + -1.69217516013913e-08
    p = p * t + 4.68422842043782e-08
    p = p * t + -1.3117065993155475e-07
    p = p * t + 3.648557756753008e-07
    p = p * t + -1.0196677110627935e-06
    p = p * t + 2.8693158016078853e-06
    p = p * t + -8.133800231749114e-06
    p = p * t + 2.3266151223242466e-05
    p = p * t + -6.73183788516336e-05
    p = p * t + 0.0001977247487565534
    p = p * t + -0.000592751542593674
    p = p * t + 0.0018298211605892111
    p = p * t + -0.0059068448317075774
    p = p * t + 0.020538838367352985
    p = p * t + -0.08223686955427129
    p = p * t + 0.46580963736232694
    return p


def _up_to_four(x: float) -> float:
    """The same for 1.25 <= x <= 4."""
    u = (2.0 * x - 5.25) / 2.75
    q = 2.3648337924093397e-11
    q = q * u + -6.239097470142711e-11
    q = q * u + 3.4814513175365594e-11
    q = q * u + -1.0897817149623232e-10
    q = q * u + 6.426008174134708e-10
    q = q * u + -1.7428206038320738e-09
    q = q * u + 4.3345901266427626e-09
    q = q * u + -1.2077180383753517e-08
    q = q * u + 3.4082920026038206e-08
    q = q * u + -9.526491447896446e-08
    q = q * u + 2.6729471596326367e-07
    q = q * u + -7.546427095813951e-07
    q = q * u + 2.1438744982008395e-06
    q = q * u + -6.136248987072583e-06
    q = q * u + 1.772672654323063e-05
    q = q * u + -5.1809105809834966e-05
    q = q * u + 0.00015370241052739116
    q = q * u + -0.0004651191514980967
    q = q * u + 0.0014464627611103403
    q = q * u + -0.004680473216804941
    q = q * u + 0.016122494403126998
    q = q * u + -0.06217143260790934
    q = q * u + 0.3144708168365697
    return q


def _stirling_rest(x: float) -> float:
    """What Stirling's formula lacks, for x >= 4: a polynomial in (4/x)², over x."""
    w = square(4.0 / x)
    r = 8.713931088827409e-13
    r = r * w + -6.908647504729469e-12
    r = r * w + 2.937944108266597e-11
    r = r * w + -1.016704375715143e-10
    r = r * w + 3.7813133024051656e-10
    r = r * w + -1.8274536586169934e-09
    r = r * w + 1.284384862771275e-08
    r = r * w + -1.4532177079962954e-07
    r = r * w + 3.1001984108570113e-06
    r = r * w + -0.0001736111111110664
    r = r * w + 0.08333333333333333
    return r / x


def _factorial_parts(x: float) -> tuple[float, float]:
    """(ln Γ(1 + x) for 0 <= x <= 4, what Stirling's formula lacks for x >= 4).

    Below 4 it is x (x - 1) times a polynomial, so that its zeros at 0 and 1 keep their digits. All three polynomials
    are interpolated at the zeros of Chebyshev polynomials, relative errors 2**-54 and below.
    """
    small = x * (x - 1.0) * where(x < 1.25, _up_to_five_quarters(x), _up_to_four(x))
    return small, _stirling_rest(where(x < 4.0, 4.0, x))


def log_factorial(x: float) -> float:
    """ln Γ(1 + x), x >= 0; below 4 ulp. NaN below 0, inf at inf. From 4 on by Stirling's formula."""
    small, rest = _factorial_parts(x)
    far = where(x < 4.0, 4.0, x)
    large = ((far + 0.5) * log(far) - far) + (HALF_LOG_TWO_PI + rest)
    result = where(x < 4.0, small, large)
    return where(x >= 0.0, where(x < np.inf, result, x), np.nan)


def factorial_excess(x: float) -> float:
    """ln Γ(1 + x) - (x ln x - x), x >= 0; below 4 ulp. Nothing cancels: of a large x it is ln(2πx)/2. NaN for NaN."""
    small, rest = _factorial_parts(x)
    logarithm = log_of_positive(x)
    result = where(x < 4.0, small + (x - x * logarithm), 0.5 * logarithm + (HALF_LOG_TWO_PI + rest))
    return where(x < np.inf, result, x)
