"""Rules where so few rows of h are read that they do not suffice alone."""

from experiments.arithmetic_few import NAME, SHOWN
from experiments.claims.arithmetic import claims, family

FAMILY = family(
    NAME, "Arithmetic with few rows: composed, or used again?", (290, 299)
)
SEEN = (
    "Seeds 270 to 279 with 110 rows of h, all variants. Of fewer rows, seeds "
    "1000 to 1002 of h alone (docs/runs/arithmetic_rows), and with other "
    "settings, at which the GPT learned the table of f by heart, the variant "
    "scrambled. Seeds 290 to 299 had not been seen."
)
CLAIMS = claims(FAMILY, SHOWN, SEEN, ", few rows")
