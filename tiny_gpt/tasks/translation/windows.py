"""Windows: a corpus is cut into rows of a fixed number of tokens."""

import numpy as np

from tiny_gpt.tasks.translation.vocabulary import PADDING_ID


def cut_windows(
    ids: np.ndarray, sequence_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a corpus into windows, as published.

    Rows of `sequence_length` + 1 tokens follow each other without overlap,
    even if they cut a sentence; the last one is padded on the left. Padding
    counts in the loss like any other token, as published.

    Args:
        ids: the corpus, shape (N,).
        sequence_length: tokens a model reads at once, T.

    Returns:
        Inputs and targets, each of shape (windows, T): the first and the
        last T tokens of every row.
    """
    width = sequence_length + 1
    num_padding = -len(ids) % width
    full = len(ids) - len(ids) % width
    rows = [ids[:full].reshape(-1, width)]
    if num_padding:
        padding = np.full(num_padding, PADDING_ID, ids.dtype)
        rows.append(np.concatenate([padding, ids[full:]])[None])
    windows = np.concatenate(rows)
    return windows[:, :-1], windows[:, 1:]
