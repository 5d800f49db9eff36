"""Tests for tiny_gpt/results.py."""

import json

import pandas as pd
import pytest

from tiny_gpt.metrics import COLUMNS
from tiny_gpt.results import (
    FORMAT,
    accuracy_table,
    claim_folder,
    summarise,
    write_frame,
    write_text,
)

CONFIG = {"preset": "quick", "train": {"epochs": 3, "sizes": (1, 2)}}


def test_a_new_folder_is_claimed_and_claimed_again(tmp_path):
    folder = tmp_path / "new" / "results"
    claim_folder(folder, CONFIG)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "unfinished"
    before = (folder / "manifest.json").read_bytes()
    claim_folder(folder, CONFIG)
    assert (folder / "manifest.json").read_bytes() == before


def test_another_config_is_refused_with_what_differs(tmp_path):
    claim_folder(tmp_path, CONFIG)
    other = {**CONFIG, "train": {"epochs": 5, "sizes": (1, 2)}}
    with pytest.raises(ValueError, match="epochs: 3, now 5"):
        claim_folder(tmp_path, other)


def test_overwriting_removes_our_files_and_no_others(tmp_path):
    claim_folder(tmp_path, CONFIG)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "seed_0.json").write_text("{}")
    (tmp_path / "metrics.csv").write_text("")
    (tmp_path / "figure_2.png").write_text("")
    (tmp_path / "my notes.txt").write_text("keep")
    claim_folder(tmp_path, {"preset": "paper"}, overwrite=True)
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == ["manifest.json", "my notes.txt"]


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="holds other files"):
            claim_folder(tmp_path, CONFIG, overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_another_format_is_refused(tmp_path):
    text = json.dumps({"format": FORMAT + 1, "config": CONFIG})
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=f"format: {FORMAT + 1}, now {FORMAT}"):
        claim_folder(tmp_path, CONFIG)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1', '"x"'])
def test_a_damaged_manifest_is_refused(text, tmp_path):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match="cannot be read"):
        claim_folder(tmp_path, CONFIG)


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    for folder in (path, path / "below"):
        with pytest.raises(ValueError, match="must be writable"):
            claim_folder(folder, CONFIG)
    assert path.read_text() == ""


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_cannot_be_written_is_refused(
    overwrite, tmp_path, monkeypatch
):
    # As root every folder can be written, so the system call is made to fail.
    claim_folder(tmp_path, CONFIG)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.replace", refuse)
    for config in (CONFIG, {"preset": "paper"}):
        if config == CONFIG or overwrite:
            with pytest.raises(ValueError, match=r"must be writable.*denied"):
                claim_folder(tmp_path, config, overwrite)


def test_writing_leaves_no_other_file(tmp_path):
    write_text(tmp_path / "a.txt", "one")
    write_text(tmp_path / "a.txt", "two")
    write_frame(tmp_path / "b.csv", pd.DataFrame({"x": [1]}))
    assert (tmp_path / "a.txt").read_text() == "two"
    assert (tmp_path / "b.csv").read_text() == "x\n1\n"
    assert len(list(tmp_path.iterdir())) == 2


def frame():
    """Two seeds, 12 epochs: seed 0 scores 0, at last 1; seed 1 always 0.5."""
    rows = [
        ("t", "c", seed, epoch, epoch, "A->C", "all", "p", "accuracy", value)
        for seed in (0, 1)
        for epoch in range(1, 13)
        for value in [0.5 if seed else float(epoch == 12)]
    ]
    rows.append(("t", "c", 0, 1, 1, "all", "all", "all", "loss", 9.0))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_a_summary_by_hand():
    summary = summarise(frame(), "accuracy", "quick")
    assert summary["seeds"] == [0, 1]
    values = summary["conditions"]["c"]["A->C"]
    assert values["accuracy"] == {"mean": 0.75, "low": 0.5, "high": 1.0}
    # Seed 0 scores 1 in one of the last ten epochs.
    assert values["accuracy_last_10"] == pytest.approx(
        {"mean": 0.3, "low": 0.1, "high": 0.5}, rel=1e-12
    )


def test_a_frame_that_cannot_be_summarised_is_refused():
    with pytest.raises(ValueError, match="without \\['value'\\]"):
        summarise(frame().drop(columns="value"), "accuracy", "quick")
    with pytest.raises(ValueError, match="metric='brier'"):
        summarise(frame(), "brier", "quick")


def test_a_table_shows_paper_and_range():
    summary = summarise(frame(), "accuracy", "quick")
    table = accuracy_table(summary, {"paper": {"c": {"A->C": 0.65}}})
    assert table.splitlines() == [
        "| condition | mapping | paper | last epoch | last 10 epochs |",
        "| --- | --- | ---: | ---: | ---: |",
        "| c | A → C | 65.0 | 75.0 (50.0–100.0) | 30.0 (10.0–50.0) |",
    ]
