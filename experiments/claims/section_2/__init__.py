"""The claims of the paper's theory, sec. 2: one family."""

from tiny_gpt.claims.claim import Family

FAMILY = Family(
    name="section_2",
    title="The theory of section 2",
    seeds=(200, 219),
    target="theory",
    num_intervals=61,
    claims=(
        "prop_1_order",
        "prop_1_balance",
        "prop_1_gradient",
        "prop_1_printed_loss",
        "prop_1_sgd",
        "assumption_1",
        "assumption_1_bayes",
        "proposition_2_prior",
        "proposition_3",
        "prompt_design",
        "assumption_2_samples",
        "assumption_2_parts",
        "prop_4_sample_size",
        "lemma_1",
        "lemma_1_softmax",
        "lemma_2",
        "lemma_2_delta",
        "assumption_2_pivot",
        "assumption_2_layers",
    ),
)
# What had been seen when the rules were written.
SEEN = (
    "Seeds 0 to 9 and 100 to 109 had been seen, under earlier rules "
    "(docs/runs/theory, docs/runs/theory_fresh). Seeds 200 to 219 had not."
)
