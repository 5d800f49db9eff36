"""What a model may not see: the words that it has to predict."""

from collections.abc import Sequence

import numpy as np

from tiny_gpt.evaluation.data import NOT_SCORED, Data
from tiny_gpt.experiment import Experiment, has_unscored_targets
from tiny_gpt.models.spans import Spans, check_answer, sees_next


def check_visible(experiment: Experiment, phases: Sequence[Data]) -> None:
    """Checks that no scored word is visible where it is predicted.

    Only a model with bidirectional spans (`GPTConfig`) could see one: in its
    windows, or in the answers of the evaluation.

    Args:
        experiment: what is to be run.
        phases: the data of each phase.

    Raises:
        ValueError: if one is visible, the data leave targets out of the loss
            and the task does not say so, or answers are longer than it says.
    """
    spans: Spans = getattr(experiment.model, "bidirectional", ())
    has_unscored = has_unscored_targets(experiment)
    for phase in phases:
        is_scored = phase.targets != NOT_SCORED
        if not is_scored.all() and not has_unscored:
            raise ValueError(
                "Targets that are `NOT_SCORED` need a task whose "
                "`has_unscored_targets` is True. Received: "
                f"{(~is_scored).sum()} of {is_scored.size} targets not scored"
            )
        check_targets(spans, is_scored)
    _check_questions(experiment, spans, phases[-1])


def check_targets(spans: Spans, is_scored: np.ndarray) -> None:
    """Checks that no scored target is visible where it is predicted.

    The target of position t is the token of position t + 1.

    Args:
        spans: (start, end) of each.
        is_scored: whether a target is in the loss, shape (N, T).

    Raises:
        ValueError: if positions t and t + 1 of one lie in one span.
    """
    is_seen = sees_next(spans, is_scored.shape[1]) & is_scored.any(axis=0)
    if is_seen.any():
        raise ValueError(
            "A target in the loss may not be visible: its position and the "
            "one before it cannot lie in one bidirectional span. Received: "
            f"bidirectional={spans}, targets in the loss at positions "
            f"{(np.flatnonzero(is_seen) + 1).tolist()}"
        )


def _check_questions(experiment: Experiment, spans: Spans, data: Data) -> None:
    evaluation, task = experiment.evaluation, experiment.task
    numbers = {evaluation.num_demonstrations, *evaluation.exact_demonstrations}
    for label in task.eval_mappings:
        for number in sorted(numbers):
            questions, answers = data.sample_questions(
                label, 1, number, np.random.default_rng(0)
            )
            if answers.shape[1] > task.answer_length:
                raise ValueError(
                    "No right answer has more tokens than the task's "
                    f"`answer_length`. Received: {answers.shape[1]} tokens in "
                    f"{label!r}, answer_length={task.answer_length}"
                )
            if spans:
                check_answer(spans, questions.shape[1], task.answer_length)
