"""Two networks built by hand that translate A->C, one of them by way of B.

The text is "| a a a . c c c", positions 0 to 6 (the last c is never read). The
token after positions 4, 5 and 6 is the translation of positions 1, 2 and 3.

The residual stream is (u, -u), where u has a coordinate for each token id and
one for each position. The mirror image keeps the mean at 0. A norm therefore
only divides the stream by its root mean square, |u| sqrt(2/D) = |u| / sqrt(22).
A word and its position alone have |u| = sqrt(2).

In both networks head 0 of each block attends three positions back from where
an answer is given, else to position 0; head 1 does nothing. Weights on any
other key underflow to 0. The attended key is a word at its own position,
normed to coordinates of sqrt(22/2) = sqrt(11).

- "composed": block 0 writes 2 times the B word of an A word (or the B word
  itself), the feed-forward layer of block 1 writes the C word of a B word.
- "direct": block 0 writes 6 times the C word of an A word, and block 1 that
  of a B word. An A word never becomes a B word.

Both networks therefore also translate B->C.
"""

from itertools import permutations

import numpy as np

from tiny_gpt.models.gpt import GPTConfig

KINDS = ("composed", "direct")
NUM_WORDS = 4
END, SEPARATOR = 1, 2  # id 0 is padding
A, B, C = (3 + NUM_WORDS * i + np.arange(NUM_WORDS) for i in range(3))
A_TO_B = np.array([2, 0, 3, 1])
B_TO_C = np.array([1, 2, 0, 3])
A_TO_C = B_TO_C[A_TO_B]
NUM_IDS, LENGTH = 3 + 3 * NUM_WORDS, 7
# All 24 sentences of three different words, and others, with another word at
# each position.
WORDS = np.array(list(permutations(range(NUM_WORDS), 3)))
OTHERS = np.roll(WORDS, -1, axis=1)
WIDTH = NUM_IDS + LENGTH  # of u, 22
ANSWER_POSITIONS, WORD_POSITIONS = np.array([4, 5, 6]), np.array([1, 2, 3])
WRITTEN_B, WRITTEN_C = 2.0, 6.0
HEAD_SCALE = 5.0

CONFIG = GPTConfig(
    vocabulary_size=NUM_IDS,
    sequence_length=LENGTH,
    num_layers=2,
    num_heads=2,
    head_dim=WIDTH,
    intermediate_ratio=1,
    normalization="pre",
    layer_norm_epsilon=1e-12,
    logit_scale="head_dim",
    activation="relu",
    output_activation=None,
    num_unused_classes=0,
)


def build_translator(kind):
    """Builds one of the two networks of `KINDS`."""
    model = CONFIG.build()
    for variable in model.variables:
        if variable.name in ("kernel", "bias"):
            variable.assign(np.zeros(variable.shape))
    u = np.eye(WIDTH)
    mirrored = np.concatenate([u, -u], axis=1)  # (22, 44)
    model.get_layer("embedding").set_weights(
        [mirrored[:NUM_IDS], mirrored[NUM_IDS:]]
    )
    for block in (model.get_layer(f"block_{i}") for i in range(2)):
        _look_back(block.attention)
    first, second = (model.get_layer(f"block_{i}") for i in range(2))
    if kind == "composed":
        words = [*zip(A, B[A_TO_B], strict=True), *zip(B, B, strict=True)]
        _copy(first.attention, words, WRITTEN_B)
        _translate(second, zip(B, C[B_TO_C], strict=True))
    else:
        _copy(first.attention, zip(A, C[A_TO_C], strict=True), WRITTEN_C)
        _copy(second.attention, zip(B, C[B_TO_C], strict=True), WRITTEN_C)
    _set(model.get_layer("head"), HEAD_SCALE * np.eye(2 * WIDTH, NUM_IDS))
    return model


def _set(dense, kernel):
    dense.set_weights([kernel, np.zeros(kernel.shape[1])])


def _look_back(attention):
    """Head 0: from 4, 5, 6 to 1, 2, 3, and from all before to 0."""
    query, key = np.zeros((2, 2 * WIDTH, 2 * WIDTH))
    for position in range(LENGTH):
        looked_at = position - 3 if position in ANSWER_POSITIONS else 0
        query[NUM_IDS + position, looked_at] = 100.0
        key[NUM_IDS + position, position] = 100.0
    _set(attention.query, query)
    _set(attention.key, key)


def _copy(attention, words, size):
    """Head 0 writes `size` of a word where it finds another."""
    value, out = np.zeros((2, 2 * WIDTH, 2 * WIDTH))
    for found, written in words:
        value[found, written] = size / np.sqrt(11)
    out[:WIDTH] = np.eye(WIDTH, 2 * WIDTH) - np.eye(WIDTH, 2 * WIDTH, WIDTH)
    _set(attention.value, value)
    _set(attention.out, out)


def _translate(block, words):
    """Writes 6 of a word where the stream has 2 of another, and |u|^2 = 6."""
    found_size = WRITTEN_B * np.sqrt(22 / 6)
    inner, outer = np.zeros((2, 2 * WIDTH, 2 * WIDTH))
    for found, written in words:
        inner[found, found] = 1.0
        outer[found, written] = WRITTEN_C / found_size
        outer[found, WIDTH + written] = -WRITTEN_C / found_size
    _set(block.inner, inner)
    _set(block.outer, outer)


def encode(sources, answers):
    """Returns tokens for words and right answers of shape (N, 3), (N, 7)."""
    num = len(sources)
    end, separator = np.full((num, 1), END), np.full((num, 1), SEPARATOR)
    return np.concatenate([end, sources, separator, answers[:, :-1]], axis=1)


def in_a(words):
    """Returns tokens of A -> C for words of shape (N, 3), and answers."""
    return encode(A[words], C[A_TO_C[words]])


def in_b(words):
    """Returns the same sentences after A -> B, as tokens of B -> C."""
    words = A_TO_B[words]
    return encode(B[words], C[B_TO_C[words]])
