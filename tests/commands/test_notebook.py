"""Tests for what notebooks add to a command."""

import io

import matplotlib.image
import numpy as np
import pytest
from rich.console import Console

from benchmarks.tiny_runs import TINY
from experiments import four_languages, triangle
from tiny_gpt.commands import live_figure, notebook
from tiny_gpt.commands.live_figure import LiveFigure
from tiny_gpt.commands.notebook import (
    count_operations,
    least_time,
    sharing,
)
from tiny_gpt.commands.progress import Reporter
from tiny_gpt.evaluation.evaluate import task_name
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.runtime.devices import Placement
from tiny_gpt.runtime.rates import RATES, rate_of
from tiny_gpt.training.run_setup import set_up_run

# One update, as XLA counts its program (docs/runs/accelerators).
BY_XLA = {"quick": 1.355e9, "paper": 320.8e9}


@pytest.mark.parametrize("preset", BY_XLA)
def test_operations_are_those_that_the_compiler_counts(preset):
    experiment = triangle.STUDY.build(preset, "sparse_a_to_c")
    counted = experiment.model.count_operations(experiment.train.batch_size)
    # XLA counts what is no product as well: a tenth of a small network.
    assert 0.9 < counted / BY_XLA[preset] < 1


def test_operations_of_a_network_that_can_be_counted_by_hand():
    config = GPTConfig(
        vocabulary_size=2,
        sequence_length=3,
        num_layers=1,
        num_heads=1,
        head_dim=5,
        intermediate_ratio=2,
        num_unused_classes=0,
    )
    q_k_v_out, feed_forward, scores_and_sums, head = 4 * 25, 2 * 50, 2 * 15, 10
    per_token = q_k_v_out + feed_forward + scores_and_sums + head
    assert config.count_operations(7) == 3 * 2 * per_token * 3 * 7


def test_a_run_has_the_operations_of_all_its_updates():
    batch = TINY.train.batch_size
    steps = set_up_run(TINY, 0).windows.steps_per_epoch
    updates = steps * TINY.train.num_epochs
    assert steps > 1
    one = TINY.model.count_operations(batch)
    assert count_operations(TINY) == updates * one


@pytest.fixture
def on(monkeypatch):
    """Makes the environment name devices that are not here."""

    def place(kind, name, count=1):
        devices = ["cpu: cpu", *[f"{kind}: {name}"] * count]
        monkeypatch.setattr(notebook, "list_devices", lambda: devices)
        return Placement(kind, (name,) * count)

    return place


def test_the_least_time_is_that_of_the_products(on):
    said = least_time(four_languages.STUDY, 1, on("tpu", "TPU v5 lite"))
    operations = count_operations(
        four_languages.STUDY.build("paper", "sparse_pairs")
    )
    minutes = operations / (197e12 / 6) / 60
    assert said == (
        "1 seed of the preset paper would train for at least "
        f"{int(minutes)} min {round(60 * (minutes % 1))} s on 1 TPU v5 lite."
    )


def test_devices_share_the_work(on):
    one = least_time(triangle.STUDY, 4, on("gpu", "Tesla T4"))
    two = least_time(triangle.STUDY, 8, on("gpu", "Tesla T4", 2))
    assert "8 seeds" in two
    assert one.split("least ")[1].split(" on")[0] in two
    assert two.endswith("on 2 Tesla T4.")


@pytest.mark.parametrize("kind", ["cpu", "NVIDIA L40S", "TPU v5"])
def test_a_device_that_is_not_known_is_not_guessed(on, kind):
    assert rate_of(kind) is None
    assert least_time(triangle.STUDY, 2, on("gpu", kind)) == (
        f"How long 2 seeds of the preset paper would take on a {kind} is not "
        "known."
    )


def test_a_device_is_known_by_its_first_words():
    assert rate_of("NVIDIA A100-SXM4-40GB") == RATES["NVIDIA A100"]
    assert rate_of("NVIDIA H100 80GB HBM3") == RATES["NVIDIA H100"]
    assert rate_of("NVIDIA L4") == RATES["NVIDIA L4"]


def test_no_seeds_have_no_time(on):
    with pytest.raises(ValueError, match="at least 1"):
        least_time(triangle.STUDY, 0, on("gpu", "Tesla T4"))


def test_runs_are_shared_through_drive_if_it_is_mounted(monkeypatch, tmp_path):
    monkeypatch.setattr(notebook, "DRIVE", tmp_path / "none")
    assert sharing() == []
    monkeypatch.setattr(notebook, "DRIVE", tmp_path)
    place = tmp_path / "tiny_gpt" / "store"
    assert sharing() == ["--shared", f"file://{place}"]


@pytest.fixture
def drawn(monkeypatch):
    """Pictures that were displayed, as arrays."""
    pictures = []
    monkeypatch.setattr(
        LiveFigure,
        "_display",
        lambda self, png: pictures.append(
            matplotlib.image.imread(io.BytesIO(png))
        ),
    )
    return pictures


def test_a_figure_grows_while_it_trains(drawn, monkeypatch):
    figure = LiveFigure()
    figure.show("nothing yet")
    assert not drawn
    figure.add("one", 0, 1, {"A->B": 0.5})
    figure.show("1 of 4 epochs")
    figure.add("one", 0, 2, {"A->B": 0.6, "A->C": 0.1})
    figure.show("2 of 4 epochs")  # too soon
    assert len(drawn) == 1
    figure.show("4 of 4 epochs", is_last=True)
    monkeypatch.setattr(live_figure, "LEAST_S", 0.0)
    monkeypatch.setattr(live_figure, "SHARE", np.inf)
    for i in range(5):
        figure.add(f"more {i}", 0, 1, {"A->B": 0.5})
    figure.show("many", is_last=True)
    figure.show("many")  # now it is never too soon
    sizes = [picture.shape[:2] for picture in drawn]
    assert len(sizes) == 4
    assert sizes[2][0] > sizes[1][0]  # two rows of panels
    assert sizes[2][1] > sizes[1][1]  # four columns
    corner = drawn[2][-60:, sizes[2][1] // 2 : -200, :3]
    assert (corner == 1).all()  # no frame without a curve


def test_a_command_in_a_notebook_shows_the_figure(drawn):
    console = Console(file=io.StringIO(), force_jupyter=True)
    with Reporter(console) as reporter:
        line = reporter.condition(TINY, 1)
        metric = TINY.evaluation.accuracy
        logs = {
            f"{task_name(label)}_{metric}": 0.5
            for label in TINY.task.eval_mappings
        }
        for epoch in range(1, TINY.train.num_epochs + 1):
            line.show(0, epoch, {"loss": 1.0, **logs})
        assert len(drawn) == 1
    assert len(drawn) == 2
    assert console.file.getvalue() == ""  # no lines beside it


def test_runs_of_other_processes_are_told_in_lines(drawn, monkeypatch):
    """They are shown when they are finished; there is no curve to draw."""
    told = []
    with Reporter(Console(file=io.StringIO(), force_jupyter=True)) as reporter:
        line = reporter.condition(TINY, 2)
        monkeypatch.setattr(line, "_log", told.append)
        line.finish(0, was_there=True)
        line.finish(1)
    assert not drawn
    assert "seed 0 was finished before" in told[0]
    assert "seed 1 finished" in told[1]
    assert told[1].endswith("done")
