"""Windows: a corpus is cut into rows of a fixed number of tokens."""

import numpy as np

from tiny_gpt.tasks.translation.vocabulary import PADDING_ID

WINDOW_PACKINGS = ("stream", "pairs")


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


def pack_pairs(
    ids: np.ndarray, sequence_length: int, num_tokens: int
) -> tuple[np.ndarray, np.ndarray]:
    """Packs as many whole pairs into each window as fit; not published.

    A window starts with a pair, and its pairs have T tokens at most. It is
    padded on the right, the last one also in place of missing pairs.

    Args:
        ids: pairs one after the other, shape (N,).
        sequence_length: tokens a model reads at once, T.
        num_tokens: tokens of a pair.

    Returns:
        Inputs and targets, as from `cut_windows`.
    """
    size = tokens_per_window("pairs", sequence_length, num_tokens)
    whole = np.pad(ids, (0, -len(ids) % size), constant_values=PADDING_ID)
    windows = np.pad(
        whole.reshape(-1, size),
        ((0, 0), (0, sequence_length + 1 - size)),
        constant_values=PADDING_ID,
    )
    return windows[:, :-1], windows[:, 1:]


def tokens_per_window(
    window_packing: str, sequence_length: int, num_tokens: int
) -> int:
    """Returns how many tokens of a text a window holds, padding left out.

    Args:
        window_packing: "stream" (`cut_windows`) or "pairs" (`pack_pairs`).
        sequence_length: tokens a model reads at once, T.
        num_tokens: tokens of a pair.

    Raises:
        ValueError: if whole pairs do not fit.
    """
    if window_packing == "stream":
        return sequence_length + 1
    if num_tokens > sequence_length:
        raise ValueError(
            "A window of whole pairs must hold one. Received: "
            f"sequence_length={sequence_length} for pairs of {num_tokens} "
            "tokens"
        )
    return sequence_length - sequence_length % num_tokens
