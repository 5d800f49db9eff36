"""Contenders: other ways to train the same network, each in its own process.

`python -m benchmarks.speed.contenders NAME SIZE WEIGHTS` builds one contender.
It then answers each line on standard input, a number of updates, with a line
of JSON: the seconds that they took. All read the same batches, start from the
same weights and make the same update: Adam, each variable's gradient clipped.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

EPSILON = 1e-7  # Adam's, in Keras
NUM_BATCHES = 8

# (make updates, loss of the first batch before any)
Contender = tuple[Callable[[int], None], float]


def sizes(size: str) -> dict[str, Any]:
    """Returns the numbers that define network and training of a preset."""
    from experiments import triangle

    experiment = triangle.build_experiment(size, "sparse_a_to_c")
    model: Any = experiment.model  # a GPT
    train = experiment.train
    return {
        "batch": train.batch_size,
        "length": model.sequence_length,
        "width": model.hidden_dim,
        "heads": model.num_heads,
        "layers": model.num_layers,
        "ratio": model.intermediate_ratio,
        "tokens": model.vocabulary_size,
        "classes": model.vocabulary_size + model.num_unused_classes,
        "rate": train.learning_rate,
        "is_pre": model.normalization == "pre",
        "scale": (
            model.hidden_dim
            if model.logit_scale == "hidden_dim"
            else model.head_dim
        )
        ** -0.5,
    }


def batches(n: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Draws batches of token ids, the same for everyone."""
    rng = np.random.default_rng(1)
    shape = NUM_BATCHES, n["batch"], n["length"]
    one, other = (rng.integers(1, n["tokens"], shape) for _ in range(2))
    return one.astype("int32"), other.astype("int32")


def build_ours(size: str, weights: dict[str, np.ndarray]):
    """Builds our model from saved weights, compiled."""
    from experiments import triangle
    from tiny_gpt.training.update import compile_gpt

    experiment = triangle.build_experiment(size, "sparse_a_to_c")
    model = experiment.model.build()
    compile_gpt(model, experiment.train)
    for variable in model.variables:
        variable.assign(weights[variable.path])
    return model


def ours(size: str, weights: dict[str, np.ndarray], num_seeds: int):
    """All seeds in one program, as `many_seeds` trains them."""
    from tiny_gpt.training.epoch_program import EpochProgram
    from tiny_gpt.training.seed_batches import count_workers

    model = build_ours(size, weights)
    n = sizes(size)
    inputs, targets = batches(n)
    first = float(model.evaluate(inputs[0], targets[0], verbose=0))
    program = EpochProgram(model)
    start = [
        np.array(v.value)
        for v in (*model.variables, *model.optimizer.variables)
    ]
    ones = np.ones(inputs.shape[:2], "float32")
    states = [start] * num_seeds
    needed = program.num_bytes(start, inputs, targets, ones, 1)
    pool = ThreadPoolExecutor(min(count_workers(needed), num_seeds))

    def train(i: int, num_updates: int) -> None:
        for at in range(0, num_updates, NUM_BATCHES):
            count = min(NUM_BATCHES, num_updates - at)
            states[i], _ = program(states[i], inputs, targets, ones, count)

    def run(num_updates: int) -> None:
        list(pool.map(lambda i: train(i, num_updates), range(num_seeds)))

    return run, first


def fit(model, size: str) -> Contender:
    """Our model trained through `model.fit`."""
    inputs, targets = batches(sizes(size))
    first = float(model.evaluate(inputs[0], targets[0], verbose=0))

    def run(num_updates: int) -> None:
        rows = np.arange(num_updates) % NUM_BATCHES
        x, y = (a[rows].reshape(-1, a.shape[2]) for a in (inputs, targets))
        model.fit(x, y, batch_size=inputs.shape[1], shuffle=False, verbose=0)

    return run, first


