"""Numbers and tables of docs/anti_composition.md.

Question  When does anti-composition arise, and what is it?
Run       python -m benchmarks.pages.anti_composition docs/runs
Time      seconds; nothing is trained

Reads `anti_composition/metrics.csv.gz` (`anti_composition_runs`), and for seeds
0 to 9 and 100 to 109 the frames of `theory` and `reproduce_quick` and of their
fresh seeds. Writes `numbers.csv`, `table.md` and three figures beside the
first. Intervals are those of one mean at 95 %, not corrected for their number.
"""

import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from benchmarks.pages.anti_composition_statistics import (
    LEVEL,
    at_blind_guess,
    correlation,
)
from benchmarks.pages.anti_composition_tables import tables
from benchmarks.pages.draw_anti_composition import draw
from experiments import anti_composition as study
from tiny_gpt.analysis.statistics import Interval, t_interval
from tiny_gpt.runtime.results_folder import write_frame, write_text

COLUMNS = ["topic", "what", "value", "low", "high", "seeds"]
RANKS = (1.0, 8.0)
LITTLE = 5.0
MAIN = "2_demonstrations"  # the prompt of the exact evaluation
FREE = (-math.inf, math.inf)
# Conditions without A->C, in the order of the table.
SHOWN = [name for name, c in study.CHANGES.items() if not c.num_sparse]
OLDER = {  # seeds -> frames of no A->C, and of few pairs
    "seeds 0 to 9": ("theory", "reproduce_quick"),
    "seeds 100 to 109": ("theory_fresh", "reproduce_quick_fresh"),
}
BySeed = pd.Series  # numbers, by seed
Found = Iterator[tuple[str, str, Interval, int]]


class SeedSet(NamedTuple):
    """What one set of seeds says of learning a few pairs.

    Attributes:
        rank: of the composed word, without A->C.
        gaps: rank of the right word, real less scrambled A->C, by pairs.
    """

    rank: BySeed
    gaps: Mapping[int, BySeed]


class Rows:
    """The frame of the runs."""

    def __init__(self, frame: pd.DataFrame):
        names = ["condition", "mapping", "tier", "prompt", "metric"]
        self._values = frame.set_index([*names, "seed"])["value"].sort_index()

    def of(self, condition: str, key: str) -> BySeed:
        """Returns a number of each seed.

        Args:
            condition: of the study.
            key: mapping, tier, prompt and metric, in one line.
        """
        return self._values.loc[(condition, *key.split())]

    def exact(
        self,
        condition: str,
        metric: str = "rank",
        mapping: str = "A->C",
        tier: str = "all_sentences",
    ) -> BySeed:
        """Returns a number of the exact evaluation, by seed."""
        return self.of(condition, f"{mapping} {tier} {MAIN} {metric}")


def rows_of(rows: Rows, sets: Mapping[str, SeedSet]) -> pd.DataFrame:
    """Returns all numbers of the page: topic, what, value, low, high, seeds."""
    parts = [_conditions, _words, _gaps, _changes, _over_seeds]
    found = [each for part in parts for each in part(rows)]
    found += _slower(sets)
    made = [
        (topic, what, interval.value, interval.low, interval.high, num)
        for topic, what, interval, num in found
    ]
    return pd.DataFrame(made, columns=COLUMNS)


def _mean(
    topic: str,
    what: str,
    values: BySeed,
    bounds: tuple[float, float] = RANKS,
) -> tuple[str, str, Interval, int]:
    found = t_interval(list(values), LEVEL, bounds)
    return topic, what, found, len(values)


