"""Lemma 1: f perturbed by epsilon, in linear and in softmax attention.

Epsilon is relative to the typical (root mean square) f of each layer, or to
the spread of the logits over the keys of a query. "uniform" adds the same
number to every f, as the lemma does; "per_pair" adds a normal number to each.
"""

from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
from keras import ops

from experiments.measurements.linear_models import (
    HIDDEN_DIM,
    layers_of,
    train_linear_gpt,
    weights_of,
)
from tiny_gpt.analysis.linear_attention import (
    LinearWeights,
    lsa_output,
    lsa_stack,
    mix,
    pair_change,
    pair_weights,
    similarities,
    softmax_slope,
    softmax_weights,
    spread_of_logits,
    typical_size,
    uniform_change,
    values_of,
)
from tiny_gpt.analysis.linearity import (
    breaking_epsilon,
    departure,
    first_order_change,
    log_log_slope,
    norm,
)
from tiny_gpt.evaluation.data import Row
from tiny_gpt.models.blocks import TransformerBlock
from tiny_gpt.models.linear_attention import LinearSelfAttention
from tiny_gpt.probes import Reader
from tiny_gpt.training.finished import Trained

NAME = "perturbation"
NEEDS = ("controls/sparse_a_to_c",)
QUESTION = "How does the output of attention change when f does?"

EPSILONS = tuple(float(x) for x in 10.0 ** (np.arange(-8, 1) / 2))
SMALL = 0.01  # epsilon at which the change itself is reported
BREAK = 0.1  # departure from linearity that counts
DEPTHS = (1, 2, 4)
SCALES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # spread of random logits
NUM_UPDATES = 400
NUM_WINDOWS = 8

Output = Callable[[complex], np.ndarray]  # by epsilon


def measure(trained: Mapping[str, Trained], seed: int) -> list[Row]:
    """Measures lemma 1 on random, on trained LSA and on softmax attention.

    The tier is "random_1" to "trained_4" (weights and number of LSA layers),
    "softmax_<spread>" (random) or "gpt_<block>". The prompt is "uniform",
    "per_pair", "uniform_z_j" (z_j in the sum, as printed) or "weights" (the
    softmax itself is perturbed). The metrics are

    - "slope", of log change against log epsilon;
    - "departure_<epsilon>", from the first-order change;
    - "breaks_at", the epsilon at which the departure exceeds 0.1 (0.0001 or
      1000 if it is outside);
    - "output_change" and "update_change" at 1 %, relative to the output and
      to what attention adds;
    - for one layer "layer_slope" and "layer_error", of the Keras layer against
      the closed form.

    Args:
        trained: runs of `NEEDS`.
        seed: their seed.

    Returns:
        Rows (mapping, tier, prompt, metric, value).
    """
    rng = np.random.default_rng([seed, 701])
    run = trained[NEEDS[0]]
    chosen = rng.permutation(len(run.data.stream.inputs))[:NUM_WINDOWS]
    windows = run.data.stream.inputs[chosen]
    rows: list[tuple[str, str, str, float]] = []
    for depth in DEPTHS:
        z, layers = _random_layers(depth, windows.shape, rng)
        rows += _lsa_rows(f"random_{depth}", z, layers, rng)
        model = train_linear_gpt(run.data.stream, NUM_UPDATES, rng, depth)
        embedding = model.get_layer("embedding")
        z = ops.convert_to_numpy(embedding(windows)).astype(float)
        rows += _lsa_rows(f"trained_{depth}", z, layers_of(model), rng)
    for scale in SCALES:
        logits, values = _random_logits(scale, windows.shape, rng)
        rows += _softmax_rows(f"softmax_{scale:g}", logits, values, rng)
    for i, (logits, values) in enumerate(gpt_attention(run.model, windows)):
        rows += _softmax_rows(f"gpt_{i}", logits, values, rng)
    return [("all", *row) for row in rows]


