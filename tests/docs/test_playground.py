"""docs/playground.md says what the committed rounds say."""

import json

import pandas as pd

from benchmarks.pages.markdown import DOCS, RUNS

FOLDER = RUNS / "playground"


def test_the_times_of_loading_are_those_of_the_rounds():
    page = (DOCS / "playground.md").read_text()
    median = pd.read_csv(FOLDER / "loading.csv").median()
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    assert manifest["median"]["answered_s"] == round(median["answered_s"], 2)
    assert f"after {manifest['median']['answered_s']} s and all" in page
    assert f"after {manifest['median']['loaded_s']} s (medians of 9" in page
    assert manifest["median"]["answered_s"] < 2
    assert manifest["bytes"] < 8e6
