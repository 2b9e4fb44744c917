"""Losses with further inputs: gradients with respect to every array, their kinks, extreme magnitudes, odd shapes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from lossctl_kernels import LOSSES, Loss, Plan, SpecificationError, objects, resolve, roads
from lossctl_kernels.batch import Batch, input_arrays
from lossctl_kernels.domains import NONNEGATIVE, POSITIVE
from lossctl_kernels.interpreted import Interpreter
from lossctl_kernels.recipes import all_recipes, recipe_of
from lossctl_kernels.scalar import square
from lossctl_kernels.spec import Input, InputShape, Monoid, Scope, fold, gradient_of, loss, registering
from tests.kernels import reference
from tests.kernels.cases import Case, by_loss, draw, each, for_each_loss, parametrize, variants
from tests.kernels.engines import assert_close, backend_of, backends, flattened, sample_gradients, sample_losses
from tests.kernels.further import drawn_inputs
from tests.kernels.paired_formulas import PAIRED

RTOL, ATOL, ROWS = 1e-12, 1e-15, 4
engines = pytest.mark.parametrize("backend", backends())
CASES = [case for case in variants() if case.loss in PAIRED]
# Every family of distances in every mode, with and without the swap.
TRIPLETS = [
    *(
        Case("triplet_margin", {"norm": norm, "swap": swap, "eps": 0.3, "eps_mode": mode})
        for norm, swap, mode in itertools.product((1, 2, 3.5), (False, True), ("shift", "sq_add"))
    ),
    *(
        Case("triplet_margin", {"distance": distance, "swap": swap, "margin": margin})
        for distance, swap, margin in itertools.product(("sqeuclidean", "cosine"), (False, True), (0.0, 4.0))
    ),
    Case("triplet_margin", {"distance": "sqeuclidean", "swap": True, "eps": 0.3}),
    Case("triplet_margin", {"distance": "sqeuclidean", "eps": 0.3, "eps_mode": "sq_add"}),
]
# One for each layout of each kind of definition: single values, tiles of rows, rows.
PLAIN = Interpreter()
LAYOUTS = [
    *((case, width, "float32") for case in (Case("gaussian_nll"), Case("margin_ranking")) for width in (1, 4, 40)),
    *((Case("cosine_embedding", {"margin": 0.1}), width, dtype) for width, dtype in ((4, "float32"), (40, "float64"))),
    *((Case("triplet_margin", {"norm": norm}), width, "float64") for norm, width in ((2, 4), (2, 40), (3, 40))),
    (Case("triplet_margin", {"swap": True}), 40, "float32"),
]


def names_of(case: Case) -> tuple[str, ...]:
    return case.plan().gradient_names


def check(case: Case, backend: str, width: int = 3, dtype: str = "float64") -> None:
    """Values, and derivatives with respect to each array, are those of 60-digit arithmetic."""
    engine, plan, data = backend_of(backend), case.plan(width, dtype), draw(case, ROWS, width, dtype)
    rtol, atol = (RTOL, ATOL) if dtype == "float64" else (6.1e-8, 1e-12)
    assert_close(sample_losses(engine, plan, *data), reference.losses(case.loss, case.options, *data), RTOL, ATOL)
    for name in plan.gradient_names:
        found = sample_gradients(engine, plan, *data, of=name)
        if name == "prediction":
            exact = flattened(reference.gradients(case.loss, case.options, *data))
        else:
            exact = flattened(reference.gradients_of(name, case.loss, case.options, *data))
        assert found.dtype == np.dtype(dtype)
        assert_close(found, exact, rtol, atol)


def test_what_has_a_gradient_by_other_arrays() -> None:
    found = {name: names_of(Case(name)) for name in PAIRED}
    assert found == {
        "gaussian_nll": ("prediction", "var"),
        "margin_ranking": ("prediction", "target"),
        "cosine_embedding": ("prediction", "target"),
        "triplet_margin": ("prediction", "target", "negative"),
    }
    assert names_of(Case("zero_one")) == ()
    assert names_of(Case("bce")) == ("prediction",)


@engines
@for_each_loss(CASES)
def test_every_derivative(cases: list[Case], backend: str) -> None:
    each(cases, lambda case: check(case, backend))


@engines
@pytest.mark.parametrize("cases", by_loss(TRIPLETS).values(), ids=["triplet_margin"])
def test_every_family_of_distances(cases: list[Case], backend: str) -> None:
    each(cases, lambda case: check(case, backend))


@pytest.mark.parametrize("backend", backends()[1:])
@pytest.mark.parametrize(("case", "width", "dtype"), LAYOUTS, ids=["-".join(map(str, layout)) for layout in LAYOUTS])
def test_every_layout_agrees_with_the_interpreter(case: Case, width: int, dtype: str, backend: str) -> None:
    plan, data = case.plan(width, dtype), draw(case, 37, width, dtype)
    rtol, atol = (RTOL, 1e-14) if dtype == "float64" else (1.2e-7, 1e-12)
    for name in plan.gradient_names:
        found, exact = (sample_gradients(engine, plan, *data, of=name) for engine in (backend_of(backend), PLAIN))
        np.testing.assert_allclose(found, exact, rtol, atol)
    found, exact = (sample_losses(engine, plan, *data) for engine in (backend_of(backend), PLAIN))
    np.testing.assert_allclose(found, exact, RTOL, 1e-14)


@engines
@parametrize([Case(name) for name in PAIRED])
def test_results_of_float32_are_rounded_once(case: Case, backend: str) -> None:
    check(case, backend, 4, "float32")


def test_every_derivative_is_among_what_is_compiled_ahead() -> None:
    plan = Case("triplet_margin").plan()
    keys = {recipe.key for recipe in all_recipes(plan, "float64")}
    wanted = {recipe_of(plan, plan.gradient_program_of(name), "float64").key for name in plan.gradient_names}
    assert len(wanted) == 3
    assert wanted <= keys


def test_a_sign_has_both_values_in_the_data_that_is_drawn() -> None:
    for rows in (ROWS, 6, 37):
        signs = drawn_inputs(LOSSES["cosine_embedding"], np.ones((rows, 3)))["sign"]
        assert set(signs.tolist()) == {-1.0, 1.0}


# ---- where there are two slopes: (case, prediction, target, inputs, by what, slope of the steep side)

RIGHT, UP, ORIGIN = [[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 0.0]]
RANKED = [0.5, -0.5], [0.0, 0.0], {"sign": [1.0, -1.0]}
TRIPLET = ORIGIN, RIGHT, {"negative": UP}
KINKS: list[tuple[Case, Any, Any, dict[str, Any], str, Any]] = [
    (Case("margin_ranking", {"margin": 0.5}), *RANKED, "prediction", [-1.0, 1.0]),
    (Case("margin_ranking", {"margin": 0.5}), *RANKED, "target", [1.0, -1.0]),
    (Case("cosine_embedding"), RIGHT, UP, {"sign": [-1.0]}, "prediction", UP),
    (Case("cosine_embedding"), RIGHT, UP, {"sign": [-1.0]}, "target", RIGHT),
    (Case("triplet_margin", {"margin": 0.0}), *TRIPLET, "prediction", [[-1.0, 1.0]]),
    (Case("triplet_margin", {"margin": 0.0}), *TRIPLET, "target", RIGHT),
    (Case("triplet_margin", {"margin": 0.0}), *TRIPLET, "negative", [[0.0, -1.0]]),
    (Case("triplet_margin", {"margin": 0.0, "norm": 1}), *TRIPLET, "prediction", [[-1.0, 1.0]]),
    (Case("triplet_margin", {"margin": 0.0, "distance": "sqeuclidean"}), *TRIPLET, "prediction", [[-2.0, 2.0]]),
]


@engines
@pytest.mark.parametrize(
    ("case", "prediction", "target", "inputs", "of", "steep"), KINKS, ids=[f"{row[0]}-{row[4]}" for row in KINKS]
)
def test_kinks(
    case: Case, prediction: Any, target: Any, inputs: dict[str, Any], of: str, steep: Any, backend: str
) -> None:
    """PyTorch takes the full slope; its two sides are the slopes a little to the left and to the right."""
    arrays = {name: np.array(values) for name, values in inputs.items()}
    data = np.array(prediction), np.array(target)
    width = data[0].shape[1] if data[0].ndim > 1 else 1
    for kink, share in (("torch", 1.0), ("steep", 1.0), ("half", 0.5), ("flat", 0.0)):
        found = sample_gradients(backend_of(backend), (case | {"kink": kink}).plan(width), *data, of=of, **arrays)
        np.testing.assert_array_equal(found, share * np.array(steep))
    for margin, share in ((1e-9, 1.0), (-1e-9, 0.0)):
        moved = case.options.get("margin", 0.0) + (margin if case.loss != "cosine_embedding" else -margin)
        if moved >= 0.0 or case.loss == "cosine_embedding":
            plan = (case | {"margin": moved, "kink": "half"}).plan(width)
            found = sample_gradients(backend_of(backend), plan, *data, of=of, **arrays)
            np.testing.assert_array_equal(found, share * np.array(steep))


@engines
@pytest.mark.parametrize("distance", [{}, {"norm": 1}, {"norm": 3}, {"distance": "sqeuclidean"}])
def test_equal_rows_have_no_slope(distance: dict[str, Any], backend: str) -> None:
    rows = np.array([[0.5, -2.0]])
    plan = Case("triplet_margin", distance).plan(2)
    for of in plan.gradient_names:
        found = sample_gradients(backend_of(backend), plan, rows, rows, of=of, negative=rows)
        np.testing.assert_array_equal(found, [[0.0, 0.0]])
    assert sample_losses(backend_of(backend), plan, rows, rows, negative=rows).tolist() == [1.0]


@engines
def test_where_both_distances_of_the_negative_are_equal_each_counts_half(backend: str) -> None:
    plan, rows = Case("triplet_margin", {"swap": True}).plan(2), (np.array([[-1.0, 0.0]]), np.array([[1.0, 0.0]]))
    negative = np.array([[0.0, 1.0]])
    found = {
        of: sample_gradients(backend_of(backend), plan, *rows, of=of, negative=negative) for of in plan.gradient_names
    }
    half = 0.5 * np.sqrt(0.5)
    np.testing.assert_allclose(found["prediction"], [[-1.0 + half, half]], rtol=1e-15)
    np.testing.assert_allclose(found["target"], [[1.0 - half, half]], rtol=1e-15)
    np.testing.assert_allclose(found["negative"], [[0.0, -2.0 * half]], atol=1e-16)


# ---- variances


@engines
@pytest.mark.parametrize("held", ["var", "log_var", "std"])
def test_a_variance_below_the_floor_has_no_slope_but_in_the_preset_of_torch(held: str, backend: str) -> None:
    """PyTorch: the slope is that at the floor, -5.0e9 at an error of 0.1 and a variance of 1e-9."""
    prediction, target = np.array([0.1, 0.1]), np.zeros(2)
    variance = np.array([1e-9, 4.0])
    var = {"var": variance, "log_var": np.log(variance), "std": np.sqrt(variance)}[held]
    by_variance = np.array([0.5 * (1.0 / 1e-6 - 0.01 / 1e-12), 0.5 * (1.0 / 4.0 - 0.01 / 16.0)])
    floor = np.maximum(variance, 1e-6)
    slope = by_variance * {"var": 1.0, "log_var": floor, "std": 2.0 * np.sqrt(floor)}[held]
    for options, expected in (({"preset": "torch"}, slope), ({"eps": 1e-6}, slope * [0.0, 1.0])):
        plan = Case("gaussian_nll", {"var_input": held, **options}).plan(1)
        found = sample_gradients(backend_of(backend), plan, prediction, target, of="var", var=var)
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_a_variance_of_0_is_right_only_where_it_is_held() -> None:
    domains = [resolve(LOSSES["gaussian_nll"], {"eps": eps}).loss.inputs["var"].domain for eps in (0.0, 1e-6)]
    assert domains == [POSITIVE, NONNEGATIVE]


@engines
@pytest.mark.parametrize("held", ["var", "std"])
def test_extreme_variances(held: str, backend: str) -> None:
    error = np.array([1e-155, 1e-165, 1e155, 1.0, 1e-200, 0.0])
    variance = np.array([1e-300, 5e-324, 1e300, 1e-10, 2.0, 1.0])
    var = variance if held == "var" else np.sqrt(variance)
    case, target = Case("gaussian_nll", {"var_input": held}), np.zeros(error.size)
    exact = reference.losses(case.loss, case.options, error, target, 900, var=var)
    assert_close(sample_losses(backend_of(backend), case.plan(1), error, target, var=var), exact, RTOL)


# ---- lengths of rows


@engines
@pytest.mark.parametrize("size", [1e200, 1e-200])
@parametrize(
    [
        Case("cosine_embedding", {"margin": -1.0}),
        Case("triplet_margin"),
        Case("triplet_margin", {"norm": 3, "swap": True}),
        Case("triplet_margin", {"distance": "cosine", "swap": True}),
    ]
)
def test_rows_of_extreme_lengths(case: Case, size: float, backend: str) -> None:
    is_cosine = "cosine" in str(case)
    case = case if is_cosine else case | {"margin": 10.0 * size}
    plan, inputs = case.plan(4), {}
    prediction, target = (side * size for side in draw(case, ROWS, 4))
    if case.loss == "triplet_margin":
        inputs["negative"] = np.random.default_rng(5).normal(size=prediction.shape) * size
    data = prediction, target
    exact = reference.losses(case.loss, case.options, *data, 900, **inputs)
    assert_close(sample_losses(backend_of(backend), plan, *data, **inputs), exact, RTOL)
    for of in plan.gradient_names[1:]:
        exact = flattened(reference.gradients_of(of, case.loss, case.options, *data, 900, **inputs))
        found = sample_gradients(backend_of(backend), plan, *data, of=of, **inputs)
        assert_close(found, exact, RTOL, 1e-15 / (size if is_cosine else 1.0))


@engines
@pytest.mark.parametrize("options", [{}, {"eps": 1e-12}])
def test_rows_that_nearly_align_keep_their_digits(options: dict[str, Any], backend: str) -> None:
    angle = np.array([1e-2, 1e-3, 1e-4])
    rows = np.stack([np.cos(angle), np.sin(angle)], axis=1), np.array([[1.0, 0.0]] * 3)
    sign = np.ones(3)
    exact = reference.losses("cosine_embedding", options, *rows, sign=sign)
    found = sample_losses(backend_of(backend), Case("cosine_embedding", options).plan(2), *rows, sign=sign)
    assert_close(found, exact, RTOL)


@engines
@pytest.mark.parametrize("of", ["prediction", "target"])
def test_zero_vectors_have_cosine_0_and_no_slope(of: str, backend: str) -> None:
    plan, engine = Case("cosine_embedding", {"margin": -0.25}).plan(2), backend_of(backend)
    prediction, target = np.array([[0.0, 0.0]] * 2 + [[3.0, 4.0]] * 2), np.array([[1.0, 2.0]] * 2 + [[0.0, 0.0]] * 2)
    sign = np.array([1.0, -1.0, 1.0, -1.0])
    assert sample_losses(engine, plan, prediction, target, sign=sign).tolist() == [1.0, 0.25, 1.0, 0.25]
    assert not sample_gradients(engine, plan, prediction, target, of=of, sign=sign).any()
    assert plan.degenerate is not None
    counted = sample_losses(engine, plan.degenerate, prediction, np.ones((4, 2)), sign=sign)
    assert counted.tolist() == [1.0, 1.0, 0.0, 0.0]


@engines
def test_a_zero_vector_of_a_triplet_is_at_distance_1_of_all(backend: str) -> None:
    plan, engine = Case("triplet_margin", {"distance": "cosine", "swap": True}).plan(2), backend_of(backend)
    rows = np.array([[0.0, 0.0]]), np.array([[1.0, 2.0]])
    assert sample_losses(engine, plan, *rows, negative=np.array([[2.0, 4.0]])).tolist() == [2.0]
    assert not sample_gradients(engine, plan, *rows, of="prediction", negative=np.array([[2.0, 4.0]])).any()
    assert plan.degenerate is not None
    assert sample_losses(engine, plan.degenerate, *rows, negative=np.ones((1, 2))).tolist() == [1.0]


# ---- options


@pytest.mark.parametrize(("distance", "option"), [("cosine", "eps"), ("cosine", "norm"), ("sqeuclidean", "norm")])
def test_what_means_nothing_for_a_distance_is_refused(distance: str, option: str) -> None:
    with pytest.raises(SpecificationError, match=f"{option} means nothing"):
        resolve(LOSSES["triplet_margin"], {"distance": distance, option: 1.5})


# ---- inputs of any shape, and those that are not there


@fold(Monoid.SUM)
def masked_sum(prediction: float, target: float, mask: float) -> float:
    return mask * square(prediction - target)


@fold(Monoid.ONCE)
def doubled(masked_sum: float, factor: float) -> float:
    return 2.0 * masked_sum * factor


def declared() -> dict[str, Loss]:
    """Losses that no registry has: of rows, and of values, with inputs of both shapes."""
    registry: dict[str, Loss] = {}
    inputs = {
        "mask": Input("which values count", InputShape.LIKE_PREDICTION, optional=True),
        "factor": Input("what a row is multiplied by", InputShape.ONE_A_ROW, optional=True),
    }
    with registering(registry):

        @loss(scope=Scope.ROW, folds=(masked_sum, doubled), inputs=inputs)
        def of_rows(doubled: float, factor: float) -> float:
            return doubled + factor

        @gradient_of(of_rows)
        def of_rows_gradient(prediction: float, target: float, mask: float, factor: float) -> float:
            return 4.0 * mask * factor * (prediction - target)

        @loss(inputs=inputs, options=("row",))
        def of_values(prediction: float, target: float, mask: float, factor: float) -> float:
            return mask * factor * square(prediction - target)

        @gradient_of(of_values)
        def of_values_gradient(prediction: float, target: float, mask: float, factor: float) -> float:
            return 2.0 * mask * factor * (prediction - target)

    return registry


@pytest.fixture
def _nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code of a test's own losses would outlive a change of them."""
    monkeypatch.setattr(objects, "find", lambda recipe: None)
    monkeypatch.setattr(objects, "keep", lambda recipe, code: None)
    monkeypatch.setattr(roads, "_functions", {})


