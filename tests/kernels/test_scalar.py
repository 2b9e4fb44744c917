"""The elementary functions: accuracy against mpmath, special values, and vector code in the emitted assembly."""

from __future__ import annotations

import functools
import inspect
import math
import platform
import re
from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numba
import numpy as np
import pytest

from lossctl_kernels import scalar
from lossctl_kernels.batch import Column
from lossctl_kernels.program import Program
from lossctl_kernels.recipes import Layout, Recipe
from tests.kernels import block_code
from tests.kernels.scalar_reference import BINARY, REFERENCES, Array, arguments, every_binade, ulp_error

NAN, INF = math.nan, math.inf
# What is no function of a float64, or one of a part of its range: see `PARTS` for those.
HELPERS = {
    *("where", "is_subnormal", "bits_of", "float_of", "power_of_two_scale", "split", "log_of_product"),
    *("log1p_remainder", "log_of_positive", "normal_exp", "normal_expm1", "factorial_excess"),
    *("leading_half", "power_of_two", "difference", "reduced_exp", "exp_pair", "log1p_slope"),
}
UNARY = sorted(set(scalar.ULP_BOUNDS) - set(BINARY))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with np.errstate(all="ignore"), mpmath.workdps(80):
        yield


@functools.cache
def compiled(function: Callable[..., float]) -> Any:
    """A block function of which this is the whole program, compiled as those of losses are."""
    names = tuple(inspect.signature(function).parameters)
    finish = (lambda a: function(a[0])) if len(names) == 1 else (lambda a: function(a[0], a[1]))
    program = Program("value", function.__name__, (), (), finish)
    return block_code.compiled(Recipe(Layout("flat", "float64"), program))


def call_block(fill: Any, *columns: Any) -> Array:
    """The results of a block function over one column or two."""
    x, y = np.ascontiguousarray(columns[0]), np.ascontiguousarray(columns[-1])
    out, report, bounds = np.empty(x.size), np.zeros(len(Column)), np.array([-INF, INF, -INF, INF, -1.0, -1.0])
    fill(x.size, 1, x, y, None, None, bounds, None, out, report)
    return out


def run_compiled(name: str, *columns: Array) -> Array:
    return call_block(compiled(getattr(scalar, name)), *columns)


def run_interpreted(name: str, *columns: Array) -> Array:
    return np.asarray(getattr(scalar, name)(*columns))


FORMS = [pytest.param(run_compiled, id="compiled"), pytest.param(run_interpreted, id="interpreted")]


def both(name: str, *columns: Array) -> list[Array]:
    return [run_compiled(name, *columns), run_interpreted(name, *columns)]


def worst(results: list[Array], exact: list[mpmath.mpf]) -> float:
    """The largest error of any result, in ulp."""
    return max(ulp_error(float(value), true) for result in results for value, true in zip(result, exact, strict=True))


def test_every_public_function_has_a_bound_and_an_oracle() -> None:
    public = {name for name, item in vars(scalar).items() if inspect.isfunction(item) and name in scalar.__all__}
    assert public - HELPERS == set(scalar.ULP_BOUNDS) == set(REFERENCES)


