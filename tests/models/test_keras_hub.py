"""A backbone of keras-hub is trained and asked like our own networks.

`make test-newest` installs keras-hub; elsewhere these tests are skipped.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.forward import forward
from tiny_gpt.commands.study import load_study
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.train import run

pytest.importorskip("keras_hub", reason="keras-hub is not installed")
pytestmark = pytest.mark.backend
EXAMPLE = Path(__file__).parents[2] / "examples" / "hub.py"


@pytest.fixture(scope="module")
def experiment():
    return load_study(str(EXAMPLE)).build("quick", "hub_gpt2")


def test_a_position_sees_those_up_to_it_and_no_other(experiment):
    model = experiment.model.build()
    initialise_weights(model, np.random.default_rng(0))
    tokens = np.random.default_rng(1).integers(1, 9, (2, 12))
    changed = tokens.copy()
    changed[:, 6] = tokens[:, 6] % 8 + 1
    before, after = forward(model, tokens), forward(model, changed)
    np.testing.assert_allclose(after[:, :6], before[:, :6], atol=1e-5)
    assert np.abs(after - before)[:, 6].max() > 1e-3


def test_it_trains_and_is_evaluated_exactly(experiment):
    train = dataclasses.replace(experiment.train, num_epochs=2)
    metrics = run(dataclasses.replace(experiment, train=train), 1000).metrics
    losses = metrics.query("metric == 'loss'")["value"].to_numpy()
    assert losses[-1] < losses[0] - 0.1
    exact = metrics.query("metric == 'log_probability'")["value"]
    assert len(exact) > 0
    assert np.isfinite(exact).all()
