"""SPECs: names and options, names of other frameworks, shapes that decide, flags and options together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.catalogue.loss_spec import LossSpec, Shapes, find, gradient_hint, parse, settle, spec_of
from lossctl.errors import UsageError
from lossctl_kernels import LOSSES
from lossctl_kernels.domains import TargetKind

FLAT = Shapes((), ())
DENSE = Shapes((3,), (3,))
SPARSE = Shapes((3,), ())


def test_a_name_and_its_options() -> None:
    assert parse("bce") == LossSpec("bce", "bce", {})
    assert parse("huber:delta=2") == LossSpec("huber:delta=2", "huber", {"delta": "2"})
    assert parse(" scce : input = logit , class_weight = 1|2 ").options == {"input": "logit", "class_weight": "1|2"}
    assert parse("x:a=b=c").options == {"a": "b=c"}


def test_a_spec_of_options_is_taken_apart_again() -> None:
    assert spec_of("mae", {}) == "mae"
    text = spec_of("huber", {"delta": 0.1, "row": "sum", "class_weight": 2.0})
    assert text == "huber:delta=0.1,row=sum,class_weight=2"
    assert parse(text).options == {"delta": "0.1", "row": "sum", "class_weight": "2"}


@pytest.mark.parametrize(
    "text", ["", " ", ":", ":a=1", "bce:", "bce:a", "bce:=1", "bce:a=", "bce:a=1,", "bce:a=1,a=2", "bce:,"]
)
def test_what_is_not_a_spec(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.hint


def refusal_of(action: Callable[[], object]) -> UsageError | None:
    """The error that `action` raises, if any; any other error fails the test."""
    try:
        action()
    except UsageError as error:
        return error
    return None


@given(st.text(max_size=40) | st.from_regex(r"[a-z_]{1,8}:([a-z_]{1,8}=[a-z0-9.|-]{1,8},?){1,3}", fullmatch=True))
def test_no_text_raises_another_error(text: str) -> None:
    refusal = refusal_of(lambda: parse(text))
    if refusal is not None:
        assert str(refusal).isprintable()
        return
    spec = parse(text)
    assert spec.name
    joined = ",".join(f"{name}={value}" for name, value in spec.options.items())
    assert parse(f"{spec.name}:{joined}" if joined else spec.name).options == spec.options


NAMES = st.sampled_from([*LOSSES, "log_loss", "CrossEntropyLoss", "L1Loss", "x"])
OPTION_NAMES = st.sampled_from([*LOSSES["scce"].options, *LOSSES["bce"].options, "delta", "sign", "row", "é"])
VALUES = st.sampled_from(
    ["1", "0", "-1", "nan", "inf", "logit", "prob", "true", "1|2|3", "|", "clip", "keras", "1e999"]
)
SHAPES = st.sampled_from([FLAT, DENSE, SPARSE, Shapes((), (3,)), Shapes((2, 2), (2, 2))])


@given(NAMES, st.dictionaries(OPTION_NAMES, VALUES | st.text(max_size=5), max_size=3), SHAPES)
def test_no_spec_settles_with_another_error(name: str, options: dict[str, str], shapes: Shapes) -> None:
    refusal = refusal_of(lambda: settle(LossSpec("text", name, options), {}, shapes))
    assert refusal is None or str(refusal).isprintable()


# ---- names


def every_alias() -> list[tuple[str, str]]:
    return [(loss.name, alias) for loss in LOSSES.values() for names in loss.aliases.values() for alias in names]


@pytest.mark.parametrize(("name", "alias"), every_alias(), ids=lambda text: text)
def test_every_name_of_every_framework_is_understood(name: str, alias: str) -> None:
    spec = parse(alias)
    meant = {loss.name: options for loss, options in find(spec.name)}
    if spec.name in LOSSES:  # a canonical name means that loss alone
        assert set(meant) == {spec.name}
    else:
        assert meant[name] == spec.options
    loss = LOSSES[name]
    needed = {option: f"{number:g}" for option, number in loss.required.items()}
    shapes = {TargetKind.SAME: FLAT, TargetKind.DISTRIBUTION: DENSE}.get(loss.target_kind, SPARSE)
    settled = settle(LossSpec(alias, spec.name, needed), {}, shapes)
    assert settled.loss.name == (spec.name if spec.name in LOSSES else name)
    assert settled.input == spec.options.get("input", next(iter(loss.forms)))


@pytest.mark.parametrize(("shapes", "name"), [(FLAT, "bce"), (DENSE, "cce"), (SPARSE, "scce")])
def test_log_loss_is_decided_by_the_shapes(shapes: Shapes, name: str) -> None:
    assert settle(parse("log_loss"), {}, shapes).loss.name == name


def test_class_indices_decide_for_a_loss_that_takes_them_by_an_option() -> None:
    assert settle(parse("brier_score_loss"), {}, SPARSE)["labels"] == "index"
    assert settle(parse("brier_score_loss:labels=index"), {}, SPARSE).loss.name == "brier_multiclass"
    assert settle(parse("brier_score_loss"), {}, DENSE)["labels"] == "dense"
    assert settle(parse("brier_score_loss"), {}, FLAT).loss.name == "brier"
    with pytest.raises(UsageError, match="brier_score_loss means labels=index"):
        settle(parse("brier_score_loss:labels=dense"), {}, SPARSE)


def test_an_option_for_every_loss_that_one_does_not_have() -> None:
    with pytest.raises(UsageError, match="has no option 'log_base'") as caught:
        settle(parse("huber"), {"log_base": "2"}, FLAT)
    assert "huber has: delta, denom, empty, grad_scale, preset, row" in (caught.value.hint or "")


@pytest.mark.parametrize("alias", ["cross_entropy", "CrossEntropyLoss"])
@pytest.mark.parametrize(("shapes", "name"), [(DENSE, "cce"), (SPARSE, "scce")])
def test_cross_entropy_is_decided_by_the_shapes_and_takes_logits(alias: str, shapes: Shapes, name: str) -> None:
    settled = settle(parse(alias), {}, shapes)
    assert (settled.loss.name, settled.input) == (name, "logit")


def test_a_name_that_no_loss_of_the_shape_has() -> None:
    with pytest.raises(UsageError, match="cce or scce, and neither fits"):
        settle(parse("cross_entropy"), {}, FLAT)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("RMSE", "rmse"),
        ("Huber-Loss", "huber_loss"),
        ("mean_square_error", "mean_squared_error"),
        ("hubre", "huber"),
        ("metrics.mean_absolute_error", "mean_absolute_error"),  # it was the median's, and the next multiclass_hinge
        ("metrics.hinge_loss", "hinge_loss"),
    ],
)
def test_a_slip_gets_a_suggestion(written: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(written)
    assert f"did you mean {meant}?" in str(caught.value)


def test_what_resembles_nothing_gets_none() -> None:
    with pytest.raises(UsageError) as caught:
        find("zzzzzz")
    assert "did you mean" not in str(caught.value)


# ---- options


def test_a_flag_and_a_spec_that_agree_are_one() -> None:
    assert settle(parse("bce:input=logit"), {"input": "logit"}, FLAT).input == "logit"
    assert settle(parse("scce:ignore_index=-1"), {"ignore_index": -1}, SPARSE)["ignore_index"] == -1


@pytest.mark.parametrize(
    ("text", "flags", "says"),
    [
        ("bce:input=prob", {"input": "logit"}, "the command says input=logit"),
        ("bce:log_base=2", {"log_base": "10"}, "the command says log_base=10"),
        ("BCEWithLogitsLoss:input=prob", {}, "the name BCEWithLogitsLoss means input=logit"),
        ("mse", {"input": "logit"}, "mse has no option 'input', which the command gives"),
        ("jaccard:alpha=2", {}, "the name jaccard means alpha=1"),
        ("dice_loss:smooth=0.5", {}, "the name dice_loss means smooth=1"),
        ("optax.dice_loss:scope=all", {}, "the name optax.dice_loss means scope=sample-class"),
        ("HalfGammaLoss:half=false,preset=sklearn", {}, "the name HalfGammaLoss means half=true"),
    ],
)
def test_a_contradiction_is_refused(text: str, flags: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        settle(parse(text), flags, FLAT)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("optax.dice_loss:smooth=0.5", {}),
        ("optax.losses.binary_dice_loss:smooth=0.5", {}),
        ("dice_loss:preset=optax,smooth=0.5", {}),
        ("dice_loss:smooth=0.5", {"preset": "optax"}),
    ],
)
def test_an_argument_of_a_function_in_its_framework_may_be_given(text: str, flags: dict[str, str]) -> None:
    settled = settle(parse(text), flags, SPARSE)
    assert (settled["smooth"], settled.input) == (0.5, "logit")


def test_presets_fill_in_and_never_contradict() -> None:
    keras = settle(parse("bce:preset=keras"), {}, FLAT)
    assert (keras["eps"], keras["denom"]) == (1e-7, "count")
    own = settle(parse("bce:preset=keras,eps=0.01"), {}, FLAT)
    assert (own["eps"], own["denom"]) == (0.01, "count")
    assert settle(parse("scce:preset=torch"), {}, SPARSE).input == "logit"


@pytest.mark.parametrize(("shape", "width"), [((), 1), ((3,), 3), ((3, 4), 12)])
def test_the_width_of_a_row(shape: tuple[int, ...], width: int) -> None:
    assert Shapes(shape, ()).width == width


# ---- losses of one's own and of installed packages


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("my.py:f", "my.py:f", {}),
        ("my.py:f:alpha=2,beta=x.py:g", "my.py:f", {"alpha": "2", "beta": "x.py:g"}),
        ("a:b/my.py:f:alpha=2", "a:b/my.py:f", {"alpha": "2"}),
        ("a.py:b/my.py:f", "a.py:b/my.py:f", {}),
        ("a=b,c/my.py:f:alpha=2", "a=b,c/my.py:f", {"alpha": "2"}),
        ("my.py", "my.py", {}),
        ("my.py:", "my.py:", {}),
        ("my.py:alpha=2", "my.py", {"alpha": "2"}),
    ],
)
def test_files_in_specs(text: str, name: str, options: dict[str, str]) -> None:
    assert parse(text) == LossSpec(text, name, options)


def test_what_to_do_about_a_missing_gradient() -> None:
    assert "lossctl list" in gradient_hint(LOSSES["zero_one"])
    own = replace(LOSSES["mse"], origin="my.py")
    assert gradient_hint(own) == "add a function under @gradient_of(mse) to my.py, as docs/own-losses.md shows"
