"""The examples of CONTRIBUTING are what they say."""

import re
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from experiments.reproduction import REPRODUCTION
from tests.claims.test_families import CLAIMS
from tiny_gpt.claims.claim import decide_all
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.commands.study import load_study
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.runtime.programs import Snapshot

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
EXPERIMENT, NETWORK, CALLBACK, CLAIM = re.findall(
    r"^```python\n(.*?)^```", PAGE, re.M | re.S
)


def names_of(code):
    names = {"__name__": "example"}
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    return names


def test_the_experiment_builds():
    study = names_of(EXPERIMENT)["STUDY"]
    experiment = study.build("quick", "sparse_12")
    assert experiment.task.eval_mappings == ("A->B", "B->A")
    assert experiment.condition == "sparse_12"


def test_the_network_gives_logits():
    model = names_of(NETWORK)["MeanConfig"](7, 5, hidden_dim=4).build()
    initialise_weights(model, np.random.default_rng(0))
    assert model(np.zeros((2, 5), "int32")).shape == (2, 5, 7)
    mean = model.get_layer("block_0").mixer
    x = np.array([[[1.0], [3.0], [8.0]]], "float32")
    np.testing.assert_allclose(mean(x)[0, :, 0], [1.0, 2.0, 4.0])


def test_the_example_of_a_network_is_that_of_the_page():
    study = load_study(str(ROOT / "examples" / "mean.py"))
    experiment = study.build("quick", "mean_network")
    assert type(experiment.model).__name__ == "MeanConfig"
    example = (ROOT / "examples" / "mean.py").read_text()
    layer = NETWORK.partition("    def call")[2].partition("\n\n")[0]
    assert layer in example


def test_the_callback_writes_its_key():
    callback = names_of(CALLBACK)["LargestWeight"]()
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.set_weights([np.array([[0.5], [-3.0]]), np.zeros(1)])
    values = [variable.value for variable in model.variables]
    # `run` gives it the model, `run_jobs` a snapshot of one.
    for network in (model, Snapshot(model, values, lambda *_: None)):
        callback.set_model(network)
        logs = {}
        callback.on_epoch_end(0, logs)
        assert logs == {"largest_weight": 3.0}
        assert set(callback.log_columns) == set(logs)


def test_the_claim_leaves_the_protocol_of_the_paper_alone():
    family = names_of(CLAIM)["FAMILY"]
    assert family.page != REPRODUCTION.page.name
    assert family.page


def test_the_claim_is_decided():
    names = names_of(CLAIM)
    (claim,) = names["FAMILY"].ordered(names["CLAIMS"])
    assert claim.name not in {each.name for each in CLAIMS}
    folder = ROOT / "docs" / "runs" / "reproduce_quick"
    evidence = Evidence(
        pd.read_csv(folder / "metrics.csv.gz", low_memory=False),
        tuple(range(10)),
        None,
        pd.DataFrame(),
        names["FAMILY"].interval_level,
    )
    (decided,) = decide_all([claim], evidence, "")
    assert decided["observation"] == "confirmed"
    # 10 of 10 at 95 %: p^10 = 0.025 at 0.69.
    assert decided["because"] == "seeds above 50 %: 100.0 % (69.2 to 100.0)."
