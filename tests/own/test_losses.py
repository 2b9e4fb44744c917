"""Losses from files: values, gradients, digests, caches, and one line for everything that is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lossctl
from lossctl.catalogue.loss_spec import Shapes, parse, settle
from lossctl.errors import EnvironmentFault, UsageError
from lossctl.own.losses import find_own
from lossctl_kernels import Plan
from lossctl_kernels.recipes import usual_recipes
from lossctl_kernels.roads import compile_ahead
from tests.cache_folders import use_cache_folder
from tests.own_files import ASYMMETRIC, DECORATED

P, T = [0.0, 1.0, 5.0, -2.0], [0.0, 0.5, 7.0, 1.0]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with losses, made the current one."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(ASYMMETRIC)
    Path("decorated.py").write_text(DECORATED)
    return tmp_path


def expected(steepness: float, shift: float) -> Any:
    e = np.array(P) - np.array(T) - shift
    return np.where(e > 0.0, steepness * e**2, -e), np.where(e > 0.0, 2.0 * steepness * e, -1.0)


@pytest.mark.parametrize("backend", ["python", "cpu"])
@pytest.mark.parametrize(("steepness", "shift"), [(2.0, 0.0), (0.5, -1.0), (7.0, 0.25)])
def test_values_and_gradients(backend: str, steepness: float, shift: float) -> None:
    losses, gradient = expected(steepness, shift)
    spec = f"mine.py:asymmetric:steepness={steepness},shift={shift}"
    np.testing.assert_allclose(lossctl.per_sample(P, T, spec, backend=backend), losses, rtol=1e-14)
    assert lossctl.evaluate(P, T, spec, backend=backend).value == pytest.approx(losses.mean(), rel=1e-14)
    found = lossctl.gradient(P, T, f"{spec},grad_scale=sample", backend=backend)
    np.testing.assert_allclose(found, gradient, rtol=1e-14)


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_rows_data_sets_and_further_inputs(backend: str) -> None:
    p, t = np.array([[3.0, 4.0], [1.0, 1.0]]), np.array([[0.0, 0.0], [1.0, 1.0]])
    assert lossctl.per_sample(p, t, "decorated.py:distance", backend=backend).tolist() == [5.0, 0.0]
    slope = lossctl.gradient(p, t, "decorated.py:distance:grad_scale=sample", backend=backend)
    np.testing.assert_allclose(slope, [[0.6, 0.8], [0.0, 0.0]])
    whole = lossctl.evaluate(P, T, "decorated.py:squared_mean_error", backend=backend).value
    assert whole == pytest.approx(np.abs(np.array(P) - T).mean() ** 2)
    scale = np.array([1.0, 2.0, 4.0, 0.5])
    scaled = lossctl.per_sample(P, T, "decorated.py:scaled", inputs={"scale": scale}, backend=backend)
    np.testing.assert_allclose(scaled, ((np.array(P) - T) / scale) ** 2)
    with pytest.raises(UsageError, match="scale"):
        lossctl.evaluate(P, T, "decorated.py:scaled")
    assert lossctl.evaluate([0.25], [0], "decorated.py:surprise:doubled=true", backend=backend).value == pytest.approx(
        -2.0 * np.log(0.75)
    )
    logit = lossctl.evaluate([np.log(1 / 3)], [0], "decorated.py:surprise:input=logit", backend=backend)
    assert logit.value == pytest.approx(-np.log(0.75))


def test_what_was_made_of_a_function() -> None:
    loss = find_own("mine.py:asymmetric")
    assert (loss.name, loss.origin, loss.summary) == (
        "mine.py:asymmetric",
        "mine.py",
        "Squared above the target, plain below it",
    )
    assert loss.parameters["steepness"][1].range() == "> 0"
    assert loss.parameters["shift"][0] == 0.0
    assert loss.has_gradient
    assert not find_own("mine.py:plain").has_gradient
    assert find_own("decorated.py:surprise").parameters["doubled"][1].words == ("false", "true")
    assert find_own("decorated.py:distance").formula == "sqrt(Σ e²)"


def test_nothing_is_left_in_the_registry() -> None:
    find_own("decorated.py:distance")
    Path("shadow.py").write_text(DECORATED.replace("distance", "mse"))
    assert lossctl.evaluate([3.0], [1.0], "mse").value == 4.0
    assert lossctl.per_sample([[3.0, 4.0]], [[0.0, 0.0]], "shadow.py:mse").tolist() == [5.0]
    assert lossctl.evaluate([3.0], [1.0], "mse").value == 4.0
    assert "distance" not in lossctl.losses()


@pytest.mark.parametrize(
    "spelled", ["./mine.py", "{here}/mine.py", "sub/../mine.py", "~/mine.py", "a:b/c.py:d/mine.py"]
)
def test_paths(spelled: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    Path("sub").mkdir()
    Path("a:b/c.py:d").mkdir(parents=True)
    Path("a:b/c.py:d/mine.py").write_text(ASYMMETRIC)
    path = spelled.format(here=here)
    result = lossctl.evaluate(P, T, f"{path}:asymmetric:steepness=2,shift=0")
    assert result.loss == "mine.py:asymmetric"
    assert result.signature == lossctl.evaluate(P, T, "mine.py:asymmetric").signature


# ---- versions


def signature(spec: str = "mine.py:asymmetric", **options: Any) -> str:
    return lossctl.evaluate(P, T, spec, **options).signature


def test_the_signature_tells_sources_apart() -> None:
    first = signature()
    assert signature() == first
    Path("mine.py").write_text(ASYMMETRIC + "\n# changed\n")
    second = signature()
    assert first != second
    digest = second.partition("source=")[2].partition("|")[0]
    assert lossctl.evaluate(P, T, f"mine.py:asymmetric:source={digest}").signature == second
    Path("mine.py").write_text(ASYMMETRIC)
    with pytest.raises(UsageError, match="source cannot be"):
        lossctl.evaluate(P, T, f"mine.py:asymmetric:source={digest}")


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_a_changed_file_is_another_loss(backend: str) -> None:
    assert lossctl.evaluate([3.0], [1.0], "mine.py:asymmetric", backend=backend).value == 8.0
    Path("mine.py").write_text(ASYMMETRIC.replace("steepness * square(error)", "steepness * error"))
    assert lossctl.evaluate([3.0], [1.0], "mine.py:asymmetric", backend=backend).value == 4.0


def test_what_stands_beside_the_file_belongs_to_it() -> None:
    program = (
        "import lossctl, sys\n"
        "result = lossctl.evaluate([3.0], [1.0], 'using.py:factor_loss', backend='cpu')\n"
        "print(result.value, result.signature)"
    )
    Path("using.py").write_text(
        "from helper import FACTOR\ndef factor_loss(prediction, target):\n    return FACTOR * (prediction - target)\n"
    )
    seen = []
    for factor in (2.0, 5.0):
        Path("helper.py").write_text(f"FACTOR = {factor}\n")
        ran = subprocess.run([sys.executable, "-B", "-c", program], capture_output=True, text=True, check=True)
        value, found = ran.stdout.split()
        assert float(value) == 2.0 * factor
        seen.append(found)
    assert seen[0] != seen[1]


def test_functions_made_by_one_function_are_told_apart() -> None:
    Path("made.py").write_text(
        "def make(factor):\n"
        "    def made(prediction, target):\n"
        "        return factor * (prediction - target)\n"
        "    return made\n"
        "double, triple = make(2.0), make(3.0)\n"
    )
    for backend in ("python", "cpu"):
        assert lossctl.evaluate([3.0], [1.0], "made.py:double", backend=backend).value == 4.0
        assert lossctl.evaluate([3.0], [1.0], "made.py:triple", backend=backend).value == 6.0


def recipe_of_the_value(spec: str) -> Any:
    plan = Plan(settle(parse(spec), {}, Shapes((), ())), 1)
    return usual_recipes(plan, "float64")[0]


def test_unchanged_code_is_compiled_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_cache_folder(monkeypatch, here)
    assert compile_ahead(recipe_of_the_value("mine.py:asymmetric"))
    assert not compile_ahead(recipe_of_the_value("./mine.py:asymmetric:steepness=3"))
    Path("mine.py").write_text(ASYMMETRIC.replace("-error)", "-2.0 * error)"))
    assert compile_ahead(recipe_of_the_value("mine.py:asymmetric"))


def test_nothing_is_written_beside_the_file(here: Path) -> None:
    find_own("mine.py:asymmetric")
    assert sorted(each.name for each in here.iterdir()) == ["decorated.py", "mine.py"]


def test_what_a_file_prints_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Path("loud.py").write_text(
        "print('read')\ndef loud(prediction, target):\n    print('tried')\n    return prediction\n"
    )
    find_own("loud.py:loud")
    assert capsys.readouterr() == ("", "read\ntried\n")
    assert lossctl.evaluate([1.0], [0.0], "loud.py:loud", backend="python").value == 1.0
    assert capsys.readouterr() == ("", "tried\n")


def test_what_a_gradient_prints_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Path("steep.py").write_text(
        "from lossctl.definitions import gradient_of\ndef f(prediction, target):\n    return prediction\n"
        "@gradient_of(f)\ndef g(prediction, target):\n    print('slope')\n    return 1.0\n"
    )
    find_own("steep.py:f")
    capsys.readouterr()
    assert lossctl.gradient([1.0], [0.0], "steep.py:f", backend="python").tolist() == [1.0]
    assert capsys.readouterr() == ("", "slope\n")


def test_the_cuda_backend_in_its_simulator() -> None:
    program = (
        "import lossctl\n"
        "for spec in ('mine.py:asymmetric:steepness=3', 'decorated.py:squared_mean_error'):\n"
        f"    data = {P}, {T}\n"
        "    values = [lossctl.evaluate(*data, spec, backend=name).value for name in ('python', 'cuda')]\n"
        "    gradients = [lossctl.gradient(*data, spec, backend=name).tolist() for name in ('python', 'cuda')]\n"
        "    assert values[0] == values[1] and gradients[0] == gradients[1], (values, gradients)\n"
        "print('same')"
    )
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.stdout == "same\n", ran.stderr


# ---- what is wrong, in one line

BAD_FILES = {
    "syntax.py": ("def f(prediction, target):\n    return prediction +\n", "syntax.py, line 2: invalid syntax"),
    "raises.py": ("x = 1\nx / 0\n", "raises.py, line 2: 'x / 0': ZeroDivisionError"),
    "imports.py": ("import no_such_module\n", "imports.py, line 1: 'import no_such_module': ModuleNotFoundError"),
    "leaves.py": ("import sys\nsys.exit('done')\n", "leaves.py, line 2: 'sys.exit('done')': SystemExit: done"),
    "null.py": ("x = '\0'\n", "null.py"),
    "empty.py": ("", "it has none with an argument `prediction`"),
    "names.py": ("def f(pred, y_true): return pred\n", "f asks for 'pred', which nothing provides; call it prediction"),
    "unknown.py": ("def f(prediction, tarjet): return prediction\n", "did you mean target?"),
    "later.py": ("async def f(prediction): return prediction\n", "write def"),
    "far.py": ("def f(prediction): return prediction**1000\n", "not a whole number up to 64"),
    "star.py": ("def f(prediction, *rest): return prediction\n", "write plain arguments"),
    "keyword.py": ("def f(prediction, *, a=1.0): return prediction\n", "write plain arguments"),
    "default.py": ("def f(prediction, target, a='x'): return prediction\n", "must be a number, found 'x'"),
    "option.py": ("def f(prediction, target, row=1.0): return prediction\n", "cannot have a parameter 'row'"),
    "width.py": ("def f(prediction, target, width=0.5): return width\n", "the number of values in a row"),
    "kink.py": ("def f(prediction, target, kink): return kink\n", "f asks for 'kink', which nothing provides"),
    "range.py": (
        "from lossctl.definitions import *\n"
        "def f(prediction, a: Annotated[float, Parameter('x', above=0)] = 0.0): return a\n",
        "the default of 'a' in f must be > 0, found 0",
    ),
    "value.py": ("f = 3\n", "'f' is not a plain function: found int"),
    "class.py": ("class f:\n    def __call__(self, prediction): return prediction\n", "'f' is not a plain function"),
    "branch.py": ("def f(prediction, target):\n    return 1 if prediction > target else 2\n", "write where(prediction"),
    "many.py": (
        "def f(prediction, target, " + ", ".join(f"a{i}=1.0" for i in range(12)) + "): return prediction\n",
        "too many arguments: 14; a function may have 13",
    ),
    "index.py": ("T = (1.0, 2.0)\ndef f(prediction): return prediction * T[2]\n", "line 2: 'T[2]': IndexError"),
    "hint.py": ("from __future__ import annotations\ndef f(prediction: Nothing): return prediction\n", "'Nothing'"),
    "gradient.py": (
        "from lossctl.definitions import gradient_of\ndef f(prediction, target): return prediction\n"
        "@gradient_of(f)\ndef g(prediction, target, alpha): return 1.0\n",
        "g asks for 'alpha', which nothing provides",
    ),
    "forms.py": (
        "from lossctl.definitions import form_of, REAL\n@form_of('bce', 'x', REAL)\ndef f(p): pass\n",
        "KeyError",
    ),
    "bare.py": ("from lossctl.definitions import loss\n@loss\ndef f(prediction): return prediction\n", "TypeError"),
}


CONDITION = """
from lossctl_kernels.spec import Monoid, Scope, fold, loss
@fold(Monoid.MAX)
def largest(prediction): return prediction
{condition}
@fold(Monoid.SUM, when=condition)
def total(prediction): return prediction
@loss(scope=Scope.ROW, folds=(largest, total), options=())
def f(largest, total): return total
"""
BAD_FILES |= {
    f"condition_{name}.py": (CONDITION.format(condition=condition), says)
    for name, condition, says in [
        ("unknown", "def condition(largets): return largets > 0.0", "did you mean largest?"),
        (
            "of_values",
            "def condition(prediction): return prediction > 0.0",
            "for each row and asks for 'prediction'",
        ),
        (
            "branches",
            "def condition(largest):\n    if largest > 0.0: return True\n    return False",
            "write return where(",
        ),
        ("raises", "def condition(largest): return largest > missing", "NameError"),
        ("text", "def condition(largest): return 'x'", "it returns str"),
    ]
}


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_a_fold_with_a_condition(backend: str) -> None:
    """A row that does not meet it has the sum 0."""
    condition = "def condition(largest, least=0.5): return largest > least"
    Path("some.py").write_text(CONDITION.format(condition=condition))
    rows = np.array([[0.25, 0.5], [0.25, 0.75], [3.0, -1.0]])
    assert lossctl.per_sample(rows, rows, "some.py:f", backend=backend).tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("name", list(BAD_FILES))
def test_a_bad_file(name: str) -> None:
    text, says = BAD_FILES[name]
    Path(name).write_text(text)
    for _ in range(2):  # a file that failed fails again
        with pytest.raises(UsageError) as caught:
            lossctl.evaluate(P, T, f"{name}:f")
        assert says in str(caught.value)
        assert name in str(caught.value)
        assert str(caught.value).isprintable()
        assert caught.value.hint


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("none.py:f", "there is no file 'none.py'"),
        ("none/mine.py:f", "there is no file 'none/mine.py'"),
        ("mine.py/x.py:f", "there is no file"),
        ("mine.py", "the function is missing; write file.py:function, such as mine.py:asymmetric"),
        ("mine.py:", "the function is missing"),
        ("mine.py:asymetric", "did you mean asymmetric?"),
        ("mine.py:zzz", "it has asymmetric, wrong, plain"),
        ("mine.py:asymmetric:", "is not option=value"),
        ("mine.py:asymmetric:steepness", "is not option=value"),
        ("mine.py:asymmetric:steepness=-1", "steepness must be > 0, found -1"),
        ("mine.py:asymmetric:steep=1", "did you mean steepness?"),
        ("folder.py:f", "is not a file"),
        ("mine.py\n:f", "is not option=value"),
        ("mine.py:steepness=2", "the function is missing"),
        ("a\0b.py:f", "cannot be read"),
        ("x" * 5000 + ".py:f", "cannot be read"),
    ],
)
def test_a_bad_spec(spec: str, says: str) -> None:
    Path("folder.py").mkdir()
    with pytest.raises(UsageError) as caught:
        lossctl.evaluate(P, T, spec)
    assert says in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(EnvironmentFault, match="permission denied"):
        find_own("mine.py:asymmetric")


def test_a_pipe_is_not_waited_for() -> None:
    os.mkfifo("pipe.py")
    with pytest.raises(UsageError, match="is not a file"):
        find_own("pipe.py:f")


def test_a_large_file_is_not_run() -> None:
    Path("large.py").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(UsageError, match="larger than 1 MiB"):
        find_own("large.py:f")


def test_a_gradient_that_is_asked_for_and_missing() -> None:
    with pytest.raises(UsageError, match=r"has no gradient; add a function under @gradient_of\(plain\) to mine.py"):
        lossctl.gradient(P, T, "mine.py:plain")
