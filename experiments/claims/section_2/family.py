"""The claims of the paper's theory, sec. 2: a family of their own."""

from experiments.claims.section_2 import (
    contexts,
    gradients,
    lemma_1,
    lemma_2,
    majority,
    pivot,
    reuse,
)

THEORY = (
    *majority.CLAIMS,
    *gradients.CLAIMS,
    *contexts.CLAIMS,
    *reuse.CLAIMS,
    *lemma_1.CLAIMS,
    *lemma_2.CLAIMS,
    *pivot.CLAIMS,
)
