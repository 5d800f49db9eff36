"""What the README and the pages of section 3 show is what runs printed."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.pages.judge import evidence_of, judge, read_frames
from benchmarks.pages.ledger_beside import TABLES, filled
from experiments import triangle
from experiments.reproduction import REPRODUCTION
from tiny_gpt.metrics.summary import summarise
from tiny_gpt.runtime.commits import UNKNOWN
from tiny_gpt.training.run_setup import draw_phases

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = ROOT / "docs"
TRIANGLE, CLAIMS, CONTROLS, FOUR_LANGUAGES = (
    (PAGES / f"{name}.md").read_text()
    for name in ("triangle", "claims", "controls", "four_languages")
)
DOCS = PAGES / "runs"
RUNS = sorted(p.parent for p in DOCS.glob("*/summary.json"))


def test_every_table_stands_in_a_committed_folder():
    for name, page in (
        ("triangle_quick", TRIANGLE),
        ("four_languages_quick", FOUR_LANGUAGES),
    ):
        assert (DOCS / name / "table_1.md").read_text() in page


def anchors(page):
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    kept = (re.sub(r"[^\w\- ]", "", each.lower()) for each in headings)
    return {each.replace(" ", "-") for each in kept}


MARKDOWN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
MARKDOWN += [*PAGES.glob("*.md"), DOCS / "README.md"]


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^) ]+)\)", page.read_text())
    assert len(links) > 15 or page != MARKDOWN[0]
    for link in links:
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_the_model_has_as_many_parameters_as_the_readme_says():
    config = triangle.build_experiment("quick", "sparse_a_to_c").model
    said = f"{config.num_layers} layers and {config.build().count_params():,}"
    assert f"{said} parameters" in README


def test_the_example_is_a_translation_of_the_first_command():
    (example,) = re.findall(r"^(.*) \. (.*) \|$", README, re.M)
    experiment = triangle.build_experiment("quick", "sparse_a_to_c")
    stream = draw_phases(experiment, 0)[0].stream
    mapping = stream.mapping("A->C")
    words, right = (side.split() for side in example)
    places = np.array([mapping.source.symbols.index(w) for w in words])
    said = [mapping.target.symbols[i] for i in mapping.translate(places)]
    assert said == right


def test_the_readme_is_short_and_every_page_is_listed():
    assert len(README.split()) <= 1200
    index = (PAGES / "README.md").read_text()
    for page in PAGES.glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index


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
        pd.read_csv(DOCS / name / "metrics.csv.gz")
        for name in ("triangle_quick", "triangle_quick_tensorflow")
    )
    assert jax.drop(columns="value").equals(tensorflow.drop(columns="value"))
    difference = (jax["value"] - tensorflow["value"]).abs()
    by_metric = difference.groupby(jax["metric"]).max()
    assert by_metric["loss"] == pytest.approx(1e-4, abs=5e-5)
    assert by_metric["accuracy_aligned"] == 1 / 1024


def test_the_papers_table_follows_from_committed_frames():
    frame = pd.read_csv(DOCS / "triangle_paper" / "metrics.csv.gz")

    def values(condition, metric, mapping="A->C"):
        rows = frame[
            (frame["condition"] == condition)
            & (frame["metric"] == metric)
            & (frame["mapping"] == mapping)
        ]
        assert rows["epoch"].to_list() == list(range(1, 101))
        return rows["value"].to_numpy()

    sparse, absent, alone = (
        values(c, "accuracy_published")
        for c in ("sparse_a_to_c", "no_a_to_c", "a_to_c_alone")
    )
    losses = [
        values(c, "loss", "all")[-1] for c in ("sparse_a_to_c", "no_a_to_c")
    ]
    table = [line for line in TRIANGLE.splitlines() if line.startswith("| `")]
    ours = [line.split("|")[-2].strip() for line in table]
    for percent in (sparse[-10:].mean(), sparse[-1], sparse.max()):
        assert f"{100 * percent:.1f} %" in ours
    assert f"{100 * absent[-10:].mean():.1f} %" in ours
    assert f"{100 * alone[-10:].mean():.1f} %" in ours
    for loss in losses:
        assert f"{loss:.3f}" in ours
    five = values("sparse_a_to_c", "accuracy_published_5")[50:]
    jumps = f"between {100 * five.min():.0f} % and {100 * five.max():.0f} %"
    assert jumps in TRIANGLE


def ledger(name):
    return json.loads((DOCS / name / "claims.json").read_text())


def test_the_tables_of_claims_are_those_of_the_ledgers():
    for name in TABLES:
        assert filled(PAGES / name) == (PAGES / name).read_text()
    decided = {
        claim.name
        for claims in REPRODUCTION.families.values()
        for claim in claims
    }
    assert {n for table in TABLES.values() for n in table.changes} == decided


SEEN = ("reproduce_quick", "reproduce_quick_fresh", "theory", "theory_fresh")


@pytest.mark.parametrize(
    ("name", "frames"),
    [("exploratory", SEEN), ("verdicts", ("verdicts", "verdicts_theory"))],
)
def test_committed_verdicts_follow_from_their_frames(name, frames):
    # The same rules, applied to the committed frames, say the same again.
    if not (DOCS / name).exists():
        pytest.skip("its runs are not committed yet")
    found = ledger(name)
    again = judge(evidence_of(read_frames([DOCS / each for each in frames])))
    if not again["protocol"]["commit"].startswith(UNKNOWN):  # a checkout
        assert found["kind"] == again["kind"]
    assert found["seeds"] == again["seeds"]
    for claim, expected in zip(found["claims"], again["claims"], strict=True):
        for key in ("name", "observation", "explanation", "because", "hash"):
            assert claim[key] == expected[key], claim["name"]
