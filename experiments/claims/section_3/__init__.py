"""Claims about the experiments, sec. 3: one family.

Qualitative claims are decided on the runs under test, whatever their size.
Claims about epochs, losses and printed percentages are decided only on runs of
the preset `paper` and on the published curves.
"""

from tiny_gpt.claims.claim import Family

FAMILY = Family(
    name="section_3",
    num_intervals=24,
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
        "mirage",
        "table_1",
        "memorisation",
        "proposition_4",
        "percent_65",
        "epoch_40",
        "rise_at_floor",
    ),
)
WORDS = "share of words right and in place, greedy, over every unseen sentence"
# What had been seen when the rules were written (see each claim).
FIGURE_2 = (
    "Written after 5 seeds of this condition (docs/runs/triangle_quick) had "
    "been seen; seeds 5 to 9 and 100 to 109 had not."
)
PUBLISHED = (
    "Written after the published curves and one run of preset paper "
    "(docs/runs/triangle_paper) had been seen."
)