@pytest.mark.parametrize("name", UNARY)
def test_every_binade_threshold_and_dense_range_is_within_the_bound(name: str) -> None:
    x = arguments(name, seed=len(name))
    exact = [REFERENCES[name](mpmath.mpf(value)) for value in x.tolist()]
    assert worst(both(name, x), exact) <= scalar.ULP_BOUNDS[name]


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_arguments_are_within_the_bound(name: str) -> None:
    rng = np.random.default_rng(7)
    x, y = every_binade(rng, 1), np.abs(rng.permutation(every_binade(rng, 1)))
    near_one = rng.uniform(0.5, 1.5, 1500)
    x, y = np.concatenate([x, rng.uniform(-3.0, 3.0, 1500)]), np.concatenate([y, near_one])
    exact = [REFERENCES[name](mpmath.mpf(a), mpmath.mpf(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    assert worst(both(name, x, y), exact) <= scalar.ULP_BOUNDS[name]


SPECIAL_VALUES: dict[str, list[tuple[float, float]]] = {
    "log": [(0.0, -INF), (-0.0, -INF), (-1.0, NAN), (-5e-324, NAN), (-INF, NAN), (INF, INF), (NAN, NAN), (1.0, 0.0)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (-1.5, NAN), (-INF, NAN), (INF, INF), (NAN, NAN)],
    "exp": [(0.0, 1.0), (-0.0, 1.0), (-INF, 0.0), (INF, INF), (NAN, NAN), (709.79, INF), (-745.14, 0.0)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (-INF, -1.0), (INF, INF), (NAN, NAN), (-5e-324, -5e-324), (709.79, INF)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN), (-5e-324, -5e-324), (-20.0, -1.0)],
    "sigmoid": [(0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, 0.0), (NAN, NAN), (-746.0, 0.0)],
    "softplus": [(INF, INF), (-INF, 0.0), (NAN, NAN), (1e308, 1e308), (0.0, math.log(2.0))],
    "log_sigmoid": [(INF, -0.0), (-INF, -INF), (NAN, NAN), (-1e308, -1e308)],
    "log_cosh": [(0.0, 0.0), (-0.0, 0.0), (INF, INF), (-INF, INF), (NAN, NAN), (-1e308, 1e308), (1e-200, 0.0)],
    "log1p_gap": [(0.0, 0.0), (-0.0, 0.0), (-1.0, INF), (-1.5, NAN), (-INF, NAN), (INF, INF), (NAN, NAN)],
    "log_factorial": [(0.0, -0.0), (1.0, 0.0), (-5e-324, NAN), (-INF, NAN), (INF, INF), (NAN, NAN)],
    "sqrt": [(0.0, 0.0), (-1.0, NAN), (INF, INF), (NAN, NAN)],
    "square": [(-0.0, 0.0), (1e200, INF), (-INF, INF), (NAN, NAN)],
    "absolute": [(-0.0, 0.0), (-INF, INF), (NAN, NAN)],
    "sign": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN), (-5e-324, -1.0)],
    "power_of_two_scale": [(0.0, 1.0), (-0.0, 1.0), (INF, 1.0), (-INF, 1.0), (NAN, 1.0), (1.0, 1.0), (-3.0, 0.5)],
}
SPECIAL_PAIRS: dict[str, list[tuple[float, float, float]]] = {
    "xlogy": [
        *((zero, y, 0.0) for zero in (0.0, -0.0) for y in (0.0, -0.0, -1.0, INF, -INF, 0.5)),
        *((0.0, NAN, NAN), (NAN, 1.0, NAN), (NAN, 0.0, NAN), (1.0, 0.0, -INF), (-2.0, 0.0, INF), (1.0, -1.0, NAN)),
        *((INF, 2.0, INF), (INF, 1.0, NAN), (2.0, INF, INF)),
    ],
    "maximum": [(1.0, 2.0, 2.0), (2.0, 1.0, 2.0), (NAN, 1.0, NAN), (1.0, NAN, NAN), (-INF, NAN, NAN), (-INF, INF, INF)],
    "minimum": [(1.0, 2.0, 1.0), (2.0, 1.0, 1.0), (NAN, 1.0, NAN), (1.0, NAN, NAN), (INF, NAN, NAN), (-INF, INF, -INF)],
}


def same(a: Array, b: Array) -> bool:
    """Equal, signs of zeros included; NaN equals NaN."""
    signs = (np.signbit(a) == np.signbit(b)) | np.isnan(a)
    return bool(np.all(signs) and np.array_equal(a, b, equal_nan=True))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SPECIAL_VALUES)
def test_special_values(name: str, form: Callable[..., Array]) -> None:
    x, expected = np.array(SPECIAL_VALUES[name]).T.copy()
    # Repeated, so that the vector code and the remainder loop both see each value.
    np.testing.assert_array_equal(form(name, np.repeat(x, 33)), np.repeat(expected, 33))
    assert same(form(name, x), expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SPECIAL_PAIRS)
def test_special_pairs(name: str, form: Callable[..., Array]) -> None:
    x, y, expected = np.array(SPECIAL_PAIRS[name]).T.copy()
    assert same(form(name, np.repeat(x, 33), np.repeat(y, 33)), np.repeat(expected, 33))


@pytest.mark.parametrize("payload", [0x7FF8000000000001, 0x7FFFFFFFFFFFFFFF, -1])
@pytest.mark.parametrize("form", FORMS)
def test_a_nan_of_any_payload_stays_nan(form: Callable[..., Array], payload: int) -> None:
    x = np.full(40, payload, dtype=np.int64).view(np.float64)
    for name in UNARY:
        assert np.isnan(form(name, x)).all(), name


@pytest.mark.parametrize("form", FORMS)
def test_power_of_two_scale_makes_every_number_of_order_one(form: Callable[..., Array]) -> None:
    x = every_binade(np.random.default_rng(3), 1)
    scale = form("power_of_two_scale", x)
    assert np.all(np.frexp(scale)[0] == 0.5)
    assert np.all(np.isfinite(1.0 / scale))
    scaled = np.abs(x) * scale
    normal = np.abs(x) >= 2.0**-1022
    assert np.all(scaled >= np.where(normal, 1.0, 2.0**-51))
    assert np.all(scaled < np.where(np.abs(x) < 2.0**1023, 2.0, 4.0))


