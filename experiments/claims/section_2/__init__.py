"""The claims of the paper's theory, sec. 2: one family."""

from tiny_gpt.claims.claim import Family

FAMILY = Family(
    name="section_2",
    target="theory",
    num_intervals=55,
    claims=(
        "prop_1_order",
        "prop_1_balance",
        "prop_1_gradient",
        "prop_1_printed_loss",
        "assumption_1",
        "assumption_1_bayes",
        "proposition_2_prior",
        "proposition_3",
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
