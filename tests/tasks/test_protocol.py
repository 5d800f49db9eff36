"""A task in one file: sums and differences modulo 7, of few pairs read."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from tiny_gpt.evaluation.data import ANSWER, BETWEEN, SOURCE, Windows
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.evaluation.every_sentence import score_answers
from tiny_gpt.experiment import Experiment, TrainConfig, config_of
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.sweep.cell import content_of, key_of
from tiny_gpt.sweep.grid import Success, Sweep
from tiny_gpt.train import run
from tiny_gpt.training.many_seeds import run_seeds

pytestmark = pytest.mark.backend

SIGN = {"plus": 1, "minus": -1}


@dataclasses.dataclass(frozen=True)
class Sums:
    """Rows `a b sign c`: number i is token 1 + i, after them the signs."""

    num_read: int = 20  # pairs (a, b) of each sign, of `modulus` ** 2
    modulus: int = 7
    eval_mappings: tuple[str, ...] = ("plus", "minus")
    pivots: tuple[str, ...] = ()

    answer_length = 1
    read_mappings = tuple(SIGN)

    @property
    def vocabulary_size(self):
        return 1 + self.modulus + len(SIGN)

    def check(self, sequence_length, evaluation):
        if sequence_length != 3 or evaluation.num_demonstrations:
            raise ValueError(f"Rows are `a b sign c`. Received: {evaluation}")

    def num_windows(self, sequence_length):
        return (len(SIGN) * self.num_read,)

    def draw(self, sequence_length, rng):
        pairs = {label: rng.permutation(self.modulus**2) for label in SIGN}
        return [
            SumsData(self, {k: v[: self.num_read] for k, v in pairs.items()})
        ]

    def floors(self, sequence_length):
        return {}

    def baselines(self):
        share, chance = self.num_read / self.modulus**2, 1 / self.modulus
        accuracies = {
            "chance": chance,
            "memoriser": share + (1 - share) * chance,
        }
        return {k: dict.fromkeys(SIGN, v) for k, v in accuracies.items()}

    def rows(self, label, pairs):
        a, b = np.divmod(pairs, self.modulus)
        sign = np.full_like(a, self.modulus + list(SIGN).index(label))
        c = (a + SIGN[label] * b) % self.modulus
        return 1 + np.stack([a, b, sign, c], axis=1).astype("int32")


@dataclasses.dataclass(frozen=True)
class SumsData:
    task: Sums
    read: dict[str, np.ndarray]

    tokens_per_word = 1

    @property
    def inputs(self):
        return np.concatenate([w.inputs for w in self.windows().values()])

    @property
    def targets(self):
        return np.concatenate([w.targets for w in self.windows().values()])

    def _windows(self, label, pairs):
        rows = self.task.rows(label, pairs)
        kinds = np.tile([SOURCE, BETWEEN, ANSWER], (len(rows), 1))
        return Windows(rows[:, :-1], rows[:, 1:], kinds)

    def windows(self):
        return {k: self._windows(k, pairs) for k, pairs in self.read.items()}

    def fresh_windows(self, mapping, num_windows, rng):
        pairs = rng.integers(self.task.modulus**2, size=num_windows)
        return self._windows(mapping, pairs)

    def sample_questions(self, mapping, num_questions, num_demonstrations, rng):
        pairs = rng.integers(self.task.modulus**2, size=num_questions)
        rows = self.task.rows(mapping, pairs)
        return rows[:, :-1], rows[:, -1:]

    def exact_rows(self, evaluator, num_demonstrations, after_others, rng):
        found, pairs = [], np.arange(self.task.modulus**2)
        for label in self.task.eval_mappings:
            rows = self.task.rows(label, pairs)
            answers = evaluator.answer(rows[:, :-1], rows[:, -1:])
            is_read = np.isin(pairs, self.read[label])[:, None]
            tiers = {
                "all_sentences": np.ones_like(is_read),
                "seen_sentences": is_read,
                "unseen_sentences": ~is_read,
            }
            for tier, mask in tiers.items():
                numbers = 1 + np.arange(self.task.modulus)
                scores = score_answers(answers, numbers, mask)
                at = label, tier, "0_demonstrations"
                found += [(*at, metric, x) for metric, x in scores.items()]
        return found


SUMS = Experiment(
    "sums",
    "few",
    Sums(),
    GPTConfig(
        vocabulary_size=10,
        sequence_length=3,
        num_layers=1,
        num_heads=2,
        head_dim=8,
        dropout=0.0,
        normalization="pre",
    ),
    # 40 epochs end between 0.4 and 0.85, by the seed and by rounding.
    TrainConfig(num_epochs=80, batch_size=10, learning_rate=0.01),
    EvaluationConfig("cached", 8, 0, 4, exact_demonstrations=(0,)),
)


@pytest.fixture(scope="module")
def found():
    return run(SUMS, seed=1)


@pytest.mark.slow
def test_a_task_of_ones_own_is_learned_and_asked(found):
    frame = found.metrics
    assert set(frame["mapping"]) == {"all", "plus", "minus"}
    curves = frame[frame["tier"] == "all"]
    asked = {"loss", "weight_norm", *SUMS.evaluation.metrics}
    assert set(curves["metric"]) == asked  # no floor is known
    assert (curves.groupby(["mapping", "metric"]).size() == 80).all()
    last = frame[frame["epoch"] == 80].set_index(["mapping", "tier", "metric"])
    for label in SIGN:
        value = last["value"][label]
        assert value["seen_sentences", "accuracy_aligned"] > 0.5  # chance 1/7
        assert value["seen_sentences", "num_words"] == 20
        assert value["unseen_sentences", "num_words"] == 29
        loss = value["training_windows", "loss_answer_words"]
        assert loss < 0.8 * math.log(7)
        assert loss < value["fresh_windows", "loss_answer_words"]


@pytest.mark.slow
def test_many_seeds_are_trained_as_one(found):
    if keras.backend.backend() != "jax":
        pytest.skip("programs of whole epochs need JAX")
    same, _ = run_seeds(SUMS, [1, 2])
    keys = ["mapping", "tier", "metric", "epoch"]
    np.testing.assert_array_equal(same.metrics[keys], found.metrics[keys])
    losses = (
        x.metrics.query("metric == 'loss'")["value"] for x in (same, found)
    )
    np.testing.assert_allclose(*losses, rtol=1e-2)


def test_its_fields_and_class_are_in_the_key_of_a_sweep():
    axes = {"num_read": [10, 20], "train.batch_size": [5]}
    success = Success("minus", tier="seen_sentences")
    sweep = Sweep("sums", {"few": SUMS}, axes, (1,), success)
    assert [c.experiment.task.num_read for c in sweep.cells] == [10, 20]
    keys = [key_of(content_of(c.experiment, "float32")) for c in sweep.cells]
    assert len(set(keys)) == 2
    config = config_of(SUMS)
    assert config["task"] == f"{__name__}.Sums"
    assert config["num_read"] == 20
    with pytest.raises(ValueError, match="'sparse_pairs'"):
        Sweep("sums", {"few": SUMS}, {"sparse_pairs": [1]}, (1,), success)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"modulus": 8}, "needs `vocabulary_size` 11"),
        ({"eval_mappings": ("plus", "Plus")}, "differ in more than case"),
        ({"eval_mappings": ("plus", "plus")}, "stand once"),
        ({"eval_mappings": ("a/b",)}, "letters, digits"),
    ],
)
def test_a_task_that_does_not_fit_is_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        dataclasses.replace(
            SUMS, task=dataclasses.replace(SUMS.task, **changes)
        )


def test_a_pretraining_needs_data_of_its_own():
    train = dataclasses.replace(SUMS.train, num_pretraining_epochs=1)
    with pytest.raises(ValueError, match="with 1 phases of data"):
        dataclasses.replace(SUMS, train=train)


def test_a_field_of_the_experiments_own_name_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Clashing(Sums):
        model: str = ""

    with pytest.raises(ValueError, match=r"Received: model$"):
        dataclasses.replace(SUMS, task=Clashing())
