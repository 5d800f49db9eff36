"""Exchange of whole streams: where A->C and B->C can stand for each other.

The stream of a question about other words is put into a question, at a point
and a kind of place. Rows tell how often the answer is the donor's. Groups are
those of the donor's words: if held-out A words make a network that translates
B->C say their C words, their stream is as good as that of their B words from
that point on.
"""

from collections.abc import Iterator

import numpy as np

from experiments.measurements.composing_words import Sentences
from experiments.measurements.pivot_use import KINDS
from tiny_gpt.probes import Patch, Reader

Found = Iterator[tuple[str, str, str, float]]


def patch_rows(reader: Reader, sentences: Sentences, known: str) -> Found:
    """Puts streams of the known mapping into A->C, and the reverse.

    Args:
        reader: the network.
        sentences: the questions are about `own`, their donors about `other`.
        known: mapping to C that was learned from thousands of pairs.

    Yields:
        Mapping of the question, prompt, metric and value: the share of words
        answered by the C word to which the given mappings take the donor's.
    """
    goal = sentences.ask(known, sentences.other).targets
    groups = sentences.groups(sentences.other)
    for receiver, donor in (("A->C", known), (known, "A->C")):
        asked = sentences.ask(receiver)
        given = sentences.ask(donor, sentences.other)
        reading = reader.read(given.tokens)
        for point in reader.points:
            for kind, roles in KINDS.items():
                positions = asked.places[list(roles)].ravel()
                patch = Patch(point, reading.residual(point), positions)
                said = asked.predicted(reader.read(asked.tokens, [patch]))
                for group, is_in in groups.items():
                    share = float((said == goal)[is_in].mean())
                    yield receiver, f"{point}.{kind}", f"donor_{group}", share


def composed_rows(reader: Reader, sentences: Sentences) -> Found:
    """Yields how often A->C is answered by the composed C word, by group."""
    stream, asked = sentences.stream, sentences.ask("A->C")
    a_to_c = stream.composed("A->C")
    words = a_to_c.translate(sentences.own)
    goal = stream.vocabulary.ids(a_to_c.target, words)
    is_composed = asked.predicted(reader.read(asked.tokens)) == goal
    for group, is_in in sentences.groups(sentences.own).items():
        yield (
            "A->C",
            "all",
            f"composed_{group}",
            float(np.mean(is_composed[is_in])),
        )