def _conditions(rows: Rows) -> Found:
    """Yields the exact evaluation, and differences from the base."""
    for name in SHOWN:
        yield _mean("rank", name, rows.exact(name))
        bounds = {"accuracy_in_language": (0.0, 1.0)}
        for metric in ("accuracy_in_language", "log_probability_in_language"):
            values = rows.exact(name, metric)
            yield _mean(metric, name, values, bounds.get(metric, FREE))
        for mapping in study.MAJORITY:
            if mapping in study.CHANGES[name].majority:
                values = rows.exact(name, "accuracy_aligned", mapping)
                yield _mean(f"accuracy {mapping}", name, values, (0.0, 1.0))
        if name != study.BASE:
            less = (rows.exact(name) - rows.exact(study.BASE)).dropna()
            yield _mean("rank less base", name, less, (-7.0, 7.0))
    for mapping in ("B->D", "A->D"):
        values = rows.exact("chain", mapping=mapping)
        yield _mean("rank", f"chain, {mapping}", values)


def _words(rows: Rows) -> Found:
    """Yields ranks of groups of words, and of other questions."""
    for name in (study.BASE, "tagged", "no_positions"):
        for key in ("A->C C", "A->C B", "A->B C", "A->B A", "B->C B"):
            mapping, language = key.split()
            for group in ("own", "earlier", "later", "absent"):
                for place in range(1, 5):
                    absent = place == {"earlier": 1, "later": 4}.get(group)
                    if not absent:
                        what = f"{mapping} {group} place_{place}"
                        values = rows.of(name, f"{what} rank_{language}")
                        yield _mean(f"{name}, {language} words", what, values)
    for name in (study.BASE, "chain"):
        languages = "ABCD" if name == "chain" else "ABC"
        for x in languages:
            for y in languages:
                if x != y:
                    values = rows.of(name, f"{x}->{y} own first rank")
                    yield _mean(f"{name}, questions", f"{x}->{y}", values)


def _gaps(rows: Rows) -> Found:
    """Yields the gap of the composed word, its parts, and cosines."""
    for name in (study.BASE, "frozen_head", "frozen_ends", "tagged"):
        for prompt in ("all", "constant", "own_b", "all_b"):
            values = rows.of(name, f"A->C own {prompt} gap_C")
            yield _mean(f"{name}, gap", prompt, values, FREE)
        values = rows.of(name, "A->C own all gap_B")
        yield _mean(f"{name}, gap", "B word", values, FREE)
        for point in points():
            for language in "BC":
                key = f"A->C own {point} written_{language}"
                what = f"{language}, {point}"
                yield _mean(f"{name}, written", what, rows.of(name, key), FREE)
    for name in SHOWN:
        for end in ("embedding", "head"):
            for pair in ("A->B", "B->C", "A->C"):
                values = rows.of(name, f"{pair} own words.{end} cosine")
                topic = f"cosine, {end}"
                yield _mean(topic, f"{name}, {pair}", values, (-1.0, 1.0))


def points() -> list[str]:
    """Returns the points of the base's network, after the embedding."""
    parts = ("attention", "feed_forward")
    return [f"block_{i}.{part}" for i in range(2) for part in parts]


def _changes(rows: Rows) -> Found:
    """Yields ranks after words or streams were changed."""
    tiers = ("own_b", "other_b", "reflected_own_b", "reflected_other_b")
    for name in (study.BASE, "tagged", "frozen_head", "frozen_ends"):
        for end in ("embedding", "head", "both"):
            for tier in ("nothing", *tiers):
                for mapping in ("A->C", "A->B", "B->C"):
                    key = f"{mapping} {tier} words.{end} rank"
                    what = f"{end}, {tier}, {mapping}"
                    yield _mean(f"{name}, changed", what, rows.of(name, key))
        for point in points():
            for tier in ("own_b", "other_b", "exchange"):
                values = rows.of(name, f"A->C {tier} {point} rank")
                yield _mean(f"{name}, stream", f"{point}, {tier}", values)
            values = rows.of(name, f"A->C exchange {point} rank_other")
            yield _mean(f"{name}, stream", f"{point}, exchanged", values)


