"""The reproduction of Sinha 2024: its experiments, measurements and claims."""

from pathlib import Path

from experiments import claims, controls, four_languages, theory, triangle
from experiments.claims.section_3 import FAMILY
from experiments.extra_figures import more_figures
from experiments.measurements import (
    alignment,
    contexts,
    contexts_by_epoch,
    inside,
    perturbation,
    pivot,
    reuse,
    shift,
)
from tiny_gpt.commands.reporting.protocol import Reproduction

RUNS = Path(__file__).parents[1] / "docs" / "runs"

REPRODUCTION = Reproduction(
    studies=(triangle.STUDY, controls.STUDY, four_languages.STUDY),
    theory=theory.STUDY,
    measurements=(
        contexts,
        pivot,
        alignment,
        reuse,
        perturbation,
        shift,
        contexts_by_epoch,
        inside,
    ),
    compared=("controls/a_to_c_alone_equal_tokens",),
    claims=claims,
    family=FAMILY,
    more_figures=more_figures,
    paper_metrics=RUNS / "triangle_paper" / "metrics.csv.gz",
)
