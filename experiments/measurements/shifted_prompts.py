"""Prompts of A->C with shifted A words, and models that answer them."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from experiments.measurements.linear_models import (
    draw_demonstrations,
    layers_of,
    unseen_sentences,
    weights_of,
)
from tiny_gpt.analysis.linear_attention import lsa_output, pair_weights
from tiny_gpt.evaluation.every_sentence import readable_ids
from tiny_gpt.probes import Patch, Reader
from tiny_gpt.tasks.translation.prompts import encode_prompts
from tiny_gpt.tasks.translation.stream import Stream

# From token ids (B, T) and what is added to their embeddings to logits.
Forward = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Prompts:
    """Prompts of A->C, with the places of their A words.

    Attributes:
        tokens: demonstrations, question and right answers without the last
            token, which is not read, shape (N, T).
        words: source words as positions in the alphabet of A, (N, S).
        places: their positions in the prompt, shape (S,).
        target: right answers, shape (N, k).
    """

    tokens: np.ndarray
    words: np.ndarray
    places: np.ndarray
    target: np.ndarray

    @property
    def answers(self) -> np.ndarray:
        """Positions from which an answer is given, shape (k,)."""
        k = self.target.shape[1]
        return np.arange(self.tokens.shape[1] - k, self.tokens.shape[1])


def draw_prompts(
    stream: Stream,
    num_sentences: int,
    num_demonstrations: int,
    rng: np.random.Generator,
) -> Prompts:
    """Draws prompts about sentences that training did not show in A->C.

    Args:
        stream: the training text; one token per word.
        num_sentences: largest number of sentences.
        num_demonstrations: of A->C.
        rng: source of randomness.

    Raises:
        ValueError: if a word takes two tokens.
    """
    vocabulary, mapping = stream.vocabulary, stream.mapping("A->C")
    if vocabulary.tokens_per_word != 1:
        raise ValueError(
            "A shift needs one token per word, kind 'words'. "
            f"Received: kind={vocabulary.kind!r}"
        )
    asked = unseen_sentences(stream, "A->C", num_sentences, rng)
    shown = draw_demonstrations(stream, len(asked), num_demonstrations, rng)
    prompts = encode_prompts(vocabulary, mapping, asked, mapping, shown)
    target = vocabulary.encode_answers(mapping, asked)
    k = asked.shape[1]
    per_pair = 2 * (k + 1)
    places = np.arange(num_demonstrations + 1)[:, None] * per_pair
    words = np.concatenate([shown, asked[:, None]], axis=1)
    return Prompts(
        np.concatenate([prompts, target[:, :-1]], axis=1),
        words.reshape(len(asked), -1),
        (places + np.arange(k)).ravel(),
        target,
    )


def word_shifts(table: np.ndarray, stream: Stream) -> np.ndarray:
    """Returns the embedding of each B word minus that of each A word.

    Args:
        table: token embeddings, shape (V, D).
        stream: languages.

    Returns:
        From A word w to the translation of A word v at [w, v], shape
        (n, n, D).
    """
    mapping, ids = stream.mapping("A->B"), stream.vocabulary.ids
    words = np.arange(len(mapping.permutation))
    a = table[ids(mapping.source, words)]
    b = table[ids(mapping.target, mapping.translate(words))]
    return b[None, :] - a[:, None]


def derange(number: int, rng: np.random.Generator) -> np.ndarray:
    """Draws a permutation that leaves nothing in its place."""
    while True:  # about e draws on average
        drawn = rng.permutation(number)
        if not np.any(drawn == np.arange(number)):
            return drawn


def leave_one_out(exact: np.ndarray) -> np.ndarray:
    """Returns, for each word, the mean over all others, shape (n, D)."""
    return (exact.sum(axis=0) - exact) / (len(exact) - 1)


def place(of_words: np.ndarray, prompts: Prompts) -> np.ndarray:
    """Puts a delta of each A word at its position, shape (N, T, D)."""
    delta = np.zeros((*prompts.tokens.shape, of_words.shape[-1]))
    delta[:, prompts.places] = of_words[prompts.words]
    return delta


def greedy_answers(
    forward: Forward, prompts: Prompts, delta: np.ndarray, vocabulary_size: int
) -> np.ndarray:
    """Generates answers from shifted embeddings, token by token, (N, k)."""
    tokens = prompts.tokens.copy()
    found = []
    for position in prompts.answers:
        # What stands after `position` is not seen from there.
        logits = forward(tokens, delta)
        found.append(logits[:, position].argmax(axis=-1))
        if position + 1 < tokens.shape[1]:
            tokens[:, position + 1] = readable_ids(found[-1], vocabulary_size)
    return np.stack(found, axis=1)


def lsa_forward(model: keras.Model) -> Forward:
    """Returns a one-layer LSA model in NumPy."""
    weights = weights_of(layers_of(model)[0])
    head = model.get_layer("head")
    kernel, bias = map(ops.convert_to_numpy, (head.kernel, head.bias))

    def forward(tokens, delta):
        z = embed(model, tokens) + delta
        pairs = pair_weights(tokens.shape[1])
        return lsa_output(z, weights, pairs) @ kernel + bias

    return forward


def gpt_forward(model: keras.Model) -> Forward:
    """Returns a GPT whose embeddings are patched (Vig et al. 2020)."""
    reader = Reader(model)

    def forward(tokens, delta):
        shifted = embed(model, tokens) + delta
        return reader.read(tokens, [Patch("embedding", shifted)]).logits

    return forward


def embed(model: keras.Model, tokens: np.ndarray) -> np.ndarray:
    """Returns embeddings of token ids, with positions, (B, T, D)."""
    embedded = model.get_layer("embedding")(tokens)
    return ops.convert_to_numpy(embedded).astype(float)


def token_table(model: keras.Model) -> np.ndarray:
    """Returns the embedding of each token, shape (V, D)."""
    table = model.get_layer("embedding").token_table
    return ops.convert_to_numpy(table).astype(float)
