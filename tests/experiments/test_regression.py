"""Regression in context: its windows, runs that are kept, table and figure."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from experiments import networks, regression, regression_training
from experiments.regression import COLUMNS, CONDITIONS
from experiments.regression_curves import READERS, SAYS, draw, write_table
from experiments.regression_training import (
    Condition,
    Size,
    batches,
    draw_data,
    error_after,
    network_of,
    rows_of_readers,
)

TINY = Size(
    dim=2,
    num_pairs=3,
    num_epochs=2,
    updates=2,
    batch_size=4,
    num_asked=8,
)

KEPT = "gpt_pool_16"


def rngs(seed=1000, number=3):
    return np.random.default_rng(seed).spawn(number)


def drawn(condition, size=TINY):
    of_pool, *of_sets = rngs()
    return draw_data(condition, size, of_pool, of_sets)


def test_a_small_pool_is_the_beginning_of_a_larger_one():
    small, large, none = (drawn(Condition("gpt", k)) for k in (1, 16, 0))
    assert large.prior.pool.shape == (16, TINY.dim)
    np.testing.assert_array_equal(small.prior.pool, large.prior.pool[:1])
    for name, index in (("x", 0), ("y", 1)):
        fresh = [each.sets["fresh"][index] for each in (small, large, none)]
        np.testing.assert_array_equal(fresh[0], fresh[1], err_msg=name)
        np.testing.assert_array_equal(fresh[0], fresh[2], err_msg=name)
    assert (small.prior.fresh_share, none.prior.fresh_share) == (0, 1)
    assert set(none.sets) == {"fresh"}


def test_sets_have_the_vectors_that_their_names_say():
    size = dataclasses.replace(TINY, noise=1e-9)
    found = drawn(Condition("gpt", 1), size)
    (vector,) = found.prior.pool
    x, y = found.sets["pool"]
    np.testing.assert_allclose(y, x @ vector, atol=1e-6)
    x, y = found.sets["fresh"]
    assert np.abs(y - x @ vector).max() > 0.1


def test_errors_by_hand():
    # After one pair the differences are 1 and 3; d = 2.
    y = np.array([[5.0, 1.0], [5.0, -1.0]])
    found = np.array([[0.0, 2.0], [0.0, 2.0]])
    assert error_after(2, 1, found, y) == (1 + 9) / 2 / 2


def test_zero_ridge_and_mixture_are_asked_on_the_same_windows():
    data = drawn(Condition("gpt", 16))
    rows = pd.DataFrame(rows_of_readers(data, TINY), columns=COLUMNS[3:])
    assert set(rows["epoch"]) == {0}
    for name, (x, y) in data.sets.items():
        own = rows[rows["set"] == name].set_index(["reader", "num_pairs"])
        errors = own["squared_error"]
        for k in range(TINY.num_pairs):
            assert errors["zero", k] == pytest.approx(
                (y[:, k] ** 2).mean() / TINY.dim
            )
            mixture = data.prior.predict(x, y)[:, k]
            assert errors["mixture", k] == pytest.approx(
                ((mixture - y[:, k]) ** 2).mean() / TINY.dim
            )
        # Ridge knows nothing before the first pair.
        assert errors["ridge", 0] == errors["zero", 0]
        assert errors["ridge", 1] != errors["zero", 1]


def test_every_update_reads_new_windows():
    data = drawn(Condition("gpt", 16))
    stream = batches(data.prior, TINY, rngs(1)[0])
    (rows, y), (others, _) = next(stream), next(stream)
    assert rows.shape == (4, 5, 3)
    assert y.shape == (4, 3)
    assert not (rows == others)[:, ::2, :2].any()
    np.testing.assert_array_equal(rows[:, 1::2, 2], y[:, :-1])


@pytest.mark.parametrize("name", CONDITIONS)
def test_networks_are_those_of_the_quick_preset(name):
    condition, size = CONDITIONS[name], Size()
    config = network_of(condition, size)
    expected = networks.network(condition.network)
    assert config.network == dataclasses.replace(expected, sequence_length=23)
    assert (config.dim, size.num_pairs) == (4, 12)
    train = networks.build_experiment("quick", "gpt_50").train
    assert size.learning_rate == train.learning_rate
    assert size.batch_size == train.batch_size
    assert train.clipnorm == regression_training.CLIPNORM


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One seed of one condition, trained."""
    out = tmp_path_factory.mktemp("regression")
    regression.main([str(out), "--seeds", "1", "--conditions", KEPT], TINY)
    return out


