"""Claims about the experiments, sec. 3: the table of docs/claims.md.

Qualitative claims are decided on the runs under test, whatever their size.
Claims about epochs, losses and printed percentages are decided only on runs of
the preset `paper` and on the published curves.
"""

from tiny_gpt.claims.claim import Family

FAMILY = Family(
    name="section_3",
    title="The experiments of section 3",
    seeds=(200, 219),
    num_intervals=32,
    claims=(
        "fig_2a",
        "fig_2b",
        "fig_2c",
        "composition",
        "out_of_distribution",
        "assumption_2",
        "proposition_1",
        "proposition_2",
        "prompts",
        "more_epochs",
        "parameters_width",
        "parameters_depth",
        "distinct_drops",
        "mirage",
        "majority_first",
        "table_1",
        "table_1_composition",
        "memorised_text",
        "memorised_answers",
        "proposition_4",
        "percent_65",
        "epoch_40_rise",
        "epoch_40_loss",
    ),
)
WORDS = "share of words right and in place, greedy, over every unseen sentence"
# What had been seen when the rules were written.
SEEN = (
    "Seeds 0 to 9 and 100 to 109 had been seen, under earlier rules "
    "(docs/runs/reproduce_quick, docs/runs/reproduce_quick_fresh). Seeds 200 "
    "to 219 had not."
)
PILOT = (
    "Conditions that are new had been seen with seeds from 1000 on "
    "(docs/runs/pilot), those that are not with seeds 0 to 9 and 100 to 109. "
    "Seeds 200 to 219 had not."
)
PUBLISHED = (
    "The published curves and one run of the preset `paper` "
    "(docs/runs/triangle_paper) had been seen."
)
ARITHMETIC = "Arithmetic: there is nothing to be seen."
