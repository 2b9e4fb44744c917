"""JAX on the CPU, compiled: the functions of optax, and the formula where it has none."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.peers import Key, optional
from benchmarks.peers.formulas import FORMULAS
from lossctl.catalogue.typical_data import Data

os.environ.setdefault("JAX_PLATFORMS", "cpu")
jax: Any = optional("jax")
optax: Any = optional("optax") if jax else None
if jax is not None:
    jax.config.update("jax_enable_x64", True)  # without it float64 arrays become float32


def scce_from_logits(z: Any, i: Any) -> Any:
    """What `optax.losses.softmax_cross_entropy_with_integer_labels` computes, with the classes picked in another way:
    compiling the gradient of that takes XLA half a minute where there are millions of rows.
    """
    return (jax.nn.logsumexp(z, axis=1) - z[jax.numpy.arange(z.shape[0]), i]).mean()


VALUES: Mapping[Key, Callable[..., Any]] = {
    ("mse", "value"): lambda p, y: optax.losses.squared_error(p, y).mean(),
    ("half_mse", "value"): lambda p, y: optax.losses.l2_loss(p, y).mean(),
    ("huber", "value"): lambda p, y: optax.losses.huber_loss(p, y).mean(),
    ("log_cosh", "value"): lambda p, y: optax.losses.log_cosh(p, y).mean(),
    ("bce", "logit"): lambda z, y: optax.losses.sigmoid_binary_cross_entropy(z, y).mean(),
    ("binary_focal", "logit"): lambda z, y: optax.losses.sigmoid_focal_loss(z, y, gamma=2.0).mean(),
    ("hinge", "value"): lambda s, t: optax.losses.hinge_loss(s, t).mean(),
    ("perceptron", "value"): lambda s, t: optax.losses.perceptron_loss(s, t).mean(),
    ("binary_sparsemax", "logit"): lambda z, y: optax.losses.sparsemax_loss(z, y).mean(),
    ("cce", "logit"): lambda z, y: optax.losses.softmax_cross_entropy(z, y).mean(),
    ("scce", "logit"): scce_from_logits,
    ("poly1", "logit"): lambda z, y: optax.losses.poly_loss_cross_entropy(z, y).mean(),
    ("multiclass_hinge", "value"): lambda s, i: jax.vmap(optax.losses.multiclass_hinge_loss)(s, i).mean(),
    ("multiclass_perceptron", "value"): lambda s, i: jax.vmap(optax.losses.multiclass_perceptron_loss)(s, i).mean(),
    ("sparsemax", "value"): lambda s, i: optax.losses.multiclass_sparsemax_loss(s, i).mean(),
    ("ntxent", "value"): lambda e, labels: optax.losses.ntxent(e, labels),  # noqa: PLW0108 - optax may be None
    ("kl_divergence", "log_prob"): lambda q, y: optax.losses.kl_divergence(q, y).mean(),
    ("generalized_kl", "log_prob"): lambda q, y: optax.losses.generalized_kl_divergence(q, y).mean(),
    ("ranking_softmax", "logit"): lambda z, y: optax.losses.ranking_softmax_loss(z, y, reduce_fn=jax.numpy.mean),
    ("cosine_similarity", "value"): lambda p, y: -optax.losses.cosine_similarity(p, y).mean(),
    ("cosine_distance", "value"): lambda p, y: optax.losses.cosine_distance(p, y).mean(),
}


def _function(key: Key) -> Callable[..., Any] | None:
    if optax is not None and key in VALUES:
        return VALUES[key]
    formula = FORMULAS.get(key)
    return None if jax is None or formula is None else lambda *arrays: formula(jax.numpy, *arrays)


def value(key: Key, data: Data) -> Callable[[], Any] | None:
    """A task that gives the mean loss, compiled; None where there is no function or JAX is not installed."""
    function = _function(key)
    return None if function is None else _compiled(function, data)


def gradient(key: Key, data: Data) -> Callable[[], Any] | None:
    """A task that gives the derivative of the mean by the predictions, compiled."""
    function = _function(key)
    return None if function is None else _compiled(jax.grad(function), data)


def _compiled(function: Callable[..., Any], data: Data) -> Callable[[], Any]:
    arrays = [jax.device_put(array) for array in data.arrays]
    compiled = jax.jit(function).lower(*arrays).compile()
    return lambda: compiled(*arrays).block_until_ready()
