"""From a definition and the transformations around it to a program: functions of one tuple, for every backend.

The tuple is the *environment*: (prediction, target, index, class_weight, inputs…, numbers…, folds…), all float64, where
the inputs are further arrays and the numbers parameters and options. A program is the steps that compute the folds, in
order, and the function that makes the result of them. The interpreter calls these functions with arrays; Numba compiles
them as they are. They are closures over plain functions, so that a compiled kernel can be found again by what it was
made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .arguments import argument_names
from .records import Record
from .spec import Definition, Factored, Fold, Monoid, Scope, TargetTransform
from .transforms import Transform

Environment = tuple[Any, ...]
Bound = Callable[[Environment], Any]

LEADING = ("prediction", "target", "index", "class_weight")


class Step(Record):
    """One fold: `monoid` over the scope of `term(environment)`, which needs only folds of lower levels.

    So does its condition, `when(environment)`; steps of a level that have the same one share the same object.
    """

    name: str
    monoid: Monoid
    term: Bound
    level: int = 0
    when: Bound | None = None


class Program(Record):
    """`inputs` and `numbers` name the parts of the environment that the caller passes; then the steps; then `finish`.

    `kind` is value (one result a value or row), gradient (one a value), folds (the terms alone) or factored (what
    `finish` returns is that of the `form`). `key` says what the program was made of: equal keys, equal functions.
    """

    kind: str
    key: str
    numbers: tuple[str, ...]
    steps: tuple[Step, ...]
    finish: Bound
    form: Factored | None = None
    inputs: tuple[str, ...] = ()

    @property
    def leading(self) -> int:
        """How many numbers of the environment come from arrays."""
        return len(LEADING) + len(self.inputs)


def bind(function: Callable[..., Any], names: tuple[str, ...]) -> Bound:
    """`function` as a function of the environment: its arguments are picked by name.

    One closure a number of arguments, because Numba inlines these and not a call with a starred tuple.
    """
    at = [names.index(name) for name in argument_names(function)]
    make = _BINDERS[len(at)]
    return make(function, *at)


# fmt: off
def _bind_0(f: Any) -> Bound:
    def call(a: Environment) -> Any: return f()
    return call
def _bind_1(f: Any, i: int) -> Bound:
    def call(a: Environment) -> Any: return f(a[i])
    return call
def _bind_2(f: Any, i: int, j: int) -> Bound:
    def call(a: Environment) -> Any: return f(a[i], a[j])
    return call
def _bind_3(f: Any, i: int, j: int, k: int) -> Bound:
    def call(a: Environment) -> Any: return f(a[i], a[j], a[k])
    return call
def _bind_4(f: Any, i: int, j: int, k: int, m: int) -> Bound:
    def call(a: Environment) -> Any: return f(a[i], a[j], a[k], a[m])
    return call
def _bind_5(f: Any, i: int, j: int, k: int, m: int, n: int) -> Bound:
    def call(a: Environment) -> Any: return f(a[i], a[j], a[k], a[m], a[n])
    return call
def _bind_6(f: Any, i: int, j: int, k: int, m: int, n: int, o: int) -> Bound:
    def call(a: Environment) -> Any: return f(a[i], a[j], a[k], a[m], a[n], a[o])
    return call
def _bind_7(f: Any, i: int, j: int, k: int, m: int, n: int, o: int, p: int) -> Bound:
    def call(a: Environment) -> Any: return f(a[i], a[j], a[k], a[m], a[n], a[o], a[p])
    return call
def _bind_8(f: Any, i: int, j: int, k: int, m: int, n: int, o: int, p: int, q: int) -> Bound:
    def call(a: Environment) -> Any: return f(a[i], a[j], a[k], a[m], a[n], a[o], a[p], a[q])
    return call
def _bind_9(f: Any, i: int, j: int, k: int, m: int, n: int, o: int, p: int, q: int, r: int) -> Bound:
    def call(a: Environment) -> Any: return f(a[i], a[j], a[k], a[m], a[n], a[o], a[p], a[q], a[r])
    return call
def _bind_10(f: Any, i: int, j: int, k: int, m: int, n: int, o: int, p: int, q: int, r: int, s: int) -> Bound:
    def call(a: Environment) -> Any: return f(a[i], a[j], a[k], a[m], a[n], a[o], a[p], a[q], a[r], a[s])
    return call
def _bind_11(f: Any, i: int, j: int, k: int, m: int, n: int, o: int, p: int, q: int, r: int, s: int, t: int) -> Bound:
    def call(a: Environment) -> Any: return f(a[i], a[j], a[k], a[m], a[n], a[o], a[p], a[q], a[r], a[s], a[t])
    return call
def _bind_12(
    f: Any, i: int, j: int, k: int, m: int, n: int, o: int, p: int, q: int, r: int, s: int, t: int, u: int
) -> Bound:
    def call(a: Environment) -> Any:
        return f(a[i], a[j], a[k], a[m], a[n], a[o], a[p], a[q], a[r], a[s], a[t], a[u])
    return call
def _bind_13(
    f: Any, i: int, j: int, k: int, m: int, n: int, o: int, p: int, q: int, r: int, s: int, t: int, u: int, v: int
) -> Bound:
    def call(a: Environment) -> Any:
        return f(a[i], a[j], a[k], a[m], a[n], a[o], a[p], a[q], a[r], a[s], a[t], a[u], a[v])
    return call
# fmt: on


_BINDERS = (
    *(_bind_0, _bind_1, _bind_2, _bind_3, _bind_4, _bind_5),
    *(_bind_6, _bind_7, _bind_8, _bind_9, _bind_10, _bind_11),
    *(_bind_12, _bind_13),
)
MOST_ARGUMENTS = len(_BINDERS) - 1
"""Of a function of a definition."""


# ---- functions of the environment, composed. A stage takes an environment to the next one; None leaves it alone.


def _after(stage: Bound | None, function: Bound) -> Bound:
    if stage is None:
        return function

    def call(a: Environment) -> Any:
        return function(stage(a))

    return call


def _replace_prediction(stage: Bound | None, value: Bound) -> Bound:
    if stage is None:

        def first(a: Environment) -> Environment:
            return (value(a),) + a[1:]

        return first

    def later(a: Environment) -> Environment:
        b: Environment = stage(a)
        return (value(b),) + b[1:]

    return later


def _replace_target(stage: Bound | None, value: Bound) -> Bound:
    if stage is None:

        def first(a: Environment) -> Environment:
            return (a[0], value(a)) + a[2:]

        return first

    def later(a: Environment) -> Environment:
        b: Environment = stage(a)
        return (b[0], value(b)) + b[2:]

    return later


def _product(left: Bound, right: Bound) -> Bound:
    def call(a: Environment) -> Any:
        return left(a) * right(a)

    return call


def _with_first(value: Bound, function: Bound) -> Bound:
    """`function` of the environment with this value put in front of it."""

    def call(a: Environment) -> Any:
        return function((value(a),) + a)

    return call


class _Stages(Record):
    """The environments between the transformations: before each of them, and the last, which the definition sees."""

    before: tuple[Bound | None, ...]
    last: Bound | None


def _stages(transforms: tuple[Transform, ...], targets: tuple[TargetTransform, ...], names: tuple[str, ...]) -> _Stages:
    stage: Bound | None = None
    for target in targets:
        stage = _replace_target(stage, bind(target.apply, names))
    before = []
    for transform in transforms:
        before.append(stage)
        stage = _replace_prediction(stage, bind(transform.apply, names))
    return _Stages(tuple(before), stage)


def _needed(folds: tuple[Fold, ...], arguments: tuple[str, ...]) -> tuple[Fold, ...]:
    """The folds that a function with these arguments needs, directly or through other folds, in order."""
    wanted, needed = set(arguments), []
    for fold in reversed(folds):
        if fold.name in wanted:
            needed.append(fold)
            wanted.update(_arguments(fold))
    return tuple(reversed(needed))


def _arguments(fold: Fold) -> tuple[str, ...]:
    """What a fold asks for, for its terms or for its condition."""
    return argument_names(fold.term) + (argument_names(fold.when) if fold.when else ())


def _key(
    function: Callable[..., Any], applied: tuple[Any, ...], numbers: tuple[str, ...], inputs: tuple[str, ...] = ()
) -> str:
    name = f"{function.__module__}.{function.__qualname__}"
    given = f"[{','.join(inputs)}]" if inputs else ""
    return "+".join([name, *(transform.name for transform in applied)]) + f"{given}({','.join(numbers)})"


def _renamed(folds: tuple[Fold, ...]) -> str:
    """The folds that are not named after their terms, for a key: another definition may mean other terms by them."""
    named = [f"{fold.name}={fold.term.__name__}" for fold in folds if fold.name != fold.term.__name__]
    return f"{{{','.join(named)}}}" if named else ""


def _assemble(
    definition: Definition,
    function: Callable[..., Any],
    transforms: tuple[Transform, ...],
    targets: tuple[TargetTransform, ...],
    numbers: tuple[str, ...],
    inputs: tuple[str, ...],
    by_column: str | None,
    more: tuple[str, ...] = (),
) -> tuple[tuple[str, ...], _Stages, tuple[Step, ...]]:
    """(names of the environment, stages, steps) for `function` of the definition.

    `by_column` names the parameter that is in the place of class weights: one for each value of a row.
    """
    own = _needed(definition.folds, argument_names(function))
    folds = *(f.name for t in transforms for f in t.folds), *(f.name for f in own)
    leading = (*LEADING[:-1], by_column) if by_column else LEADING
    names = leading + inputs + numbers + folds + more
    stages = _stages(transforms, targets, names)
    levels: dict[str, int] = {}
    conditions = {fold.when: bind(fold.when, names) for fold in own if fold.when}

    def step(fold: Fold, stage: Bound | None, through: tuple[Transform, ...]) -> Step:
        used = {*_arguments(fold), *(name for t in through for name in argument_names(t.apply))}
        levels[fold.name] = 1 + max((levels[name] for name in used if name in levels), default=-1)
        condition = conditions[fold.when] if fold.when else None
        return Step(fold.name, fold.monoid, _after(stage, bind(fold.term, names)), levels[fold.name], condition)

    steps = [
        step(fold, stages.before[position], transforms[:position])
        for position, transform in enumerate(transforms)
        for fold in transform.folds
    ]
    steps += [step(fold, stages.last, transforms) for fold in own]
    return names, stages, tuple(steps)


def value_program(
    definition: Definition,
    transforms: tuple[Transform, ...],
    targets: tuple[TargetTransform, ...],
    numbers: tuple[str, ...],
    function: Callable[..., Any] | None = None,
    inputs: tuple[str, ...] = (),
    by_column: str | None = None,
) -> Program:
    """The program of the loss, or of another `function` of its folds."""
    function = function or definition.function
    names, stages, steps = _assemble(definition, function, transforms, targets, numbers, inputs, by_column)
    key = _key(function, (*transforms, *targets), numbers, inputs) + _renamed(definition.folds)
    return Program("value", key, numbers, steps, _after(stages.last, bind(function, names)), inputs=inputs)


def gradient_program(
    definition: Definition,
    transforms: tuple[Transform, ...],
    targets: tuple[TargetTransform, ...],
    numbers: tuple[str, ...],
    function: Callable[..., Any] | None = None,
    inputs: tuple[str, ...] = (),
    by_column: str | None = None,
) -> Program:
    """The program of the derivative with respect to the prediction as it was given, by the chain rule.

    `function` stands in for the definition's own derivative. Over the data set the totals of the folds are numbers, and
    the gradient is elementwise.
    """
    function = function or definition.gradient
    if function is None:
        raise ValueError(f"{definition.name} has no gradient")
    if definition.scope is Scope.DATASET:
        numbers = (*numbers, "weight", *(fold.name for fold in definition.folds))
        names = LEADING + numbers
        return Program("gradient", _key(function, (), numbers), numbers, (), bind(function, names))
    pulls = [transform for transform in transforms if transform.pull_back]
    more = ("pulled",) if pulls else ()
    names, stages, steps = _assemble(definition, function, transforms, targets, numbers, inputs, by_column, more)
    gradient = _after(stages.last, bind(function, names))
    after: Bound | None = stages.last
    for transform, before in reversed(list(zip(transforms, stages.before, strict=True))):
        if transform.derivative:
            gradient = _product(gradient, _after(before, bind(transform.derivative, names)))
        elif transform.pull_back:
            transformed = _after(after, bind(_prediction, names))
            level = 1 + max((step.level for step in steps), default=-1)
            steps += (Step("pulled", Monoid.SUM, _product(gradient, transformed), level),)
            gradient = _with_first(gradient, bind(transform.pull_back, ("gradient", *names)))
        after = before
    key = _key(function, (*transforms, *targets), numbers, inputs) + _renamed(definition.folds)
    return Program("gradient", key, numbers, steps, gradient, inputs=inputs)


def input_gradient_program(
    definition: Definition,
    of: str,
    transforms: tuple[Transform, ...],
    targets: tuple[TargetTransform, ...],
    numbers: tuple[str, ...],
    inputs: tuple[str, ...],
    by_column: str | None,
) -> Program:
    """The program of the derivative with respect to another array than the prediction, which nothing transforms."""
    function = definition.input_gradients[of]
    names, stages, steps = _assemble(definition, function, transforms, targets, numbers, inputs, by_column)
    key = _key(function, (*transforms, *targets), numbers, inputs) + _renamed(definition.folds)
    return Program("gradient", key, numbers, steps, _after(stages.last, bind(function, names)), inputs=inputs)


def fold_program(definition: Definition, numbers: tuple[str, ...]) -> Program:
    """The terms of the folds over the data set, each a function of one prediction and target.

    Scales are numbers: they are taken to be 1 until the largest magnitudes are known.
    """
    scales = tuple(fold.name for fold in definition.folds if fold.monoid is Monoid.SCALE)
    numbers = numbers + scales
    names = LEADING + numbers
    steps = tuple(Step(fold.name, fold.monoid, bind(fold.term, names)) for fold in definition.folds)
    return Program("folds", _key(definition.function, (), numbers), numbers, steps, bind(_prediction, names))


def _prediction(prediction: float) -> float:
    return prediction
