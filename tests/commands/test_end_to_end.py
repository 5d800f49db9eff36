"""A two-epoch miniature through the whole corridor, by the command line."""

import dataclasses
import json
import re

import pandas as pd
import pytest

from experiments import triangle
from experiments.__main__ import main
from tiny_gpt import train
from tiny_gpt.commands import executors, outputs
from tiny_gpt.evaluation.evaluate import LOSS_KINDS, LOSS_TIERS
from tiny_gpt.metrics.columns import COLUMNS, EVENT_COLUMNS
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.training import many_seeds

pytestmark = pytest.mark.backend

CONDITIONS = ["a_to_c_alone", "sparse_a_to_c"]  # in the study's order
build_experiment = triangle.build_experiment


def miniature(preset, condition):
    """The condition with 30, 20 and 10 pairs, two epochs and width 8."""
    experiment = build_experiment(preset, condition)
    components = tuple(
        Component(c.mapping, n if c.num_pairs else 0)
        for c, n in zip(
            experiment.task.mixture.components, (30, 20, 10), strict=True
        )
    )
    return dataclasses.replace(
        experiment,
        task=dataclasses.replace(experiment.task, mixture=Mixture(components)),
        model=dataclasses.replace(experiment.model, num_heads=2, head_dim=4),
        train=dataclasses.replace(
            experiment.train, num_epochs=2, batch_size=64
        ),
    )


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    study = dataclasses.replace(triangle.STUDY, build_experiment=miniature)
    monkeypatch.setattr(triangle, "STUDY", study)
    seeds = ["--seeds", "1", "--first-seed", "3"]
    where = ["--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")]
    return ["triangle", "--conditions", *reversed(CONDITIONS), *seeds, *where]


