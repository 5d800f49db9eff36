"""Scores of answers, with their sources."""

import numpy as np


def words_right(
    predicted: np.ndarray, target: np.ndarray, tokens_per_word: int = 1
) -> np.ndarray:
    """Tells which words of each answer are right and in the right place.

    Args:
        predicted: token ids, shape (B, words * tokens_per_word).
        target: right token ids, the same shape.
        tokens_per_word: tokens of one word, all of which must be right.

    Returns:
        Booleans, shape (B, words).

    Raises:
        ValueError: if the shapes differ or are not whole words.
    """
    predicted, target = np.asarray(predicted), np.asarray(target)
    if predicted.shape != target.shape or target.shape[1] % tokens_per_word:
        raise ValueError(
            "Answers must have the shape of the right answers, "
            "(B, words * tokens_per_word). Received: "
            f"predicted.shape={predicted.shape}, target.shape={target.shape}, "
            f"tokens_per_word={tokens_per_word}"
        )
    is_right = (predicted == target).reshape(len(target), -1, tokens_per_word)
    return is_right.all(axis=-1)


def word_accuracy(is_right: np.ndarray) -> float:
    """Returns the mean share of words right and in place, in [0, 1].

    This is the score of Sinha 2024, sec. 3.1: 0, 0.25, 0.5, 0.75 or 1 for a
    sentence of four words, averaged over sentences. It is linear in the words.

    Args:
        is_right: booleans, shape (B, words).
    """
    return float(np.mean(is_right))


def exact_match(is_right: np.ndarray) -> float:
    """Returns the share of sentences with every word right, in [0, 1].

    Args:
        is_right: booleans, shape (B, words).
    """
    return float(np.mean(np.all(is_right, axis=1)))


def printed_score(is_right: np.ndarray) -> float:
    """Returns the score as printed, where one word of four counts 0.24.

    Sinha 2024, sec. 3.1, prints 1, 0.75, 0.5, 0.24, 0 and calls the score
    non-linear; the authors' code divides by 4 and gives 0.25.

    Args:
        is_right: booleans, shape (B, 4).

    Raises:
        ValueError: if sentences do not have four words.
    """
    is_right = np.asarray(is_right)
    if is_right.ndim != 2 or is_right.shape[1] != 4:
        raise ValueError(
            "The printed score is defined for sentences of 4 words. "
            f"Received: shape={is_right.shape}"
        )
    score_by_count = np.array([0.0, 0.24, 0.5, 0.75, 1.0])
    return float(np.mean(score_by_count[is_right.sum(axis=1)]))


def brier_score(probabilities: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns the Brier score of each prediction.

    It is the sum over classes v of (p_v - [v is right])^2 (Brier 1950): 0 if
    sure and right, 2 if sure and wrong.

    Args:
        probabilities: shape (..., V).
        target: right classes, shape (...).
    """
    right = np.take_along_axis(probabilities, target[..., None], axis=-1)
    return np.square(probabilities).sum(axis=-1) - 2 * right[..., 0] + 1


def rank_of_target(
    probabilities: np.ndarray, target: np.ndarray, candidates: np.ndarray
) -> np.ndarray:
    """Returns the rank of the right class among candidates; 1 is best.

    Ties count half, so that equal probabilities for n candidates give
    (n + 1) / 2.

    Args:
        probabilities: shape (..., V).
        target: right classes, shape (...), each one of the candidates.
        candidates: classes compared, shape (n,).
    """
    right = np.take_along_axis(probabilities, target[..., None], axis=-1)
    others = probabilities[..., candidates]
    better = (others > right).sum(axis=-1)
    return 1 + better + ((others == right).sum(axis=-1) - 1) / 2


def log_probability_among(
    probabilities: np.ndarray, target: np.ndarray, candidates: np.ndarray
) -> np.ndarray:
    """Returns the log-probability of the right class among candidates, nats.

    The probabilities of the candidates are divided by their sum first. Each
    counts as 1.2e-38 at least, the smallest normal float32, so that classes
    which all underflow share the probability evenly.

    Args:
        probabilities: shape (..., V).
        target: right classes, shape (...), each one of the candidates.
        candidates: classes compared, shape (n,).

    Returns:
        Nats, at most 0, shape (...).
    """
    least = np.finfo("float32").tiny
    right = np.take_along_axis(probabilities, target[..., None], axis=-1)
    total = np.maximum(probabilities[..., candidates], least).sum(
        axis=-1, dtype="float64"
    )
    return np.log(np.maximum(right[..., 0], least) / total)
