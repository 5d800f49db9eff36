"""Rules of claims about the score: memory, chance and mirages."""

import math

from experiments import four_languages, triangle
from experiments.claims.section_3 import FAMILY, FIGURE_2, PUBLISHED
from experiments.claims.section_3.published_numbers import (
    CONDITION,
    loss_figure,
    published_curve,
    single,
)
from tiny_gpt.analysis.baseline import (
    memorisation_tail,
    memorisation_tail_bound,
    printed_baseline,
)
from tiny_gpt.analysis.statistics import Interval
from tiny_gpt.claims.claim import PAPER, QUICK, Claim
from tiny_gpt.claims.evidence import (
    EXPLAINED,
    REFUTED,
    REPRODUCED,
    Decision,
    Evidence,
    effect,
    strip,
)
from tiny_gpt.claims.verdict import CHANCE, SPARSE, decide, verdict_of
from tiny_gpt.experiment import loss_floor


def no_mirage(evidence: Evidence) -> Decision:
    """Tells whether the ability shows in a continuous score as well."""
    score, tier = "log_probability", "unseen_sentences"
    learned = evidence.final(SPARSE, "A->C", score, tier)
    absent = evidence.final("triangle/no_a_to_c", "A->C", score, tier)
    brier = [
        evidence.final(place, "A->C", "brier_score", tier)
        for place in ("triangle/no_a_to_c", SPARSE)
    ]
    gain = evidence.difference(learned, absent)
    better = evidence.difference(*brier)
    # The score is a share of right words: 0.24 for one of four is a misprint
    # (the authors' code gives 0.25), so it is linear, not "non-linear".
    is_so = gain.low > 0 and better.low > 0
    verdict = EXPLAINED if is_so else verdict_of(False, gain.high < 0)
    return decide(
        evidence,
        verdict,
        "The printed score is linear in the number of right words and guards "
        "against nothing. In continuous scores, 50 pairs change the "
        f"log-probability of the right word by {gain.value:+.2f} nats "
        f"({gain.low:+.2f} to {gain.high:+.2f}) and the Brier score by "
        f"{-better.value:+.2f} ({-better.high:+.2f} to {-better.low:+.2f}), "
        "where less is better.",
        [
            effect("log-probability of the right word", gain, "nats"),
            effect("Brier score, improvement", better, "count"),
        ],
        strip(
            evidence,
            "Mean log-probability of the right word (nats)",
            {"no A->C pairs": absent, "50 A->C pairs": learned},
            bounds=(-math.inf, 0.0),
        ),
    )


def proposition_4(evidence: Evidence) -> Decision:
    """Compares the printed bound for 60 % of 5 sentences with the right one."""
    baseline = printed_baseline(50, 1680)
    printed = memorisation_tail_bound(0.6, baseline, 5)
    coverage = 1 - (1 - 1 / 1680) ** 50
    corrected = coverage + (1 - coverage) * CHANCE
    bound = memorisation_tail_bound(0.6, corrected, 5)
    exact = memorisation_tail(0.6, coverage, CHANCE, 4, 5)
    is_arithmetic = abs(printed - 0.0774) < 5e-5
    verdict = REFUTED
    if is_arithmetic:
        verdict = EXPLAINED if bound > 0.05 else REPRODUCED
    return Decision(
        verdict,
        f"The printed bound is {printed:.2%}. A memoriser that guesses where "
        f"it recalls nothing has the baseline {corrected:.3f}, not "
        f"{baseline:.3f}, and the bound becomes {bound:.1%}. The exact "
        f"probability is {exact:.2%}: the bound is loose.",
        [
            effect(name, Interval(value, math.nan, math.nan), "probability")
            for name, value in (
                ("bound as printed", printed),
                ("bound with guesses", bound),
                ("exact, with guesses", exact),
            )
        ],
    )