def test_a_run_has_all_rows(folder):
    frame = pd.read_csv(folder / "metrics.csv")
    assert tuple(frame.columns) == COLUMNS
    epochs = frame.groupby("reader")["epoch"].agg(lambda x: sorted(set(x)))
    assert epochs.to_dict() == {
        "network": [1, 2],
        **{reader: [0] for reader in ("ridge", "mixture", "zero")},
    }
    rows = frame[frame["reader"] == "network"]
    assert (rows["step"] == rows["epoch"] * TINY.updates).all()
    assert len(rows) == TINY.num_epochs * TINY.num_pairs * 2
    assert not frame.duplicated(list(COLUMNS[:-1])).any()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["seeds"] == [1000]
    assert manifest["size"] == dataclasses.asdict(TINY)
    assert (folder / "regression.png").stat().st_size > 0
    assert (folder / "table.md").read_text() == write_table(frame)


def test_a_finished_run_is_not_trained_again(folder, monkeypatch):
    before = (folder / "metrics.csv").read_bytes()
    arguments = [str(folder), "--seeds", "1", "--conditions", KEPT]
    monkeypatch.setattr(regression, "train", None)
    regression.main(arguments, TINY)
    assert (folder / "metrics.csv").read_bytes() == before
    with pytest.raises(ValueError, match=r"configuration differs: size\.noise"):
        regression.main(arguments, dataclasses.replace(TINY, noise=1.0))


@pytest.mark.slow
def test_runs_in_processes_are_the_same_and_in_order(folder, tmp_path):
    seeds = (1001, 1000)
    runs = regression.run_all(tmp_path, [KEPT], seeds, TINY, num_jobs=2)
    assert list(runs) == [(KEPT, seed) for seed in seeds]
    alone = regression.run_all(folder, [KEPT], [1000], TINY)
    found, expected = (
        regression.frame_of({(KEPT, 1000): each[KEPT, 1000]})
        for each in (runs, alone)
    )
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4)


def test_a_damaged_run_is_trained_again(tmp_path, monkeypatch):
    calls = []

    def train(condition, size, seed):
        calls.append(seed)
        return {"metrics": []}

    monkeypatch.setattr(regression, "train", train)
    path = tmp_path / "runs" / "run.json"

    def read():
        return regression.read_or_train(path, Condition("gpt"), TINY, 1000)

    assert not read()[1]
    assert read()[1]
    path.write_text(path.read_text()[:-3])
    assert not read()[1]
    assert calls == [1000, 1000]
    assert (tmp_path / "runs" / "run.json.damaged").exists()


def test_kept_seeds_and_no_seeds_are_refused(tmp_path):
    with pytest.raises(ValueError, match="200"):
        regression.main([str(tmp_path), "--first-seed", "200"])
    with pytest.raises(ValueError, match="`seeds` must be at least 1"):
        regression.main([str(tmp_path), "--seeds", "0"])
    assert not any(tmp_path.iterdir())


def handmade():
    """Returns a frame whose networks have the errors 1, 2 and 3."""
    rows = [
        (name, "gpt", seed, epoch, 50 * epoch, k, asked, reader, value)
        for name in ("gpt_pool_16", "gpt_fresh")
        for asked in ("pool", "fresh")[name == "gpt_fresh" :]
        for seed in (1000, 1001, 1002)
        for k in range(12)
        for reader, epoch, value in (
            ("network", 1, 9.0),
            ("network", 2, 2.0 + (seed - 1001)),
            ("ridge", 0, 0.5 + k),
            ("mixture", 0, 0.25 + k),
            ("zero", 0, 7.0),
        )
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_the_table_by_hand():
    # 1, 2 and 3: mean 2, standard error 1 / sqrt 3, and 4.303 of Student's t
    # with two degrees of freedom; an error is not below 0.
    lines = write_table(handmade()).splitlines()
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in lines]
    assert cells[0][3:] == ["after 0 pairs", "after 4 pairs", "after 11 pairs"]
    assert [(a, b, c) for a, b, c, *_ in cells[2:]] == [
        *((SAYS[KEPT], "pool", reader) for reader in READERS.values()),
        *((SAYS[KEPT], "fresh", reader) for reader in READERS.values()),
        (SAYS["gpt_fresh"], "fresh", READERS["network"]),
        (SAYS["gpt_fresh"], "fresh", READERS["ridge"]),
    ]
    assert cells[2][3:] == ["2.000 (0.000–4.484)"] * 3
    assert cells[3][3:] == ["0.250", "4.250", "11.250"]
    assert cells[4][3:] == ["0.500", "4.500", "11.500"]


def test_the_figure_has_a_panel_for_each_pool():
    figure = draw(handmade())
    above, below = figure.axes[:2], figure.axes[2:]
    assert [ax.get_title() for ax in above] == ["A pool of 16", "All fresh"]
    lines = {line.get_label(): line for line in below[0].lines}
    network = lines["GPT, pool"]
    np.testing.assert_array_equal(network.get_xdata(), [50, 100])
    np.testing.assert_array_equal(network.get_ydata(), [9.0, 2.0])
    lines = {line.get_label(): line for line in above[1].lines}
    np.testing.assert_array_equal(
        lines["ridge, fresh"].get_ydata(), 0.5 + np.arange(12)
    )
    assert "mixture, fresh" not in lines