def _over_seeds(rows: Rows) -> Found:
    """Yields correlations of the rank with cosines, over seeds."""
    for name in (study.BASE, "tagged", "epochs_3", "frozen_head"):
        rank = rows.exact(name)
        pairs = {
            "embedding A->B": rows.of(name, "A->B own words.embedding cosine"),
            "head B->C": rows.of(name, "B->C own words.head cosine"),
        }
        for what, cosine in pairs.items():
            if what == "head B->C" and name == "frozen_head":
                continue
            topic, clear = f"{name}, rank with cosine", rank[rank > LITTLE]
            yield topic, what, correlation(rank, cosine), len(rank)
            found = correlation(clear, cosine)
            yield topic, f"{what}, seeds above 5", found, len(clear)


def sets_of_seeds(
    rows: Rows, older: Mapping[str, pd.DataFrame]
) -> dict[str, SeedSet]:
    """Returns ranks and gaps of each set of seeds."""
    sets = {"seeds 1000 to 1009": _set(rows, study.BASE)}
    return sets | {s: _set(Rows(f), "count_0") for s, f in older.items()}


def _set(rows: Rows, without: str) -> SeedSet:
    gaps = {}
    for n in study.SPARSE:
        real, scrambled = (
            rows.exact(f"{kind}_a_to_c_{n}", tier="unseen_sentences")
            for kind in ("sparse", "scrambled")
        )
        gaps[n] = real - scrambled
    return SeedSet(rows.exact(without), gaps)


def _slower(sets: Mapping[str, SeedSet]) -> Found:
    """Yields what the rank says of learning a few real and scrambled pairs."""
    pooled = SeedSet(
        pd.concat([found.rank for found in sets.values()]),
        {
            n: pd.concat([found.gaps[n] for found in sets.values()])
            for n in study.SPARSE
        },
    )
    for seeds, found in {**sets, "all seeds": pooled}.items():
        yield _mean("rank, sets of seeds", seeds, found.rank)
        low = Interval(float((found.rank < LITTLE).sum()), math.nan, math.nan)
        yield "seeds with a rank below 5", seeds, low, len(found.rank)
    for n in study.SPARSE:
        gap = at_blind_guess(pooled.rank, pooled.gaps[n])
        topic = "real - scrambled, expected at a blind guess"
        yield topic, f"{n}", gap, len(pooled.rank)
        clear = pooled.rank[pooled.rank > LITTLE]
        topic = f"rank with real - scrambled, {n}"
        r = correlation(clear, pooled.gaps[n])
        yield topic, "seeds above 5", r, len(clear)
        for seeds, (rank, gaps) in {**sets, "all seeds": pooled}.items():
            yield _mean(f"real - scrambled, {n}", seeds, gaps[n], (-7.0, 7.0))
            r = correlation(rank, gaps[n])
            topic = f"rank with real - scrambled, {n}"
            yield topic, seeds, r, len(rank)


def read_older(runs: Path) -> dict[str, pd.DataFrame]:
    """Reads the rows of other seeds that `_slower` needs, by seeds."""
    wanted = ["count_0"] + [
        f"{kind}_a_to_c_{n}"
        for kind in ("sparse", "scrambled")
        for n in study.SPARSE
    ]
    found = {}
    for seeds, folders in OLDER.items():
        frame = pd.concat(
            pd.read_csv(runs / name / "metrics.csv.gz", low_memory=False)
            for name in folders
        )
        is_in = frame["condition"].isin(wanted) & (frame["metric"] == "rank")
        found[seeds] = frame[is_in]
    return found


def main() -> None:
    """Writes the numbers, the table and the figures."""
    runs = Path(sys.argv[1])
    folder = runs / "anti_composition"
    frame = pd.read_csv(folder / "metrics.csv.gz", low_memory=False)
    rows = Rows(frame)
    sets = sets_of_seeds(rows, read_older(runs))
    numbers = rows_of(rows, sets).round(4)
    write_frame(folder / "numbers.csv", numbers)
    write_text(folder / "table.md", "\n".join(tables(numbers)))
    draw(numbers, rows, sets, folder)


if __name__ == "__main__":
    main()
