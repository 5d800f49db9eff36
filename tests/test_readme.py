"""What the README shows is what committed runs printed."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from tiny_gpt.results import summarise

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
RUNS = sorted(p.parent for p in (ROOT / "docs").glob("*/summary.json"))


def test_every_table_stands_in_a_committed_folder():
    tables = [
        (ROOT / "docs" / name / "table_1.md").read_text()
        for name in ("triangle_quick", "four_languages_quick")
    ]
    assert all(table in README for table in tables)


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 15
    for link in links:
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_committed_summaries_follow_from_their_frames(folder):
    summary = json.loads((folder / "summary.json").read_text())
    manifest = json.loads((folder / "manifest.json").read_text())
    metrics = pd.read_csv(folder / "metrics.csv.gz")
    again = summarise(metrics, summary["metric"], summary["preset"])
    values, expected = (pd.json_normalize(s).iloc[0] for s in (again, summary))
    numbers = [key for key in expected.index if key.startswith("conditions.")]
    assert len(numbers) >= 6
    assert values[numbers].to_list() == pytest.approx(
        expected[numbers].to_list(), rel=1e-12
    )
    assert summary["seeds"] == manifest["config"]["seeds"]
    assert manifest["commit"]
    assert not manifest["commit"].endswith("-dirty")


def test_backends_agree_as_far_as_the_readme_says():
    jax, tensorflow = (
        pd.read_csv(ROOT / "docs" / name / "metrics.csv.gz")
        for name in ("triangle_quick", "triangle_quick_tensorflow")
    )
    assert jax.drop(columns="value").equals(tensorflow.drop(columns="value"))
    difference = (jax["value"] - tensorflow["value"]).abs()
    by_metric = difference.groupby(jax["metric"]).max()
    assert by_metric["loss"] == pytest.approx(1e-4, abs=5e-5)
    assert by_metric["accuracy_aligned"] == 1 / 1024
