"""Anti-composition: what ranks the composed word low, in one network.

A *gap* is a logit less the mean logit of the language's other words, nats.
Places are those from which the four words of an answer are predicted, after
the right answer so far. Groups of words are those of `word_vectors`.

Words are changed at both ends. An A word's embedding loses its projection on
its own B word's embedding, centred over B; a C word's column of the head loses
that on its own B word's column. Twice the projection reflects the vector:
where it pointed away from the B word, it points as far towards it.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

import numpy as np

from experiments.measurements.word_probe import WordProbe, build_probe
from experiments.measurements.word_vectors import (
    GROUPS,
    centred,
    gap,
    group_of_words,
    paired_cosines,
    ranks_of,
    without_projection,
    without_span,
)
from tiny_gpt.analysis.directions import remove_direction
from tiny_gpt.evaluation.data import Row
from tiny_gpt.probes import Reader
from tiny_gpt.tasks.translation.stream import Stream
from tiny_gpt.training.finished import Trained

NAME = "anti_composition"
NEEDS = ("anti_composition/epochs_15",)
QUESTION = "What ranks the composed C word low in a network without A->C?"
NUM_SENTENCES = 128
# Questions, and the language whose words are ranked as answers.
RANKED = ("A->C C", "A->C B", "A->C A", "A->B C", "A->B A", "B->C B")
# How often the projection is taken away, and whether on the own B word.
CHANGES = {
    "nothing": (0, True),
    "own_b": (1, True),
    "other_b": (1, False),
    "reflected_own_b": (2, True),
    "reflected_other_b": (2, False),
}
ENDS = ("embedding", "head", "both")

Found = Iterator[tuple[str, str, str, str, float]]


def measure(trained: Mapping[str, Trained], seed: int) -> list[Row]:
    """Measures the network of `NEEDS`.

    Args:
        trained: by name, those of `NEEDS`.
        seed: of the sentences.
    """
    run = trained[NEEDS[0]]
    return measure_network(Reader(run.model), run.data.stream, "ABC", seed)


def measure_network(
    reader: Reader,
    stream: Stream,
    languages: Sequence[str],
    seed: int,
    is_brief: bool = False,
) -> list[Row]:
    """Measures one network.

    Args:
        reader: the network, pre-norm.
        stream: its languages.
        languages: those whose words it has read.
        seed: of the sentences.
        is_brief: whether only cosines, ranks and the changes of words are
            measured.

    Returns:
        Rows. The tier is a group of words, or what was changed; the prompt is
        a place, a point of the stream, or an end of the network.
    """
    rng = np.random.default_rng([seed, 7004])
    labels = [f"{x}->{y}" for x, y in permutations(languages, 2)]
    probe = build_probe(reader, stream, labels, NUM_SENTENCES, rng)
    parts = [_cosines, _ranks, _changed_words]
    if not is_brief:
        parts += [_ranks_by_place, _gaps, _changed_streams]
    return [(*row[:4], float(row[4])) for part in parts for row in part(probe)]


def _cosines(probe: WordProbe) -> Found:
    """Yields cosines of the vectors of two languages, at both ends."""
    ends = {"embedding": probe.embeddings, "head": probe.head.columns}
    for end, vectors in ends.items():
        for first, second in ("AB", "BC", "AC"):
            found = paired_cosines(vectors[first], vectors[second])
            for tier, value in zip(("own", "others"), found, strict=True):
                yield (
                    f"{first}->{second}",
                    tier,
                    f"words.{end}",
                    "cosine",
                    value,
                )


def _ranks(probe: WordProbe) -> Found:
    """Yields the rank of the own word after each question.

    At later places a rule against repeats would push other words down, and a
    blind guess would have less than 4.5 of 8: hence the first place alone.
    """
    for label in probe.questions:
        logits = probe.logits(probe.streams(label)[-1], label[-1])
        yield label, "own", "all", "rank", probe.rank(logits)
        first = probe.rank(logits[:, :1], probe.own[:, :1])
        yield label, "own", "first", "rank", first


def _ranks_by_place(probe: WordProbe) -> Found:
    """Yields the mean rank of each group of words, by place of the answer."""
    for pair in RANKED:
        label, language = pair.split()
        ranks = ranks_of(probe.logits(probe.streams(label)[-1], language))
        groups = group_of_words(probe.own, ranks.shape[-1])
        for place in range(ranks.shape[1]):
            for i, group in enumerate(GROUPS):
                is_in = groups[:, place] == i
                if is_in.any():
                    value = ranks[:, place][is_in].mean()
                    prompt, metric = f"place_{place + 1}", f"rank_{language}"
                    yield label, group, prompt, metric, value


def _gaps(probe: WordProbe) -> Found:
    """Yields the own word's gap in A->C, and what it consists of."""
    streams, head, own = probe.streams("A->C"), probe.head, probe.own
    last = streams[-1]
    normed = head.normed(last)
    # What each sub-layer adds, all divided by the last deviation.
    steps = np.diff(streams, axis=0, prepend=0 * streams[:1])
    added = head.per_size(steps, last) * head.scale

    def row(prompt: str, metric: str, values: np.ndarray):
        return "A->C", "own", prompt, metric, gap(values, own).mean()

    for language in "BC":
        logits = head.logits(normed, language)
        yield row("all", f"gap_{language}", logits)
        columns = head.columns[language].T
        for point, step in zip(probe.reader.points, added, strict=True):
            yield row(point, f"written_{language}", step @ columns)
    # What is the same in every sentence.
    constant = np.broadcast_to(head.logits(head.shift, "C"), logits.shape)
    yield row("constant", "gap_C", constant)
    # Only what lies along the own B word, or in the span of all B words.
    b_words, c_words = centred(head.columns["B"]), head.columns["C"]
    units = b_words / np.linalg.norm(b_words, axis=1, keepdims=True)
    along = (normed * units[own]).sum(axis=-1, keepdims=True) * units[own]
    yield row("own_b", "gap_C", along @ c_words.T)
    spanned = c_words - without_span(c_words, b_words)
    yield row("all_b", "gap_C", normed @ spanned.T)


