"""Effects: measures of a reading, and of a replacement of parts."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from tiny_gpt.evaluation.scores import rank_of_target
from tiny_gpt.probes.patches import (
    HeadPatch,
    Patch,
    check_number,
    rows_of_positions,
)
from tiny_gpt.probes.reader import Reader, Reading
from tiny_gpt.runtime.checks import check_choice
from tiny_gpt.runtime.programs import Snapshot

ABLATIONS = ("zero", "mean")


def patching_effect(
    reader: Reader,
    donor_tokens: np.ndarray,
    tokens: np.ndarray,
    answer_positions: Any,
    ids: np.ndarray,
    positions: Any = None,
    source: keras.Model | Snapshot | None = None,
) -> np.ndarray:
    """Measures how an answer changes with a residual stream of other tokens.

    log p(id | the residual of `donor_tokens` put in at one point and one
    position) - log p(id), both after `tokens` (Vig et al. 2020; Meng et al.
    2022). Causality makes it exactly 0 at positions after the answer's.

    Args:
        reader: the model.
        donor_tokens: token ids whose residual stream is put in, (B, T).
        tokens: token ids into which it is put, (B, T).
        answer_positions: positions whose next token is the answer, shape
            (Q,), or (B, Q) for each sentence its own.
        ids: classes of the answers, shape (B, Q).
        positions: positions patched, one at a time, shape (S,); all of them
            by default.
        source: as in `Reader.read`.

    Returns:
        Differences in nats, shape (P, S, B, Q). Positive: the id has become
        more probable.

    Raises:
        ValueError: if shapes do not agree or a position does not exist.
    """
    donor = _read_donor(reader, donor_tokens, tokens, source)
    if positions is None:
        positions = np.arange(donor.logits.shape[1])
    patches = (
        Patch(point, donor.residual(point), [position])
        for point in reader.points
        for position in positions
    )
    effects = _effects(reader, tokens, patches, answer_positions, ids, source)
    return effects.reshape(len(reader.points), -1, *effects.shape[1:])


def head_patching_effect(
    reader: Reader,
    donor_tokens: np.ndarray,
    tokens: np.ndarray,
    answer_positions: Any,
    ids: np.ndarray,
    positions: Any = None,
    source: keras.Model | Snapshot | None = None,
) -> np.ndarray:
    """Measures how an answer changes with one head's values for other tokens.

    Like `patching_effect`, with one head replaced at a time.

    Args:
        reader: the model.
        donor_tokens: token ids whose values are put in, (B, T).
        tokens: token ids into which they are put, (B, T).
        answer_positions: as in `patching_effect`.
        ids: as in `patching_effect`.
        positions: positions at which the head is replaced, all at once, as
            in `HeadPatch`.
        source: as in `Reader.read`.

    Returns:
        Differences in nats, shape (L, H, B, Q).

    Raises:
        ValueError: if shapes do not agree or a position does not exist.
    """
    donor = _read_donor(reader, donor_tokens, tokens, source)
    num_blocks, _, num_heads, *_ = donor.head_values.shape
    patches = (
        HeadPatch(block, head, donor.head_values[block][:, head], positions)
        for block in range(num_blocks)
        for head in range(num_heads)
    )
    effects = _effects(reader, tokens, patches, answer_positions, ids, source)
    return effects.reshape(num_blocks, num_heads, *effects.shape[1:])


def _read_donor(reader, donor_tokens, tokens, source):
    shapes = np.shape(donor_tokens), np.shape(tokens)
    if shapes[0] != shapes[1]:
        raise ValueError(
            "Donor and receiver must have the same shape (B, T). Received: "
            f"donor_tokens of {shapes[0]}, tokens of {shapes[1]}"
        )
    return reader.read(donor_tokens, source=source)


def _effects(
    reader: Reader,
    tokens: np.ndarray,
    patches: Iterable[Patch | HeadPatch],
    answer_positions: Any,
    ids: np.ndarray,
    source: keras.Model | Snapshot | None,
) -> np.ndarray:
    """Applies one patch at a time, and returns effects, (patches, B, Q)."""
    batch, length = np.shape(tokens)
    rows = rows_of_positions(
        "answer_positions", answer_positions, batch, length
    )
    ids = np.asarray(ids)
    if ids.shape != rows.shape:
        raise ValueError(
            f"`ids` must have one id for each answer, shape {rows.shape}. "
            f"Received: shape={ids.shape}"
        )

    def answers(*patches):
        found = reader.read(tokens, patches, source).log_probabilities
        _check_ids(ids, found.shape[-1])
        asked = np.take_along_axis(found, rows[..., None], axis=1)
        return np.take_along_axis(asked, ids[..., None], axis=2)[..., 0]

    own = answers()
    return np.stack([answers(patch) - own for patch in patches])


def ablate_head(
    reading: Reading, block: int, head: int, kind: str = "mean"
) -> HeadPatch:
    """Returns a patch that removes what a head says about the sentence.

    Args:
        reading: sentences over which the mean is taken, of the same length as
            those to be read with the patch.
        block: number of the block, from 0.
        head: number of the head, from 0.
        kind: "zero" for values of 0, which the network may never produce by
            itself; "mean" for the mean over sentences, position by position
            (Wang et al. 2023, sec. 2.1).

    Returns:
        Patch for `Reader.read`, of every position.

    Raises:
        ValueError: if there is no such head, or `kind` is unknown.
    """
    check_choice("kind", kind, ABLATIONS)
    check_number("block", block, reading.head_values.shape[0])
    check_number("head", head, reading.head_values.shape[2])
    if kind == "zero":
        return HeadPatch(block, head, 0.0)
    mean = reading.head_values[block][:, head].mean(axis=0)  # (T, K)
    return HeadPatch(block, head, mean)


def lens_probability(
    log_probabilities: np.ndarray, ids: np.ndarray
) -> np.ndarray:
    """Returns the probability that a lens gives to each sentence's own ids.

    Args:
        log_probabilities: of `Reader.lens`, nats, shape (..., B, T, V).
        ids: the classes, shape (B, N).

    Returns:
        Probabilities in [0, 1], shape (..., B, T, N).

    Raises:
        ValueError: if there is not one row of ids for each sentence.
    """
    index = _index_by_position(log_probabilities, ids)
    return np.exp(np.take_along_axis(log_probabilities, index, axis=-1))


def lens_rank(
    log_probabilities: np.ndarray,
    ids: np.ndarray,
    candidates: np.ndarray | None = None,
) -> np.ndarray:
    """Returns the rank that a lens gives to each sentence's own ids.

    Args:
        log_probabilities: of `Reader.lens`, nats, shape (..., B, T, V).
        ids: the classes, shape (B, N).
        candidates: classes compared, shape (n,), e.g. the words of one
            language, which must include `ids`; by default all classes.

    Returns:
        Ranks, 1 for the most probable, shape (..., B, T, N); ties count half
        (`scores.rank_of_target`).

    Raises:
        ValueError: if there is not one row of ids for each sentence, or an
            id is not a candidate.
    """
    index = _index_by_position(log_probabilities, ids)
    if candidates is None:
        candidates = np.arange(log_probabilities.shape[-1])
    if not np.isin(ids, candidates).all():
        raise ValueError(
            "`ids` must be among `candidates`. Received: "
            f"ids={np.unique(ids)}, candidates={candidates}"
        )
    return np.stack(
        [
            rank_of_target(log_probabilities, index[..., i], candidates)
            for i in range(index.shape[-1])
        ],
        axis=-1,
    )


def _check_ids(ids, num_classes):
    is_integer = np.issubdtype(ids.dtype, np.integer) and ids.size > 0
    if not is_integer or ids.min() < 0 or ids.max() >= num_classes:
        raise ValueError(
            f"`ids` must be integers in [0, {num_classes}). Received: ids={ids}"
        )


def _index_by_position(log_probabilities, ids):
    """Returns ids of shape (B, N) as (..., B, T, N)."""
    *outer, batch, length, num_classes = log_probabilities.shape
    if np.ndim(ids) != 2 or len(ids) != batch:
        raise ValueError(
            f"`ids` need one row for each of {batch} sentences, shape (B, N). "
            f"Received: shape={np.shape(ids)}"
        )
    ids = np.asarray(ids)
    _check_ids(ids, num_classes)
    shape = (*outer, batch, length, ids.shape[1])
    return np.broadcast_to(ids[:, None], shape)


def attention_to(
    reading: Reading, query_positions: Any, key_positions: Any
) -> np.ndarray:
    """Returns how much some positions attend to some others, head by head.

    E.g. from the position of an answer to the word to be translated.

    Args:
        reading: the reading.
        query_positions: positions that attend, shape (Q,), or (B, Q) for each
            sentence its own.
        key_positions: for each of them the one position that it attends to,
            of the same shapes.

    Returns:
        Attention weights in [0, 1], shape (L, B, H, Q); 0 where the key is
        after the query.

    Raises:
        ValueError: if a position does not exist or numbers do not agree.
    """
    batch, length = reading.logits.shape[:2]
    queries, keys = (
        rows_of_positions(name, given, batch, length)
        for name, given in (
            ("query_positions", query_positions),
            ("key_positions", key_positions),
        )
    )
    if queries.shape != keys.shape:
        raise ValueError(
            "There must be one key for each query. Received: "
            f"{queries.shape[1]} queries, {keys.shape[1]} keys"
        )
    sentences = np.arange(batch)[:, None]
    # Indices on both sides of the heads' axis come first: (B, Q, L, H).
    weights = reading.attention[:, sentences, :, queries, keys]
    return weights.transpose(2, 0, 3, 1)
