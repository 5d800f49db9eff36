"""Rules of composition, switched on and off, a family of its own."""

from tiny_gpt.claims.claim import Family

FAMILY = Family(
    name="composition",
    title="Composition, switched on and off",
    seeds=(220, 239),
    target="exp-composition",
    page="protocol_composition.md",
    num_intervals=18,
    claims=("by_itself", "bridge", "shared_answer", "pivot_carries"),
)
LEAD = 0.2  # over a placebo
MOST_HELD_OUT = 4
SEEN = (
    "Ten seeds of these conditions, 1000 to 1009, had been seen "
    "(docs/runs/composition_pilot). Seeds 220 to 239 had not."
)
