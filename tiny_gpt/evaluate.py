"""How well a model translates: prompts, greedy answers, scores."""

from dataclasses import dataclass

import keras
import numpy as np

from tiny_gpt.callbacks import Score, TaskAccuracy
from tiny_gpt.decode import DECODINGS, GreedyDecoder
from tiny_gpt.languages import split_label
from tiny_gpt.metrics import exact_match, word_accuracy, words_right
from tiny_gpt.stream import Stream, sample_prompts


@dataclass(frozen=True)
class EvaluationConfig:
    """What is asked of a model while it trains.

    The published evaluation (Sinha 2024, sec. 3.1, and the authors' code)
    asks 5 fresh sentences per mapping and epoch, with 6 demonstrations, of
    which 1.75 fit the window: `num_fresh_sentences=5`. Beside it stands a
    fixed sample, the same at every epoch, large enough to see a curve.

    Attributes:
        decoding: "published", "aligned" or "cached" (`GreedyDecoder`).
        num_sentences: sentences per mapping in the fixed sample.
        num_demonstrations: sentence pairs of the same mapping before the
            query.
        num_fresh_sentences: sentences per mapping drawn anew each time; 0
            leaves this evaluation out.
        every: epochs between evaluations; the last epoch always has one.

    Raises:
        ValueError: if a count is out of range or `decoding` unknown.
    """

    decoding: str = "published"
    num_sentences: int = 64
    num_demonstrations: int = 6
    num_fresh_sentences: int = 5
    every: int = 1

    def __post_init__(self):
        if self.decoding not in DECODINGS:
            raise ValueError(
                f"`decoding` must be one of {DECODINGS}. "
                f"Received: decoding={self.decoding!r}"
            )
        for name, least in (
            ("num_sentences", 1),
            ("num_demonstrations", 0),
            ("num_fresh_sentences", 0),
            ("every", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(
                    f"`{name}` must be at least {least}. "
                    f"Received: {name}={getattr(self, name)}"
                )

    @property
    def accuracy(self) -> str:
        """Name of the main metric, e.g. "accuracy_published"."""
        # Full passes and the cache give the same tokens, hence one name.
        layout = "published" if self.decoding == "published" else "aligned"
        return f"accuracy_{layout}"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics of one mapping, the main one first."""
        exact = self.accuracy.replace("accuracy", "exact_match")
        if not self.num_fresh_sentences:
            return self.accuracy, exact
        fresh = f"{self.accuracy}_{self.num_fresh_sentences}"
        return self.accuracy, exact, fresh

    @property
    def prompt(self) -> str:
        """Name of the prompt in the metrics frame."""
        return f"{self.num_demonstrations}_demonstrations"


def task_name(label: str) -> str:
    """Returns the name of a mapping in log keys: "A->C" is "a_to_c"."""
    source, target = split_label(label)
    return f"{source}_to_{target}".lower()


def evaluation_callbacks(
    config: EvaluationConfig,
    model: keras.Model,
    stream: Stream,
    labels: tuple[str, ...],
    rng: np.random.Generator,
) -> list[TaskAccuracy]:
    """Builds the callbacks that ask a model to translate.

    Args:
        config: what to ask.
        model: model of `build_gpt`.
        stream: languages and vocabulary of the run.
        labels: mappings asked for.
        rng: source of randomness.

    Returns:
        Callbacks that write f"{task_name(label)}_{metric}" into the logs,
        for each label and each of `config.metrics`.
    """
    fixed_rng, fresh_rng = rng.spawn(2)
    fresh_entropy = int(fresh_rng.integers(2**63))
    vocabulary = stream.vocabulary
    num_words = stream.mixture.sentence_length
    decoder = GreedyDecoder(
        model, config.decoding, num_words * vocabulary.tokens_per_word
    )

    def tasks(num_sentences, rng):
        return {
            task_name(label): sample_prompts(
                stream, label, num_sentences, config.num_demonstrations, rng
            )
            for label in labels
        }

    def fresh_tasks(epoch):
        # A function of the epoch, so that a continued run asks the same.
        rng = np.random.default_rng([fresh_entropy, epoch])
        return tasks(config.num_fresh_sentences, rng)

    def score(function) -> Score:
        return lambda predicted, target: function(
            words_right(predicted, target, vocabulary.tokens_per_word)
        )

    def predict(model, prompts):
        return decoder(prompts)

    accuracy, exact, *fresh = config.metrics
    callbacks = [
        TaskAccuracy(
            tasks(config.num_sentences, fixed_rng),
            predict,
            {accuracy: score(word_accuracy), exact: score(exact_match)},
            config.every,
        )
    ]
    for name in fresh:
        callbacks.append(
            TaskAccuracy(
                fresh_tasks, predict, {name: score(word_accuracy)}, config.every
            )
        )
    return callbacks
