"""From a function of one's own to a loss: parameters, names of arguments, a try-out of all functions, a digest."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from hashlib import sha256
from types import FunctionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from lossctl.errors import UsageError, visible
from lossctl.guesses import did_you_mean
from lossctl.own.prints import printing_aside
from lossctl.own.sources import source_digest
from lossctl_kernels.arguments import argument_names
from lossctl_kernels.domains import REAL, TargetKind
from lossctl_kernels.options import OPTIONS
from lossctl_kernels.program import LEADING, MOST_ARGUMENTS
from lossctl_kernels.records import replace
from lossctl_kernels.spec import Definition, Loss, Monoid, Parameter, Scope, definition_of

DEFAULT_OPTIONS = {
    Scope.ELEMENT: ("row", "denom", "empty", "grad_scale"),
    Scope.ROW: ("denom", "empty", "grad_scale"),
    Scope.DATASET: (),
}
FLAG = ("false", "true")

SET_ELSEWHERE = ("kink",)
"""What is no parameter where it is among the options of a loss."""

RESERVED = {
    **dict.fromkeys(LEADING, "an array"),
    **{name: f"an option: {OPTIONS[name].description}" for options in DEFAULT_OPTIONS.values() for name in options},
    **{name: f"an option: {OPTIONS[name].description}" for name in ("input", "kink", "preset", "source")},
    "width": "the number of values in a row",
}
"""What no parameter may be called, and what it means."""

# What users of other libraries call the two arrays.
OTHER_NAMES = {
    "prediction": ("pred", "preds", "predictions", "y_pred", "yhat", "y_hat", "input", "output", "logit", "p", "x"),
    "target": ("targets", "y_true", "y", "label", "labels", "true", "t"),
}


def make_loss(
    title: str, function: FunctionType, registered: Loss | None, origin: str, source: bytes, path: str
) -> Loss:
    """The loss called `title` that `function` defines; `registered` is what its decorator made of it, if it has one.

    `origin` says where it is from; `source` is the text of its file `path`. Raises UsageError where it cannot be one.
    """
    loss = registered or _plain(function)
    several = ("input",) if len(loss.forms) > 1 else ()
    loss = replace(loss, name=title, origin=origin, options=loss.options or (*several, *DEFAULT_OPTIONS[loss.scope]))
    loss = replace(loss, parameters=_parameters(loss, function, path))
    _refuse_kinds(loss, function, path)
    for _, each in _functions(loss):
        _check_arguments(loss, each, path)
    _refuse_values(loss, path)
    digest = source_digest(path, source, function.__globals__.get("__package__") or "")
    code = f"lossctl_own.{digest}.{_computed(loss, source, path)}"
    forms = {name: _stamped(form, code, name) for name, form in loss.forms.items()}
    variants = {
        option: {value: _stamped_facts(facts, code, f"{option}={value}") for value, facts in values.items()}
        for option, values in loss.variants.items()
    }
    return replace(
        loss,
        forms=forms,
        variants={**variants, "source": {digest: {}}},
        options=(*loss.options, "source"),
        formula=loss.formula or f"as {function.__name__} in {visible(path)} computes it",
        gradient_formula=_gradient_formula(loss, path),
    )


def _plain(function: FunctionType) -> Loss:
    """An undecorated function: a loss of real numbers, value by value."""
    return Loss(
        name=function.__name__,
        forms={"value": definition_of(function)},
        target_kind=TargetKind.SAME,
        target=REAL,
        options=(),
        formula="",
        gradient_formula="",
        docstring=function.__doc__ or "",
    )


def _gradient_formula(loss: Loss, path: str) -> str:
    if not loss.has_gradient:
        return "none: add one with gradient_of"
    gradient = next(iter(loss.forms.values())).gradient
    written = loss.gradient_formula if not loss.gradient_formula.startswith("none") else ""
    return written or f"as {getattr(gradient, '__name__', 'its gradient')} in {visible(path)} computes it"


# ---- arguments


def _parameters(loss: Loss, function: FunctionType, path: str) -> dict[str, tuple[float | str | None, Parameter]]:
    """What the function takes besides data: annotated with a `Parameter`, or an argument with a number as default."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception as error:  # noqa: BLE001 - an annotation may be anything
        raise UsageError(
            f"{visible(path)}: the annotations of {function.__name__} cannot be read: {visible(error)}",
            hint="import what they name",
        ) from None
    found: dict[str, tuple[float | str | None, Parameter]] = {}
    for name, argument in inspect.signature(function).parameters.items():
        facts = _annotated(hints.get(name))
        if facts is None and (argument.default is argument.empty or (name in SET_ELSEWHERE and name in loss.options)):
            continue
        if name in RESERVED or (name == "weight" and loss.scope is Scope.DATASET):
            meaning = RESERVED.get(name, "the sum of the weights")
            raise UsageError(
                f"{visible(path)}: {function.__name__} cannot have a parameter '{name}', which is {meaning}",
                hint="rename it",
            )
        default = None if argument.default is argument.empty else _number(argument.default, name, function, path)
        if facts is None:
            is_flag = isinstance(argument.default, bool)
            facts = Parameter("a parameter of the loss", words=FLAG if is_flag else ())
        if default is None and facts.example is None:
            facts = replace(facts, example=_example(facts))
        _check_default(default, facts, f"{visible(path)}: the default of '{name}' in {function.__name__}")
        found[name] = (facts.as_option(default), facts)
    return found


