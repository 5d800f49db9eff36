"""The claims of the paper's theory, sec. 2: a family of their own."""

from experiments.claims import (
    theory_contexts,
    theory_gradients,
    theory_lemma_1,
    theory_lemma_2,
    theory_majority,
    theory_pivot,
    theory_reuse,
)

THEORY = (
    *theory_majority.CLAIMS,
    *theory_gradients.CLAIMS,
    *theory_contexts.CLAIMS,
    *theory_reuse.CLAIMS,
    *theory_lemma_1.CLAIMS,
    *theory_lemma_2.CLAIMS,
    *theory_pivot.CLAIMS,
)
