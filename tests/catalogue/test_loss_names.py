"""Names of losses in other frameworks: each is a loss here, or told what is."""

from __future__ import annotations

import numpy as np
import pytest

import lossctl
from lossctl.catalogue.loss_names import argument, guess
from lossctl.catalogue.loss_spec import Shapes, find, names, parse, settle
from lossctl.errors import UsageError
from lossctl_kernels import LOSSES
from lossctl_kernels.options import option_names

# By framework: our losses, the names of classes and functions that mean them.
PEERS = {
    "keras": {
        "bce": "BinaryCrossentropy binary_crossentropy bce BCE",
        "binary_focal": "BinaryFocalCrossentropy binary_focal_crossentropy",
        "categorical_focal": "CategoricalFocalCrossentropy categorical_focal_crossentropy",
        "categorical_hinge": "CategoricalHinge categorical_hinge",
        "cce": "CategoricalCrossentropy categorical_crossentropy",
        "circle": "Circle circle",
        "cosine_similarity": "CosineSimilarity cosine_similarity cosine_proximity",
        "ctc": "CTC ctc",
        "dice": "Dice dice",
        "gce": "CategoricalGeneralizedCrossEntropy categorical_generalized_cross_entropy",
        "hinge": "Hinge hinge",
        "huber": "Huber huber huber_loss",
        "kl_divergence": "KLDivergence kl_divergence kld KLD kullback_leibler_divergence",
        "log_cosh": "LogCosh log_cosh logcosh LogCoshError",
        "mae": "MeanAbsoluteError mean_absolute_error mae MAE",
        "mape": "MeanAbsolutePercentageError mean_absolute_percentage_error mape MAPE",
        "mse": "MeanSquaredError mean_squared_error mse MSE",
        "msle": "MeanSquaredLogarithmicError mean_squared_logarithmic_error msle MSLE",
        "poisson": "Poisson poisson",
        "rmse": "RootMeanSquaredError",
        "scce": "SparseCategoricalCrossentropy sparse_categorical_crossentropy",
        "squared_hinge": "SquaredHinge squared_hinge",
        "tversky": "Tversky tversky",
    },
    "torch": {
        "bce": "BCELoss BCEWithLogitsLoss binary_cross_entropy binary_cross_entropy_with_logits",
        "binary_focal": "sigmoid_focal_loss",
        "cce scce": "CrossEntropyLoss cross_entropy",
        "cosine_embedding": "CosineEmbeddingLoss cosine_embedding_loss",
        "cosine_similarity": "CosineSimilarity cosine_similarity",
        "ctc": "CTCLoss ctc_loss",
        "gaussian_nll": "GaussianNLLLoss gaussian_nll_loss",
        "hinge_embedding": "HingeEmbeddingLoss hinge_embedding_loss",
        "huber": "HuberLoss huber_loss",
        "kl_divergence": "KLDivLoss kl_div",
        "mae": "L1Loss l1_loss",
        "margin_ranking": "MarginRankingLoss margin_ranking_loss",
        "mse": "MSELoss mse_loss",
        "multi_margin": "MultiMarginLoss multi_margin_loss",
        "multilabel_margin": "MultiLabelMarginLoss multilabel_margin_loss",
        "multilabel_soft_margin": "MultiLabelSoftMarginLoss multilabel_soft_margin_loss",
        "nll": "NLLLoss NLLLoss2d nll_loss",
        "poisson_nll": "PoissonNLLLoss poisson_nll_loss",
        "smooth_l1": "SmoothL1Loss smooth_l1_loss",
        "soft_margin": "SoftMarginLoss soft_margin_loss",
        "triplet_margin": "TripletMarginLoss TripletMarginWithDistanceLoss triplet_margin_loss "
        "triplet_margin_with_distance_loss",
    },
    "optax": {
        "bce": "sigmoid_binary_cross_entropy",
        "binary_focal": "sigmoid_focal_loss",
        "binary_sparsemax": "sparsemax_loss",
        "cce": "safe_softmax_cross_entropy softmax_cross_entropy",
        "cosine_distance": "cosine_distance",
        "cosine_similarity": "cosine_similarity",
        "ctc": "ctc_loss ctc_loss_with_forward_probs",
        "fenchel_young": "make_fenchel_young_loss",
        "generalized_dice": "multiclass_generalized_dice_loss",
        "generalized_kl": "convex_kl_divergence generalized_kl_divergence",
        "half_mse": "l2_loss",
        "huber": "huber_loss",
        "kl_divergence": "kl_divergence kl_divergence_with_log_targets",
        "log_cosh": "log_cosh",
        "mse": "squared_error",
        "multiclass_hinge": "multiclass_hinge_loss",
        "multiclass_hinge hinge": "hinge_loss",
        "multiclass_perceptron": "multiclass_perceptron_loss",
        "ntxent": "ntxent",
        "perceptron": "perceptron_loss",
        "poly1": "poly_loss_cross_entropy",
        "ranking_softmax": "ranking_softmax_loss",
        "scce": "softmax_cross_entropy_with_integer_labels",
        "sparsemax": "multiclass_sparsemax_loss",
        "triplet_margin": "triplet_margin_loss",
        "tversky": "dice_loss binary_dice_loss",
    },
    "sklearn": {
        "bce": "HalfBinomialLoss",
        "bce cce scce": "log_loss",
        "brier brier_multiclass": "brier_score_loss",
        "coverage_error": "coverage_error",
        "epsilon_insensitive": "epsilon_insensitive",
        "exponential": "ExponentialLoss",
        "gamma_deviance": "mean_gamma_deviance HalfGammaLoss",
        "half_mse": "HalfSquaredError",
        "hamming": "hamming_loss",
        "huber": "HuberLoss",
        "label_ranking": "label_ranking_loss",
        "mae": "mean_absolute_error AbsoluteError absolute_error",
        "mape": "mean_absolute_percentage_error",
        "max_error": "max_error",
        "median_ae": "median_absolute_error",
        "modified_huber": "modified_huber",
        "mse": "mean_squared_error",
        "msle": "mean_squared_log_error",
        "multiclass_hinge hinge": "hinge_loss",
        "perceptron": "perceptron",
        "poisson_deviance": "mean_poisson_deviance",
        "poisson_nll": "HalfPoissonLoss",
        "quantile": "mean_pinball_loss PinballLoss",
        "rmse": "root_mean_squared_error",
        "rmsle": "root_mean_squared_log_error",
        "scce": "HalfMultinomialLoss",
        "squared_epsilon_insensitive": "squared_epsilon_insensitive",
        "squared_hinge": "squared_hinge",
        "tweedie_deviance": "mean_tweedie_deviance HalfTweedieLoss HalfTweedieLossIdentity",
        "zero_one": "zero_one_loss",
    },
}