def _check_default(default: float | None, facts: Parameter, what: str) -> None:
    """Raises UsageError for a default that the parameter itself does not allow."""
    is_word = default in range(len(facts.words))
    if default is not None and not (is_word if facts.words else facts.allows(default) or facts.optional):
        raise UsageError(f"{what} must be {facts.range()}, found {default:g}", hint="change one of them")


def _annotated(hint: Any) -> Parameter | None:
    parts = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((part for part in parts if isinstance(part, Parameter)), None)


def _number(default: object, name: str, function: Callable[..., Any], path: str) -> float:
    if not isinstance(default, int | float):
        raise UsageError(
            f"{visible(path)}: the default of '{name}' in {function.__name__} must be a number, "
            f"found {visible(repr(default))}",
            hint="a loss takes numbers",
        )
    return float(default)


def _example(facts: Parameter) -> float:
    """A value that a parameter may have."""
    for number in (1.0, 0.5, 2.0, facts.at_least, facts.at_most, *facts.choices):
        if number is not None and facts.allows(number):
            return number
    return 1.0


def _forms(loss: Loss) -> dict[str, Definition]:
    """Every definition of a loss, by what it is for."""
    forms = dict(loss.forms)
    for option, values in loss.variants.items():
        for value, facts in values.items():
            forms |= {f"{option}={value}, {name}": form for name, form in facts.get("forms", {}).items()}
    return forms


def _functions(loss: Loss) -> Iterator[tuple[str, Any]]:
    """Every function of a loss, with what it is for."""
    for name, form in _forms(loss).items():
        yield f"{name} value", form.function
        yield from ((f"{name} fold {fold.name}", fold.term) for fold in form.folds)
        yield from ((f"{name} condition of {fold.name}", fold.when) for fold in form.folds if fold.when is not None)
        if form.gradient is not None:
            yield f"{name} gradient", form.gradient
        yield from ((f"{name} gradient by {by}", each) for by, each in form.gradient_by.items())
        yield from ((f"{name} gradient of {of}", each) for of, each in form.input_gradients.items())
        if form.degenerate is not None:
            yield f"{name} degenerate", form.degenerate
    if loss.target_transform is not None:
        yield "target", loss.target_transform.apply


def _refuse_kinds(loss: Loss, function: FunctionType, path: str) -> None:
    """Raises UsageError for what only a built-in loss can be."""
    where = f"{visible(path)}: {function.__name__}"
    if any(form.row_function is not None for form in loss.forms.values()) or loss.scope is Scope.PAIRS:
        raise UsageError(f"{where} is a function of arrays", hint="write one of numbers, with folds over the row")
    if loss.scope is Scope.DATASET and loss.inputs:
        raise UsageError(
            f"{where} is a loss of the whole data set with further inputs, which none can have",
            hint="a loss of values or rows can",
        )


