"""Options: what is decided, what contradicts itself, and what a user is told."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lossctl_kernels import LOSSES, OPTIONS, Loss, SpecificationError, resolve
from lossctl_kernels.options import default_of, describe_scope, eps_modes

losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))


def refused(spec: str, options: dict[str, Any]) -> SpecificationError:
    with pytest.raises(SpecificationError) as caught:
        resolve(LOSSES[spec], options)
    assert "\n" not in str(caught.value)
    return caught.value


# ---- what is decided


@losses
def test_every_option_is_decided(loss: Loss) -> None:
    settings = resolve(loss, loss.required)
    assert set(settings.options) == {*loss.options, *loss.parameters}
    assert settings.input == next(iter(loss.forms))
    assert settings.definition is loss.forms[settings.input] or loss.adapt is not None
    assert settings.value_divisor == 1.0
    assert settings.unit == loss.unit
    assert not settings.hidden
    for name, (default, _) in loss.parameters.items():
        assert settings[name] == loss.required.get(name, default)


@losses
def test_an_option_that_a_loss_lacks_has_the_value_of_its_absence(loss: Loss) -> None:
    settings = resolve(loss, loss.required)
    for name in set(OPTIONS) - set(settings.options):
        assert settings[name] == OPTIONS[name].default


@losses
def test_every_choice_can_be_made_and_text_means_the_same_as_values(loss: Loss) -> None:
    for name in loss.options:
        for choice in OPTIONS[name].choices if OPTIONS[name].kind == "choice" else ():
            if name in ("input", "grad_wrt") and choice not in loss.forms:
                continue
            if name == "preset" and choice not in loss.presets:
                continue
            if name == "eps_mode" and choice not in eps_modes(loss):
                continue
            needs: dict[str, Any] = {**loss.required, **({"eps": "0.1"} if name == "eps_mode" else {})}
            if "scope" in loss.options and name in ("denom", "empty", "grad_scale"):
                needs["scope"] = "sample"
            if choice == "others":
                needs["label_smoothing"] = 0.1
                if "smoothing_mode" not in loss.options:
                    continue
            assert resolve(loss, {name: choice, **needs})[name] == choice


@losses
def test_every_word_of_an_option_can_be_said(loss: Loss) -> None:
    for name, values in loss.variants.items():
        assert [resolve(loss, {**loss.required, name: value})[name] for value in values] == list(values)
        assert default_of(loss, name) == next(iter(values))
    for name, (_, facts) in loss.parameters.items():
        for position, word in enumerate(facts.words):
            assert resolve(loss, {**loss.required, name: word})[name] == word
            assert facts.as_number(word) == position


@losses
def test_what_a_loss_needs_has_to_be_given(loss: Loss) -> None:
    for name, example in loss.required.items():
        error = refused(loss.name, {})
        assert str(error) == f"{loss.name} needs {name}"
        assert error.hint == f"such as {loss.name}:{name}={example:g}"


@pytest.mark.parametrize(
    ("loss", "text", "value"),
    [
        ("tweedie_deviance", {"power": "1.5", "half": "yes"}, {"power": 1.5, "half": True}),
        ("binary_focal", {"alpha": "none"}, {"alpha": None}),
        ("categorical_focal", {"alpha": "0.5|1"}, {"alpha": (0.5, 1.0)}),
        ("hinge", {"labels": "01"}, {"labels": "01"}),
        ("huber", {"delta": "1.5"}, {"delta": 1.5}),
        ("bce", {"label_smoothing": "0.1"}, {"label_smoothing": 0.1}),
        ("cce", {"normalize": "true"}, {"normalize": True}),
        ("cce", {"normalize": "no"}, {"normalize": False}),
        ("cce", {"class_weight": "0.5|1|2"}, {"class_weight": [0.5, 1, 2]}),
        ("cce", {"class_weight": "0.5|1|2"}, {"class_weight": np.array([0.5, 1.0, 2.0])}),
        ("scce", {"ignore_index": "-100"}, {"ignore_index": -100}),
        ("cce", {"log_base": "2"}, {"log_base": 2}),
        ("cosine_similarity", {"sign": "1"}, {"sign": 1}),
    ],
)
def test_text_and_values_resolve_alike(loss: str, text: dict[str, Any], value: dict[str, Any]) -> None:
    assert resolve(LOSSES[loss], text).options == resolve(LOSSES[loss], value).options


@pytest.mark.parametrize(
    ("base", "divisor", "unit"), [("e", 1.0, "nat"), ("2", math.log(2.0), "bit"), ("10", math.log(10.0), "dit")]
)
def test_base_of_the_logarithm(base: str, divisor: float, unit: str) -> None:
    settings = resolve(LOSSES["bce"], {"log_base": base})
    assert (settings.value_divisor, settings.unit) == (divisor, unit)


def test_scopes_in_words() -> None:
    scopes = {"each value", "each row", "each row against all rows", "the whole data set"}
    assert {describe_scope(loss) for loss in LOSSES.values()} == scopes
    assert describe_scope(LOSSES["median_ae"]) == describe_scope(LOSSES["generalized_dice"]) == "the whole data set"


# ---- what does not exist


@losses
def test_an_unknown_option_is_answered_with_those_there_are(loss: Loss) -> None:
    error = refused(loss.name, {"no_such_option": "1"})
    assert str(error).startswith(f"{loss.name} has no option 'no_such_option'")
    assert error.hint is not None
    assert all(name in error.hint for name in (*loss.options, *loss.parameters))


@losses
def test_every_option_of_another_loss_is_refused(loss: Loss) -> None:
    others = {name for other in LOSSES.values() for name in (*other.options, *other.parameters)}
    for name in others - {*loss.options, *loss.parameters}:
        assert f"no option '{name}'" in str(refused(loss.name, {name: "1"}))


@pytest.mark.parametrize(
    ("loss", "option", "meant"),
    [("huber", "delt", "delta"), ("bce", "pos_wieght", "pos_weight"), ("cce", "label_smothing", "label_smoothing")],
)
def test_a_misspelt_option_is_recognised(loss: str, option: str, meant: str) -> None:
    assert str(refused(loss, {option: "1"})).endswith(f"did you mean {meant}?")


@pytest.mark.parametrize(
    ("loss", "options", "message", "hint"),
    [
        ("bce", {"input": "logits"}, "input cannot be 'logits'; did you mean logit?", "prob, logit"),
        ("bce", {"input": "log_prob"}, "input cannot be 'log_prob'", "it is one of: prob, logit"),
        ("cce", {"preset": "tensorflow"}, "preset cannot be 'tensorflow'", "keras, torch, optax, sklearn"),
        ("cce", {"log_base": "3"}, "log_base cannot be '3'", "e, 2, 10"),
        ("mse", {"row": "median"}, "row cannot be 'median'", "mean, sum"),
        ("cosine_similarity", {"eps": 1e-3, "eps_mode": "clip"}, "eps_mode cannot be 'clip'", "floor"),
        ("huber", {"delta": "0"}, "delta must be > 0, found 0", None),
        ("huber", {"delta": "-1"}, "delta must be > 0", None),
        ("huber", {"delta": "wide"}, "delta must be a number, found 'wide'", None),
        ("huber", {"delta": "1_0"}, "delta must be a number, found '1_0'", None),
        ("huber", {"delta": "１"}, "delta must be a number, found '１'", None),
        ("huber", {"delta": "nan"}, "delta must be finite", None),
        ("huber", {"delta": "inf"}, "delta must be finite", None),
        ("huber", {"delta": None}, "delta must be a number", None),
        ("cosine_similarity", {"sign": "2"}, "sign must be one of -1, 1", None),
        ("cosine_similarity", {"eps": "-1"}, "eps must be >= 0", None),
        ("bce", {"pos_weight": "0"}, "pos_weight must be > 0", None),
        ("bce", {"label_smoothing": "1.5"}, "label_smoothing must be >= 0 and <= 1, found 1.5", None),
        ("bce", {"label_smoothing": "-0.1"}, "label_smoothing must be >= 0 and <= 1", None),
        ("cce", {"normalize": "maybe"}, "normalize must be true or false", None),
        ("cce", {"class_weight": "1|x"}, "class_weight must be a number, found 'x'", None),
        ("cce", {"class_weight": "1|-1"}, "not negative", None),
        ("cce", {"class_weight": "0|0"}, "not all 0", None),
        ("scce", {"ignore_index": "1.5"}, "ignore_index must be a whole number", None),
        ("scce", {"ignore_index": "1_0"}, "ignore_index must be a whole number", None),
        ("scce", {"ignore_index": "١"}, "ignore_index must be a whole number", None),
        ("cce", {"eps": "0.5", "eps_mode": "clip"}, "eps must be >= 0 and < 0.5 with eps_mode=clip, found 0.5", None),
        ("cce", {"eps": "-1e-7"}, "eps must be >= 0 and < 0.5", None),
        ("cce", {"eps": "-1", "eps_mode": "floor"}, "eps must be >= 0 with eps_mode=floor", None),
        ("cce", {"eps": "-1", "eps_mode": "add"}, "eps must be >= 0 with eps_mode=add", None),
        ("cce", {"eps": "machin"}, "eps must be a number", None),
        ("hinge", {"labels": "10"}, "labels cannot be '10'", "pm1, 01"),
        ("binary_sparsemax", {"labels": "dense"}, "labels cannot be 'dense'", "01, pm1"),
        ("poisson", {"full": "stirlin"}, "full cannot be 'stirlin'; did you mean stirling?", "no, exact, stirling"),
        ("poisson_deviance", {"link": "logit"}, "link cannot be 'logit'", "identity, log"),
        ("gamma_deviance", {"half": "2"}, "half cannot be '2'", "false, true"),
        ("quantile", {"q": "1.1"}, "q must be >= 0 and <= 1, found 1.1", None),
        ("gce", {"q": "1"}, "q must be > 0 and < 1, found 1", None),
        ("tweedie_deviance", {"power": "0.5"}, "power must be <= 0 or >= 1, found 0.5", None),
        ("binary_focal", {"alpha": "2"}, "alpha must be >= 0 and <= 1, or none, found 2", None),
        ("binary_focal", {"gamma": "none"}, "gamma must be a number", None),
        ("multi_margin", {"p": "3"}, "p must be one of 1, 2", None),
        ("mape", {"eps": "1", "eps_mode": "clip"}, "eps_mode cannot be 'clip'", "floor"),
        ("poisson", {"eps": "1", "eps_mode": "floor"}, "eps_mode cannot be 'floor'", "add"),
        ("mae", {"kink": "sharp"}, "kink cannot be 'sharp'", "torch, flat, steep, half"),
        ("dice", {"scope": "classes"}, "scope cannot be 'classes'; did you mean class", "sample-class"),
        ("dice", {"denom": "count"}, "denom means nothing with the other options", "leave it out"),
        ("tversky", {"scope": "class", "grad_scale": "sum"}, "grad_scale means nothing", "leave it out"),
        ("cce", {"smoothing_mode": "others"}, "smoothing_mode=others without label_smoothing", "label_smoothing"),
        ("mse", {"drop_constant": "true"}, "mse has no option 'drop_constant'", "grad_scale"),
    ],
)
def test_values_that_do_not_fit(loss: str, options: dict[str, Any], message: str, hint: str | None) -> None:
    error = refused(loss, options)
    assert message in str(error)
    assert hint is None or hint in str(error.hint)


# ---- what contradicts itself


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        ("bce", {"input": "logit", "eps": 1e-7}, "eps guards probabilities, but the predictions are input=logit"),
        ("cce", {"input": "logit", "normalize": True}, "normalize guards probabilities"),
        ("cce", {"input": "log_prob", "eps": 1e-7, "eps_mode": "clip"}, "guards probabilities"),
        ("cce", {"preset": "torch", "normalize": True}, "the predictions are input=logit"),
        ("cce", {"eps_mode": "clip"}, "eps_mode=clip without eps"),
        ("bce", {"eps_mode": "floor", "eps": 0}, "eps_mode=floor without eps"),
        ("cce", {"grad_wrt": "logit", "eps": 1e-7}, "cannot be combined with eps or normalize"),
        ("scce", {"grad_wrt": "logit", "normalize": True}, "cannot be combined with eps or normalize"),
        ("cce", {"grad_wrt": "logit", "preset": "keras"}, "cannot be combined with eps or normalize"),
        (
            "kl_divergence",
            {"input": "log_prob", "eps": 1e-7},
            "eps means nothing for predictions that are input=log_prob",
        ),
        ("gce", {"q": 0.5, "input": "logit", "normalize": True}, "normalize guards probabilities"),
    ],
)
def test_contradictions(loss: str, options: dict[str, Any], message: str) -> None:
    assert message in str(refused(loss, options))


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        ("bce", {"input": "logit", "preset": "keras"}),
        ("cce", {"input": "logit", "normalize": False}),
        ("cce", {"input": "logit", "preset": "sklearn"}),
        ("cce", {"grad_wrt": "prob", "eps": 1e-7}),
        ("bce", {"preset": "torch", "eps": 1e-7, "eps_mode": "clip"}),
        ("bce", {"preset": "optax", "input": "prob"}),
    ],
)
def test_what_only_looks_like_a_contradiction(loss: str, options: dict[str, Any]) -> None:
    settings = resolve(LOSSES[loss], options)
    assert all(settings[name] == value for name, value in options.items())
