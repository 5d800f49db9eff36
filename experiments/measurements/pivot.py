"""The pivot: the B word inside A->C, decoded, patched and removed.

The tier is the condition. The prompt is one of these: a point; a point and a
place ("source_1", the first word of the question; "answer_1", where its
translation is given; "source", "answer" or "both" for all words at once); a
head.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from experiments.measurements.pivot_use import (
    KINDS,
    first_share,
    measure_removal,
    pivot_effects,
    pivot_streams,
    read_directions,
    without,
)
from experiments.measurements.pivot_words import (
    draw_shown,
    group_words,
    words_left,
)
from experiments.measurements.questions import Questions, ask
from tiny_gpt.evaluation.data import Row
from tiny_gpt.probes import Patch, Reader, ablate_head, attention_to, lens_rank
from tiny_gpt.tasks.translation.languages import Mapping as Translation
from tiny_gpt.tasks.translation.languages import scramble
from tiny_gpt.tasks.translation.stream import sample_sentences
from tiny_gpt.training.finished import Trained

NAME = "pivot"
# Condition -> the mapping to C that was learned from thousands of pairs.
KNOWN = {
    "sparse_a_to_c": "B->C",
    "scrambled_a_to_c": "B->C",
    "no_route_to_c": "D->C",
}
NEEDS = tuple(f"controls/{condition}" for condition in KNOWN)
QUESTION = "While it translates A->C, is the B word anywhere, and is it used?"
NUM_SENTENCES = 64
NUM_PIVOT_SENTENCES = 512
NUM_PERMUTATIONS = 20


def measure(trained: Mapping[str, Trained], seed: int) -> list[Row]:
    """Measures where the B word is, in each condition.

    Args:
        trained: by name, those of `NEEDS`.
        seed: of the sentences.

    Raises:
        ValueError: if a language has fewer than twice as many words as a
            sentence, or a condition another network.
    """
    # One program for all: the weights of each condition are put into it.
    reader = Reader(trained[NEEDS[0]].experiment.model.build())
    rows: list[Row] = []
    for name, (condition, known) in zip(NEEDS, KNOWN.items(), strict=True):
        run = trained[name]
        reader.model.set_weights(run.model.get_weights())
        # The same sentences for all, in numbers of words.
        rng = np.random.default_rng([seed, 7001])
        rows += [
            (mapping, condition, prompt, metric, float(value))
            for mapping, prompt, metric, value in measure_condition(
                reader, run, known, rng
            )
        ]
    return rows


Found = Iterator[tuple[str, str, str, float]]


def measure_condition(
    reader: Reader, run: Trained, known: str, rng: np.random.Generator
) -> Found:
    """Measures where the B word is, in one condition.

    If A->C never showed some words, no demonstration has them, and some values
    are also those of held-out and of shown words alone.

    Args:
        reader: the network, with its trained weights.
        run: the run.
        known: mapping to C that was learned from thousands of pairs.
        rng: source of the sentences.

    Yields:
        Mapping, prompt, metric and value.
    """
    stream, evaluation = run.data.stream, run.experiment.evaluation
    num_held_out = stream.mixture.component("A->C").num_held_out
    size = stream.mixture.alphabet_size
    length = stream.mixture.sentence_length
    num_shown = evaluation.exact_demonstrations[0]

    sentences = sample_sentences(NUM_SENTENCES, size, length, rng)
    groups = group_words(sentences, num_held_out)
    others = words_left(sentences, size, rng)
    shown = draw_shown(
        NUM_SENTENCES, num_shown, size, length, num_held_out, rng
    )
    a_to_b, a_to_c = stream.mapping("A->B"), stream.mapping("A->C")
    to_c = stream.mapping(known)
    # The word of the known mapping that leads to the same C word: B's, if
    # A->C is composed.
    same_c = a_to_c.then(to_c.inverse())
    every = np.arange(size)
    b_words = stream.vocabulary.ids(a_to_b.target, every)
    c_words = stream.vocabulary.ids(a_to_c.target, every)

    questions = {
        "A->C": ask(stream, "A->C", sentences, shown),
        "A->B": ask(stream, "A->B", sentences, shown),
    }
    for mapping, asked in questions.items():
        yield from _lens(
            reader, asked, sentences, a_to_b, b_words, mapping, rng, groups
        )
    yield from _heads(reader, questions)

    pivots = sample_sentences(NUM_PIVOT_SENTENCES, size, length, rng)
    times = NUM_PIVOT_SENTENCES // NUM_SENTENCES
    pivot = ask(stream, known, pivots, np.tile(shown, (times, 1, 1)))
    own, other = same_c.translate(sentences), same_c.translate(others)
    asked = questions["A->C"]
    streams = pivot_streams(reader, pivot, NUM_SENTENCES)
    effects = pivot_effects(streams, pivots, size)
    hidden = without(effects, read_directions(reader.model, c_words))
    # The control: B->C itself, which has read the B word, loses its answer
    # without all that it holds of it. Nothing is learned from A->C if not.
    control = ask(stream, known, own, shown)
    for mapping, receiver, taken in (
        ("A->C", asked, hidden),
        (known, control, effects),
    ):
        removed = measure_removal(reader, receiver, own, other, taken)
        used = removed.use()
        reading = reader.read(receiver.tokens)
        formed = first_share(
            reader, receiver.streams(reading), receiver.targets, c_words
        )
        for p, point in enumerate(reader.points):
            for i, kind in enumerate(KINDS):
                both_halves = float(used.by_half[:, p, i].mean())
                yield mapping, f"{point}.{kind}", "use", both_halves
            for i, kind in enumerate(("source", "answer")):
                yield mapping, f"{point}.{kind}", "formed", float(formed[p, i])
        yield mapping, "all", "use", used.use()
        yield mapping, "all", "use_inside", used.use(start=1)
        for group, is_in in groups.items():
            yield mapping, "all", f"use_{group}", removed.use(is_in).use()

    donors = {
        "another": ask(stream, known, other, shown),
        "same": questions["A->B"],
    }
    for prompt, metric, value in _patched(reader, asked, donors):
        yield "A->C", prompt, metric, value


def _lens(
    reader: Reader,
    asked: Questions,
    sentences: np.ndarray,
    a_to_b: Translation,
    b_words: np.ndarray,
    mapping: str,
    rng: np.random.Generator,
    groups: Mapping[str, np.ndarray] | None = None,
) -> Found:
    """Looks for the B word of each word, at that word's places.

    The words of each group, (B, k), are also looked at alone.
    """
    seen = reader.lens(asked.streams(reader.read(asked.tokens)))
    words = np.tile(sentences, 2)  # that of each place
    every = np.tile(b_words, (len(words), 1))
    rank = lens_rank(seen, every, b_words)  # (P, B, 2k, W)
    above = (len(b_words) - rank) / (len(b_words) - 1)
    probability = np.exp(seen[..., b_words])
    permuted = [scramble(a_to_b, rng) for _ in range(NUM_PERMUTATIONS)]

    def each(values, translation):
        chosen = translation.translate(words)[None, ..., None]
        return np.take_along_axis(values, chosen, axis=-1)[..., 0]

    def at(values, translation):
        return each(values, translation).mean(axis=1)

    places = at(above, a_to_b)  # (P, 2k)
    best = places.max()
    null = np.array([at(above, other).max() for other in permuted])
    yield mapping, "all", "accuracy", _accuracy(reader, asked)
    yield mapping, "all", "lens_best", best
    yield mapping, "all", "lens_null", null.mean()
    yield mapping, "all", "lens_found", share_found(best, null)
    share = (1 + (null >= best).sum()) / (1 + len(null))
    yield mapping, "all", "lens_p_value", share
    for group, is_in in (groups or {}).items():
        accuracy = _accuracy(reader, asked, counts=is_in)
        yield mapping, "all", f"accuracy_{group}", accuracy
        in_group, *null_in_group = (
            each(above, other).mean(axis=1, where=np.tile(is_in, 2)).max()
            for other in (a_to_b, *permuted)
        )
        found = share_found(in_group, np.array(null_in_group))
        yield mapping, "all", f"lens_found_{group}", found
    right = at(probability, a_to_b)
    wrong = [at(probability, other).max() for other in permuted]
    yield mapping, "all", "lens_probability", right.max()
    yield mapping, "all", "lens_probability_null", np.mean(wrong)
    yield mapping, "all", "lens_last", places[-1, places.shape[1] // 2 :].mean()
    for point, row, chance in zip(reader.points, places, right, strict=True):
        yield mapping, point, "lens_best", row.max()
        yield mapping, point, "lens_probability", chance.max()
        if mapping == "A->C":
            for i, value in enumerate(row):
                role = ("source", "answer")[i // sentences.shape[1]]
                place = f"{point}.{role}_{i % sentences.shape[1] + 1}"
                yield mapping, place, "lens", value


def share_found(best: float, null: np.ndarray) -> float:
    """Returns how far the best place is from the null, towards certainty.

    (best - mean null) / (1 - mean null), of shares in [0, 1]. The null is the
    best place for each of the wrong mappings, since taking the best one is a
    selection. 0: no better than a wrong mapping; 1: always above all others.
    """
    chance = float(np.mean(null))
    return 0.0 if chance == 1 else float((best - chance) / (1 - chance))


def _accuracy(reader, asked, patches=(), counts=True):
    found = reader.read(asked.tokens, patches)
    return (asked.predicted(found) == asked.targets).mean(where=counts)


def _patched(
    reader: Reader, asked: Questions, donors: dict[str, Questions]
) -> Iterator[tuple[str, str, float]]:
    """Puts streams of other questions in, and scores whose word is given."""
    for whose, donor in donors.items():
        reading = reader.read(donor.tokens)
        for point in reader.points:
            for kind, roles in KINDS.items():
                positions = asked.places[list(roles)].ravel()
                patch = Patch(point, reading.residual(point), positions)
                found = reader.read(asked.tokens, [patch])
                said, prompt = asked.predicted(found), f"{point}.{kind}"
                yield prompt, f"{whose}_own", (said == asked.targets).mean()
                yield prompt, f"{whose}_donor", (said == donor.targets).mean()


def _heads(reader: Reader, questions: dict[str, Questions]) -> Found:
    """Finds the head that attends to the word in question, in both tasks."""
    found = {}
    for mapping, asked in questions.items():
        reading = reader.read(asked.tokens)
        sources, answers = asked.places
        looks = attention_to(reading, answers, sources).mean(axis=(1, 3))
        own = _accuracy(reader, asked)
        lost = np.zeros(looks.shape)
        for block, head in np.ndindex(looks.shape):
            patch = ablate_head(reading, block, head)
            lost[block, head] = own - _accuracy(reader, asked, [patch])
            prompt = f"block_{block}.head_{head}"
            yield mapping, prompt, "attention", float(looks[block, head])
            yield mapping, prompt, "ablation_loss", float(lost[block, head])
        found[mapping] = int(looks.argmax()), lost.ravel()
    (head, _), (other, _) = found["A->C"], found["A->B"]
    yield "all", "all", "is_same_head", head == other
    for mapping, (_, losses) in found.items():
        # The head of A->C, in both.
        yield mapping, "all", "look_up_loss", float(losses[head])
        others = float(np.delete(losses, head).mean())
        yield mapping, "all", "other_heads_loss", others
