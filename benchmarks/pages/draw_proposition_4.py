"""Figure of the bound of proposition 4: as printed, corrected and exact.

Question  How many test sentences make 60 % unlikely to be memorisation?
Run       python -m benchmarks.pages.draw_proposition_4 docs/runs/theory
Time      seconds; arithmetic only
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

from tiny_gpt.analysis.baseline import (
    memorisation_tail,
    memorisation_tail_bound,
    printed_baseline,
)
from tiny_gpt.claims.values import CHANCE
from tiny_gpt.plots.curves import COLOURS

SCORE, NUM_PAIRS, NUM_SENTENCES = 0.6, 50, 1680


def main() -> None:
    """Draws `proposition_4.png`."""
    coverage = 1 - (1 - 1 / NUM_SENTENCES) ** NUM_PAIRS
    printed = printed_baseline(NUM_PAIRS, NUM_SENTENCES)
    guessing = coverage + (1 - coverage) * CHANCE
    counts = range(1, 16)
    curves = {
        f"bound as printed, baseline {printed:.3f}": [
            memorisation_tail_bound(SCORE, printed, n) for n in counts
        ],
        f"bound with guesses, baseline {guessing:.3f}": [
            memorisation_tail_bound(SCORE, guessing, n) for n in counts
        ],
        "exact, with guesses": [
            memorisation_tail(SCORE, coverage, CHANCE, 4, n) for n in counts
        ],
    }
    figure, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
    for (label, values), colour, marker in zip(
        curves.items(), COLOURS, "os^", strict=False
    ):
        ax.plot(counts, values, color=colour, marker=marker, label=label)
    ax.axhline(0.05, color="black", linestyle=":", label="5 %")
    ax.axvline(5, color="grey", linewidth=1, label="the paper's 5 sentences")
    ax.set(
        yscale="log",
        xlabel="Test sentences",
        ylabel="Probability of 60 % or more",
        title="60 % of the words by memorisation and guessing",
        ylim=(1e-6, 1),
        xticks=list(counts),
    )
    figure.legend(loc="outside lower center", ncols=2)
    figure.savefig(Path(sys.argv[1]) / "proposition_4.png", dpi=110)


if __name__ == "__main__":
    main()
