"""The reproduction of Sinha 2024: its experiments, measurements and claims."""

from pathlib import Path

from experiments import (
    claims,
    controls,
    four_languages,
    four_languages_controls,
    theory,
    triangle,
)
from experiments.claims.section_3 import FAMILY
from experiments.extra_figures import more_figures
from experiments.measurements import (
    alignment,
    contexts,
    contexts_by_epoch,
    inside,
    perturbation,
    pivot,
    prompts,
    reuse,
    shift,
)
from tiny_gpt.commands.reproduction import Reproduction

RUNS = Path(__file__).parents[1] / "docs" / "runs"

REPRODUCTION = Reproduction(
    studies=(
        triangle.STUDY,
        controls.STUDY,
        four_languages.STUDY,
        four_languages_controls.STUDY,
    ),
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
        prompts,
    ),
    compared=("controls/a_to_c_alone_equal_tokens",),
    claims=claims,
    page=RUNS.parent / "protocol.md",
    family=FAMILY,
    more_figures=more_figures,
    paper_metrics=RUNS / "triangle_paper" / "metrics.csv.gz",
)
