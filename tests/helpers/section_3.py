"""Scripted evidence for the claims of section 3."""

import pandas as pd

from experiments.reproduction import REPRODUCTION
from tests.helpers.scripted_runs import scripted_metrics
from tiny_gpt.claims.evidence import Evidence

SEEDS = tuple(range(20))
FAMILY = REPRODUCTION.family
CLAIMS = REPRODUCTION.families[FAMILY]
BY_NAME = {claim.name: claim for claim in CLAIMS}
CURVES = pd.concat(
    pd.read_csv(study.published)
    for study in REPRODUCTION.studies
    if study.published
)
SPARSE = "triangle/sparse_a_to_c"


def evidence_of(name, overrides, seeds=SEEDS, paper=None, curves=CURVES):
    """Returns scripted runs of the conditions of one claim."""
    places = set(BY_NAME[name].conditions) | {SPARSE}
    frame = scripted_metrics(overrides, seeds, places)
    return Evidence(frame, seeds, paper, curves, FAMILY.interval_level)