def _check_arguments(loss: Loss, function: Callable[..., Any], path: str) -> None:
    """Raises UsageError for an argument that nothing provides, and for too many of them."""
    folds = {fold.name for form in _forms(loss).values() for fold in form.folds}
    provided = [*LEADING, *loss.parameters, *loss.inputs, *sorted(folds), *sorted(_with_defaults(loss))]
    if loss.scope is Scope.DATASET:
        provided.append("weight")
    where = f"{visible(path)}: {function.__name__}"
    if inspect.iscoroutinefunction(function):
        raise UsageError(f"{where} is an `async def`, and a loss is a plain function", hint="write def")
    if (count := len(argument_names(function))) > MOST_ARGUMENTS:
        raise UsageError(f"{where} has too many arguments: {count}", hint=f"a function may have {MOST_ARGUMENTS}")
    for name, argument in inspect.signature(function).parameters.items():
        if argument.kind is not argument.POSITIONAL_OR_KEYWORD:
            raise UsageError(f"{where} has the argument '{argument}'", hint="write plain arguments, one by one")
        if argument.default is not argument.empty:
            _number(argument.default, name, function, path)
        elif name not in provided:
            raise UsageError(
                f"{where} asks for '{visible(name)}', which nothing provides",
                hint=f"{_meant(name, provided)}it may ask for {', '.join(provided)}; a parameter needs a default",
            )


def _refuse_values(loss: Loss, path: str) -> None:
    """Raises UsageError where a function that is called once for a row asks for one of the row's values."""
    folds = [fold for form in _forms(loss).values() for fold in form.folds]
    once = [fold.when for fold in folds if fold.when is not None]
    once += [fold.term for fold in folds if fold.monoid is Monoid.ONCE]
    for function in once:
        value = next((name for name in argument_names(function) if name in LEADING), None)
        if value is not None:
            raise UsageError(
                f"{visible(path)}: {function.__name__} is computed once for each row and asks for '{value}'",
                hint="it may ask for earlier folds and parameters",
            )


def _with_defaults(loss: Loss) -> set[str]:
    """Arguments with a default, of any function, that are no parameters: what sets them is decided elsewhere."""
    functions = [function for _, function in _functions(loss)]
    arguments = [argument for each in functions for argument in inspect.signature(each).parameters.values()]
    return {each.name for each in arguments if each.default is not each.empty} - set(loss.parameters) - set(LEADING)


def _meant(name: str, provided: list[str]) -> str:
    for role, others in OTHER_NAMES.items():
        if name.lower() in others:
            return f"call it {role}; "
    return did_you_mean(name, provided)


# ---- what it computes


def _computed(loss: Loss, source: bytes, path: str) -> str:
    """A digest of what the functions compute, which includes constants from elsewhere.

    Raises UsageError for a function that cannot be compiled.
    """
    from lossctl_kernels.rehearsal import rehearse

    digest = sha256()
    for role, function in _functions(loss):
        try:
            with printing_aside:
                computed = rehearse(function)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it may raise anything
            from lossctl.own.faults import code_fault

            raise code_fault(error, path, source, function) from None
        digest.update(f"{role}\0{computed}\0".encode())
    return digest.hexdigest()


# ---- compiled code is found by the names of functions, so these tell all versions of all losses apart


def _stamped_facts(facts: dict[str, Any], code: str, role: str) -> dict[str, Any]:
    if "forms" not in facts:
        return facts
    return {
        **facts,
        "forms": {name: _stamped(form, code, f"{role}, {name}") for name, form in facts["forms"].items()},
    }


def _stamped(form: Definition, code: str, role: str) -> Definition:
    def copy(function: Callable[..., Any], what: str) -> Callable[..., Any]:
        if not isinstance(function, FunctionType):
            return function
        made = FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        made.__module__, made.__qualname__ = code, f"{role}.{what}"
        return made

    return replace(
        form,
        function=copy(form.function, "value"),
        gradient=None if form.gradient is None else copy(form.gradient, "gradient"),
        gradient_by={by: copy(each, f"gradient_by.{by}") for by, each in form.gradient_by.items()},
        input_gradients={of: copy(each, f"gradient_of.{of}") for of, each in form.input_gradients.items()},
        degenerate=None if form.degenerate is None else copy(form.degenerate, "degenerate"),
    )
