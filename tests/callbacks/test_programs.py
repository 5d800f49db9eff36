"""Programs as the guides of Keras and its users write them, with our callbacks.

Each has the structure of a public example, named with it, at a small size and
on made-up data, and nothing in it is written for us. It must train the same,
to the bit, with our callbacks and without; its scores are those of `evaluate`.
"""

import keras
import numpy as np
import pytest
from keras import layers, ops

from tiny_gpt.callbacks import (
    CheckpointAtEvents,
    LossDropLogger,
    LossSpikeLogger,
    MemorisationMeter,
    RunRecorder,
    TaskAccuracy,
    WeightNorms,
    load_checkpoint,
    read_logs,
)

pytestmark = [pytest.mark.backend, pytest.mark.slow]

BACKEND = keras.backend.backend()


def convnet(rng):
    """https://keras.io/examples/vision/mnist_convnet/"""
    x = rng.uniform(size=(48, 12, 12, 1)).astype("float32")
    y = keras.utils.to_categorical(rng.integers(0, 4, 48), 4)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.Conv2D(4, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(4, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model, (x, y)


def bidirectional_lstm(rng):
    """https://keras.io/examples/nlp/bidirectional_lstm_imdb/"""
    x = rng.integers(0, 50, (32, 8))
    y = (x.sum(1) > 200).astype("float32")
    inputs = keras.Input((None,), dtype="int32")
    h = layers.Embedding(50, 8)(inputs)
    h = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(h)
    h = layers.Bidirectional(layers.LSTM(4))(h)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(h))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model, (x, y)


def addition(rng):
    """https://keras.io/examples/nlp/addition_rnn/"""
    digits = rng.integers(0, 6, (32, 5))
    sums = np.stack([digits[:, :2].sum(1) // 6, digits[:, :2].sum(1) % 6], 1)
    x = keras.utils.to_categorical(digits, 6)
    y = keras.utils.to_categorical(sums, 6)
    model = keras.Sequential(
        [
            keras.Input((5, 6)),
            layers.LSTM(8),
            layers.RepeatVector(2),
            layers.LSTM(8, return_sequences=True),
            layers.Dense(6, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model, (x, y)


class TransformerBlock(layers.Layer):
    """https://keras.io/examples/nlp/text_classification_with_transformer/"""

    def __init__(self, width, heads):
        super().__init__()
        self.attention = layers.MultiHeadAttention(heads, width)
        self.feed_forward = keras.Sequential(
            [layers.Dense(8, activation="relu"), layers.Dense(width)]
        )
        self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in "ab"]
        self.dropout = layers.Dropout(0.1)

    def call(self, inputs, training=None):
        x = self.dropout(self.attention(inputs, inputs), training=training)
        x = self.norms[0](inputs + x)
        return self.norms[1](x + self.feed_forward(x))


def transformer(rng):
    x = rng.integers(1, 20, (32, 6))
    y = (x[:, 0] > 10).astype(int)
    inputs = keras.Input((6,))
    h = layers.Embedding(20, 8)(inputs)
    h = TransformerBlock(8, 2)(h)
    h = layers.GlobalAveragePooling1D()(h)
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(h))
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model, (x, y)


def tickets(rng):
    """https://keras.io/guides/functional_api/, several inputs and outputs."""
    x = {
        "title": rng.integers(0, 20, (32, 5)),
        "tags": rng.integers(0, 2, (32, 3)).astype("float32"),
    }
    y = {
        "priority": rng.uniform(size=(32, 1)).astype("float32"),
        "department": rng.integers(0, 2, (32, 4)).astype("float32"),
    }
    title = keras.Input((None,), name="title")
    tags = keras.Input((3,), name="tags")
    h = layers.LSTM(8)(layers.Embedding(20, 8)(title))
    h = layers.concatenate([h, tags])
    priority = layers.Dense(1, name="priority")(h)
    department = layers.Dense(4, name="department")(h)
    model = keras.Model(
        [title, tags], {"priority": priority, "department": department}
    )
    cross_entropy = keras.losses.CategoricalCrossentropy(from_logits=True)
    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.RMSprop(1e-3),
        {"priority": binary, "department": cross_entropy},
        loss_weights={"priority": 1.0, "department": 0.2},
    )
    return model, (x, y)


class Siamese(keras.Model):
    """https://keras.io/examples/vision/siamese_network/, its own test_step."""

    def __init__(self):
        super().__init__()
        self.embed = keras.Sequential([layers.Dense(8), layers.Dense(4)])
        self.tracker = keras.metrics.Mean(name="loss")

    def call(self, inputs):
        a, b, c = (self.embed(inputs[:, i]) for i in range(3))
        near = ops.sum(ops.square(a - b), -1)
        far = ops.sum(ops.square(a - c), -1)
        return ops.stack([near, far], -1)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        near, far = y_pred[:, 0], y_pred[:, 1]
        return ops.mean(ops.maximum(near - far + 0.5, 0.0))


def siamese(rng):
    x = rng.normal(size=(32, 3, 6)).astype("float32")
    model = Siamese()
    model.compile("adam")
    return model, (x, np.zeros(32, "float32"))


class Averages(keras.Model):
    """https://keras.io/guides/custom_train_step_in_jax/ and its siblings.

    The loss and the metrics are its own.
    """

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, inputs):
        return self.dense(inputs)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        found = super().compute_metrics(x, y, y_pred, sample_weight)
        return {**found, "constant": 3.0 + 0.0 * found["loss"]}


def own_metrics(rng):
    x = rng.normal(size=(32, 4)).astype("float32")
    model = Averages()
    model.compile("adam", "mse", metrics=["mae"])
    return model, (x, x[:, :1])


class OwnSteps(keras.Model):
    """https://keras.io/guides/custom_train_step_in_jax/, _tensorflow, _torch.

    Its own `train_step` and `test_step`, and no compiled loss.
    """

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)
        self.tracker = keras.metrics.Mean(name="distance")

    def call(self, inputs):
        return self.dense(inputs)

    @property
    def metrics(self):
        return [self.tracker]

    def _distance(self, y, y_pred):
        return ops.mean(ops.abs(y - y_pred))

    if BACKEND == "jax":

        def compute_distance(self, trainable, fixed, x, y):
            y_pred, fixed = self.stateless_call(trainable, fixed, x)
            return self._distance(y, y_pred), fixed

        def train_step(self, state, data):
            import jax

            trainable, fixed, optimizer, metrics = state
            gradient = jax.value_and_grad(self.compute_distance, has_aux=True)
            (found, fixed), gradients = gradient(trainable, fixed, *data[:2])
            trainable, optimizer = self.optimizer.stateless_apply(
                optimizer, gradients, trainable
            )
            metrics = self.tracker.stateless_update_state(metrics, found)
            logs = {"distance": self.tracker.stateless_result(metrics)}
            return logs, (trainable, fixed, optimizer, metrics)

        def test_step(self, state, data):
            trainable, fixed, metrics = state
            found, fixed = self.compute_distance(trainable, fixed, *data[:2])
            metrics = self.tracker.stateless_update_state(metrics, found)
            logs = {"distance": self.tracker.stateless_result(metrics)}
            return logs, (trainable, fixed, metrics)

    else:

        def train_step(self, data):
            x, y = data[:2]
            if BACKEND == "tensorflow":
                import tensorflow as tf

                with tf.GradientTape() as tape:
                    found = self._distance(y, self(x, training=True))
                gradients = tape.gradient(found, self.trainable_variables)
                self.optimizer.apply(gradients, self.trainable_variables)
            else:
                import torch

                self.zero_grad()
                found = self._distance(y, self(x, training=True))
                found.backward()
                weights = list(self.trainable_weights)
                gradients = [v.value.grad for v in weights]
                with torch.no_grad():
                    self.optimizer.apply(gradients, weights)
            self.tracker.update_state(found)
            return {"distance": self.tracker.result()}

        def test_step(self, data):
            x, y = data[:2]
            self.tracker.update_state(self._distance(y, self(x)))
            return {"distance": self.tracker.result()}


def own_steps(rng):
    x = rng.normal(size=(32, 4)).astype("float32")
    model = OwnSteps()
    model.compile("adam")
    return model, (x, x[:, :1])


@keras.saving.register_keras_serializable("tests")
class Backbone(keras.Model):
    """https://keras.io/keras_hub/: a backbone and a task on it, subclassed.

    As keras_hub does, the backbone is functional inside, and the task
    compiles itself with defaults.
    """

    def __init__(self, width, **options):
        inputs = keras.Input((6,), dtype="int32", name="token_ids")
        x = layers.Embedding(20, width, name="tokens")(inputs)
        x = layers.LayerNormalization(name="norm")(x)
        super().__init__(inputs=inputs, outputs=x, **options)
        self.width = width


class Classifier(keras.Model):
    def __init__(self, backbone, num_classes):
        inputs = backbone.input
        x = layers.GlobalAveragePooling1D()(backbone(inputs))
        x = layers.Dropout(0.1)(x)
        super().__init__(inputs, layers.Dense(num_classes)(x))
        self.backbone = backbone
        self.compile(
            optimizer=keras.optimizers.Adam(5e-3),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy()],
        )


