"""Lemma 2 and equation 3: from A to B by a shift delta of the embeddings.

Each A word of a prompt of A->C becomes the B word that translates it. This
gives the prompt of B->C with the same answers: x_BC = x_AC + delta. At A words
delta is the difference of two token embeddings, at all other positions 0.
"""

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np

from experiments.measurements.linear_models import (
    layers_of,
    teacher_forced_accuracy,
    train_linear_gpt,
    weights_of,
)
from experiments.measurements.shifted_prompts import (
    Forward,
    derange,
    draw_prompts,
    embed,
    gpt_forward,
    greedy_answers,
    leave_one_out,
    lsa_forward,
    place,
    token_table,
    word_shifts,
)
from tiny_gpt.analysis.linear_attention import (
    lsa_output,
    pair_weights,
    similarities,
)
from tiny_gpt.analysis.shifts import (
    equation_3,
    relative_residual,
    residual_over_f,
    solve_shift,
)
from tiny_gpt.evaluation.data import Row
from tiny_gpt.tasks.translation.stream import Stream, build_stream
from tiny_gpt.training.finished import Trained

NAME = "shift"
NEEDS = ("controls/sparse_a_to_c",)
QUESTION = "Is there a delta from A to B, and does equation 3 hold of it?"

LABELS = ("A->B", "B->C", "A->C")
NUM_UPDATES = 1000
NUM_ASKED = 256  # sentences, for an accuracy
NUM_PAIRED = 64  # sentences, for equation 3
NUM_SHUFFLES = 4
DEMONSTRATIONS = 2  # of the prompts in which equation 3 is measured
# Tier -> whether A->C has as many pairs as the largest mapping, weighting of
# the keys, layers.
MODELS = {
    "lsa_sparse": (False, "linear", 1),
    "lsa": (True, "linear", 1),
    "softmax": (True, "softmax", 1),
    "lsa_2_layers": (True, "linear", 2),
}


def measure(trained: Mapping[str, Trained], seed: int) -> list[Row]:
    """Trains the models of lemma 2, and shifts A's embeddings in them.

    The tier is a model of `MODELS` or "gpt", the trained run. There are three
    groups of rows:

    - Each model of `MODELS` has "accuracy_teacher_forced" of the three
      mappings, on unseen sentences.
    - One-layer LSA has rows of the prompts "matched" and "shuffled" (B words
      that do not correspond): "residual", of equation 3 relative to its terms;
      "residual_over_f"; the same where an answer is given, "..._answers"; and
      "output_difference", of what attention adds there, relative to it.
    - One-layer LSA and "gpt" have "greedy_..." accuracy of A->C, for the
      prompts "2_demonstrations" and "0_demonstrations". The name says what is
      added: nothing ("none"); the exact delta of each word ("exact"); that of
      another word ("other_word"); one vector, the mean over the other words
      ("mean"); the same with its coordinates shuffled ("shuffled"); the
      solution of equation 3 of the same length ("solved").

    Args:
        trained: runs of `NEEDS`.
        seed: their seed.

    Returns:
        Rows (mapping, tier, prompt, metric, value).
    """
    rng = np.random.default_rng([seed, 702])
    run = trained[NEEDS[0]]
    rows: list[Row] = []
    balanced = _balanced(run.data.stream, rng)
    for tier, (is_balanced, weighting, num_layers) in MODELS.items():
        stream = balanced if is_balanced else run.data.stream
        model = train_linear_gpt(
            stream, NUM_UPDATES, rng, num_layers, weighting
        )
        for label in LABELS:
            accuracy = teacher_forced_accuracy(
                model, stream, label, DEMONSTRATIONS, NUM_ASKED, rng
            )
            name = f"{DEMONSTRATIONS}_demonstrations"
            metric = "accuracy_teacher_forced"
            rows.append((label, tier, name, metric, accuracy))
        if weighting == "linear" and num_layers == 1:
            rows += _equation_rows(tier, model, stream, rng)
    rows += shift_rows(
        "gpt",
        gpt_forward(run.model),
        token_table(run.model),
        run.data.stream,
        rng,
    )
    return rows


