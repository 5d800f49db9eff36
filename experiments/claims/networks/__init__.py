"""Rules of other networks on the same text, a family of its own."""

from experiments.networks import REFERENCE, SAYS
from tiny_gpt.claims.claim import Family

RIVALS = tuple(name for name in SAYS if name != REFERENCE)
KINDS = ("pairs", "rare_pair", "bridge")
FAMILY = Family(
    name="networks",
    title="Does it need attention?",
    seeds=(240, 259),
    target="exp-networks",
    page="protocol_networks.md",
    num_intervals=6 * len(RIVALS),
    claims=tuple(f"{name}_{kind}" for kind in KINDS for name in RIVALS),
)
LEAD = 0.2  # over a network without the bridge
ALIKE = (0.5, 2.0)  # ratios of thresholds
SEEN = (
    "Seeds 1000 to 1004 of GPT and GRU had been seen "
    "(docs/runs/networks_pilot), and 50 pairs at several learning rates, "
    "seeds 1000 to 1002, of all networks (docs/runs/network_rates). Seeds 240 "
    "to 259 had not."
)
