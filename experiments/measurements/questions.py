"""Questions with their right answers, and the positions of their words."""

from dataclasses import dataclass

import numpy as np

from tiny_gpt.probes import Reading
from tiny_gpt.tasks.translation.prompts import encode_prompts
from tiny_gpt.tasks.translation.stream import Stream


@dataclass(frozen=True)
class Questions:
    """Prompts, each followed by the right answer without its last token.

    Attributes:
        tokens: shape (B, T).
        targets: ids of the right words, shape (B, k).
        places: positions of the k words in question, then those from which
            the k words of the answer are predicted, shape (2, k).
    """

    tokens: np.ndarray
    targets: np.ndarray
    places: np.ndarray

    def predicted(self, reading: Reading) -> np.ndarray:
        """Returns the most probable class for each word, shape (B, k)."""
        return reading.logits[:, self.places[1]].argmax(axis=-1)

    def streams(self, reading: Reading) -> np.ndarray:
        """Returns the residual stream at the places, shape (P, B, 2k, D)."""
        return reading.residuals[:, :, self.places.ravel()]


def ask(
    stream: Stream,
    label: str,
    sentences: np.ndarray,
    demonstrations: np.ndarray,
) -> Questions:
    """Asks for a mapping after demonstrations of it, teacher-forced.

    Args:
        stream: languages and vocabulary.
        label: mapping, e.g. "A->C".
        sentences: numbers of source words, shape (B, k).
        demonstrations: source words of the demonstrations, shape (B, n, k).
    """
    vocabulary, mapping = stream.vocabulary, stream.mapping(label)
    prompts = encode_prompts(
        vocabulary, mapping, sentences, mapping, demonstrations
    )
    answers = vocabulary.encode_answers(mapping, sentences)
    per_word, num_words = vocabulary.tokens_per_word, sentences.shape[1]
    length = prompts.shape[1]
    # A word is the last of its tokens, after its space mark.
    last = per_word * np.arange(1, num_words + 1) - 1
    query = length - per_word * (num_words + 1)  # the separator follows
    return Questions(
        np.concatenate([prompts, answers[:, :-1]], axis=1),
        answers[:, last],
        np.stack([query + last, length + last - 1]),
    )
