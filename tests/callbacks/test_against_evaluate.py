"""Scores of `TaskAccuracy` are those of `model.evaluate` on the same data."""

import math

import keras
import numpy as np
import pytest

from tiny_gpt.callbacks import TaskAccuracy

pytestmark = pytest.mark.backend

ROWS, CLASSES = 13, 3
KINDS = ("sparse", "one-hot", "binary", "regression", "padded", "two outputs")
HOLDERS = ("arrays", "PyDataset", "generator function", "loader")


def make_data(kind, column, rng):
    """Inputs, answers and row weights of one kind of problem."""
    x = rng.normal(size=(ROWS, 4)).astype("float32")
    classes = rng.integers(0, CLASSES, ROWS)
    if kind == "padded":
        x = rng.integers(1, 5, (ROWS, 6))
        x[:, 4:] = 0
        y = rng.integers(0, CLASSES, (ROWS, 6))
        y = y[..., None] if column else y
    elif kind == "one-hot":
        y = keras.utils.to_categorical(classes, CLASSES)
    elif kind == "binary":
        y = (classes > 0).astype("float32")
        y = y[:, None] if column else y
    elif kind == "regression":
        y = rng.normal(size=(ROWS, 1)).astype("float32")
    elif kind == "two outputs":
        y = {"a": classes, "b": rng.normal(size=(ROWS, 1)).astype("float32")}
    else:
        y = classes[:, None] if column else classes
    return x, y, rng.uniform(0.5, 2.0, ROWS).astype("float32")


def make_model(kind, metrics, from_logits):
    layers, losses = keras.layers, keras.losses
    if kind == "padded":
        inputs = keras.Input((6,), dtype="int32")
        x = layers.Embedding(5, 4, mask_zero=True)(inputs)
    else:
        x = inputs = keras.Input((4,))
    last = None if from_logits else "softmax"
    name = {"dtype": "float32"}
    outputs = layers.Dense(CLASSES, activation=last, **name)(x)
    loss = losses.SparseCategoricalCrossentropy(from_logits)
    if kind == "one-hot":
        loss = losses.CategoricalCrossentropy(from_logits)
    elif kind == "binary":
        last = None if from_logits else "sigmoid"
        outputs = layers.Dense(1, activation=last, **name)(x)
        loss = losses.BinaryCrossentropy(from_logits)
    elif kind == "regression":
        outputs, loss = layers.Dense(1, **name)(x), "mse"
    elif kind == "two outputs":
        b = layers.Dense(1, name="b", **name)(x)
        outputs = {"a": layers.Dense(CLASSES, name="a", **name)(x), "b": b}
        sparse = losses.SparseCategoricalCrossentropy(from_logits=True)
        loss = {"a": sparse, "b": "mse"}
        metrics = metrics and {"a": metrics, "b": ["mae"]}
    elif metrics and kind != "regression":
        metrics = list(metrics)
    if kind == "regression" and metrics:
        metrics = ["mae"]
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.05), loss, weighted_metrics=metrics)
    return model


class Batches(keras.utils.PyDataset):
    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, index):
        return self.parts[index]


def hold(data, holder, size):
    """The same data, batch by batch, as something that `fit` takes."""
    if holder == "arrays":
        return data
    if holder == "loader":
        torch = pytest.importorskip(
            "torch", reason="make test-callbacks has PyTorch"
        )
        rows = torch.utils.data.TensorDataset(*map(torch.tensor, data))
        return torch.utils.data.DataLoader(rows, batch_size=size)
    cut = [
        keras.tree.map_structure(lambda a, i=i: a[i : i + size], tuple(data))
        for i in range(0, ROWS, size)
    ]

    def batches():
        yield from cut

    return Batches(cut) if holder == "PyDataset" else batches


def check(kind, column, metrics, weighted, holder, from_logits, size):
    """Compares the scores with `evaluate`, or the refusal with its own."""
    x, y, w = make_data(kind, column, np.random.default_rng(0))
    model = make_model(kind, metrics, from_logits)
    data = (x, y, w) if weighted else (x, y)
    callback = TaskAccuracy({"t": hold(data, holder, size)}, batch_size=size)

    options = {"batch_size": size, "verbose": 0, "return_dict": True}
    options |= {"sample_weight": w} if weighted else {}

    def fit():
        every = {"epochs": 2, "batch_size": ROWS, "verbose": 0}
        return model.fit(x, y, **every, callbacks=[callback]).history

    try:
        make_model(kind, metrics, from_logits).evaluate(x, y, **options)
    except Exception:  # of any kind
        with pytest.raises(ValueError, match="set 't'"):
            fit()
        return
    history = fit()
    expected = model.evaluate(x, y, **options)
    for name, value in expected.items():
        found = history[f"t_{name}"][-1]
        assert math.isclose(found, value, rel_tol=2e-6, abs_tol=1e-6), name
    extra = {key[2:] for key in history if key.startswith("t_")} - set(expected)
    lacks_metric = not metrics and kind not in ("two outputs", "regression")
    assert extra == ({"accuracy"} if lacks_metric else set())


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_problem(kind):
    check(kind, True, ["accuracy"], True, "arrays", True, 5)


