"""A task of one's own: sums and differences modulo 7, of few pairs read.

Question  Are sums that were not read answered as well as those that were?
Run       tiny-gpt run examples/sums.py --seeds 3

`Sums` is the task: all of what is learned but the seed (`Task`). `SumsData` is
what it draws: the text and the questions of one seed (`Data`).
"""

from dataclasses import dataclass

import numpy as np

from tiny_gpt.commands.study import Study
from tiny_gpt.evaluation.data import ANSWER, BETWEEN, SOURCE, Windows
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.evaluation.every_sentence import score_answers
from tiny_gpt.experiment import Experiment, TrainConfig
from tiny_gpt.models.gpt import GPTConfig

SIGN = {"plus": 1, "minus": -1}  # mappings


@dataclass(frozen=True)
class Sums:
    """Rows `a b sign c`: number i is token 1 + i, after them the signs."""

    num_read: int = 20  # pairs (a, b) of each sign, of `modulus` ** 2
    modulus: int = 7
    eval_mappings: tuple[str, ...] = tuple(SIGN)
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
        return {}  # none is known, so no loss is compared with one

    def baselines(self):
        share, chance = self.num_read / self.modulus**2, 1 / self.modulus
        accuracies = {
            "chance": chance,
            "memoriser": share + (1 - share) * chance,
        }
        return {k: dict.fromkeys(SIGN, v) for k, v in accuracies.items()}

    def rows(self, label, pairs):
        """Returns tokens, shape (N, 4), of pairs numbered `a * modulus + b`."""
        a, b = np.divmod(pairs, self.modulus)
        sign = np.full_like(a, self.modulus + list(SIGN).index(label))
        c = (a + SIGN[label] * b) % self.modulus
        return 1 + np.stack([a, b, sign, c], axis=1).astype("int32")


@dataclass(frozen=True)
class SumsData:
    """One window is one row; the model predicts each next token of it."""

    task: Sums
    read: dict[str, np.ndarray]  # pairs by mapping

    tokens_per_word = 1

    @property
    def inputs(self):
        return np.concatenate([w.inputs for w in self.windows().values()])

    @property
    def targets(self):
        return np.concatenate([w.targets for w in self.windows().values()])

    def _windows(self, label, pairs):
        rows = self.task.rows(label, pairs)
        # Of the targets `b sign c`.
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


def build(preset, condition):
    """Returns the condition; its name ends with the number of pairs."""
    task = Sums(num_read=int(condition.split("_")[-1]))
    return Experiment(
        name="sums",
        condition=condition,
        task=task,
        model=GPTConfig(
            vocabulary_size=task.vocabulary_size,
            sequence_length=3,
            num_layers=1,
            num_heads=2,
            head_dim=8,
            dropout=0.0,
            normalization="pre",
        ),
        train=TrainConfig(num_epochs=80, batch_size=10, learning_rate=0.01),
        # Questions stand alone, without demonstrations.
        evaluation=EvaluationConfig(
            decoding="cached",
            num_sentences=64,
            num_demonstrations=0,
            num_fresh_sentences=0,
            exact_demonstrations=(0,),
        ),
    )


STUDY = Study(
    name="sums",
    conditions={
        "read_20": "20 of 49 pairs of each sign",
        "read_40": "40 of 49 pairs of each sign",
    },
    build_experiment=build,
    sparse=("minus",),
    presets=("quick",),
)
