"""Numbers of the controls that no rule uses.

Question  What do the frames of section 3 say beyond the verdicts?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.controls_beside
          docs/runs/reproduce_quick docs/runs/reproduce_quick_fresh
Time      ten seconds; nothing is trained

Asked after the verdicts were known: descriptions, not tests. Intervals have
the level of the rules (99.8 %). Each folder gets a `beside.csv` of its own
seeds, and the first one `beside_pooled.csv` of all seeds: topic, what, value,
low, high. Counts of seeds have Clopper and Pearson's exact interval (1934).
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from scipy.stats import binomtest

from benchmarks.pages.theory_rows import Row
from experiments.controls_curve import CURVE, KINDS
from tiny_gpt.analysis.statistics import corrected_level
from tiny_gpt.claims.evidence import BySeed, Evidence, average
from tiny_gpt.claims.values import LEARNED, SPARSE
from tiny_gpt.runtime.results_folder import write_frame

COLUMNS = ["topic", "what", "value", "low", "high"]
LEVEL = corrected_level(0.95, 24)  # of the rules of these runs
NUM_WORDS = 8  # of the target language
BLIND_RANK = (1 + NUM_WORDS) / 2
PAIRS = CURVE[:-1]  # below the ceiling at 50


def rows_of(evidence: Evidence) -> Iterator[Row]:
    """Returns the rows of one set of seeds."""
    yield from _suppressed(evidence)
    yield from _below_the_ceiling(evidence)
    yield from _alone(evidence)
    for place in (SPARSE, "controls/sparse_a_to_c"):
        values = evidence.final(place)
        learned = [value > LEARNED for value in values.values()]
        yield "seeds above one half", place, *_share(evidence, learned)


def _suppressed(evidence: Evidence) -> Iterator[Row]:
    """The rank of the composed word among the words of C, without A->C."""
    topic = "suppressed"
    place, tier = "triangle/no_a_to_c", "all_sentences"
    ranks = evidence.final(place, metric="rank", tier=tier)
    yield _row(evidence, topic, "rank of the composed word", ranks, True)
    above = [rank > BLIND_RANK for rank in ranks.values()]
    yield topic, "seeds that rank it below a guess", *_share(evidence, above)
    right = evidence.final(place, tier=tier)
    anything = [value > 0 for value in right.values()]
    yield topic, "seeds with any word right", *_share(evidence, anything)


def _below_the_ceiling(evidence: Evidence) -> Iterator[Row]:
    """Real, scrambled and no route, averaged over 4 to 25 pairs."""
    for metric in ("accuracy_aligned", "rank"):
        by_kind = {
            kind: average(
                [
                    evidence.final(f"controls/{name}_{n}", metric=metric)
                    for n in PAIRS
                ]
            )
            for kind, name in KINDS.items()
        }
        topic = f"{metric}, 4 to 25 pairs"
        for kind, values in by_kind.items():
            yield _row(evidence, topic, kind, values, metric == "rank")
        for kind in ("scrambled", "no route"):
            found = evidence.difference(by_kind["real"], by_kind[kind])
            yield topic, f"real - {kind}", found.value, found.low, found.high
    for kind, name in KINDS.items():
        pivots = evidence.final(
            f"controls/{name}_16", metric="error_pivot_word"
        )
        yield _row(evidence, "answers in B, 16 pairs", kind, pivots)


def _alone(evidence: Evidence) -> Iterator[Row]:
    """The 50 pairs alone, on the sentences that were read."""
    for name in ("a_to_c_alone_equal_updates", "a_to_c_alone_equal_tokens"):
        for tier in ("seen_sentences", "unseen_sentences"):
            values = evidence.final(f"controls/{name}", tier=tier)
            yield _row(evidence, name, tier, values)


def _row(
    evidence: Evidence,
    topic: str,
    what: str,
    values: BySeed,
    is_rank: bool = False,
) -> Row:
    bounds = (1.0, float(NUM_WORDS)) if is_rank else (0.0, 1.0)
    found = evidence.mean(values, bounds)
    return topic, what, found.value, found.low, found.high


def _share(evidence: Evidence, is_so: list[bool]) -> tuple[float, float, float]:
    test = binomtest(sum(is_so), len(is_so))
    interval = test.proportion_ci(evidence.level, method="exact")
    return test.statistic, interval.low, interval.high


def _evidence(frame: pd.DataFrame, seeds: list[int]) -> Evidence:
    return Evidence(frame, tuple(seeds), None, pd.DataFrame(), LEVEL)


def main() -> None:
    """Writes the rows of each folder, and those of all together."""
    folders = [Path(each) for each in sys.argv[1:]]
    frames: list[pd.DataFrame] = []
    seeds: list[int] = []
    for folder in folders:
        frames.append(pd.read_csv(folder / "metrics.csv.gz", low_memory=False))
        own = json.loads((folder / "claims.json").read_text())["seeds"]
        seeds += own
        _write(folder / "beside.csv", _evidence(frames[-1], own))
    pooled = _evidence(pd.concat(frames), seeds)
    _write(folders[0] / "beside_pooled.csv", pooled)


def _write(path: Path, evidence: Evidence) -> None:
    frame = pd.DataFrame(list(rows_of(evidence)), columns=COLUMNS)
    write_frame(path, frame.round(6))


if __name__ == "__main__":
    main()
