"""Linear and softmax self-attention under a change of f (lemma 1).

Axes, in addition to the project's: i is a key and S their number, j a query
and T their number; pairs are (..., H, T, S), j before i. All is float64.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tiny_gpt.analysis.statistics import require


class LinearWeights(NamedTuple):
    """The two matrices of each head of a linear self-attention.

    Attributes:
        key_query: K^T Q, shape (H, D, D).
        out_value: P V, shape (H, D, D).
    """

    key_query: np.ndarray
    out_value: np.ndarray

    @classmethod
    def from_kernels(
        cls,
        query: np.ndarray,
        key: np.ndarray,
        value: np.ndarray,
        out: np.ndarray,
        num_heads: int = 1,
    ) -> "LinearWeights":
        """Joins the kernels of a layer, which are applied to rows.

        Args:
            query: shape (D, H K), like `key` and `value`.
            key: as above.
            value: as above.
            out: shape (H K, D).
            num_heads: H.
        """
        query, key, value = (
            np.stack(np.split(np.asarray(x, float), num_heads, axis=1))
            for x in (query, key, value)
        )
        outs = np.stack(np.split(np.asarray(out, float), num_heads))
        return cls(
            np.einsum("hdk,hek->hde", key, query),
            np.einsum("hke,hdk->hed", outs, value),
        )


def pair_weights(
    length: int, is_causal: bool = True, normalization: str = "none"
) -> np.ndarray:
    """Returns the factor on f of each pair, shape (T, T).

    0 for a pair that j does not see, else 1; with "num_keys" 1 divided by the
    number of keys that j sees.

    Raises:
        ValueError: if `normalization` is unknown.
    """
    rule = "`normalization` must be 'none' or 'num_keys'"
    is_known = normalization in ("none", "num_keys")
    require(is_known, rule, normalization=repr(normalization))
    weights = np.ones((length, length))
    if is_causal:
        weights = np.tril(weights)
    if normalization == "num_keys":
        weights = weights / weights.sum(axis=1, keepdims=True)
    return weights


def similarities(
    keys: np.ndarray, queries: np.ndarray, key_query: np.ndarray
) -> np.ndarray:
    """Returns z_i^T K^T Q z_j of every pair.

    Args:
        keys: z_i, shape (..., S, D).
        queries: z_j, shape (..., T, D).
        key_query: K^T Q, shape (H, D, D).

    Returns:
        Shape (..., H, T, S).
    """
    left = np.einsum("...sd,hde->...hse", keys, key_query)
    return np.einsum("...hse,...te->...hts", left, queries)


def values_of(z: np.ndarray, out_value: np.ndarray) -> np.ndarray:
    """Returns P V z_i of every position, shape (..., H, S, D)."""
    return np.einsum("...sd,hed->...hse", z, out_value)


def mix(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns sum_h sum_i weights_hji values_hi, shape (..., T, D)."""
    return np.einsum("...hts,...hsd->...td", weights, values)


def lsa_output(
    z: np.ndarray,
    weights: LinearWeights,
    pairs: np.ndarray,
    change: np.ndarray | complex = 0.0,
    summed: str = "key",
) -> np.ndarray:
    """Returns z_j + P V sum_i z_i (f(z_i, z_j) + change).

    Sinha 2024, lemma 1, prints "z_j PV" for "z_j + PV", and z_j for z_i in
    the sum; the formula is that of von Oswald et al. 2023, eq. 3.

    Args:
        z: inputs, shape (..., T, D).
        weights: of the layer.
        pairs: of `pair_weights`, shape (T, T).
        change: added to f; must broadcast to (..., H, T, T).
        summed: "key" for z_i in the sum, "query" for z_j, as printed.

    Returns:
        Shape (..., T, D).

    Raises:
        ValueError: if `summed` is unknown.
    """
    rule = "`summed` must be 'key' or 'query'"
    require(summed in ("key", "query"), rule, summed=repr(summed))
    f = similarities(z, z, weights.key_query)
    shares = (f + change) * pairs
    values = values_of(z, weights.out_value)
    if summed == "key":
        return z + mix(shares, values)
    return z + np.einsum("...ht,...htd->...td", shares.sum(axis=-1), values)


