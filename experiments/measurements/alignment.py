"""Alignment: do two tasks, or two networks, represent sentences alike?

The tier is "trained" or "fresh", the same network with new weights. The prompt
is a point and the places whose streams are compared ("source" or "answer").
Values are means over the words of a sentence. Each place is compared by
itself, so what all sentences share in a place (its position) does not count.
"""

from collections.abc import Mapping

import numpy as np

from experiments.measurements.questions import Questions, ask
from tiny_gpt.analysis.similarity import centred_cosine, linear_cka, varies
from tiny_gpt.evaluation.data import Row
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.probes import Reader
from tiny_gpt.tasks.translation.stream import sample_sentences
from tiny_gpt.training.finished import Trained

NAME = "alignment"
SPARSE, ALONE, UNRELATED = NEEDS = (
    "controls/sparse_a_to_c",
    "controls/a_to_c_alone_equal_tokens",
    "controls/unrelated_majority",
)
QUESTION = "Are layers alike between tasks, beyond what any network shows?"
NUM_SENTENCES = 128
ROLES = ("source", "answer")
MEASURES = {"cka": linear_cka, "cosine": centred_cosine}
# Comparison -> two of (condition, mapping, its words from those of A).
COMPARISONS = {
    "A->B|A->C": ((SPARSE, "A->B", ""), (SPARSE, "A->C", "")),
    # The B words of the same sentences; the answers are the same C words.
    "B->C|A->C": ((SPARSE, "B->C", "A->B"), (SPARSE, "A->C", "")),
    # D has no relation to A: words of the same numbers, as good as any.
    "D->E|A->C": ((UNRELATED, "D->E", ""), (UNRELATED, "A->C", "")),
}


def measure(trained: Mapping[str, Trained], seed: int) -> list[Row]:
    """Compares tasks in a network, and A->C between networks.

    Args:
        trained: by name, those of `NEEDS`.
        seed: of the sentences, and of the fresh weights.

    Raises:
        ValueError: if a condition has another network.
    """
    rng = np.random.default_rng([seed, 7002])
    mixture = trained[SPARSE].data.stream.mixture
    size, length = mixture.alphabet_size, mixture.sentence_length
    num_shown = trained[SPARSE].experiment.evaluation.exact_demonstrations[0]
    drawn = sample_sentences(
        NUM_SENTENCES * (1 + num_shown), size, length, rng
    ).reshape(NUM_SENTENCES, -1, length)
    order = rng.permutation(NUM_SENTENCES)

    def asked(name: str, label: str, to_words: str = "") -> Questions:
        """Asks about the same sentences, after the same demonstrations."""
        stream, words = trained[name].data.stream, drawn
        if to_words:
            words = stream.mapping(to_words).translate(drawn)
        return ask(stream, label, words[:, 0], words[:, 1:])

    # One program for all: the weights of each network are put into it.
    reader = Reader(trained[SPARSE].experiment.model.build())
    own: dict[tuple[str, str], list[np.ndarray]] = {}
    rows: list[Row] = []
    for tier in ("trained", "fresh"):
        for mapping, pair in COMPARISONS.items():
            streams = []
            for name, label, to_words in pair:
                if tier == "trained":
                    weights = trained[name].model.get_weights()
                    reader.model.set_weights(weights)
                else:
                    fresh_rng = np.random.default_rng([seed, 7003])
                    initialise_weights(reader.model, fresh_rng)
                questions = asked(name, label, to_words)
                reading = reader.read(questions.tokens)
                streams.append(questions.streams(reading))
            own[mapping, tier] = streams
            first, second = streams
            rows += _compare(reader.points, mapping, tier, first, second, order)
    reader.model.set_weights(trained[ALONE].model.get_weights())
    questions = asked(ALONE, "A->C")
    alone = questions.streams(reader.read(questions.tokens))
    # A->C in two networks that have no directions in common: CKA only.
    _, a_to_c = own["A->B|A->C", "trained"]
    _, fresh = own["A->B|A->C", "fresh"]
    _, beside = own["D->E|A->C", "trained"]
    for tier, other in (
        ("alone", alone),
        ("unrelated", beside),
        ("fresh", fresh),
    ):
        rows += _compare(
            reader.points, "A->C", tier, a_to_c, other, order, ("cka",)
        )
    return rows


def _compare(
    points: tuple[str, ...],
    mapping: str,
    tier: str,
    first: np.ndarray,
    second: np.ndarray,
    order: np.ndarray,
    metrics: tuple[str, ...] = tuple(MEASURES),
) -> list[Row]:
    """Compares streams of shape (P, B, 2k, D), also with sentences shuffled.

    "inside" is the mean over the points after the embedding. Only "inside"
    has values for shuffled sentences.
    """
    rows: list[Row] = []
    for metric in metrics:
        values = _by_place(MEASURES[metric], first, second)
        # Of the points inside only.
        shuffled = _by_place(MEASURES[metric], first[1:], second[1:][:, order])
        for i, role in enumerate(ROLES):
            named = [
                *(
                    (f"{point}.{role}", metric, values[p, i])
                    for p, point in enumerate(points)
                ),
                (f"inside.{role}", metric, values[1:, i].mean()),
                (
                    f"inside.{role}",
                    f"{metric}_shuffled",
                    shuffled[:, i].mean(),
                ),
            ]
            rows += [
                (mapping, tier, prompt, name, float(value))
                for prompt, name, value in named
            ]
    return rows


def _by_place(measure, first, second) -> np.ndarray:
    """Returns means over the places, (P, 2), in which both streams vary.

    The place of the separator does not vary at the embedding.
    """
    num_points, _, num_places, _ = first.shape
    found = np.zeros((num_points, 2))
    for p in range(num_points):
        for role, places in enumerate(np.split(np.arange(num_places), 2)):
            pairs = [(first[p, :, t], second[p, :, t]) for t in places]
            found[p, role] = np.mean(
                [measure(x, y) for x, y in pairs if varies(x) and varies(y)]
            )
    return found