def stock_keras(size: str, weights: dict[str, np.ndarray]):
    """The same network from Keras's own layers."""
    import keras
    from keras import layers, ops

    n = sizes(size)
    width, heads = n["width"], n["heads"]
    head_dim = width // heads
    token_ids = keras.Input((n["length"],), dtype="int32")
    x = layers.Embedding(n["tokens"], width, name="tokens")(token_ids)
    places = ops.cumsum(ops.ones_like(token_ids), axis=1) - 1
    x = x + layers.Embedding(n["length"], width, name="positions")(places)
    for i in range(n["layers"]):
        attention = layers.MultiHeadAttention(
            heads, head_dim, name=f"attention_{i}"
        )
        norms = [
            layers.LayerNormalization(epsilon=1e-6, name=f"{name}_{i}")
            for name in ("first", "second")
        ]
        inner = layers.Dense(n["ratio"] * width, "gelu", name=f"inner_{i}")
        last = None if n["is_pre"] else "gelu"
        outer = layers.Dense(width, last, name=f"outer_{i}")
        y = norms[0](x) if n["is_pre"] else x
        x = x + attention(y, y, use_causal_mask=True)
        x = x if n["is_pre"] else norms[0](x)
        y = norms[1](x) if n["is_pre"] else x
        x = x + outer(inner(y))
        x = x if n["is_pre"] else norms[1](x)
    if n["is_pre"]:
        x = layers.LayerNormalization(epsilon=1e-6, name="last")(x)
    logits = layers.Dense(n["classes"], name="classes")(x)
    model = keras.Model(token_ids, logits)
    model.compile(
        keras.optimizers.Adam(n["rate"], clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    by_name = {layer.name: layer for layer in model.layers}
    by_name["tokens"].set_weights([weights["embedding/token_table"]])
    by_name["positions"].set_weights([weights["embedding/position_table"]])
    # Its scale is 1/sqrt(head_dim); ours goes into the queries.
    rescale = n["scale"] * head_dim**0.5
    for i in range(n["layers"]):
        name = f"block_{i}"
        parts = []
        for part in ("query", "key", "value"):
            factor = rescale if part == "query" else 1.0
            for kind in ("kernel", "bias"):
                value = weights[f"{name}/attention/{part}/{kind}"] * factor
                parts.append(value.reshape(*value.shape[:-1], heads, head_dim))
        out = weights[f"{name}/attention/out/kernel"]
        parts.append(out.reshape(heads, head_dim, width))
        parts.append(weights[f"{name}/attention/out/bias"])
        by_name[f"attention_{i}"].set_weights(parts)
        for part in ("inner", "outer"):
            by_name[f"{part}_{i}"].set_weights(
                [weights[f"{name}/{part}/{k}"] for k in ("kernel", "bias")]
            )
    by_name["classes"].set_weights(
        [weights[f"head/{kind}"] for kind in ("kernel", "bias")]
    )
    return model


def optax_loop(size: str, weights: dict[str, np.ndarray]) -> Contender:
    """A loop as in JAX's and optax's own examples."""
    import functools

    import jax
    import jax.numpy as jnp
    import optax

    n = sizes(size)
    heads = n["heads"]
    inputs, targets = map(jnp.asarray, batches(n))
    future = np.triu(np.ones((n["length"], n["length"]), bool), 1)

    def norm(x, scale, shift):
        mean = x.mean(-1, keepdims=True)
        variance = jnp.square(x - mean).mean(-1, keepdims=True)
        return (x - mean) * jax.lax.rsqrt(variance + 1e-6) * scale + shift

    def loss(p, x, y):
        def dense(name, z):
            return z @ p[f"{name}/kernel"] + p[f"{name}/bias"]

        def normal(name, z):
            return norm(z, p[f"{name}/gamma"], p[f"{name}/beta"])

        def attend(name, z):
            q, k, v = (
                dense(f"{name}/{part}", z).reshape(*z.shape[:2], heads, -1)
                for part in ("query", "key", "value")
            )
            scores = jnp.einsum("bthk,bshk->bhts", q, k) * n["scale"]
            attention = jax.nn.softmax(jnp.where(future, -jnp.inf, scores))
            out = jnp.einsum("bhts,bshk->bthk", attention, v)
            return dense(f"{name}/out", out.reshape(z.shape))

        gelu = functools.partial(jax.nn.gelu, approximate=False)
        z = p["embedding/token_table"][x] + p["embedding/position_table"]
        for i in range(n["layers"]):
            name = f"block_{i}"
            one, two = f"{name}/attention_norm", f"{name}/feed_forward_norm"
            if n["is_pre"]:
                z = z + attend(f"{name}/attention", normal(one, z))
                inner = gelu(dense(f"{name}/inner", normal(two, z)))
                z = z + dense(f"{name}/outer", inner)
            else:
                z = normal(one, z + attend(f"{name}/attention", z))
                inner = gelu(dense(f"{name}/inner", z))
                z = normal(two, z + gelu(dense(f"{name}/outer", inner)))
        if n["is_pre"]:
            z = normal("final_norm", z)
        logits = dense("head", z)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def clip(gradient, _):
        length = jnp.linalg.norm(gradient)
        return gradient / jnp.maximum(length, 1.0)

    optimizer = optax.chain(
        optax.stateless_with_tree_map(clip),
        optax.adam(n["rate"], eps=EPSILON),
    )

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(p, state, x, y):
        value, gradients = jax.value_and_grad(loss)(p, x, y)
        changes, state = optimizer.update(gradients, state, p)
        return optax.apply_updates(p, changes), state, value

    p = {k: jnp.asarray(v) for k, v in weights.items()}
    holder = [p, optimizer.init(p)]
    first = float(loss(p, inputs[0], targets[0]))

    def run(num_updates: int) -> None:
        value = None
        for i in range(num_updates):
            at = i % NUM_BATCHES
            *holder[:], value = update(*holder, inputs[at], targets[at])
        jax.block_until_ready(value)

    return run, first


def torch_loop(
    size: str, weights: dict[str, np.ndarray], is_compiled: bool
) -> Contender:
    """PyTorch in the style of nanoGPT, with its fused attention and Adam."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    n = sizes(size)
    width, heads = n["width"], n["heads"]

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(width, 3 * width)
            self.out = nn.Linear(width, width)
            self.inner = nn.Linear(width, n["ratio"] * width)
            self.outer = nn.Linear(n["ratio"] * width, width)
            self.first = nn.LayerNorm(width, 1e-6)
            self.second = nn.LayerNorm(width, 1e-6)

        def attend(self, x):
            q, k, v = (
                part.view(*x.shape[:2], heads, -1).transpose(1, 2)
                for part in self.qkv(x).split(width, 2)
            )
            y = F.scaled_dot_product_attention(
                q, k, v, is_causal=True, scale=n["scale"]
            )
            return self.out(y.transpose(1, 2).reshape(x.shape))

        def forward(self, x):
            if n["is_pre"]:
                x = x + self.attend(self.first(x))
                return x + self.outer(F.gelu(self.inner(self.second(x))))
            x = self.first(x + self.attend(x))
            return self.second(x + F.gelu(self.outer(F.gelu(self.inner(x)))))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(n["tokens"], width)
            self.positions = nn.Embedding(n["length"], width)
            self.blocks = nn.ModuleList(Block() for _ in range(n["layers"]))
            self.last = nn.LayerNorm(width, 1e-6) if n["is_pre"] else None
            self.classes = nn.Linear(width, n["classes"])

        def forward(self, x, y):
            z = self.tokens(x) + self.positions.weight
            for block in self.blocks:
                z = block(z)
            z = z if self.last is None else self.last(z)
            logits = self.classes(z)
            return F.cross_entropy(logits.view(-1, n["classes"]), y.view(-1))

    model = GPT()

    def put(linear, *names):
        kernels = [weights[f"{name}/kernel"].T for name in names]
        linear.weight.copy_(torch.tensor(np.concatenate(kernels)))
        biases = [weights[f"{name}/bias"] for name in names]
        linear.bias.copy_(torch.tensor(np.concatenate(biases)))

    with torch.no_grad():
        for table, name in (
            (model.tokens, "token_table"),
            (model.positions, "position_table"),
        ):
            table.weight.copy_(torch.tensor(weights[f"embedding/{name}"]))
        put(model.classes, "head")
        for i, block in enumerate(model.blocks):
            at = f"block_{i}/attention"
            put(block.qkv, f"{at}/query", f"{at}/key", f"{at}/value")
            put(block.out, f"{at}/out")
            put(block.inner, f"block_{i}/inner")
            put(block.outer, f"block_{i}/outer")
    inputs, targets = (torch.tensor(a).long() for a in batches(n))
    optimizer = torch.optim.Adam(
        model.parameters(), n["rate"], eps=EPSILON, fused=True
    )
    forward = torch.compile(model) if is_compiled else model
    parameters = list(model.parameters())
    with torch.no_grad():
        first = float(model(inputs[0], targets[0]))

    def run(num_updates: int) -> None:
        for i in range(num_updates):
            at = i % NUM_BATCHES
            optimizer.zero_grad(set_to_none=True)
            forward(inputs[at], targets[at]).backward()
            for parameter in parameters:  # each by itself, as in Keras
                nn.utils.clip_grad_norm_([parameter], 1.0)
            optimizer.step()

    return run, first


def product_rate(package: str) -> Contender:
    """Products of 1024 x 1024 matrices; one product counts as an update."""
    a = np.random.default_rng(0).normal(size=(1024, 1024)).astype("float32")
    if package == "numpy":

        def multiply(count: int) -> None:
            for _ in range(count):
                a @ a

        return multiply, 0.0
    import jax

    product = jax.jit(lambda x: x @ x)
    b = jax.numpy.asarray(a)

    def run(count: int) -> None:
        for _ in range(count):
            jax.block_until_ready(product(b))

    return run, 0.0


def build(name: str, size: str, weights: dict[str, np.ndarray]) -> Contender:
    """Builds a contender by its name in `peers.CONTENDERS`."""
    kind, *rest = name.split("/")
    if kind == "ours":
        return ours(size, weights, int(rest[0]))
    if kind == "fit":
        return fit(build_ours(size, weights), size)
    if kind == "stock":
        return fit(stock_keras(size, weights), size)
    if kind == "optax":
        return optax_loop(size, weights)
    if kind == "torch":
        return torch_loop(size, weights, "compiled" in rest)
    return product_rate(rest[0])


def main() -> None:
    """Answers numbers of updates with seconds, until the input ends."""
    name, size, weights_path, *cores = sys.argv[1:]
    if cores:  # before anything counts its cores
        os.sched_setaffinity(0, {int(core) for core in cores})
    if name.startswith("torch"):
        # torch.compile would import it, and the two crash in one process.
        sys.modules["tensorflow"] = None  # type: ignore[assignment]
    with np.load(weights_path) as saved:
        weights = {key: saved[key] for key in saved.files}
    run, first = build(name, size, weights)
    answer({"first_loss": first})
    for line in sys.stdin:
        start = time.perf_counter()
        run(int(line))
        answer({"seconds": time.perf_counter() - start})


def answer(value: dict[str, float]) -> None:
    """Writes a line of JSON."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
