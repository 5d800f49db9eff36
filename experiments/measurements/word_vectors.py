"""The vectors of words, at both ends of a network.

All words are numbered by the A word that they belong to, C words e.g. by B->C
after A->B. At a place of the answer, the *own* word of a language belongs
to the A word asked for; *earlier* and *later* ones belong to other A words of
the sentence, *absent* ones to none.

The direction of a word is what the head reads as this word and no other of its
language: its column, centred over the language's words. In the stream before
the final norm it is multiplied by the norm's scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from tiny_gpt.tasks.translation.stream import Stream

GROUPS = ("own", "earlier", "later", "absent")


@dataclass(frozen=True)
class Head:
    """The head of a network, by A word (W of them).

    Attributes:
        columns: of words, by language, (W, D). They read the stream after
            the final norm.
        biases: by language, (W,).
        scale: of the final norm, (D,).
        shift: of the final norm, (D,).
        epsilon: of the final norm.
    """

    columns: Mapping[str, np.ndarray]
    biases: Mapping[str, np.ndarray]
    scale: np.ndarray
    shift: np.ndarray
    epsilon: float

    def normed(self, stream: np.ndarray) -> np.ndarray:
        """Returns a stream (..., D) after the final norm."""
        return self.per_size(stream) * self.scale + self.shift

    def per_size(
        self, stream: np.ndarray, last: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns a stream, centred and divided by the deviation of `last`."""
        last = stream if last is None else last
        deviation = np.sqrt(last.var(axis=-1, keepdims=True) + self.epsilon)
        return (stream - stream.mean(axis=-1, keepdims=True)) / deviation

    def logits(self, normed: np.ndarray, language: str) -> np.ndarray:
        """Returns logits of the words of a language, (..., W)."""
        return normed @ self.columns[language].T + self.biases[language]

    def directions(self, language: str) -> np.ndarray:
        """Returns the direction of each word in the stream, (W, D)."""
        read = centred(self.columns[language]) * self.scale
        return read - read.mean(axis=1, keepdims=True)


def read_head(model: keras.Model, stream: Stream) -> Head:
    """Reads the head of a model of `GPTConfig`, pre-norm."""
    layers = {layer.name: layer for layer in model.layers}
    kernel, bias, scale, shift = (
        ops.convert_to_numpy(variable).astype(float)
        for variable in (
            layers["head"].kernel,
            layers["head"].bias,
            layers["final_norm"].gamma,
            layers["final_norm"].beta,
        )
    )
    ids = word_ids(stream)
    return Head(
        {name: kernel[:, found].T for name, found in ids.items()},
        {name: bias[found] for name, found in ids.items()},
        scale,
        shift,
        layers["final_norm"].epsilon,
    )


def read_embeddings(
    model: keras.Model, stream: Stream
) -> dict[str, np.ndarray]:
    """Reads the embeddings of each language's words, by A word, (W, D)."""
    (table,) = (
        variable
        for variable in model.get_layer("embedding").variables
        if variable.name == "token_table"
    )
    values = ops.convert_to_numpy(table).astype(float)
    return {name: values[ids] for name, ids in word_ids(stream).items()}


def word_ids(stream: Stream) -> dict[str, np.ndarray]:
    """Returns token ids of each language's words, in the order of A words.

    They belong to A words by the given mappings, also if A->C is scrambled.
    """
    words = np.arange(stream.mixture.alphabet_size)
    ids = {"A": stream.vocabulary.ids(stream.languages["A"], words)}
    for name in stream.languages:
        if name != "A":
            mapping = stream.composed(f"A->{name}")
            ids[name] = stream.vocabulary.ids(
                mapping.target, mapping.translate(words)
            )
    return ids


def centred(columns: np.ndarray) -> np.ndarray:
    """Returns columns (W, D) less their mean over words."""
    return columns - columns.mean(axis=0)


def paired_cosines(
    first: np.ndarray, second: np.ndarray
) -> tuple[float, float]:
    """Returns the mean cosine of centred columns (W, D).

    Returns:
        Of those of one number, and of those of different numbers.
    """
    first, second = centred(first), centred(second)
    first = first / np.linalg.norm(first, axis=1, keepdims=True)
    second = second / np.linalg.norm(second, axis=1, keepdims=True)
    cosines = first @ second.T
    is_own = np.eye(len(cosines), dtype=bool)
    return float(cosines[is_own].mean()), float(cosines[~is_own].mean())


def without_projection(
    vectors: np.ndarray, directions: np.ndarray, times: float = 1.0
) -> np.ndarray:
    """Removes from each vector (W, D) its projection on one direction.

    Args:
        vectors: one for each word.
        directions: one for each vector, of any length, (W, D).
        times: how often it is taken away; twice reflects the vector.
    """
    units = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    along = (vectors * units).sum(axis=1, keepdims=True) * units
    return vectors - times * along


def without_span(columns: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Removes from each column (W, D) what lies in the span of directions."""
    _, sizes, basis = np.linalg.svd(directions, full_matrices=False)
    basis = basis[sizes > 1e-6 * sizes.max()]
    return columns - columns @ basis.T @ basis


def ranks_of(logits: np.ndarray) -> np.ndarray:
    """Returns the rank of each word by its logit, 1 for the highest.

    Args:
        logits: shape (..., W).
    """
    return 1 + (logits[..., None, :] > logits[..., :, None]).sum(axis=-1)


def group_of_words(sentences: np.ndarray, num_words: int) -> np.ndarray:
    """Returns the group of each word at each place of the answer.

    Args:
        sentences: numbers of the words asked for, (N, k).
        num_words: words of the language, W.

    Returns:
        Indices of `GROUPS`, shape (N, k, W).
    """
    length = sentences.shape[1]
    found = np.full((len(sentences), length, num_words), GROUPS.index("absent"))
    rows = np.arange(len(sentences))
    for place in range(length):
        for other in range(length):
            name = "later" if other > place else "earlier"
            if other == place:
                name = "own"
            found[rows, place, sentences[:, other]] = GROUPS.index(name)
    return found


def gap(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Returns a word's value less the mean of the other words'.

    Args:
        values: shape (N, k, W).
        own: number of the word, (N, k).
    """
    num_words = values.shape[-1]
    right = np.take_along_axis(values, own[..., None], axis=-1)[..., 0]
    return right - (values.sum(axis=-1) - right) / (num_words - 1)