def _random_layers(
    depth: int, shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[np.ndarray, list[LinearSelfAttention]]:
    """Draws normal inputs of size 1, and layers in which f has size 1, too.

    P V is scaled so that one layer adds about as much as its input.
    """
    dim, length = HIDDEN_DIM, shape[1]
    sizes = (dim**-0.75, dim**-0.75, dim**-0.5, (dim * length) ** -0.5)
    layers = []
    for _ in range(depth):
        layer = LinearSelfAttention()
        layer.build((None, length, dim))
        layer.set_weights([s * rng.normal(size=(dim, dim)) for s in sizes])
        layers.append(layer)
    return rng.normal(size=(*shape, dim)), layers


def _random_logits(
    scale: float, shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws logits of a bilinear f with normal inputs, and values."""
    z = rng.normal(size=(*shape, HIDDEN_DIM))
    weights = LinearWeights(
        scale * rng.normal(size=(1, HIDDEN_DIM, HIDDEN_DIM)) / HIDDEN_DIM,
        rng.normal(size=(1, HIDDEN_DIM, HIDDEN_DIM)) / np.sqrt(HIDDEN_DIM),
    )
    logits = similarities(z, z, weights.key_query)
    return logits, values_of(z, weights.out_value)


def _lsa_rows(
    tier: str,
    z: np.ndarray,
    layers: Sequence[LinearSelfAttention],
    rng: np.random.Generator,
) -> list[tuple[str, str, str, float]]:
    weights = [weights_of(layer) for layer in layers]
    pairs = pair_weights(z.shape[1])
    before = lsa_stack(z, weights, pairs)
    sizes = [
        typical_size(similarities(x, x, w.key_query), pairs)
        for x, w in zip(before, weights, strict=False)
    ]
    shape = (len(z), 1, z.shape[1], z.shape[1])
    rows = []
    for prompt in ("uniform", "per_pair"):
        directions = [
            size * (np.ones(shape) if prompt == "uniform" else e)
            for size, e in zip(
                sizes, rng.normal(size=(len(weights), *shape)), strict=True
            )
        ]

        output = _perturbed(z, weights, pairs, directions)
        found = _change_rows(output, first_order_change(output))
        change = norm(output(SMALL) - before[-1])
        found["output_change"] = change / norm(before[-1])
        found["update_change"] = change / norm(before[-1] - z)
        if len(layers) == 1:
            del found["breaks_at"]  # nowhere, but for rounding
            found |= _layer_rows(z, layers[0], directions[0], prompt)
        rows += [(tier, prompt, name, x) for name, x in found.items()]
    if len(layers) == 1:

        def printed(epsilon):
            change = epsilon * sizes[0]
            return lsa_output(z, weights[0], pairs, change, "query")

        found = _change_rows(printed, first_order_change(printed))
        rows.append((tier, "uniform_z_j", "slope", found["slope"]))
    return rows


def _perturbed(
    z: np.ndarray,
    weights: Sequence[LinearWeights],
    pairs: np.ndarray,
    directions: Sequence[np.ndarray],
) -> Output:
    def output(epsilon):
        changes = [epsilon * x for x in directions]
        return lsa_stack(z, weights, pairs, changes)[-1]

    return output


def _change_rows(output: Output, slope: np.ndarray) -> dict[str, float]:
    own = output(0.0)

    def change_at(epsilon):
        return output(epsilon) - own

    changes = [change_at(epsilon) for epsilon in EPSILONS]
    found = {
        f"departure_{epsilon:.2g}": departure(change, slope, epsilon)
        for epsilon, change in zip(EPSILONS, changes, strict=True)
    }
    found["slope"] = log_log_slope(EPSILONS, [norm(x) for x in changes])
    found["breaks_at"] = breaking_epsilon(
        lambda epsilon: departure(change_at(epsilon), slope, epsilon), BREAK
    )
    return found


def _layer_rows(
    z: np.ndarray,
    layer: LinearSelfAttention,
    direction: np.ndarray,
    prompt: str,
) -> dict[str, float]:
    """Compares the Keras layer, in its own precision, with the closed form."""
    weights, pairs = weights_of(layer), pair_weights(z.shape[1])
    z = z.astype("float32")

    def call(epsilon):
        output = layer(z, perturbation=epsilon * direction)
        return ops.convert_to_numpy(output).astype(float)

    own = call(0.0)
    changes = [call(epsilon) - own for epsilon in EPSILONS]
    expected = pair_change(z, weights, pairs, direction)
    if prompt == "uniform":
        expected = uniform_change(z, weights, pairs, direction.flat[0])
    error = norm(changes[-1] - expected) / norm(expected)
    sizes = [norm(x) for x in changes]
    return {
        "layer_slope": log_log_slope(EPSILONS, sizes),
        "layer_error": error,
    }


def _softmax_rows(
    tier: str, logits: np.ndarray, values: np.ndarray, rng: np.random.Generator
) -> list[tuple[str, str, str, float]]:
    pairs = pair_weights(logits.shape[-1])
    spread = spread_of_logits(logits, pairs)
    e = spread * rng.normal(size=logits.shape)
    weights = softmax_weights(logits, pairs)
    own = mix(weights, values)

    def output(epsilon, direction=e):
        changed = softmax_weights(logits + epsilon * direction, pairs)
        return mix(changed, values)

    found = _change_rows(output, softmax_slope(logits, values, e, pairs))
    size = norm(own)
    found["update_change"] = norm(output(SMALL) - own) / size
    uniform = norm(output(1.0, np.full_like(e, spread)) - own)
    # The softmax as f: its change is linear again.
    on_weights = mix((weights + EPSILONS[-1] * e) * (pairs > 0), values) - own
    slope = mix(e * (pairs > 0), values)
    linear = departure(on_weights, slope, EPSILONS[-1])
    return [
        *((tier, "per_pair", name, x) for name, x in found.items()),
        (tier, "uniform", "update_change_at_1", uniform / size),
        (tier, "weights", "departure_1", linear),
        (tier, "all", "spread", spread),
    ]


def gpt_attention(
    model: keras.Model, tokens: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns logits and values of each block of a GPT.

    Args:
        model: model of `GPTConfig`.
        tokens: token ids, shape (B, T).

    Returns:
        One pair of arrays for each block: query-key products with their
        scale, before mask and softmax, shape (B, H, T, T); and each head's
        output for a key, without the bias that all share, (B, H, T, D).
    """
    reading = Reader(model).read(tokens)
    parts = []
    for i, kernels in enumerate(reading.head_kernels):
        block: TransformerBlock = model.get_layer(f"block_{i}")
        layer = block.attention
        y = ops.convert_to_numpy(block.mixer_input(reading.residuals[2 * i]))
        q, k, v = (
            np.stack(
                np.split(
                    y.astype(float) @ ops.convert_to_numpy(dense.kernel)
                    + ops.convert_to_numpy(dense.bias),
                    layer.num_heads,
                    axis=-1,
                ),
                axis=1,
            )
            for dense in (layer.query, layer.key, layer.value)
        )
        logits = np.einsum("bhtk,bhsk->bhts", q, k) * layer.scale
        parts.append((logits, v @ kernels))
    return parts