def hub_classifier(rng):
    x = rng.integers(0, 20, (32, 6))
    return Classifier(Backbone(8), 3), (x, rng.integers(0, 3, 32))


def frozen_transfer(rng):
    """https://keras.io/guides/transfer_learning/: frozen, then fine-tuned."""
    base = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(8, name="base_dense"),
            layers.BatchNormalization(),
        ]
    )
    base.trainable = False
    inputs = keras.Input((4,))
    outputs = layers.Dense(1)(base(inputs, training=False))
    model = keras.Model(inputs, outputs)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=[keras.metrics.BinaryAccuracy()])
    x = rng.normal(size=(32, 4)).astype("float32")
    return model, (x, (x.sum(1) > 0).astype(int))


PROGRAMS = (
    convnet,
    bidirectional_lstm,
    addition,
    transformer,
    tickets,
    siamese,
    own_metrics,
    own_steps,
    hub_classifier,
    frozen_transfer,
)


def run(program, folder=None):
    """Trains a program; with a folder, with our callbacks."""
    key = "distance" if program is own_steps else "loss"
    keras.utils.set_random_seed(0)
    model, (x, y) = program(np.random.default_rng(0))
    callbacks = []
    if folder is not None:
        half = keras.tree.map_structure(lambda a: a[::2], (x, y))
        events = LossDropLogger([key, f"half_{key}"])
        callbacks = [
            TaskAccuracy({"half": half, "all": (x, y)}),
            WeightNorms(by_layer=True),
            MemorisationMeter(0.1, key),
            events,
            CheckpointAtEvents(folder / "weights", events),
            LossSpikeLogger([key]),
            keras.callbacks.ModelCheckpoint(
                str(folder / "best.weights.h5"),
                monitor=f"half_{key}",
                mode="min",
                save_best_only=True,
                save_weights_only=True,
            ),
            keras.callbacks.EarlyStopping(f"all_{key}", patience=9, mode="min"),
            RunRecorder(folder / "run.jsonl", folder / "run.json"),
        ]
    history = model.fit(
        x, y, epochs=3, batch_size=16, verbose=0, callbacks=callbacks
    ).history
    return model, (x, y), history


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_it_trains_and_is_scored_as_keras_does(program, tmp_path):
    plain, _, losses = run(program)
    model, (x, y), history = run(program, tmp_path)
    assert {key: history[key] for key in losses} == losses
    for one, other in zip(
        plain.get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    scores = model.evaluate(x, y, verbose=0, return_dict=True)
    found = {k: history[f"all_{k}"][-1] for k in scores}
    assert found == pytest.approx(scores, rel=1e-5)
    load_checkpoint(tmp_path / "weights" / "epoch_000003.weights.h5", model)
    assert (tmp_path / "best.weights.h5").exists()


def test_layers_thaw_between_two_fits(tmp_path):
    model, (x, y) = frozen_transfer(np.random.default_rng(0))
    callbacks = [
        TaskAccuracy({"a": (x, y)}),
        WeightNorms(by_layer=True),
        LossDropLogger(),
    ]
    options = {"verbose": 0, "callbacks": callbacks}
    first = model.fit(x, y, epochs=2, **options).history
    model.trainable = True
    for layer in model.layers:
        layer.trainable = True
    model.compile(keras.optimizers.Adam(1e-5), model.loss, metrics=["mae"])
    second = model.fit(x, y, epochs=4, initial_epoch=2, **options).history
    assert {"a_loss", "a_binary_accuracy"} <= set(first)
    assert {"a_loss", "a_mae"} <= set(second)
    assert "a_binary_accuracy" not in second
    assert second["weight_norm"][0] > first["weight_norm"][-1]


@pytest.mark.parametrize("died", [1, 4])
def test_a_job_that_died_goes_on(died, tmp_path):
    """https://keras.io/api/callbacks/backup_and_restore/"""

    class Dies(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == died:
                raise RuntimeError("preempted")

    def job(*others):
        # The same script again: the log is an epoch ahead of the backup.
        keras.utils.set_random_seed(0 if others else 1)
        model, (x, y) = convnet(np.random.default_rng(0))
        log = tmp_path / "run.jsonl"
        earlier = read_logs(log) if log.exists() else []
        events = LossDropLogger(["loss"], earlier_logs=earlier)
        callbacks = [
            TaskAccuracy({"t": (x, y)}),
            events,
            CheckpointAtEvents(tmp_path / "weights", events, schedule=1),
            RunRecorder(log),
            *others,
            keras.callbacks.BackupAndRestore(tmp_path / "backup"),
        ]
        return events, model.fit(x, y, epochs=6, verbose=0, callbacks=callbacks)

    with pytest.raises(RuntimeError, match="preempted"):
        job(Dies())
    events, history = job()
    assert history.epoch == list(range(died, 6))
    epochs = [log["epoch"] for log in read_logs(tmp_path / "run.jsonl")]
    assert epochs == [log["epoch"] for log in events.logs] == [*range(1, 7)]
    names = {path.name for path in (tmp_path / "weights").glob("*.h5")}
    expected = {f"epoch_{n:06d}.weights.h5" for n in range(1, 7)}
    replaced = f"epoch_{died + 1:06d}_replaced.weights.h5"
    assert names - {replaced} == expected


def test_a_tuner_completes_its_trials(tmp_path):
    """https://keras.io/guides/keras_tuner/getting_started/"""
    tuner_of = pytest.importorskip(
        "keras_tuner", reason="make test-callbacks has it"
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 4)).astype("float32")
    y = (x.sum(1) > 0).astype(int)

    def build(hp):
        units = hp.Int("units", 4, 8)
        model = keras.Sequential([layers.Dense(units), layers.Dense(2)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss)
        return model

    tuner = tuner_of.RandomSearch(
        build,
        tuner_of.Objective("t_accuracy", "max"),
        max_trials=3,
        directory=tmp_path / "tuner",
        seed=1,
    )
    events = LossDropLogger()
    callbacks = [
        TaskAccuracy({"t": (x, y)}),
        events,
        CheckpointAtEvents(tmp_path / "w", events),
        RunRecorder(tmp_path / "run.jsonl"),
    ]
    tuner.search(x, y, epochs=2, verbose=0, callbacks=callbacks)
    states = [trial.status for trial in tuner.oracle.trials.values()]
    assert states == ["COMPLETED"] * 3
    assert len(list(tmp_path.glob("run*.jsonl"))) == 3
