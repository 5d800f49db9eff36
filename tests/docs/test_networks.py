"""docs/networks.md says what the verdicts and the frames say."""

import json

import pandas as pd

from benchmarks.pages import networks_page as page
from benchmarks.pages.judge import evidence_of, judge, read_frames
from benchmarks.pages.markdown import last, read
from experiments import networks, networks_compute

PAGE = (page.DOCS / "networks.md").read_text()
EVIDENCE, CLAIMS = page.kept()
LEDGER = json.loads((page.FOLDER / "claims.json").read_text())


def test_tables_are_those_of_the_frames():
    assert page.filled(PAGE, EVIDENCE, CLAIMS) == PAGE


def test_every_network_has_its_verdicts():
    for name in networks.SAYS:
        row = f"\n| {networks.SAYS[name]} |"
        assert (row in PAGE) or name == networks.REFERENCE
    assert len(CLAIMS) == 3 * (len(networks.SAYS) - 1)


def test_verdicts_follow_from_the_frames():
    protocol = page.DOCS / "protocol_networks.md"
    frames = read_frames([page.FOLDER])
    again = judge(evidence_of(frames), protocol)
    for claim, expected in zip(LEDGER["claims"], again["claims"], strict=True):
        for key in ("name", "observation", "explanation", "because", "hash"):
            assert claim[key] == expected[key]


def test_the_seeds_are_those_that_were_kept():
    manifest = json.loads((page.FOLDER / "manifest.json").read_text())
    for run in manifest["runs"].values():
        assert run["seeds"] == list(range(240, 260))
        assert run["status"] == "finished"
        assert not run["commit"].endswith("-dirty")
    assert LEDGER["kind"] == "confirmatory"


def test_at_equal_operations_each_network_has_three_exploratory_seeds():
    frame = read(networks_compute.NAME)
    seeds = frame.groupby("condition")["seed"].agg(lambda x: sorted(set(x)))
    assert set(seeds.index) == set(networks_compute.STUDY.conditions)
    assert all(found == [1000, 1001, 1002] for found in seeds)


def test_linear_attention_has_not_settled_on_the_identity():
    frame = read(networks.NAME)
    condition = "linear_attention_held_out_bridge"
    found = last(frame, condition, "B->B", "all_sentences")
    assert len(found) == 20
    assert f"B → B itself right in {100 * found.mean():.1f} %" in PAGE


def test_every_network_was_timed():
    speed = pd.read_csv(page.SPEED)
    assert list(speed["network"]) == list(networks.SAYS)
    for _, row in speed.iterrows():
        config = networks.network(row["network"])
        assert row["state"] == config.count_state()
        assert row["operations"] == config.count_operations(64)
