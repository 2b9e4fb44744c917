"""PyTorch: its own functions, on the CPU. A loss that it has no function for is not composed from others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.peers import Key, optional
from lossctl.catalogue.typical_data import Data

torch: Any = optional("torch")
functional: Any = torch and torch.nn.functional

NAMES: Mapping[Key, str] = {
    ("mse", "value"): "mse_loss",
    ("mae", "value"): "l1_loss",
    ("huber", "value"): "huber_loss",
    ("smooth_l1", "value"): "smooth_l1_loss",
    ("poisson_nll", "value"): "poisson_nll_loss",
    ("bce", "prob"): "binary_cross_entropy",
    ("bce", "logit"): "binary_cross_entropy_with_logits",
    ("soft_margin", "value"): "soft_margin_loss",
    ("hinge_embedding", "value"): "hinge_embedding_loss",
    ("cce", "logit"): "cross_entropy",
    ("scce", "logit"): "cross_entropy",
    ("scce", "log_prob"): "nll_loss",
    ("nll", "log_prob"): "nll_loss",
    ("multi_margin", "value"): "multi_margin_loss",
    ("gaussian_nll", "value"): "gaussian_nll_loss",
    ("cosine_embedding", "value"): "cosine_embedding_loss",
    ("margin_ranking", "value"): "margin_ranking_loss",
    ("multilabel_margin", "value"): "multilabel_margin_loss",
    ("multilabel_soft_margin", "logit"): "multilabel_soft_margin_loss",
}
"""Functions of torch.nn.functional that take the arrays and nothing else."""


def alignments(log_probabilities: Any, labels: Any) -> Any:
    """CTC, of which the mean is over sequences; frames come first."""
    frames = log_probabilities.transpose(0, 1)
    rows, length = labels.shape
    lengths = [frames.shape[0]] * rows, [length] * rows
    return functional.ctc_loss(frames, labels, *lengths, reduction="sum") / rows


CALLS: Mapping[Key, Callable[..., Any]] = {
    ("poisson", "value"): lambda p, y: functional.poisson_nll_loss(p, y, log_input=False, eps=0.0),
    ("kl_divergence", "log_prob"): lambda q, y: functional.kl_div(q, y, reduction="batchmean"),
    ("triplet_margin", "value"): lambda a, p, negative: functional.triplet_margin_loss(a, p, negative, eps=0.0),
    ("ctc", "log_prob"): alignments,
    ("ctc", "logit"): lambda z, labels: alignments(z.log_softmax(2), labels),
    ("cosine_similarity", "value"): lambda p, y: -functional.cosine_similarity(p, y).mean(),
}
VALUES = {**NAMES, **CALLS}


def _function(key: Key) -> Callable[..., Any] | None:
    if torch is None:
        return None
    return getattr(functional, NAMES[key]) if key in NAMES else CALLS.get(key)


def value(key: Key, data: Data) -> Callable[[], Any] | None:
    """A task that gives the mean loss, or None where PyTorch has no function or is not installed."""
    call = _function(key)
    if call is None:
        return None
    arrays = [torch.from_numpy(array) for array in data.arrays]
    return lambda: call(*arrays)


def gradient(key: Key, data: Data) -> Callable[[], Any] | None:
    """A task that runs forward and backward, and gives the derivative of the mean by the predictions."""
    call = _function(key)
    if call is None:
        return None
    leaf, *others = (torch.from_numpy(array) for array in data.arrays)
    leaf.requires_grad_()
    return lambda: torch.autograd.grad(call(leaf, *others), leaf)[0]


def use_threads(count: int) -> None:
    """Limits PyTorch to so many threads."""
    if torch is not None:
        torch.set_num_threads(count)