def _changed_words(probe: WordProbe) -> Found:
    """Yields ranks of right words after words were changed, see above.

    "other_b" is the mean over all wrong partners.
    """
    head, a_words = probe.head, probe.embeddings["A"]
    c_words = head.columns["C"]
    b_embeddings = centred(probe.embeddings["B"])
    b_columns = centred(head.columns["B"])
    for tier, (times, is_own) in CHANGES.items():
        found: dict[tuple[str, str], list[float]] = {}
        for shift in (0,) if is_own else range(1, len(a_words)):
            partners = np.roll(np.arange(len(a_words)), shift)
            change = (
                without_projection(a_words, b_embeddings[partners], times)
                - a_words
            )
            columns = without_projection(c_words, b_columns[partners], times)
            changed = dataclasses.replace(
                head, columns={**head.columns, "C": columns}
            )
            for label in ("A->B", "B->C", "A->C"):
                last = probe.streams(label)[-1]
                new = (
                    last if label == "B->C" else probe.with_words(label, change)
                )
                for end, stream, used in zip(
                    ENDS,
                    (new, last, new),
                    (head, changed, changed),
                    strict=True,
                ):
                    logits = used.logits(used.normed(stream), label[-1])
                    found.setdefault((label, end), []).append(
                        probe.rank(logits)
                    )
        for (label, end), ranks in found.items():
            yield label, tier, f"words.{end}", "rank", float(np.mean(ranks))


def _changed_streams(probe: WordProbe) -> Found:
    """Yields ranks of C words after B words were removed from the stream.

    "exchange" moves the part along the own B word to another one;
    "rank_other" is then that of the other one's C word.
    """
    directions = probe.head.directions("B")
    units = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    for point, values in zip(
        probe.reader.points, probe.streams("A->C"), strict=True
    ):
        left = _without(values, directions, probe.own)
        size = ((values - left) * units[probe.own]).sum(axis=-1, keepdims=True)
        variants = {
            "own_b": left,
            "other_b": _without(values, directions, probe.other),
            "exchange": left + size * units[probe.other],
        }
        for tier, new in variants.items():
            logits = probe.logits(probe.patched("A->C", point, new), "C")
            yield "A->C", tier, point, "rank", probe.rank(logits)
            if tier == "exchange":
                rank = probe.rank(logits, probe.other)
                yield "A->C", tier, point, "rank_other", rank


def _without(
    values: np.ndarray, directions: np.ndarray, words: np.ndarray
) -> np.ndarray:
    """Removes a word's direction at each place of a stream (N, k, D)."""
    places = [
        remove_direction(values[:, i], directions[words[:, i]])
        for i in range(words.shape[1])
    ]
    return np.stack(places, axis=1)