PARTS: dict[str, tuple[Callable[[mpmath.mpf], mpmath.mpf], float, float, float]] = {
    "log_of_positive": (mpmath.log, 2.0**-1074, 2.0**1023, 1.0),
    "normal_exp": (mpmath.exp, -708.0, 709.0, 1.0),
    "normal_expm1": (mpmath.expm1, 0.0, 36.0, 3.0),
    "factorial_excess": (lambda x: REFERENCES["log_factorial"](x) - x * (mpmath.log(x) - 1), 1e-300, 1e40, 4.0),
}
"""Functions of a part of the range: what they are, from where to where, and how many ulp they may be off."""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PARTS)
def test_functions_of_a_part_of_the_range_are_within_their_bound(name: str, form: Callable[..., Array]) -> None:
    exact, low, high, bound = PARTS[name]
    rng = np.random.default_rng(6)
    x = np.concatenate([arguments("exp", seed=5), rng.uniform(low, min(high, 800.0), 2000)])
    x = x[(x >= low) & (x <= high)]
    assert worst([form(name, x)], [exact(mpmath.mpf(value)) for value in x.tolist()]) <= bound


def test_what_was_stored_in_32_bits_is_not_taken_for_a_subnormal_number() -> None:
    """Nothing is compiled for it, and every float32 comes out right all the same."""
    program = Program("value", "log_of_positive", (), (), lambda a: scalar.log_of_positive(a[0]))
    narrow, wide = (block_code.compiled(Recipe(Layout("flat", d), program)) for d in ("float32", "float64"))
    x = np.abs(every_binade(np.random.default_rng(14), 1)).astype(np.float32)
    x = x[(x > 0.0) & np.isfinite(x)]
    found = call_block(narrow, x, x)
    np.testing.assert_array_equal(found, call_block(wide, x.astype(float), x.astype(float)))
    assert len(narrow.assembly.splitlines()) < len(wide.assembly.splitlines())


@pytest.mark.parametrize("name", UNARY)
def test_one_python_float_gives_what_an_array_gives(name: str) -> None:
    x = np.array([0.25, 0.9, 3.5, -0.0, 0.0, 700.0, -0.4, -1.0, -2.0, INF, -INF, NAN])
    function = getattr(scalar, name)
    assert same(np.array([function(value) for value in x.tolist()]), run_interpreted(name, x))


@pytest.mark.parametrize("name", ["log", "log1p", "exp", "expm1", "tanh", "sigmoid", "softplus"])
@pytest.mark.parametrize("form", FORMS)
def test_monotonic_across_changes_of_formula(name: str, form: Callable[..., Array]) -> None:
    x = np.concatenate([np.linspace(-30.0, 30.0, 20001), np.linspace(0.2, 1.6, 20001), np.linspace(-1.1, -0.2, 20001)])
    x = np.sort(x if name not in ("log", "log1p") else x[x > 0.0])
    assert np.all(np.diff(form(name, x)) >= 0.0)


def test_a_function_may_not_branch_on_its_argument() -> None:
    with pytest.raises(TypeError, match="where"):
        compiled(lambda x: 1.0 if x > 0.0 else 0.0)


# ---- the emitted assembly --------------------------------------------------------------------------------------------
PACKED = re.compile(r"\bv(?:add|sub|mul|div|sqrt|max|min|cmp\w*|fn?m(?:add|sub)\d+|and|xor|blend\w*)pd\s.*%[yz]mm")
LIBM = re.compile(r"\b(?:exp|exp2|expm1|log|log1p|log2|pow|sinh|cosh|tanh|sqrt|floor|rint|ldexp|frexp|fmax|fmin)\b")
assembly = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64") or bool(numba.config.DISABLE_JIT),
    reason="reads the assembly that Numba emits for x86-64",
)


def is_vector_code(text: str) -> bool:
    """Packed double arithmetic in the assembly, and no call of the C library's mathematics."""
    calls = [line for line in text.splitlines() if re.search(r"\b(?:call|movabs)", line)]
    return bool(PACKED.search(text)) and not any(LIBM.search(line) for line in calls)


@assembly
@pytest.mark.parametrize("name", sorted({*scalar.ULP_BOUNDS, "power_of_two_scale"} - {"absolute", "square"}))
def test_a_loop_over_it_becomes_vector_code(name: str) -> None:
    assert is_vector_code(compiled(getattr(scalar, name)).assembly)


@assembly
def test_the_check_for_vector_code_sees_its_absence() -> None:
    @numba.njit(numba.void(numba.float64[::1]))
    def from_libm(x):  # type: ignore[no-untyped-def]
        for i in range(x.size):
            x[i] = math.exp(x[i])

    (text,) = from_libm.inspect_asm().values()
    assert not is_vector_code(text)
