"""docs/speed.md says what the committed runs say."""

from pathlib import Path

import pandas as pd

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "speed.md").read_text()
SAID = {
    "whole": "whole",
    "without gelu": "without GELU",
    "without attend": "without attention between its products",
    "without layer_norm": "without layer normalisation",
    "without all": "without all three",
}


def test_the_parts_of_an_update_cost_what_was_measured():
    frame = pd.read_csv(DOCS / "runs" / "ablation" / "ablation.csv")
    table = frame.pivot(index="round", columns="form", values="update_ms")
    for form, words in SAID.items():
        assert f"| {words} | {table[form].median():.1f} |\n" in PAGE
    ratio = table["whole"] / table["without all"]
    middle = f"{ratio.median():.2f}"
    ends = f"({ratio.min():.2f} to {ratio.max():.2f})"
    assert f"an update would be {middle} times as fast {ends}" in PAGE