@pytest.mark.usefixtures("_nothing_is_kept")
@engines
@pytest.mark.parametrize("width", [4, 40])
@pytest.mark.parametrize("given", [("mask", "factor"), ("mask",), ()])
def test_optional_inputs_are_1_where_they_are_not_given(given: tuple[str, ...], width: int, backend: str) -> None:
    random = np.random.default_rng(2)
    prediction, target, mask = random.normal(size=(3, 21, width))
    factor = random.uniform(size=21)
    inputs = {"mask": mask, "factor": factor}
    inputs = {name: inputs[name] for name in given}
    mask, factor = inputs.get("mask", np.ones(mask.shape)), inputs.get("factor", np.ones(21))
    terms = mask * (prediction - target) ** 2
    expected = {
        "of_rows": 2.0 * terms.sum(axis=1) * factor + factor,
        "of_values": (terms * factor[:, None]).mean(axis=1),
    }
    slope = mask * factor[:, None] * (prediction - target)
    for name, one in declared().items():
        plan, engine = Plan(resolve(one, {}), width), backend_of(backend)
        batch = Batch(prediction, target, inputs=inputs)
        np.testing.assert_allclose(engine.losses(plan, batch)[1], expected[name], rtol=1e-13)
        gradient = engine.gradient(plan, batch, np.ones(21), {})
        np.testing.assert_allclose(gradient, slope * (4.0 if name == "of_rows" else 2.0), rtol=1e-13)


def test_an_input_that_is_needed_is_not_made_up() -> None:
    plan = Case("gaussian_nll").plan(1)
    with pytest.raises(KeyError, match="var"):
        input_arrays(plan, Batch(np.ones(2), np.ones(2)))
