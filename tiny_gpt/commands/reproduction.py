"""The protocol of a reproduction: what it runs, measures and decides."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from tiny_gpt.claims.claim import Claim, Family, find_families
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.commands.study import EXPERIMENTS, Study, check_types, load

FILE = "reproduction.py"


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What `reproduce` and `theory` run, measure and decide.

    A folder of experiments has one: `REPRODUCTION` in its file `FILE`.

    Attributes:
        studies: the experiments, in the order of the report; the first says
            how all are evaluated.
        theory: the experiment of the target "theory".
        measurements: measurements of trained models, one module each
            (`measured.measure_all`).
        compared: further runs with which claims of the theory compare, e.g.
            "controls/sparse_a_to_c"; they are not measured.
        claims: package of the rules.
        page: the protocol, which lists the rules and their hashes. A family
            may name another one (`Family.page`), which is not part of the
            reproduction.
        family: family of claims that comes first. The others are found in
            `claims` and follow by name, those of the theory last.
        more_figures: further figures of a claim, by its name.
        paper_metrics: metrics frame at the published size.

    Raises:
        ValueError: if a field has another type.
    """

    studies: tuple[Study, ...]
    theory: Study
    measurements: tuple[ModuleType, ...]
    compared: tuple[str, ...]
    claims: ModuleType
    page: Path
    family: Family
    more_figures: Callable[[str, Evidence], list[dict[str, Any]]]
    paper_metrics: Path

    def __post_init__(self):
        check_types(self)

    @property
    def measured(self) -> frozenset[str]:
        """Runs whose models are measured, as "controls/sparse_a_to_c"."""
        return frozenset(
            p for module in self.measurements for p in module.NEEDS
        )

    @property
    def rules(self) -> Path:
        """Folder of the rules."""
        return Path(self.claims.__path__[0])

    @property
    def families(self) -> dict[Family, tuple[Claim, ...]]:
        """Claims of the own protocol by family, in the order of the report."""
        return self.families_of(self.page)

    def families_of(self, page: Path) -> dict[Family, tuple[Claim, ...]]:
        """Returns the claims whose rules a protocol lists, by family."""
        return {
            family: claims
            for family, claims in self._all_families.items()
            if (family.page or self.page.name) == page.name
        }

    @cached_property
    def _all_families(self) -> dict[Family, tuple[Claim, ...]]:
        found = find_families(self.claims)
        order = sorted(
            found, key=lambda f: (f != self.family, f.target != "reproduce")
        )
        return {family: found[family] for family in order}


def load_reproduction(folder: Path | None = None) -> Reproduction:
    """Loads the protocol of a folder of experiments.

    Args:
        folder: the folder; by default "experiments" in the working directory.

    Raises:
        ValueError: if there is none, or it is not valid.
    """
    path = (folder or EXPERIMENTS) / FILE
    if not path.exists():
        raise ValueError(
            f"A reproduction needs a folder of experiments with {FILE}; "
            "--experiments PATH names it. "
            f"Received: {path.parent}, which has none"
        )
    return load(path, "REPRODUCTION", Reproduction)
