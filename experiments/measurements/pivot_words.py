"""Words of questions about a pivot: drawn, and sorted."""

import numpy as np

from tiny_gpt.tasks.translation.stream import sample_sentences


def draw_shown(
    num_prompts: int,
    num_shown: int,
    size: int,
    length: int,
    num_held_out: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws demonstrations without held-out words, (B, n, k)."""
    drawn = sample_sentences(
        num_prompts * num_shown, size - num_held_out, length, rng
    )
    return drawn.reshape(num_prompts, num_shown, length) + num_held_out


def words_left(
    sentences: np.ndarray, num_words: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws, for each word of each sentence, one that is not in the sentence.

    Raises:
        ValueError: if too few words are left.
    """
    num, length = sentences.shape
    if num_words < 2 * length:
        raise ValueError(
            "A language needs twice as many words as a sentence. Received: "
            f"num_words={num_words}, sentence_length={length}"
        )
    keys = rng.random((num, num_words))
    np.put_along_axis(keys, sentences, 2.0, axis=1)
    return np.argsort(keys, axis=1)[:, :length]


def group_words(words: np.ndarray, num_held_out: int) -> dict[str, np.ndarray]:
    """Sorts A words by whether A->C has shown them; nothing if it has all.

    Args:
        words: numbers of A words, any shape.
        num_held_out: A words that A->C never showed, the first ones.

    Returns:
        Booleans of the same shape, by group.
    """
    if not num_held_out:
        return {}
    is_held_out = words < num_held_out
    return {"held_out_words": is_held_out, "shown_words": ~is_held_out}
