"""Directions of a representation: which one tells the word at a position."""

import numpy as np


def word_effects(
    values: np.ndarray, words: np.ndarray, num_words: int
) -> np.ndarray:
    """Estimates what each word adds to a representation, by least squares.

    x = constant + sum over places i of e_i[word in place i] + rest, fitted
    over sentences. A plain mean over sentences with a word would be biased:
    the word cannot occur again in the other places, and the mean would hold
    that as well.

    Args:
        values: one representation for each sentence, shape (N, D).
        words: numbers of the words, shape (N, k).
        num_words: words of the language, W.

    Returns:
        e, shape (k, W, D); for each place its mean over words is 0.

    Raises:
        ValueError: if a word is missing in a place.
    """
    values, words = np.asarray(values, float), np.asarray(words)
    is_word = words[..., None] == np.arange(num_words)  # (N, k, W)
    if not is_word.any(axis=0).all():
        raise ValueError(
            "Every word must occur in every place. Received: "
            f"{len(words)} sentences, num_words={num_words}"
        )
    design = is_word.reshape(len(words), -1).astype(float)
    # The shortest solution: indicators of a place sum to 1, so many fit.
    fitted = np.linalg.pinv(design) @ values
    effects = fitted.reshape(words.shape[1], num_words, -1)
    return effects - effects.mean(axis=1, keepdims=True)


def remove_direction(
    values: np.ndarray, directions: np.ndarray, smallest: float = 1e-4
) -> np.ndarray:
    """Sets the coordinate along a direction to its mean over sentences.

    x - <x - mean x, u> u, with u the direction at length 1.

    Args:
        values: representations, shape (N, D).
        directions: one for each, of any length, shape (N, D).
        smallest: a direction shorter than this share of the root mean square
            length of `values` is ignored, and nothing is removed: it may be
            float32 rounding.

    Returns:
        The remaining representations, shape (N, D).
    """
    values, directions = np.asarray(values, float), np.asarray(directions)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    size = np.sqrt((values**2).sum(axis=1).mean())
    is_there = lengths > smallest * size
    units = np.divide(
        directions, lengths, out=np.zeros(directions.shape), where=is_there
    )
    centred = values - values.mean(axis=0)
    along = (centred * units).sum(axis=1, keepdims=True)
    return values - along * units