def memorised_text(evidence: Evidence) -> Decision:
    """Compares the published losses with the lowest that a text allows."""
    found, effects = {}, []
    for name, module, condition in (
        ("3.1", triangle, CONDITION),
        ("3.2", four_languages, "sparse_pairs"),
    ):
        floor = loss_floor(module.build_experiment("paper", condition))
        last = float(
            published_curve(evidence, condition, "loss", "all").iloc[-1]
        )
        found[name] = last, floor
        effects.append(
            effect(
                f"sec. {name}: published loss - floor",
                single(last - floor),
                "nats",
            )
        )
    is_below = all(last < floor for last, floor in found.values())
    curves = {
        tier: evidence.curves(
            "triangle/sparse_a_to_c", "loss_all_tokens", "A->C", tier
        )
        for tier in ("training_windows", "fresh_windows")
    }
    last_losses = {
        tier: {seed: float(c.iloc[-1]) for seed, c in by_seed.items()}
        for tier, by_seed in curves.items()
    }
    gap = evidence.difference(
        last_losses["fresh_windows"], last_losses["training_windows"]
    )
    effects.append(effect("ours, A->C text: fresh - training", gap, "nats"))
    listed = ", ".join(
        f"sec. {name} ends at {last:.3f} with a floor of {floor:.3f}"
        for name, (last, floor) in found.items()
    )
    return Decision(
        REFUTED if is_below else REPRODUCED,
        "No model that has not memorised its training text can fall below "
        f"its floor, and both published runs do: {listed}. In our small "
        f"runs, too, the A->C text read in training costs {gap.value:.2f} "
        f"nats per token less than fresh text ({gap.low:.2f} to "
        f"{gap.high:.2f}).",
        effects,
        loss_figure(evidence, {}),
        len(evidence.seeds),
    )


CLAIMS = (
    Claim(
        family=FAMILY,
        name="mirage",
        title="The ability is no artefact of the score",
        statement=(
            "Metric functions that scale non-linearly ensure that no mirage "
            "effect creeps into evaluating the emergent abilities."
        ),
        source="Sinha 2024, sec. 3.1",
        decided_on=QUICK,
        conditions=(SPARSE, "triangle/no_a_to_c"),
        statistic=(
            "log-probability and Brier score of the right word, "
            "teacher-forced, with 50 pairs minus without, paired"
        ),
        rule=(
            "Otherwise explained if both improve: the ability is real, but "
            "the printed score is linear (0.24 for one word of four is a "
            "misprint) and guards against nothing; not reproduced if the "
            "log-probability falls."
        ),
        rule_history=FIGURE_2,
        num_intervals=2,
        decide=no_mirage,
    ),
    Claim(
        family=FAMILY,
        name="memorisation",
        title="Memorisation is not a factor",
        statement=(
            "Experiment 3.2 showed a remarkably high accuracy, further "
            "confirming that memorisation is not a factor in the model's "
            "performance."
        ),
        source="Sinha 2024, sec. 5",
        decided_on=PAPER,
        conditions=(SPARSE,),
        statistic=(
            "last published training loss minus the entropy floor of its text"
        ),
        rule=(
            "Not reproduced if both published losses end below their floors, "
            "which needs memorised text; reproduced otherwise. No seeds are "
            "needed."
        ),
        rule_history=PUBLISHED,
        num_intervals=0,
        decide=memorised_text,
    ),
    Claim(
        family=FAMILY,
        name="proposition_4",
        title="60 % on 5 sentences is no memorisation",
        statement=(
            "The chance that the model gets 60 % accuracy by memorisation is "
            "less than or equal to 7.74 % for 5 test samples."
        ),
        source="Sinha 2024, prop. 4, eq. 4 and sec. 3.1.3",
        decided_on=PAPER,
        conditions=(),
        statistic=(
            "Hoeffding's bound with the printed and with the right baseline, "
            "and the exact tail of the memoriser's score"
        ),
        rule=(
            "Reproduced if the arithmetic gives 7.74 %; otherwise explained "
            "if a memoriser that also guesses brings the bound above 5 %. No "
            "run is needed."
        ),
        rule_history="Arithmetic.",
        num_intervals=0,
        decide=proposition_4,
    ),
)
