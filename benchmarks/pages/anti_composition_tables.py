"""Tables of docs/anti_composition.md, made of `numbers.csv`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

Found = Mapping[Any, Mapping[str, float]]
WHEN = (
    *(f"epochs_{n}" for n in (1, 2, 3, 5, 8, 15, 30)),
    *("b_to_c_last", "a_to_b_last"),
)
SIZES = (
    *("epochs_15", "tagged", "characters", "no_positions"),
    *("depth_1", "depth_4", "width_16", "width_32", "width_128"),
    *("pairs_250", "pairs_1000", "pairs_10000"),
    *("frozen_head", "frozen_ends", "no_route"),
)
SAYS = {
    "epochs_1": "1 epoch",
    **{f"epochs_{n}": f"{n} epochs" for n in (2, 3, 5, 8, 15, 30)},
    "b_to_c_last": "15 epochs of A → B alone, then 15 of B → C alone",
    "a_to_b_last": "15 epochs of B → C alone, then 15 of A → B alone",
    "tagged": "the prompt names the language",
    "characters": "a space mark before every word",
    "no_positions": "no positions",
    "depth_1": "1 block",
    "depth_4": "4 blocks",
    **{f"width_{n}": f"width {n}" for n in (16, 32, 128)},
    **{
        f"pairs_{n}": f"{n} pairs of each, about as many updates"
        for n in (250, 1000, 10000)
    },
    "frozen_head": "the head is not trained",
    "frozen_ends": "embeddings and head are not trained",
    "no_route": "D → C in place of B → C",
}
BASE = "as usual: 2 blocks, width 64, 2500 pairs of each, 15 epochs"
CHANGED = {
    "nothing": "nothing",
    "other_b": "once, on a wrong B word (mean of seven)",
    "own_b": "once, on its own B word",
    "reflected_other_b": "twice, on a wrong B word (mean of seven)",
    "reflected_own_b": "twice, on its own B word",
}


def tables(numbers: pd.DataFrame) -> tuple[str, ...]:
    """Returns the tables, in the order of the page.

    Of time, of sizes, of changed words, of questions by steps, and of real
    against scrambled pairs.
    """
    found = by_name(numbers)
    return (
        _conditions(found, WHEN, SAYS),
        _conditions(found, SIZES, {**SAYS, "epochs_15": BASE}),
        _changes(found),
        _steps(found),
        _slower(found),
    )


def by_name(numbers: pd.DataFrame) -> Found:
    """Returns the rows of the numbers, by topic and what they are of."""
    found: Any = numbers.set_index(["topic", "what"]).to_dict("index")
    return found


def written(
    row: Mapping[str, float], digits: int, times: float = 1, sign: str = ""
) -> str:
    """Returns a mean with its interval, as on the page."""
    values = [times * float(row[name]) for name in ("value", "low", "high")]
    value, low, high = (f"{x:{sign}.{digits}f}" for x in values)
    if math.isnan(values[1]):
        return value.replace("-", "−")
    return f"{value} ({low} to {high})".replace("-", "−")


def _conditions(
    found: Found, names: tuple[str, ...], says: dict[str, str]
) -> str:
    rows = [
        (
            *("trained", "condition", "seeds", "rank of the composed word"),
            *("it is likeliest in C, %", "A → B right, %", "B → C right, %"),
        ),
        ("---", "---", *["---:"] * 5),
    ]
    for name in names:
        rank = found[("rank", name)]
        first = found[("accuracy_in_language", name)]
        right = [
            f"{100 * found[key]['value']:.0f}"
            if (key := (f"accuracy {mapping}", name)) in found
            else "–"
            for mapping in ("A->B", "B->C")
        ]
        rows.append(
            (
                *(says[name], f"`{name}`", f"{rank['seeds']:.0f}"),
                written(rank, 1),
                f"{100 * first['value']:.1f}",
                *right,
            )
        )
    return _markdown(rows)


def _changes(found: Found) -> str:
    rows = [
        (
            *("projection taken away", "embeddings of A words"),
            *("head columns of C words", "both", "A → B after both"),
        ),
        ("---", *["---:"] * 4),
    ]
    for tier, says in CHANGED.items():
        ranks = [
            found[("epochs_15, changed", f"{end}, {tier}, A->C")]
            for end in ("embedding", "head", "both")
        ]
        after = found[("epochs_15, changed", f"both, {tier}, A->B")]
        cells = [written(rank, 1) for rank in ranks]
        rows.append((says, *cells, written(after, 1)))
    return _markdown(rows)


def _steps(found: Found) -> str:
    """Returns ranks after questions, by steps between the languages."""
    columns = {"epochs_15": "ABC", "chain": "ABCD"}
    rows: list[tuple[str, ...]] = [
        ("steps", "expected", "A → B → C read", "A → B → C → D read"),
        ("---", "---", "---", "---"),
    ]
    for steps in (2, 3, -1, -2, -3):
        cells = []
        for name, languages in columns.items():
            pairs = [
                (x, languages[i + steps])
                for i, x in enumerate(languages)
                if 0 <= i + steps < len(languages)
            ]
            said = [
                f"{x} → {y} {written(found[key], 1)}"
                for x, y in pairs
                for key in [(f"{name}, questions", f"{x}->{y}")]
            ]
            cells.append("; ".join(said) or "–")
        way = "forward" if steps > 0 else "back"
        expected = "low" if steps % 2 == 0 else "high"
        rows.append((f"{abs(steps)} {way}", expected, *cells))
    return _markdown(rows)


def _slower(found: Found) -> str:
    """Returns what few pairs cost, and whether the rank tells how much."""
    pairs = (8, 12)
    titles = ("real less scrambled", "correlation with the rank")
    rows: list[tuple[str, ...]] = [
        ("seeds", *(f"{n} pairs: {title}" for n in pairs for title in titles)),
        ("---", *["---:"] * 4),
    ]
    for seeds in (
        *("seeds 1000 to 1009", "seeds 0 to 9", "seeds 100 to 109"),
        "all seeds",
    ):
        cells = []
        for n in pairs:
            gap = found[f"real - scrambled, {n}", seeds]
            r = found[f"rank with real - scrambled, {n}", seeds]
            cells += [written(gap, 1, 1, "+"), written(r, 2, 1, "+")]
        rows.append((seeds.removeprefix("seeds "), *cells))
    return _markdown(rows)


def _markdown(rows: Sequence[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
