"""Rules of arithmetic: is f used again, is h composed?

The same rules are asked where many rows of h are read (`many`) and where so
few are that they do not suffice alone (`few`): two families.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.arithmetic import NETWORKS
from tiny_gpt.claims.claim import Claim, Family, Scenario
from tiny_gpt.claims.measure import Measure, Values, difference
from tiny_gpt.claims.rule import (
    CONFIRMED,
    NOT_CONFIRMED,
    above,
    below,
    case,
    either,
    observed,
)
from tiny_gpt.claims.values import MARGIN, dots, final
from tiny_gpt.tasks.arithmetic.task import Arithmetic

KINDS = ("reuse", "composition")


def family(name: str, title: str, seeds: tuple[int, int]) -> Family:
    """Returns the family of a study, a page and a target of its name.

    Args:
        name: of the study.
        title: in words.
        seeds: the first and the last that are kept for it.
    """
    return Family(
        name=name,
        title=title,
        seeds=seeds,
        target=f"exp-{name.replace('_', '-')}",
        page=f"protocol_{name}.md",
        num_intervals=2 * len(KINDS) * len(NETWORKS),
        claims=tuple(
            f"{name}_{net}_{kind}" for kind in KINDS for net in NETWORKS
        ),
    )


@dataclass(frozen=True)
class Rules:
    """The claims of a study about one network.

    Attributes:
        family: of the claims; its name is that of the study.
        network: one of `NETWORKS`.
        num_shown: rows of h that it reads.
        seen: what had been seen before.
    """

    family: Family
    network: str
    num_shown: int
    seen: str

    @property
    def task(self) -> Arithmetic:
        """What is read."""
        return Arithmetic(self.num_shown)

    def place(self, variant: str) -> str:
        """Returns study and condition."""
        return f"{self.family.name}/{self.network}_{variant}"

    def right(self, variant: str) -> Values:
        """Returns the share of unread rows of h that are right, by seed."""
        return final(self.place(variant), "h", prompt="0_demonstrations")

    def leads(self, first: str, others: tuple[str, ...]) -> list[Measure]:
        """Returns by how much one variant is ahead of each other."""
        return [
            difference(
                f"{first} - {other}".replace("_", " "),
                self.right(first),
                self.right(other),
            )
            for other in others
        ]

    def claim(
        self,
        kind: str,
        title: str,
        statement: str,
        source: str,
        first: str,
        others: tuple[str, ...],
        shown: tuple[Measure, ...] = (),
    ) -> Claim:
        """Returns the claim that one variant is ahead of two others."""
        leads = self.leads(first, others)
        names = [lead.name for lead in leads]
        variants = (first, *others)
        says, task = NETWORKS[self.network], self.task
        unread = task.num_rows - self.num_shown
        return Claim(
            family=self.family,
            name=f"{self.family.name}_{self.network}_{kind}",
            title=title,
            statement=statement,
            source=source,
            conditions=tuple(self.place(v) for v in variants),
            statistic=(
                f"share of the {unread} rows of h that were not read "
                f"({self.num_shown} of {task.num_rows} were) whose answer is "
                "right, greedy, at the end. Paired differences: a seed gives "
                "all variants the same h, rows and weights"
            ),
            measures=tuple(leads),
            shown=shown,
            observation=observed(
                case(CONFIRMED, *(above(m, MARGIN) for m in names)),
                either(NOT_CONFIRMED, *((below(m, MARGIN),) for m in names)),
            ),
            margin=(
                f"5 points are {MARGIN * unread:.0f} of {unread} rows, less "
                "than one value of f: a smaller difference would not change "
                "what is said about h."
            ),
            seen=self.seen,
            scenarios=(
                Scenario(CONFIRMED, dict.fromkeys(names, 0.3)),
                Scenario(NOT_CONFIRMED, dict.fromkeys(names, 0.0)),
            ),
            figure=dots(
                f"Accuracy, unseen rows of h, {says}",
                {v.replace("_", " "): self.right(v) for v in variants},
                {
                    "chance": 1 / task.num_answers,
                    "re-use at best": task.reuse_on_unseen or 0.0,
                },
            ),
        )

    def reuse(self, title: str) -> Claim:
        """Returns the claim that f is used again."""
        return self.claim(
            "reuse",
            title,
            "What was learned of one mapping is used for another that goes "
            "through it, where the rest of the way has to be learned.",
            "tiny_gpt, after Sinha 2024, prop. 1",
            "scrambled",
            ("no_f", "alone"),
        )

    def composition(self, title: str) -> Claim:
        """Returns the claim that h is composed."""
        bridge = difference(
            "bridge - real", self.right("bridge"), self.right("real")
        )
        return self.claim(
            "composition",
            title,
            "A rare mapping is learned beside two common ones by going from "
            "the first to the second.",
            "Sinha 2024, assumption 2 and fig. 3, said of translation",
            "real",
            ("scrambled", "no_g"),
            (bridge,),
        )


def claims(
    family: Family, num_shown: Mapping[str, int], seen: str, where: str = ""
) -> tuple[Claim, ...]:
    """Returns the claims of a family, as many for each network.

    Args:
        family: its name is that of the study.
        num_shown: rows of h that are read, by network.
        seen: what had been seen before.
        where: end of the titles.
    """
    rules = {n: Rules(family, n, k, seen) for n, k in num_shown.items()}
    says = {n: NETWORKS[n] for n in rules}
    return (
        *(
            r.reuse(f"{says[n]} uses f again for h{where}")
            for n, r in rules.items()
        ),
        *(
            r.composition(f"{says[n]} composes h of f and g{where}")
            for n, r in rules.items()
        ),
    )
