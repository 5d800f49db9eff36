"""How well a model translates: prompts, greedy answers, scores."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tiny_gpt.callbacks import LossByTask, TaskAccuracy
from tiny_gpt.callbacks.columns import Column, column
from tiny_gpt.evaluation.every_sentence import (
    CompiledAnswers,
    ExactEvaluator,
    Prompt,
)
from tiny_gpt.evaluation.gradients import (
    CompiledGradient,
    GradientsByTask,
    Part,
)
from tiny_gpt.evaluation.greedy import DECODINGS, GreedyDecoder
from tiny_gpt.evaluation.scores import exact_match, word_accuracy, words_right
from tiny_gpt.runtime.backend import Snapshot
from tiny_gpt.tasks.translation.languages import split_label
from tiny_gpt.tasks.translation.prompts import sample_prompts
from tiny_gpt.tasks.translation.stream import Stream, fresh_windows
from tiny_gpt.tasks.translation.tiers import Row, exact_rows, pivot_rows

# Tiers and kinds of the loss by mapping.
LOSS_TIERS = ("training_windows", "fresh_windows")
LOSS_KINDS = ("all_tokens", "source_words", "answer_words")
GRADIENT_WINDOWS = 64  # in one compiled call


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
        num_loss_windows: windows per mapping, of the training text and as
            many fresh ones, whose loss is measured by mapping and kind of
            word; 0 leaves this out.
        exact_demonstrations: at the end every sentence is asked after the
            first of these numbers of demonstrations, decoded "aligned", and,
            where two mappings start from one language, after each; empty
            leaves this out.
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
            ("num_loss_windows", 0),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(
                    f"`{name}` must be at least {least}, a whole number. "
                    f"Received: {name}={value!r}"
                )
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

    def exact_prompts(self, label: str, labels: Iterable[str]) -> list[Prompt]:
        """Returns the prompts of the exact evaluation of one mapping.

        Fewer demonstrations, and those of another mapping, can mislead only
        where two mappings start from one language, and are asked only there.

        Args:
            label: mapping asked for.
            labels: all mappings asked for.
        """
        source, _ = split_label(label)
        rivals = [
            rival
            for rival in labels
            if rival != label and split_label(rival)[0] == source
        ]
        prompts = [Prompt(number) for number in self.exact_demonstrations]
        if not prompts or not rivals:
            return prompts[:1]
        if self.is_asked_after_others:
            most = self.exact_demonstrations[0]
            prompts += [Prompt(most, rival) for rival in rivals]
        return prompts


def task_name(label: str) -> str:
    """Returns the name of a mapping in log keys: "A->C" is "a_to_c"."""
    source, target = split_label(label)
    return f"{source}_to_{target}".lower()


class CompiledEvaluation:
    """Questions compiled for one model, and all of its shape.

    Args:
        config: what is asked.
        model: model of `build_gpt`.
        stream: what it reads; another one of the same mixture's shape and
            vocabulary has the same questions.

    Attributes:
        decode: greedy answers, `GreedyDecoder`.
        answers: what `ExactEvaluator` needs.
        gradient: gradients of the loss.
    """

    def __init__(
        self, config: EvaluationConfig, model: keras.Model, stream: Stream
    ):
        num_words = stream.mixture.sentence_length
        num_tokens = num_words * stream.vocabulary.tokens_per_word
        self.decode = GreedyDecoder(model, config.decoding, num_tokens)
        self.answers = CompiledAnswers(model, num_tokens)
        self.gradient = CompiledGradient(model, GRADIENT_WINDOWS)


def evaluation_columns(
    config: EvaluationConfig, asked: Iterable[str], trained: Iterable[str]
) -> dict[str, Column]:
    """Returns places of the keys that `evaluation_callbacks` can write.

    Args:
        config: what is asked.
        asked: mappings asked for.
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
    stream: Stream,
    labels: tuple[str, ...],
    rng: np.random.Generator,
) -> list[keras.callbacks.Callback]:
    """Builds the callbacks that ask a model to translate, and its losses.

    Args:
        config: what to ask.
        compiled: compiled questions.
        stream: languages and vocabulary of the run.
        labels: mappings asked for.
        rng: source of randomness.

    Returns:
        Callbacks that write f"{task_name(label)}_{metric}" into the logs,
        for each label and each of `config.metrics`; and, for each mapping in
        the stream, each of `LOSS_TIERS` and of `LOSS_KINDS`,
        f"{task_name(label)}_{tier}_{kind}_loss".
    """
    fixed_rng, fresh_rng, loss_rng = rng.spawn(3)
    fresh_entropy = int(fresh_rng.integers(2**63))
    vocabulary, components = stream.vocabulary, stream.mixture.components

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

    def score(function) -> Callable[[Any, Any], float]:
        return lambda predicted, target: function(
            words_right(predicted, target, vocabulary.tokens_per_word)
        )

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
        callbacks.append(_loss_by_task(config, stream, loss_rng))
    if config.has_gradients:
        callbacks.append(
            GradientsByTask(
                compiled.gradient,
                _training_text(stream),
                {task_name(c.mapping): c.mapping for c in components},
                LOSS_TIERS[0],
            )
        )
    return callbacks


