"""Masks for tests, and the definition of what a position sees."""

import numpy as np

# Of pairs `w w w . v v v |`, 8 tokens each: a question has 4.
PROMPT, QUESTIONS = ((0, 12),), ((0, 4), (8, 12))
MASKS = {"prompt": PROMPT, "questions": QUESTIONS}
LATER = ((2, 5), (6, 8), (13, 16))


def visible(spans, num_queries, num_keys, first=0):
    """The definition: t sees s if s <= t, or one span has both."""
    return np.array(
        [
            [
                s <= t or any(a <= t < b and a <= s < b for a, b in spans)
                for s in range(num_keys)
            ]
            for t in range(first, first + num_queries)
        ]
    )