def uniform_change(
    z: np.ndarray, weights: LinearWeights, pairs: np.ndarray, epsilon: float
) -> np.ndarray:
    """Returns the exact change of a layer's output if f becomes f + epsilon.

    epsilon P V sum_i z_i (Sinha 2024, proof of lemma 1, with z_i). There is
    no power of epsilon beyond the first, whatever its size.

    Args:
        z: inputs, shape (..., T, D).
        weights: of the layer.
        pairs: of `pair_weights`.
        epsilon: the constant.

    Returns:
        Shape (..., T, D).
    """
    total = weights.out_value.sum(axis=0)
    return epsilon * (pairs @ z) @ total.T


def pair_change(
    z: np.ndarray, weights: LinearWeights, pairs: np.ndarray, change: np.ndarray
) -> np.ndarray:
    """Returns the exact change of a layer's output if f becomes f + E_ij.

    P V sum_i z_i E_ij.

    Args:
        z: inputs, shape (..., T, D).
        weights: of the layer.
        pairs: of `pair_weights`.
        change: E, which must broadcast to (..., H, T, T).

    Returns:
        Shape (..., T, D).
    """
    values = values_of(z, weights.out_value)
    shape = (*values.shape[:-2], *pairs.shape)
    return mix(np.broadcast_to(change * pairs, shape), values)


def lsa_stack(
    z: np.ndarray,
    layers: Sequence[LinearWeights],
    pairs: np.ndarray,
    changes: Sequence[np.ndarray | complex] | None = None,
) -> list[np.ndarray]:
    """Returns the input, and the output of each layer of a stack.

    Args:
        z: inputs of the first layer, shape (..., T, D).
        layers: weights of each.
        pairs: of `pair_weights`.
        changes: added to f, layer by layer.

    Returns:
        Arrays of shape (..., T, D), one more than there are layers.
    """
    outputs = [z]
    for i, weights in enumerate(layers):
        change = 0.0 if changes is None else changes[i]
        outputs.append(lsa_output(outputs[-1], weights, pairs, change))
    return outputs


def typical_size(f: np.ndarray, pairs: np.ndarray) -> float:
    """Returns the root mean square of f over the pairs that are seen."""
    is_seen = np.broadcast_to(pairs > 0, f.shape)
    return float(np.sqrt(np.mean(f[is_seen] ** 2)))


def softmax_weights(logits: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Returns the softmax of logits over the keys that are seen."""
    seen = np.where(pairs > 0, logits, -np.inf)
    shifted = np.exp(seen - seen.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def softmax_slope(
    logits: np.ndarray,
    values: np.ndarray,
    direction: np.ndarray,
    pairs: np.ndarray,
) -> np.ndarray:
    """Returns the derivative of softmax attention along a change of logits.

    sum_i a_ij (E_ij - sum_k a_kj E_kj) P V z_i, with a the softmax. It is 0 if
    E is the same for all keys.

    Args:
        logits: f, shape (..., H, T, S).
        values: of `values_of`, shape (..., H, S, D).
        direction: E, the shape of the logits.
        pairs: of `pair_weights`.

    Returns:
        Shape (..., T, D).
    """
    a = softmax_weights(logits, pairs)
    mean = (a * direction).sum(axis=-1, keepdims=True)
    return mix(a * (direction - mean), values)


def spread_of_logits(logits: np.ndarray, pairs: np.ndarray) -> float:
    """Returns the root mean variance of logits over the keys of a query.

    Queries that see one key only are left out: their softmax is 1.
    """
    is_seen = pairs > 0
    rows = [
        logits[..., j, is_seen[j]].var(axis=-1).ravel()
        for j in range(len(pairs))
        if is_seen[j].sum() > 1
    ]
    return float(np.sqrt(np.mean(np.concatenate(rows))))
