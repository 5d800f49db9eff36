"""The example of the callbacks, and the page that shows it."""

import csv
import json
import re
import runpy
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tiny_gpt.analysis.spikes import SpikeDetector
from tiny_gpt.callbacks import (
    TaskAccuracy,
    check_order,
    load_checkpoint,
    read_logs,
)

# `make test-callbacks` runs this without them; `make test` has both.
pytest.importorskip("matplotlib", reason="the example draws")
pytest.importorskip("sklearn", reason="the example needs its digits")

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "digits.py"
PAGE = ROOT / "docs" / "callbacks.md"
SETS = ("common", "rare", "shifted")


def run_example(folder, monkeypatch, epochs):
    arguments = [str(EXAMPLE), str(folder), "--epochs", str(epochs)]
    monkeypatch.setattr(sys, "argv", arguments)
    return runpy.run_path(str(EXAMPLE), run_name="__main__")


@pytest.mark.slow
@pytest.mark.backend
def test_the_digits_leave_curves_events_and_weights(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    module = run_example(folder, monkeypatch, 3)
    logs = read_logs(folder / "run.jsonl")
    assert [log["epoch"] for log in logs] == [1, 2, 3]
    keys = {"epoch", "loss", "accuracy", "weight_norm"}
    scores = {f"{name}_{s}" for name in SETS for s in ("loss", "accuracy")}
    assert set(logs[0]) == keys | scores
    with open(folder / "log.csv") as file:
        assert len(list(csv.DictReader(file))) == 3
    assert (folder / "events.jsonl").read_text() == ""  # nothing in 3 epochs
    assert (folder / "digits.png").read_bytes().startswith(b"\x89PNG")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["backend"] == keras.backend.backend()
    model = module["build"](1)
    info = load_checkpoint(
        folder / "weights" / "epoch_000003.weights.h5", model
    )
    assert info["weights_hash"] == manifest["weights_hash"]
    with pytest.raises(FileExistsError):
        run_example(folder, monkeypatch, 3)

    run_example(tmp_path / "again", monkeypatch, 3)
    again = read_logs(tmp_path / "again" / "run.jsonl")
    for one, other in zip(logs, again, strict=True):
        assert one == pytest.approx(other, rel=1e-5)


@pytest.mark.backend
def test_the_rare_digit_is_rare_and_the_held_out_ones_are_not_read():
    module = runpy.run_path(str(EXAMPLE))
    (x, y), (x_held_out, y_held_out) = module["load"](0)
    assert (y == 8).sum() == 10
    assert min((y == digit).sum() for digit in range(10) if digit != 8) > 80
    assert len(y_held_out) == 797
    seen = {image.tobytes() for image in x}
    assert sum(image.tobytes() in seen for image in x_held_out) == 0


def test_the_page_shows_the_events_of_its_run():
    page, run = PAGE.read_text(), PAGE.parent / "runs" / "callbacks"
    shown = re.findall(
        r"^\| `(\w+)` \| (\d+) \| (\d+) \| (\d+) \| (.+) \| (.+) \| (.*)\|$",
        page,
        re.MULTILINE,
    )
    words = {True: "yes ", False: "no ", None: " "}
    lines = (run / "events.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [
        (
            row["metric"],
            *(str(row[key]) for key in ("start", "epoch", "found")),
            *(f"{row[key]:.2f}" for key in ("before", "after")),
            words[row["is_suspect"]],
        )
        for row in rows
    ] == [tuple(cell.replace("|", "") for cell in row) for row in shown]


def test_the_page_has_the_accuracies_of_its_runs():
    page, run = PAGE.read_text(), PAGE.parent / "runs" / "callbacks"
    folders = [run, *sorted(run.glob("seed_*"))]
    assert len(folders) == 5
    last = [read_logs(folder / "run.jsonl")[-1] for folder in folders]
    for name in SETS:
        values = [100 * log[f"{name}_accuracy"] for log in last]
        assert f"{values[0]:.1f} %" in page
        assert f"{min(values):.1f} to {max(values):.1f} %" in page
    assert f"falls smoothly to {last[0]['loss']:.2f}" in page
    for folder in folders:
        text = (folder / "manifest.json").read_text()
        assert "--epochs 60" in json.loads(text)["command"]


def test_the_page_shows_what_an_import_costs():
    page, table = (
        PAGE.read_text(),
        PAGE.parent / "runs/callbacks/light_import.csv",
    )
    with open(table) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9  # two imports and the example, on three backends
    for row in rows:
        median, low, high = (
            float(row[f"{name}_s"]) for name in ("median", "lowest", "highest")
        )
        if row["peak_mib"]:
            line = (
                f"| {row['backend']} | `{row['what']}` | {median:.2f} | "
                f"{low:.2f}–{high:.2f} | {float(row['peak_mib']):.1f} |"
            )
            assert line in page
        else:
            assert f"{median:.0f} s" in page


def test_the_page_shows_what_a_measurement_costs():
    page = PAGE.read_text()
    with open(PAGE.parent / "runs/callbacks/cost.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9
    for row in rows:
        cells = (
            f"{float(row[name]):.{digits}f}"
            for name, digits in (
                ("median_ms", 1),
                ("over_evaluate", 2),
                ("added_peak_mib", 1),
            )
        )
        line = f"| {row['backend']} | `{row['way']}` | {' | '.join(cells)} |"
        assert line in page


def test_the_page_has_the_false_alarms():
    page = PAGE.read_text()
    folder = PAGE.parent / "runs/false_alarms"
    with open(folder / "false_alarms.csv") as file:
        rows = list(csv.DictReader(file))
    rates = {}
    for row in rows:
        key = row["detector"], row["noise"]
        epochs, alarms, hits = rates.get(key, (0, 0, 0))
        rates[key] = (
            epochs + int(row["epochs"]),
            alarms + int(row["alarms"]),
            hits + int(row["found"]),
        )
    threshold = SpikeDetector()._threshold
    assert json.loads((folder / "manifest.json").read_text())[
        "threshold"
    ] == pytest.approx(threshold)
    for noise in ("white", "autoregressive 0.5", "autoregressive 0.9"):
        shown = []
        for detector in ("changes", f"spikes {threshold:g}"):
            epochs, alarms, _ = rates[detector, noise]
            shown.append(f"{1000 * alarms / epochs:.1f}")
        words = noise.replace(" 0", ", 0")
        assert f"| {words} | {' | '.join(shown)} |" in page
    for noise in ("white", "autoregressive 0.5"):
        found = [
            rates[name, noise][2]
            for name in ("changes, correlated scale", "changes")
        ]
        assert str(found[0]) in page
        assert str(found[1]) in page


def test_the_page_has_the_message_of_a_wrong_order(tmp_path):
    tasks = {"rare": (np.zeros((1, 2)), np.zeros(1, int))}
    table = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    with pytest.raises(ValueError, match="listed after") as error:
        check_order([table, TaskAccuracy(tasks)])
    assert f"ValueError: {error.value}" in PAGE.read_text()


def test_links_of_the_page_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", PAGE.read_text())
    assert len(links) > 5
    for link in links:
        if not link.startswith("http"):
            assert (PAGE.parent / link).exists(), link