@pytest.mark.slow
def test_one_command_leaves_frames_summary_manifest_and_figure(
    arguments, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    drawn, precisions = [], []
    plot, set_precision = outputs.plot_conditions, executors.set_precision
    monkeypatch.setattr(
        outputs, "plot_conditions", lambda *a: drawn.append(a) or plot(*a)
    )
    monkeypatch.setattr(
        executors,
        "set_precision",
        lambda p: precisions.append(p) or set_precision(p),
    )
    assert main(arguments) == 0
    _, metric, mappings, baselines, published, paper, _, titles = drawn[0]
    assert (metric, mappings) == ("accuracy_aligned", ("A->B", "B->C", "A->C"))
    # 10 draws of 1680 sentences, and guesses among 8 words.
    assert list(baselines["sparse_a_to_c"].values()) == pytest.approx(
        [1 / 8, 1 - 7 / 8 * (1679 / 1680) ** 10]
    )
    assert titles == {c: triangle.TITLES[c] for c in CONDITIONS}
    assert list(titles) == CONDITIONS
    assert "chance, target language known" in baselines["sparse_a_to_c"]
    assert len(published) == 1200
    assert paper["sparse_a_to_c"] == {"A->C": 0.65}
    assert precisions == ["float32"]

    metrics = pd.read_csv(out / "metrics.csv")
    assert tuple(metrics.columns) == COLUMNS
    assert not metrics.isna().any(axis=None)
    # 2 conditions, 2 epochs: the loss, also above its floor, the norm of the
    # weights, and 2 metrics of 3 mappings; losses of the 3 mappings of one
    # condition and the one of the other.
    curves = metrics[metrics["tier"] == "all"]
    assert len(curves) == 2 * 2 * (3 + 2 * 3)
    losses = metrics[metrics["tier"].isin(LOSS_TIERS)]
    assert len(losses) == 2 * (3 + 1) * len(LOSS_TIERS) * len(LOSS_KINDS)
    # At the end every sentence, after 2, 1 and 0 demonstrations where two
    # mappings start from A, and after those of the other one.
    exact = metrics[~metrics["tier"].isin(("all", *LOSS_TIERS))]
    assert set(exact["epoch"]) == {2}
    counts = exact[exact["metric"] == "num_words"].query(
        "condition == 'sparse_a_to_c' and tier == 'all_sentences'"
    )
    assert counts["value"].to_list() == [4 * 1680] * 3
    prompts = exact.groupby("mapping")["prompt"].unique().map(sorted)
    own = ["0_demonstrations", "1_demonstrations", "2_demonstrations"]
    assert prompts.to_dict() == {
        "A->B": [*own, "2_demonstrations_of_A->C"],
        "B->C": own[2:],
        "A->C": [*own, "2_demonstrations_of_A->B"],
        "A->B->C": own[2:],
    }
    assert set(metrics["seed"]) == {3}
    assert tuple(pd.read_csv(out / "events.csv").columns) == EVENT_COLUMNS

    summary = json.loads((out / "summary.json").read_text())
    assert (summary["experiment"], summary["preset"]) == ("triangle", "quick")
    assert summary["seeds"] == [3]
    assert list(summary["conditions"]) == CONDITIONS
    values = summary["conditions"]["sparse_a_to_c"]["A->C"]
    assert set(values) == {"accuracy", "accuracy_last_10"}
    assert set(values["accuracy"]) == {"mean", "low", "high"}

    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["config"]["precision"] == "float32"
    assert set(manifest["wall_s"]) == set(CONDITIONS)
    assert manifest["precision"] == "float32"
    assert manifest["num_devices"] == len(manifest["devices_used"])
    assert manifest["devices_asked"] == {
        "devices": "auto",
        "num_devices": None,
        "tpu": None,
    }
    assert manifest["memory"]["host"] > 0
    assert len(manifest["made_on"]) == 1
    assert manifest["versions"]["keras"]
    assert (out / "figure_2.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert "sparse_a_to_c" in printed
    first, *_, last = printed.splitlines()
    assert first.startswith(f"Training 2 runs into {tmp_path / 'store'}.")
    assert "seed 3  epoch 2/2  loss " in printed
    assert re.search(r"accuracy A->B \d+ %", printed)
    assert last == f"Figure: {out / 'figure_2.png'}"

    # Again: nothing is trained, all is drawn anew, and the same.
    monkeypatch.setattr(train, "set_up_run", None)
    monkeypatch.setattr(many_seeds, "set_up_run", None)
    before = (out / "metrics.csv").read_bytes()
    before_manifest = (out / "manifest.json").read_bytes()
    (out / "figure_2.png").unlink()
    assert main(arguments) == 0
    assert (out / "metrics.csv").read_bytes() == before
    assert (out / "manifest.json").read_bytes() == before_manifest
    assert (out / "figure_2.png").exists()
    printed = capsys.readouterr().out
    assert "Training" not in printed
    assert "a_to_c_alone  seed 3 was finished before\n" in printed
    assert printed.splitlines()[-1] == f"Figure: {out / 'figure_2.png'}"

    # Another config in the same folder is refused.
    assert main([*arguments, "--preset", "paper"]) == 2
    assert (out / "metrics.csv").read_bytes() == before
    assert "preset: quick, now paper" in capsys.readouterr().err


@pytest.mark.slow
def test_a_command_without_a_figure_says_why(arguments, monkeypatch, capsys):
    study = dataclasses.replace(triangle.STUDY, draw=lambda *_: None)
    monkeypatch.setattr(triangle, "STUDY", study)
    assert main([*arguments, "--conditions", CONDITIONS[0]]) == 0
    *_, table, last = capsys.readouterr().out.splitlines()
    assert table.startswith("Table: ")
    assert last == "No figure: it needs conditions that were not trained."


def test_ctrl_c_says_how_to_continue(arguments, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "set_up_run", interrupt)
    monkeypatch.setattr(many_seeds, "set_up_run", interrupt)
    assert main(arguments) == 130
    error = capsys.readouterr().err
    assert "The same command continues" in error
    last = error.splitlines()[-1]  # to be copied
    assert last.startswith("  python -m experiments triangle --conditions ")
    assert "--first-seed 3" in error
