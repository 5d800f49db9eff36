"""The evaluation of a model: configuration, callbacks, every question."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tiny_gpt.callbacks import LossByTask, TaskAccuracy
from tiny_gpt.callbacks.columns import Column, column
from tiny_gpt.evaluation.data import (
    ANSWER,
    NOT_SCORED,
    OTHERS,
    SOURCE,
    Data,
    Row,
    Windows,
)
from tiny_gpt.evaluation.every_sentence import (
    CompiledAnswers,
    ExactEvaluator,
    Prompt,
)
from tiny_gpt.evaluation.gradients import CompiledGradient, GradientsByTask
from tiny_gpt.evaluation.greedy import DECODINGS, GreedyDecoder
from tiny_gpt.evaluation.parts import InParts
from tiny_gpt.evaluation.scores import exact_match, word_accuracy, words_right
from tiny_gpt.models.config import ModelConfig
from tiny_gpt.models.spans import Spans, sees_next
from tiny_gpt.models.stepwise import spans_of
from tiny_gpt.runtime.checks import check_choice, check_whole
from tiny_gpt.runtime.programs import Snapshot

# Tiers and kinds of the loss by mapping.
LOSS_TIERS = ("training_windows", "fresh_windows")
LOSS_KINDS = ("all_tokens", "source_words", "answer_words")
GRADIENT_WINDOWS = 64  # in one compiled call


@dataclass(frozen=True)
class EvaluationConfig:
    """The questions that a model is asked during and after training.

    The published evaluation (Sinha 2024, sec. 3.1, and the authors' code)
    asks 5 fresh sentences per mapping and epoch, with 6 demonstrations, of
    which 1.75 fit the window: `num_fresh_sentences=5`. A fixed sample, the
    same at every epoch and large enough to show a curve, is asked as well.

    Attributes:
        decoding: "published", "aligned" or "cached" (`GreedyDecoder`).
        num_sentences: sentences per mapping in the fixed sample.
        num_demonstrations: sentence pairs of the same mapping before the
            query.
        num_fresh_sentences: sentences per mapping drawn anew each time; 0
            leaves this evaluation out.
        every: epochs between evaluations; the last epoch always has one.
        num_loss_windows: windows per mapping whose loss is measured, by
            mapping and kind of word: this number from the training text, and
            the same number of fresh ones; 0 leaves this out. All words count,
            also those that are not in the training loss, but none that a
            bidirectional span shows where it is predicted.
        exact_demonstrations: numbers of demonstrations before every sentence
            at the end, decoded "aligned". Each mapping is asked after the
            first number; where two mappings start from one language, after
            each. Empty leaves this out.
        is_asked_after_others: whether every sentence is then also asked after
            demonstrations of the other mapping from the same language, as
            many as the first of `exact_demonstrations`.
        has_gradients: whether the gradient of each mapping's loss over its
            training text is measured after each epoch (`GradientsByTask`).

    Raises:
        ValueError: if a count is out of range or `decoding` unknown.
    """

    decoding: str = "published"
    num_sentences: int = 64
    num_demonstrations: int = 6
    num_fresh_sentences: int = 5
    every: int = 1
    num_loss_windows: int = 64
    exact_demonstrations: tuple[int, ...] = (1, 0)
    is_asked_after_others: bool = False
    has_gradients: bool = False

    def __post_init__(self):
        check_choice("decoding", self.decoding, DECODINGS)
        for name, least in (
            ("num_sentences", 1),
            ("num_demonstrations", 0),
            ("num_fresh_sentences", 0),
            ("every", 1),
            ("num_loss_windows", 0),
        ):
            value = getattr(self, name)
            check_whole(name, value, least)
        for number in self.exact_demonstrations:
            if not isinstance(number, int) or number < 0:
                raise ValueError(
                    "Numbers of demonstrations cannot be negative; they are "
                    "whole numbers. Received: "
                    f"exact_demonstrations={self.exact_demonstrations}"
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
        return Prompt(self.num_demonstrations).name


def task_name(label: str) -> str:
    """Returns the name of a mapping in log keys: "A->C" is "a_to_c"."""
    return label.replace("->", "_to_").lower()


class CompiledEvaluation:
    """The evaluation, compiled once for all models of one shape.

    Args:
        config: the questions.
        model: model of a `ModelConfig`.
        network: its vocabulary and window.
        num_tokens: tokens of the longest answer.

    Attributes:
        decode: greedy answers, `GreedyDecoder`.
        answers: what `ExactEvaluator` needs.
        gradient: gradients of the loss.
        spans: in which positions of the model see each other.
    """

    def __init__(
        self,
        config: EvaluationConfig,
        model: keras.Model,
        network: ModelConfig,
        num_tokens: int,
    ):
        sizes = network.vocabulary_size, network.sequence_length
        self.decode = GreedyDecoder(model, config.decoding, num_tokens, *sizes)
        self.answers = CompiledAnswers(model, num_tokens, *sizes)
        self.gradient = CompiledGradient(model, GRADIENT_WINDOWS)
        self.spans = spans_of(model)


def evaluation_columns(
    config: EvaluationConfig, asked: Iterable[str], trained: Iterable[str]
) -> dict[str, Column]:
    """Returns the columns of the keys that `evaluation_callbacks` can write.

    Args:
        config: the questions.
        asked: mappings of the questions.
        trained: mappings of the stream.

    Returns:
        Mapping, tier, prompt and metric by key of the logs.
    """
    labels = {task_name(label): label for label in trained}
    columns = TaskAccuracy.columns_for(
        {task_name(label): label for label in asked},
        config.metrics,
        config.prompt,
    )
    for label in labels.values():
        columns |= LossByTask.columns_for(_loss_columns(label))
    if config.has_gradients:
        columns |= GradientsByTask.columns_for(labels, LOSS_TIERS[0])
    return columns


def _loss_columns(label: str) -> dict[str, Column]:
    """Returns places of a mapping's losses, by part of `LossByTask`."""
    return {
        f"{task_name(label)}_{tier}_{kind}": column(f"loss_{kind}", label, tier)
        for tier, kind in itertools.product(LOSS_TIERS, LOSS_KINDS)
    }


def evaluation_callbacks(
    config: EvaluationConfig,
    compiled: CompiledEvaluation,
    data: Data,
    labels: tuple[str, ...],
    rng: np.random.Generator,
) -> list[keras.callbacks.Callback]:
    """Builds the callbacks that ask a model questions and measure its losses.

    Args:
        config: the questions.
        compiled: compiled evaluation.
        data: the text and the questions.
        labels: mappings of the questions.
        rng: source of randomness.

    Returns:
        Callbacks that write into the logs. For each label and each of
        `config.metrics` they write f"{task_name(label)}_{metric}"; for each
        mapping in the text, each of `LOSS_TIERS` and of `LOSS_KINDS`,
        f"{task_name(label)}_{tier}_{kind}_loss"; and the losses of further
        parts, if the data have some (`InParts`).
    """
    fixed_rng, fresh_rng, loss_rng = rng.spawn(3)
    fresh_entropy = int(fresh_rng.integers(2**63))

    def tasks(num_sentences, rng):
        return {
            task_name(label): data.sample_questions(
                label, num_sentences, config.num_demonstrations, rng
            )
            for label in labels
        }

    def fresh_tasks(epoch):
        # A function of the epoch, so that a continued run asks the same.
        rng = np.random.default_rng([fresh_entropy, epoch])
        return tasks(config.num_fresh_sentences, rng)

    def score(function) -> Callable[[Any, Any], float]:
        def score_words(predicted, target):
            is_scored = target[0] != NOT_SCORED
            predicted = predicted[:, : target.shape[1]]  # the model goes on
            return function(
                words_right(
                    predicted[:, is_scored],
                    target[:, is_scored],
                    data.tokens_per_word,
                )
            )

        return score_words

    def predict(model, prompts):
        return compiled.decode(prompts, model)

    asked = {task_name(label): label for label in labels}
    accuracy, exact, *fresh = config.metrics
    callbacks: list[keras.callbacks.Callback] = [
        TaskAccuracy(
            tasks(config.num_sentences, fixed_rng),
            predict,
            {accuracy: score(word_accuracy), exact: score(exact_match)},
            config.every,
            labels=asked,
            prompt=config.prompt,
        )
    ]
    for name in fresh:
        callbacks.append(
            TaskAccuracy(
                fresh_tasks,
                predict,
                {name: score(word_accuracy)},
                config.every,
                labels=asked,
                prompt=config.prompt,
            )
        )
    if config.num_loss_windows:
        callbacks.append(_loss_by_task(config, data, compiled.spans, loss_rng))
        if isinstance(data, InParts):
            further = data.parts(config.num_loss_windows, loss_rng)
            callbacks.append(further.callback(compiled.spans, config.every))
    if config.has_gradients:
        parts = {
            task_name(label): (
                w.inputs,
                w.targets,
                _unseen(w.kinds, compiled.spans) != OTHERS,
            )
            for label, w in data.windows().items()
        }
        read = {task_name(label): label for label in data.windows()}
        callbacks.append(
            GradientsByTask(compiled.gradient, parts, read, LOSS_TIERS[0])
        )
    return callbacks


def _unseen(kinds: np.ndarray, spans: Spans) -> np.ndarray:
    """Returns kinds of targets, `OTHERS` for those that a span shows."""
    return np.where(sees_next(spans, kinds.shape[1]), OTHERS, kinds)


def _loss_by_task(
    config: EvaluationConfig,
    data: Data,
    spans: Spans,
    rng: np.random.Generator,
) -> LossByTask:
    """Selects windows of each mapping, and the parts of them to measure."""
    chosen: list[tuple[str, Windows]] = []
    columns: dict[str, Column] = {}
    for label, read in data.windows().items():
        count = min(config.num_loss_windows, len(read.inputs))
        rows = np.linspace(0, len(read.inputs) - 1, count).astype(int)
        arrays = (read.inputs[rows], read.targets[rows], read.kinds[rows])
        fresh = data.fresh_windows(label, config.num_loss_windows, rng)
        name = task_name(label)
        columns |= _loss_columns(label)
        chosen.append((f"{name}_{LOSS_TIERS[0]}", Windows(*arrays)))
        chosen.append((f"{name}_{LOSS_TIERS[1]}", fresh))
    starts = np.cumsum([0, *(len(windows.kinds) for _, windows in chosen)])
    parts = {}
    for (name, windows), start in zip(chosen, starts, strict=False):
        kinds = _unseen(windows.kinds, spans)
        masks = (kinds != OTHERS, kinds == SOURCE, kinds == ANSWER)
        for kind, mask in zip(LOSS_KINDS, masks, strict=True):
            part = np.zeros((starts[-1], kinds.shape[1]), bool)
            part[start : start + len(mask)] = mask
            if mask.any():  # a few pairs may be cut before an answer
                parts[f"{name}_{kind}"] = part
    return LossByTask(
        np.concatenate([windows.inputs for _, windows in chosen]),
        np.concatenate([windows.targets for _, windows in chosen]),
        parts,
        config.every,
        columns=columns,
    )


def evaluate_exactly(
    config: EvaluationConfig,
    compiled: CompiledEvaluation,
    model: keras.Model | Snapshot,
    data: Data,
    rng: np.random.Generator,
) -> list[Row]:
    """Asks a trained model every question of each mapping.

    Args:
        config: the prompts.
        compiled: compiled evaluation.
        model: the trained model, or its weights.
        data: the text that it has read.
        rng: source of randomness of the demonstrations.

    Returns:
        Rows (mapping, tier, prompt, metric, value), see `Data.exact_rows`;
        none if `config` leaves the exact evaluation out.
    """
    if not config.exact_demonstrations:
        return []
    evaluator = ExactEvaluator(compiled.answers, model)
    return data.exact_rows(
        evaluator,
        config.exact_demonstrations,
        config.is_asked_after_others,
        rng,
    )
