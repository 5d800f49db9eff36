"""Rules where 110 of 169 rows of h are read."""

from experiments.arithmetic import NAME, NETWORKS, SHOWN
from experiments.claims.arithmetic import claims, family

FAMILY = family(NAME, "Arithmetic: composed, or used again?", (270, 279))
SEEN = (
    "Seeds 1000 to 1002 of f and g without h had been seen "
    "(docs/runs/arithmetic_rates). With other settings, at which the GPT "
    "learned the table of f by heart, the variant scrambled had been seen at "
    "several numbers of rows, and one seed of all variants of the GPT. Seeds "
    "270 to 279 had not been seen."
)
CLAIMS = claims(FAMILY, dict.fromkeys(NETWORKS, SHOWN), SEEN)