def _balanced(stream: Stream, rng: np.random.Generator) -> Stream:
    """Draws a stream with as many A->C pairs as the largest mapping has."""
    mixture = stream.mixture
    number = max(c.num_pairs for c in mixture.components)
    components = tuple(
        dataclasses.replace(c, num_pairs=number) if c.mapping == "A->C" else c
        for c in mixture.components
    )
    return build_stream(
        dataclasses.replace(mixture, components=components),
        stream.vocabulary.kind,
        stream.inputs.shape[1],
        rng,
    )


def _equation_rows(
    tier: str, model: keras.Model, stream: Stream, rng: np.random.Generator
) -> list[Row]:
    prompts = draw_prompts(stream, NUM_PAIRED, DEMONSTRATIONS, rng)
    table = token_table(model)
    all_shifts = word_shifts(table, stream)
    words = np.arange(len(all_shifts))
    weights = weights_of(layers_of(model)[0])
    z, pairs = (
        embed(model, prompts.tokens),
        pair_weights(len(prompts.tokens[0])),
    )
    f = similarities(z, z, weights.key_query) * pairs

    def residuals(delta):
        terms = equation_3(z, delta, weights.key_query, pairs)
        answers = prompts.answers
        own, other = (
            (lsa_output(x, weights, pairs) - x)[:, answers]
            for x in (z, z + delta)
        )
        sizes = [np.linalg.norm(x, axis=(1, 2)) for x in (other - own, own)]
        return {
            "residual": relative_residual(terms).mean(),
            "residual_over_f": residual_over_f(terms, f).mean(),
            "residual_over_f_answers": residual_over_f(
                terms[..., answers, :], f[..., answers, :]
            ).mean(),
            "output_difference": (sizes[0] / sizes[1]).mean(),
        }

    matched = residuals(place(all_shifts[words, words], prompts))
    nulls = []
    for _ in range(NUM_SHUFFLES):
        other = derange(len(words), rng)
        nulls.append(residuals(place(all_shifts[words, other], prompts)))
    shuffled = {name: np.mean([x[name] for x in nulls]) for name in matched}
    found = {"matched": matched, "shuffled": shuffled}

    mean = all_shifts[words, words].mean(axis=0)
    is_shifted = np.isin(np.arange(z.shape[1]), prompts.places)
    solved = solve_shift(
        z, is_shifted, weights.key_query, pairs, float(np.linalg.norm(mean))
    )
    for name, vector in (("mean", mean), ("solved", solved)):
        same = np.broadcast_to(vector, (len(words), len(vector)))
        found[name] = residuals(place(same, prompts))
    cosine = mean @ solved / np.linalg.norm(mean) ** 2
    rows: list[Row] = [
        ("A->C", tier, prompt, metric, float(value))
        for prompt, values in found.items()
        for metric, value in values.items()
    ]
    rows.append(("A->C", tier, "solved", "cosine_to_mean", float(cosine)))
    forward = lsa_forward(model)
    return rows + shift_rows(tier, forward, table, stream, rng, solved)


def shift_rows(
    tier: str,
    forward: Forward,
    table: np.ndarray,
    stream: Stream,
    rng: np.random.Generator,
    solved: np.ndarray | None = None,
) -> list[Row]:
    """Adds several deltas to A's embeddings, and asks for A->C.

    Args:
        tier: name of the model.
        forward: the model.
        table: its token embeddings, shape (V, D).
        stream: the text that it has read.
        rng: source of randomness.
        solved: a solution of equation 3, shape (D,).

    Returns:
        Rows of greedy accuracy, see `measure`.
    """
    all_shifts = word_shifts(table, stream)
    words = np.arange(len(all_shifts))
    exact = all_shifts[words, words]
    mean = leave_one_out(exact)
    shifts = {
        "none": np.zeros_like(exact),
        "exact": exact,
        "other_word": all_shifts[words, derange(len(words), rng)],
        "mean": mean,
        "shuffled": mean[:, rng.permutation(mean.shape[1])],
    }
    if solved is not None:
        shifts["solved"] = np.broadcast_to(solved, exact.shape)
    rows: list[Row] = []
    for number in (DEMONSTRATIONS, 0):
        prompts = draw_prompts(stream, NUM_ASKED, number, rng)
        for name, of_words in shifts.items():
            delta = place(of_words, prompts)
            answers = greedy_answers(forward, prompts, delta, len(table))
            accuracy = float((answers == prompts.target).mean())
            prompt = f"{number}_demonstrations"
            rows.append(("A->C", tier, prompt, f"greedy_{name}", accuracy))
    return rows