@pytest.mark.parametrize("peer", PEERS)
def test_names_of_a_framework_are_losses_here(peer: str) -> None:
    for meant, theirs in PEERS[peer].items():
        for name in theirs.split():
            assert sorted(loss.name for loss, _ in find(name)) == sorted(meant.split()), name


@pytest.mark.parametrize(
    ("name", "implied"),
    [
        ("dice_loss", {"input": "logit", "smooth": "1", "scope": "sample-class"}),
        ("binary_dice_loss", {"input": "logit", "smooth": "1", "scope": "sample"}),
        ("jaccard", {"alpha": "1", "beta": "1"}),
        ("BCEWithLogitsLoss", {"input": "logit"}),
        ("HalfGammaLoss", {"half": "true", "link": "log", "drop_constant": "true"}),
        ("HalfTweedieLossIdentity", {"half": "true"}),
        ("HalfBinomialLoss", {"input": "logit"}),
        ("kl_divergence_with_log_targets", {"input": "log_prob", "target": "log_prob"}),
    ],
)
def test_what_a_name_implies(name: str, implied: dict[str, str]) -> None:
    assert dict(find(name)[0][1]) == implied


@pytest.mark.parametrize("peer", PEERS)
def test_a_path_in_a_framework_is_the_name_under_its_preset(peer: str) -> None:
    modules = {
        "keras": ("keras.losses", "tf.keras.losses"),
        "torch": ("torch.nn", "torch.nn.functional", "nn", "F"),
        "optax": ("optax", "optax.losses"),
        "sklearn": ("sklearn.metrics",),
    }[peer]
    for loss in LOSSES.values():
        for alias in loss.aliases.get(peer, ()):
            bare = alias.partition(":")[0]
            for module in modules:
                of_peer = {each.name: dict(implied) for each, implied in find(f"{module}.{bare}")}
                alone = {each.name: dict(implied) for each, implied in find(bare)}
                assert loss.name in of_peer
                assert of_peer == {name: {**alone[name], "preset": peer} for name in of_peer}


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("torch.nn.functional.ctc_loss", "ctc"),
        ("F.ctc_loss", "ctc"),
        ("optax.ctc_loss", "ctc"),
        ("torch.nn.CosineSimilarity", "cosine_similarity"),
        ("keras.losses.CosineSimilarity", "cosine_similarity"),
        ("torch.cosine_similarity", "cosine_similarity"),
    ],
)
def test_a_name_that_several_frameworks_have_takes_the_preset_of_its_path(path: str, meant: str) -> None:
    ((loss, implied),) = find(path)
    assert loss.name == meant
    preset = {"F": "torch"}.get(path.partition(".")[0], path.partition(".")[0])
    assert implied["preset"] == preset


