"""The example of the callbacks, and the page that shows it."""

import csv
import json
import runpy
import sys
from pathlib import Path

import keras
import pytest

from tiny_gpt.callbacks import load_checkpoint, read_logs

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "digits.py"
PAGE = ROOT / "docs" / "callbacks.md"
SETS = ("common", "rare", "shifted")


def run_example(folder, monkeypatch, epochs):
    arguments = [str(EXAMPLE), str(folder), "--epochs", str(epochs)]
    monkeypatch.setattr(sys, "argv", arguments)
    return runpy.run_path(str(EXAMPLE), run_name="__main__")


@pytest.mark.backend
def test_the_digits_leave_curves_events_and_weights(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    module = run_example(folder, monkeypatch, 3)
    logs = read_logs(folder / "run.jsonl")
    assert [log["epoch"] for log in logs] == [1, 2, 3]
    keys = {"epoch", "loss", "weight_norm", "common_loss", "rare_loss"}
    assert set(logs[0]) == keys | {f"{name}_accuracy" for name in SETS}
    with open(folder / "log.csv") as file:
        assert len(list(csv.DictReader(file))) == 3
    assert (folder / "events.jsonl").read_text() == ""  # nothing in 3 epochs
    assert (folder / "digits.png").read_bytes().startswith(b"\x89PNG")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["backend"] == keras.backend.backend()
    model = module["build"](1)
    info = load_checkpoint(
        folder / "weights" / "epoch_000003.checkpoint", model
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