def _training_text(stream: Stream) -> dict[str, Part]:
    """Returns what each mapping's loss is a mean over, by task name."""
    parts = {}
    for index, component in enumerate(stream.mixture.components):
        belongs = stream.components == index
        rows = belongs.any(axis=1)
        if component.num_shown:
            parts[task_name(component.mapping)] = (
                stream.inputs[rows],
                stream.targets[rows],
                belongs[rows],
            )
    return parts


def _loss_by_task(
    config: EvaluationConfig, stream: Stream, rng: np.random.Generator
) -> LossByTask:
    """Selects windows of each mapping, and what to measure in them."""
    inputs, targets, masks = [], [], []
    for index, component in enumerate(stream.mixture.components):
        if not component.num_shown:
            continue
        label, num_windows = component.mapping, config.num_loss_windows
        belongs = stream.components == index
        rows = np.flatnonzero(belongs.any(axis=1))
        count = min(num_windows, len(rows))
        rows = rows[np.linspace(0, len(rows) - 1, count).astype(int)]
        inputs.append(stream.inputs[rows])
        targets.append(stream.targets[rows])
        places = np.where(belongs[rows], stream.places[rows], -1)
        masks.append((label, LOSS_TIERS[0], places))
        fresh = fresh_windows(stream, label, num_windows, rng)
        inputs.append(fresh[0])
        targets.append(fresh[1])
        masks.append((label, LOSS_TIERS[1], fresh[2]))
    per_word = stream.vocabulary.tokens_per_word
    num_source = stream.mixture.sentence_length * per_word
    starts = np.cumsum([0, *(len(places) for _, _, places in masks)])
    parts: dict[str, np.ndarray] = {}
    columns: dict[str, Column] = {}
    for (label, tier, places), start in zip(masks, starts, strict=False):
        is_source = (places >= 0) & (places < num_source)
        after = places - num_source - per_word  # 0 at the first answer token
        columns |= _loss_columns(label)
        kinds = (places >= 0, is_source, (after >= 0) & (after < num_source))
        for kind, mask in zip(LOSS_KINDS, kinds, strict=True):
            part = np.zeros((starts[-1], places.shape[1]), bool)
            part[start : start + len(mask)] = mask
            if mask.any():  # a few pairs may be cut before an answer
                parts[f"{task_name(label)}_{tier}_{kind}"] = part
    return LossByTask(
        np.concatenate(inputs),
        np.concatenate(targets),
        parts,
        config.every,
        columns=columns,
    )


def evaluate_exactly(
    config: EvaluationConfig,
    compiled: CompiledEvaluation,
    model: keras.Model | Snapshot,
    stream: Stream,
    labels: tuple[str, ...],
    pivots: tuple[str, ...],
    rng: np.random.Generator,
) -> list[Row]:
    """Asks a trained model for every sentence of each mapping.

    Args:
        config: prompts.
        compiled: compiled questions.
        model: the trained model, or its weights.
        stream: what it has read.
        labels: mappings asked for.
        pivots: two steps asked one after the other, e.g. "A->B->C".
        rng: source of randomness of the demonstrations.

    Returns:
        Rows (mapping, tier, prompt, metric, value), see `tiers.exact_rows`.
    """
    rows: list[Row] = []
    if not config.exact_demonstrations:
        return rows
    evaluator = ExactEvaluator(compiled.answers, model, stream)
    for label in labels:
        prompts = config.exact_prompts(label, labels)
        rows += exact_rows(evaluator, label, prompts, rng)
    for pivot in pivots:
        main = Prompt(config.exact_demonstrations[0])
        rows += pivot_rows(evaluator, pivot, main, rng)
    return rows