def test_metrics_of_keras_are_not_its_losses() -> None:
    assert dict(find("tf.keras.metrics.MeanSquaredError")[0][1]) == {"preset": "keras", "denom": "weight"}
    assert dict(find("keras.metrics.CosineSimilarity")[0][1]) == {"preset": "keras", "denom": "weight", "sign": "1"}
    assert dict(find("keras.metrics.RootMeanSquaredError")[0][1]) == {"preset": "keras"}
    assert dict(find("sklearn.metrics.mean_squared_error")[0][1]) == {"preset": "sklearn"}


def test_a_path_leads_to_the_losses_of_that_framework_alone() -> None:
    assert [loss.name for loss, _ in find("sklearn.metrics.mean_squared_error")] == ["mse"]
    assert {loss.name for loss, _ in find("optax.hinge_loss")} == {"hinge"}
    for name in ("torch.nn.Hinge", "optax.MSELoss", "jax.l2_loss", "losses.mse", "torch.", ".mse", "torch.nn"):
        with pytest.raises(UsageError, match="unknown loss"):
            find(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("torch.nn.KLDivLos", "KLDivLoss"),
        ("keras.losses.CategoricalCrossEntropy", "CategoricalCrossentropy"),
        ("DiceLoss", "dice_loss"),
        ("TverskyLoss", "tversky"),
        ("RMSE", "rmse"),
        ("NT-Xent", "ntxent"),
        ("InfoNCELoss", "infonce"),
        ("kullback_leibler", "kullback_leibler_divergence"),
        ("Smooth-L1", "smooth_l1"),
        ("logloss", "log_loss"),
        ("hubr", "huber"),
    ],
)
def test_another_spelling_is_guessed(name: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(name)
    assert (caught.value.hint or "").startswith(f"did you mean {meant}? ")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("smooth_labels", "label_smoothing=0.1"),
        ("mean_with_sample_weight", "denom=weight"),
        ("AdaptiveLogSoftmaxWithLoss", "scce:input=logit"),
        ("r2_score", "evaluate both"),
        ("accuracy_score", "1 - zero_one"),
        ("accuracy", "1 - zero_one"),
        ("r2", "evaluate both"),
        ("keras.metrics.BinaryAccuracy", "1 - zero_one of them"),
        ("keras.metrics.sparse_categorical_accuracy", "1 - zero_one of them"),
        ("precision", "no mean of losses"),
        ("sklearn.metrics.roc_auc_score", "no mean of losses"),
        ("sklearn.metrics.balanced_accuracy_score", "no mean of losses"),
        ("keras.metrics.TopKCategoricalAccuracy", "1 - zero_one of that and 1"),
        ("keras.metrics.SparseTopKCategoricalAccuracy", "1 - zero_one of that and 1"),
        ("keras.losses.Loss", "name the loss itself"),
        ("neg_mse", "minus the loss: use mse; "),
        ("neg_mean_squared_error", "minus the loss: use sklearn.metrics.mean_squared_error; "),
        ("neg_root_mean_squared_log_error", "minus the loss: use sklearn.metrics.root_mean_squared_log_error; "),
        ("neg_brier_score", "minus the loss: use sklearn.metrics.brier_score_loss; "),
        ("neg_log_loss", "minus the loss: use sklearn.metrics.log_loss; "),
    ],
)
def test_what_is_no_loss_is_told(name: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(name)
    assert says in (caught.value.hint or "")


def test_the_hint_for_a_scorer_leads_to_the_number_of_scikit_learn() -> None:
    """Its MAPE is a share, and no percentage."""
    with pytest.raises(UsageError) as caught:
        find("neg_mean_absolute_percentage_error")
    name = str(caught.value.hint).partition("use ")[2].partition(";")[0]
    found = lossctl.evaluate(np.array([90.0, 110.0]), np.array([100.0, 100.0]), name)
    assert found.value == pytest.approx(0.1, rel=1e-15)


def test_nothing_close_is_no_guess() -> None:
    assert guess("zzzzzz", names()) == ""


def test_every_alias_is_another_name_than_a_loss_or_the_loss_itself() -> None:
    """A name that is a loss here means that loss, whatever a framework calls so."""
    for loss in LOSSES.values():
        for alias in (name for peer in loss.aliases.values() for name in peer):
            bare = alias.partition(":")[0]
            assert loss in [meant for meant, _ in find(bare)] or bare in LOSSES


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ("bce:from_logits=true", "input=logit"),
        ("keras.losses.BinaryCrossentropy:from_logits=true", "input=logit"),
        ("mse:reduction=none", "the option --reduction, in Python reduction="),
        ("cosine_similarity:axis=1", "the option --class-axis"),
        ("bce:weight=2", "the option --weights"),
        ("scce:weight=1|2|3", "class_weight"),
        ("mse:sample_weight=2", "the option --weights"),
        ("torch.nn.KLDivLoss:log_target=true", "target=log_prob"),
        ("torch.nn.PoissonNLLLoss:log_input=false", "the loss: poisson takes rates, poisson_nll their logarithms"),
        ("torch.nn.TripletMarginLoss:p=1", "norm"),
        ("optax.triplet_margin_loss:norm_degree=1", "norm"),
        ("optax.cosine_distance:epsilon=0.01", "eps; of cosines optax takes its square"),
        ("optax.dice_loss:apply_softmax=false", "input: prob or logit"),
        ("keras.losses.SparseCategoricalCrossentropy:ignore_class=0", "ignore_index"),
        ("keras.losses.BinaryFocalCrossentropy:apply_class_balancing=true", "alpha, which Keras has at 0.25"),
        ("sklearn.metrics.mean_pinball_loss:alpha=0.9", "q"),
        ("sklearn.metrics.zero_one_loss:normalize=false", "the option --reduction, in Python reduction="),
        ("sklearn.metrics.brier_score_loss:pos_label=1", "the option --classes"),
        ("sklearn.metrics.mean_squared_error:squared=false", "the loss rmse"),
        (
            "sklearn.metrics.mean_squared_error:multioutput=raw_values",
            "row=mean for the mean over the columns; for one of them, name it with --pred-col",
        ),
    ],
)
def test_arguments_of_frameworks_have_names_here(spec: str, meant: str) -> None:
    shapes = Shapes((), ()) if "brier" in spec else Shapes((3,), (3,))
    with pytest.raises(UsageError, match=r"has no option '\w+'; here that is") as caught:
        settle(parse(spec), {}, shapes)
    assert caught.value.hint == f"here that is {meant}"


def test_an_argument_that_is_an_option_is_none_of_them() -> None:
    for loss in LOSSES.values():
        names = option_names(loss)
        assert [argument(name, names) for name in names] == [None] * len(names)
