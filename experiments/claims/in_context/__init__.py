"""Rules of in-context learning, a family of its own."""

from experiments.in_context import NETWORKS
from tiny_gpt.claims.claim import Family

FAMILY = Family(
    name="in_context",
    title="Does a fixed mapping end the plateau of in-context learning?",
    seeds=(280, 289),
    target="exp-in-context",
    page="protocol_in_context.md",
    num_intervals=2 * len(NETWORKS),
    claims=tuple(
        f"in_context_{name}_{kind}"
        for kind in ("plateau", "end")
        for name in NETWORKS
    ),
)
MIXES = {"fresh": "all fresh", "half_fixed": "half fixed"}
SEEN = (
    "One seed by hand, in which fresh windows alone stayed on the plateau for "
    "longer. Then seeds 1000 and 1001 of the GPT, after the rule about the "
    "escape was written and before the one about the end: both conditions "
    "escaped, fresh no later than half fixed, and fresh then stayed well above "
    "the best reader. Then seed 1000 of the GRU, 3000 updates, after both "
    "rules: half fixed escaped first. Seeds 280 to 289 had not been seen."
)