@pytest.mark.parametrize("holder", HOLDERS[1:])
def test_each_kind_of_set(holder):
    check("sparse", False, ["accuracy"], True, holder, True, 5)


def test_losses_of_several_outputs_of_a_generator():
    # Keras on TensorFlow itself would divide them by a batch too many.
    check("two outputs", False, None, False, "generator function", True, 5)


@pytest.mark.slow
def test_a_dataset_of_tensorflow():
    tf = pytest.importorskip(
        "tensorflow", reason="make test-callbacks has it on its own backend"
    )
    x, y, w = make_data("sparse", False, np.random.default_rng(0))
    data = tf.data.Dataset.from_tensor_slices((x, y, w)).batch(5)
    model = make_model("sparse", ["accuracy"], True)
    with pytest.raises(ValueError, match="without an end"):
        TaskAccuracy({"t": data.repeat()})
    tasks = {"t": data, "u": data.repeat()}
    few = TaskAccuracy(tasks, steps=3)
    history = model.fit(x, y, verbose=0, callbacks=[few]).history
    loss, accuracy = model.evaluate(data, verbose=0)
    assert history["t_loss"] == history["u_loss"]
    assert history["t_loss"][0] == pytest.approx(loss, rel=1e-6)
    assert history["t_accuracy"][0] == pytest.approx(accuracy, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        # By hand: logits of row i are x[i], and the kernel is the identity.
        ("sparse", 2 / 4),
        ("one-hot", 2 / 4),
        ("binary", 3 / 4),
    ],
)
def test_without_metrics_accuracy_is_added(kind, right):
    x = np.array([[2, 1], [1, 2], [2, 1], [1, 2]], "float32")
    y = np.array([0, 1, 1, 0])
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.layers[0].set_weights([np.eye(2), np.zeros(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if kind == "one-hot":
        y = keras.utils.to_categorical(y, 2)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    elif kind == "binary":
        # The probability is above a half if the first input is: rows 0, 2.
        sigmoid = keras.layers.Dense(1, activation="sigmoid")
        model = keras.Sequential([keras.Input((2,)), sigmoid])
        sigmoid.set_weights([np.array([[1.0], [0.0]]), np.array([-1.5])])
        y = np.array([[1], [0], [1], [1]])
        loss = "binary_crossentropy"
    model.compile(keras.optimizers.SGD(0.0), loss)
    tasks = TaskAccuracy({"t": (x, y)})
    history = model.fit(x, y, verbose=0, callbacks=[tasks]).history
    assert history["t_accuracy"] == [right]
    assert set(history) == {"loss", "t_loss", "t_accuracy"}


def test_what_cannot_be_scored_is_refused_when_fit_begins():
    began = []

    class Began(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            began.append(batch)

    x, y, _ = make_data("sparse", False, np.random.default_rng(0))
    one_hot = keras.utils.to_categorical(y, CLASSES)
    model = make_model("sparse", ["accuracy"], True)
    model.fit(x, y, verbose=0)
    before = model.get_weights()
    for bad in (one_hot, y.astype(str)):
        callbacks = [TaskAccuracy({"t": (x, bad)}), Began()]
        with pytest.raises(ValueError, match="set 't', arrays"):
            model.fit(x, y, verbose=0, callbacks=callbacks)
    assert began == []
    for one, again in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, again)  # it is as good as before
    model.fit(x, y, verbose=0, callbacks=[TaskAccuracy({"t": (x, y)})])


class Breaking(keras.utils.PyDataset):
    """A set that breaks in its second batch, when it has been read before."""

    def __init__(self, x, y):
        super().__init__()
        self._parts, self._times = [(x[:5], y[:5]), (x[5:], y[5:])], 0

    def __len__(self):
        return 2

    def __getitem__(self, index):
        self._times += index
        if self._times > 2:  # not when it is tried
            raise RuntimeError("the disk is gone")
        return self._parts[index]


@pytest.mark.parametrize("kind", ["generator", "PyDataset"])
def test_an_error_of_a_set_in_the_middle_leaves_the_model_whole(kind):
    x, y, _ = make_data("sparse", False, np.random.default_rng(0))
    times = []

    def breaks():
        times.append(1)
        yield x[:5], y[:5]
        if len(times) > 2:  # not when it is tried
            raise RuntimeError("the disk is gone")
        yield x[5:], y[5:]

    # It has a state besides its weights, which JAX takes away to evaluate.
    model = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            keras.layers.BatchNormalization(),
            make_model("sparse", ["accuracy"], True),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    data = breaks if kind == "generator" else Breaking(x, y)
    tasks = TaskAccuracy({"t": data})
    with pytest.raises(Exception, match="the disk is gone"):
        model.fit(x, y, epochs=9, verbose=0, callbacks=[tasks])
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert math.isfinite(model.evaluate(x, y, verbose=0))
    model.fit(x, y, verbose=0, callbacks=[TaskAccuracy({"t": (x, y)})])


@pytest.mark.parametrize("holder", ["arrays", *HOLDERS[1:]])
def test_more_steps_than_there_are_read_all(holder):
    x, y, _ = make_data("two outputs", False, np.random.default_rng(0))
    if holder == "loader":
        x, y, _ = make_data("sparse", False, np.random.default_rng(0))
    kind = "sparse" if holder == "loader" else "two outputs"
    model = make_model(kind, None, True)
    held = hold((x, y), holder, 5)
    tasks = TaskAccuracy({"t": held}, batch_size=5, steps=99)
    history = model.fit(x, y, verbose=0, callbacks=[tasks]).history
    options = {"batch_size": 5, "verbose": 0, "return_dict": True}
    for name, value in model.evaluate(x, y, **options).items():
        assert history[f"t_{name}"][0] == pytest.approx(value, rel=1e-5)


def test_names_and_metrics_are_scores_of_one_output():
    x, y, w = make_data("sparse", False, np.random.default_rng(0))
    top = keras.metrics.SparseTopKCategoricalAccuracy(2)
    scores = {"acc": "accuracy", "top": top, "n": lambda out, y: len(out)}
    model = make_model("sparse", None, True)
    callback = TaskAccuracy({"t": (x, y, w)}, scores=scores, batch_size=5)
    history = model.fit(x, y, verbose=0, callbacks=[callback]).history
    outputs = model.predict(x, verbose=0)
    right = outputs.argmax(-1) == y
    assert history["t_acc"][0] == pytest.approx((right * w).sum() / w.sum())
    ranks = (outputs >= outputs[range(ROWS), y][:, None]).sum(-1)
    expected = ((ranks <= 2) * w).sum() / w.sum()
    assert history["t_top"][0] == pytest.approx(expected)
    assert history["t_n"] == [ROWS]
    x, y, _ = make_data("two outputs", False, np.random.default_rng(0))
    names = TaskAccuracy({"t": (x, y)}, scores=["accuracy"])
    two = make_model("two outputs", None, True)
    with pytest.raises(ValueError, match=r"(?s)set 't'.*metrics"):
        two.fit(x, y, verbose=0, callbacks=[names])


def test_fresh_sets_of_other_sizes_have_the_same_scores():
    rng = np.random.default_rng(0)
    x, y, _ = make_data("sparse", False, rng)
    model = make_model("sparse", ["accuracy"], True)
    sets = {epoch: (x[:n], y[:n]) for epoch, n in ((1, 13), (2, 8), (3, 4))}
    callback = TaskAccuracy(lambda epoch: {"t": sets[epoch]}, batch_size=4)
    scores = []

    class Scores(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            found = model.evaluate(*sets[epoch + 1], verbose=0)
            scores.append((logs["t_loss"], *found))

    model.fit(x, y, epochs=3, verbose=0, callbacks=[callback, Scores()])
    for ours, loss, _ in scores:
        assert ours == pytest.approx(loss, rel=1e-5)


@pytest.mark.slow
def test_any_combination():
    hypothesis = pytest.importorskip(
        "hypothesis", reason="make test-callbacks has it"
    )
    from hypothesis import strategies as st

    @hypothesis.settings(max_examples=20, deadline=None, derandomize=True)
    @hypothesis.given(
        kind=st.sampled_from(KINDS),
        column=st.booleans(),
        metrics=st.sampled_from([None, ["accuracy"]]),
        weighted=st.booleans(),
        holder=st.sampled_from(HOLDERS[:3]),
        from_logits=st.booleans(),
        size=st.sampled_from([1, 5, 13, 64]),
        policy=st.sampled_from(["float32", "mixed_bfloat16"]),
    )
    def run(policy, **options):
        keras.config.set_dtype_policy(policy)
        try:
            check(**options)
        finally:
            keras.config.set_dtype_policy("float32")

    run()
