"""Tiny runs of windows of whole pairs, causal or with spans."""

import dataclasses

import numpy as np

from benchmarks.tiny_runs import TINY, with_task
from tiny_gpt.evaluation.data import NOT_SCORED

# Of three pairs `w w . v v |`: each question, or all before the last answer.
QUESTIONS, PROMPT = ((0, 3), (6, 9), (12, 15)), ((0, 15),)
EVALUATION = dataclasses.replace(
    TINY.evaluation, num_demonstrations=2, exact_demonstrations=(2,)
)


def changed(scored, spans=(), experiment=TINY, **changes):
    """An experiment of windows of whole pairs: 14 windows in 3 batches."""
    experiment = with_task(experiment, window_packing="pairs", scored=scored)
    return dataclasses.replace(
        experiment,
        model=dataclasses.replace(experiment.model, bidirectional=spans),
        train=dataclasses.replace(experiment.train, **changes),
        evaluation=EVALUATION,
    )


CASES = {
    "full": changed("all"),
    "answers": changed("answers"),
    "pairs": changed("answers", QUESTIONS),
    "prompt": changed("last_answer", PROMPT),
}


def loss_by_hand(logits, targets):
    """The mean cross-entropy of the targets that are scored."""
    logits = logits.astype("float64")
    logits = logits - logits.max(axis=-1, keepdims=True)
    log_q = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    rows, places = np.nonzero(targets != NOT_SCORED)
    return -log_q[rows, places, targets[rows, places]].mean()
